// SPDX-License-Identifier: MIT
// A picture to change, as an immutable value: where it came from and its upright sRGB pixels.
#ifndef LIMNER_INPUT_H
#define LIMNER_INPUT_H

#include "app/picture.h"
#include "engine/engine.h"

// Reference counted; any thread.
typedef struct LimnerInput LimnerInput;

#define LIMNER_TYPE_INPUT (limner_input_get_type())
GType limner_input_get_type(void);

// Decodes a picture file of any kind that GdkPixbuf's loaders know: the first frame, turned by its
// EXIF orientation, converted to sRGB by its colour profile, flattened over white. `name` is what a
// person calls it ("photo.jpg") and goes into messages. One sentence in `error`. Blocks; any
// thread.
LimnerInput *limner_input_new_from_bytes(GBytes *file, const char *name, GError **error);
// The same from a path; the name is the path.
LimnerInput *limner_input_load(const char *path, GError **error);
// A picture of our own, or pixels from the clipboard. `sha256` NULL = that of the file that
// limner_picture_dup_png() makes of it.
LimnerInput *limner_input_new_from_picture(LimnerPicture *picture, const char *name,
                                           const char *sha256);
LimnerInput *limner_input_ref(LimnerInput *input);
void limner_input_unref(LimnerInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerInput, limner_input_unref)

LimnerPicture *limner_input_get_picture(const LimnerInput *input); // borrowed; its own size
const char *limner_input_get_name(const LimnerInput *input);
// Of the file, lower-case hex; borrowed. Blocks a little the first time for a picture of our own.
// Any thread.
const char *limner_input_get_sha256(LimnerInput *input);

// What the file says of how it was made: the JSON that limner_recipe_parse() takes, unchecked. NULL
// = nothing; borrowed. Any thread.
const char *limner_input_get_recipe(const LimnerInput *input);

// The picture's file: the bytes it was read from, or the PNG that is made of a picture of our own.
// Its SHA-256 is the one above. NULL when there is no memory for one, or the input was made from
// pixels with another file's SHA-256. Owned; blocks a little; any thread.
GBytes *limner_input_dup_file(LimnerInput *input);
// The tokens that a picture of our own was painted from, gint32 [n_image_tokens], when its recipe
// tells them, this model painted it and it has that model's size; else NULL. Whether the pixels
// are still those is not looked at. Owned; blocks a little; any thread.
GBytes *limner_input_dup_tokens(LimnerInput *input, const JanusModelInfo *info);

// The square that a model sees of it (see janus_image_fit()). `info` NULL = the original's 384.
// Blocks a little; any thread.
LimnerPicture *limner_input_dup_seen(LimnerInput *input, JanusFit fit, const JanusModelInfo *info,
                                     GError **error);

#endif
