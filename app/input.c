// SPDX-License-Identifier: MIT
// Pictures to change as shared values.
#include "app/input.h"

#include "app/picture-load.h"
#include "app/recipe.h"

#include <string.h>

struct LimnerInput {
  gatomicrefcount ref_count;
  LimnerPicture *picture;
  char *name;
  GBytes *file;        // NULL = made of the picture when asked for
  char *recipe;        // the file's JSON; NULL = the picture's
  gboolean is_foreign; // `sha256` is that of a file which is not here
  GMutex lock;
  char *sha256; // under the lock until it is set, then never changed
};

G_DEFINE_BOXED_TYPE(LimnerInput, limner_input, limner_input_ref, limner_input_unref)

LimnerInput *limner_input_new_from_picture(LimnerPicture *picture, const char *name,
                                           const char *sha256) {
  LimnerInput *input = g_new0(LimnerInput, 1);
  g_atomic_ref_count_init(&input->ref_count);
  g_mutex_init(&input->lock);
  input->picture = limner_picture_ref(picture);
  input->name = g_strdup(name);
  input->sha256 = g_strdup(sha256);
  input->is_foreign = sha256 != NULL;
  return input;
}

LimnerInput *limner_input_new_from_bytes(GBytes *file, const char *name, GError **error) {
  g_autoptr(LimnerPicture) picture = limner_picture_decode(file, name, error);
  if (!picture)
    return NULL;
  g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file);
  LimnerInput *input = limner_input_new_from_picture(picture, name, sha256);
  g_autofree char *parameters = NULL;
  input->file = g_bytes_ref(file);
  limner_recipe_find_chunks(file, name, &input->recipe, &parameters, NULL);
  return input;
}

LimnerInput *limner_input_load(const char *path, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(path, error);
  return file ? limner_input_new_from_bytes(file, path, error) : NULL;
}

LimnerInput *limner_input_ref(LimnerInput *input) {
  g_atomic_ref_count_inc(&input->ref_count);
  return input;
}

void limner_input_unref(LimnerInput *input) {
  if (!g_atomic_ref_count_dec(&input->ref_count))
    return;
  limner_picture_unref(input->picture);
  g_mutex_clear(&input->lock);
  g_free(input->name);
  g_free(input->sha256);
  g_clear_pointer(&input->file, g_bytes_unref);
  g_free(input->recipe);
  g_free(input);
}

LimnerPicture *limner_input_get_picture(const LimnerInput *input) {
  return input->picture;
}

const char *limner_input_get_name(const LimnerInput *input) {
  return input->name;
}

const char *limner_input_get_sha256(LimnerInput *input) {
  g_mutex_lock(&input->lock);
  if (!input->sha256) {
    g_autoptr(GBytes) png = limner_picture_dup_png(input->picture, NULL);
    input->sha256 = png ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png) : NULL;
  }
  g_mutex_unlock(&input->lock);
  return input->sha256;
}

GBytes *limner_input_dup_file(LimnerInput *input) {
  if (input->file)
    return g_bytes_ref(input->file);
  return input->is_foreign ? NULL : limner_picture_dup_png(input->picture, NULL);
}

const char *limner_input_get_recipe(const LimnerInput *input) {
  return input->recipe ? input->recipe : limner_picture_get_recipe(input->picture);
}

GBytes *limner_input_dup_tokens(LimnerInput *input, const JanusModelInfo *info) {
  const char *json = limner_input_get_recipe(input);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, NULL) : NULL;
  g_autofree char *model = g_utf8_make_valid(info->name, -1);
  if (!recipe || recipe->n_tokens != info->n_image_tokens || strcmp(recipe->model, model) != 0 ||
      limner_picture_get_width(input->picture) != info->image_size_px ||
      limner_picture_get_height(input->picture) != info->image_size_px)
    return NULL;
  for (int i = 0; i < recipe->n_tokens; i++)
    if (recipe->tokens[i] >= info->n_codes)
      return NULL;
  return g_bytes_new(recipe->tokens, (gsize)recipe->n_tokens * sizeof *recipe->tokens);
}
