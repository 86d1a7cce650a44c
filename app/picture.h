// SPDX-License-Identifier: MIT
// A finished or growing picture as an immutable value: 8-bit sRGB pixels, shared by reference. A
// finished one of ours also holds the two texts that say how it was made, so that whoever saves,
// copies or drags it passes them on without knowing of them.
#ifndef LIMNER_PICTURE_H
#define LIMNER_PICTURE_H

#include <gio/gio.h>

// Row-major RGB, three bytes a pixel, no padding. Immutable; reference counted; any thread.
typedef struct LimnerPicture LimnerPicture;

#define LIMNER_TYPE_PICTURE (limner_picture_get_type())
GType limner_picture_get_type(void);

// Takes a reference on `rgb`, which holds width_px * height_px * 3 bytes.
LimnerPicture *limner_picture_new(GBytes *rgb, int width_px, int height_px);
// The same with the texts for its file (see app/recipe.h), which are copied; NULL = none. The final
// picture of every sample is made so. What the recipe of a chain's file tells of other pictures is
// left out: whoever saves, copies or drags a picture gives that one alone away.
LimnerPicture *limner_picture_new_with_texts(GBytes *rgb, int width_px, int height_px,
                                             const char *parameters, const char *recipe);
LimnerPicture *limner_picture_ref(LimnerPicture *picture);
void limner_picture_unref(LimnerPicture *picture);
GBytes *limner_picture_get_bytes(const LimnerPicture *picture); // borrowed
int limner_picture_get_width(const LimnerPicture *picture);
int limner_picture_get_height(const LimnerPicture *picture);
// The `parameters` text and the `limner` JSON; borrowed, NULL where there is none.
const char *limner_picture_get_parameters(const LimnerPicture *picture);
const char *limner_picture_get_recipe(const LimnerPicture *picture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerPicture, limner_picture_unref)

// Writes a PNG with the picture's texts and what they say about its source as XMP (for files
// without them and other formats see app/export.h): encoded in memory, written beside and renamed,
// never half a file. The same picture and texts give the same bytes. Blocks; any thread.
gboolean limner_picture_save_png(LimnerPicture *picture, const char *path, GError **error);
// The same as bytes, for the clipboard and drags.
GBytes *limner_picture_dup_png(LimnerPicture *picture, GError **error);

#endif
