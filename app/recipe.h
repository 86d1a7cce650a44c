// SPDX-License-Identifier: MIT
// How a picture was made, as it travels in its file: a `parameters` text that other people's tools
// read, and a `limner` JSON with everything needed to make it again.
#ifndef LIMNER_RECIPE_H
#define LIMNER_RECIPE_H

#include "app/job.h"

// A plain value; fields owned.
typedef struct LimnerRecipe {
  char *program;         // "Limner 0.1.0"
  char *model;           // the model's name
  char *weights;         // "f32"
  char *device;          // "cpu": results repeat on one device
  char *input_sha256;    // of the picture that was changed; NULL = there was none
  LimnerRequest request; // without its input; prompt NULL = tokens from elsewhere were decoded.
                         // uses_input_tokens: the input's own tokens stood for its pixels.
                         // n_samples is not told in files, for no sample depends on it: the least
  guint sample;          // index within the request
  int size_px;           // side of the picture
  gint32 *tokens;        // [n_tokens] the picture's own
  int n_tokens;
  guint n_before; // read from a file: steps of its chain that it tells of, see app/chain.h
} LimnerRecipe;

// Of sample `sample` (the first is request->first_sample) of a request, whose picture has these
// tokens, and the model that made it. The request's input is named by its SHA-256. Blocks a little
// when that is not known yet; any thread.
LimnerRecipe *limner_recipe_new(const LimnerRequest *request, guint sample, const gint32 *tokens,
                                int n_tokens, const JanusModelInfo *info);
void limner_recipe_free(LimnerRecipe *recipe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerRecipe, limner_recipe_free)

// "text-to-image", "edit" or "tokens".
const char *limner_recipe_get_kind(const LimnerRecipe *recipe);

// The picture that was made, with the two texts. Owned.
LimnerPicture *limner_recipe_dup_picture(const LimnerRecipe *recipe, GBytes *rgb);

// The two chunks' texts: the prompt and a line of "Key: value, ..." as AUTOMATIC1111 writes it, and
// one JSON object in one line. Owned. No date, duration, path or host name.
char *limner_recipe_dup_parameters(const LimnerRecipe *recipe);
char *limner_recipe_dup_json(const LimnerRecipe *recipe);
// Back from the JSON; one sentence in `error` when it is none, is of a later format or holds values
// out of range. Members that are not known are passed over.
LimnerRecipe *limner_recipe_parse(const char *json, GError **error);

// The JSON's member that tells of the pictures it was made of, in files of chains alone (see
// app/chain.h): [{"sha256": of the file, "recipe": {}}, ...], the first one first.
#define LIMNER_RECIPE_CHAIN "chain"
// The JSON without that; a copy where it has none. Owned.
char *limner_recipe_dup_plain(const char *json);

// Finds a PNG file's `limner` and `parameters` texts (owned; NULL where absent). FALSE, with one
// sentence that begins with `name`, when the file is no PNG.
gboolean limner_recipe_find_chunks(GBytes *file, const char *name, char **json, char **parameters,
                                   GError **error);
// The same from a path.
gboolean limner_recipe_read_chunks(const char *path, char **json, char **parameters,
                                   GError **error);

// A copy of somebody else's text for a terminal or a message: valid UTF-8 with a space for each
// character that steers, line ends included unless `keeps_lines`. Owned.
char *limner_recipe_dup_harmless(const char *text, gboolean keeps_lines);

#endif
