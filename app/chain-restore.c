// SPDX-License-Identifier: MIT
// Chains brought back from a file: every step painted again from its tokens.
#include "app/chain.h"

#include "app/recipe.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

// A step as the file tells of it.
typedef struct Told {
  char *sha256; // of its file then; NULL = the file's own step
  LimnerRecipe *recipe;
  GBytes *rgb; // NULL = not painted yet
} Told;

static void told_free(gpointer data) {
  Told *told = data;
  g_free(told->sha256);
  limner_recipe_free(told->recipe);
  g_clear_pointer(&told->rgb, g_bytes_unref);
  g_free(told);
}

static gboolean fail(GError **error, LimnerInput *file, const char *what) {
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s: %s", limner_input_get_name(file),
              what);
  return FALSE;
}

// --- what the file tells -------------------------------------------------------------------------

// Takes in a step; `recipe` may be anything.
static gboolean add(GPtrArray *steps, const char *sha256, const json_t *recipe, GError **error) {
  char *json = recipe ? json_dumps(recipe, JSON_ENCODE_ANY) : NULL;
  LimnerRecipe *parsed = limner_recipe_parse(json ? json : "", error);
  free(json);
  if (!parsed)
    return FALSE;
  const Told told = {g_strdup(sha256), parsed, NULL};
  g_ptr_array_add(steps, g_memdup2(&told, sizeof told));
  return TRUE;
}

static gboolean add_all(GPtrArray *steps, const json_t *object, LimnerInput *file, GError **error) {
  const json_t *list = json_object_get(object, LIMNER_RECIPE_CHAIN);
  const size_t n = json_array_size(list);
  if (n == 0 || n > LIMNER_CHAIN_MAX_STEPS)
    return fail(error, file, "expected a picture with a chain of at most 200 steps, found none");
  for (size_t i = 0; i < n; i++) {
    const json_t *step = json_array_get(list, i);
    const char *sha256 = json_string_value(json_object_get(step, "sha256"));
    if (!sha256)
      return fail(error, file, "expected a SHA-256 for each step of its chain, found none");
    if (!add(steps, sha256, json_object_get(step, "recipe"), error))
      return FALSE;
  }
  return add(steps, NULL, object, error);
}

// The steps of its chain and itself, each made of the one before it.
static GPtrArray *read_steps(LimnerInput *file, GError **error) {
  const char *json = limner_input_get_recipe(file);
  json_t *object = json ? json_loads(json, 0, NULL) : NULL;
  g_autoptr(GPtrArray) steps = g_ptr_array_new_with_free_func(told_free);
  gboolean ok = add_all(steps, object, file, error);
  json_decref(object);
  for (guint i = 1; ok && i < steps->len; i++) {
    const Told *before = steps->pdata[i - 1], *told = steps->pdata[i];
    if (g_strcmp0(told->recipe->input_sha256, before->sha256) != 0)
      ok = fail(error, file, "the steps of its chain are not made of one another");
  }
  return ok ? g_steal_pointer(&steps) : NULL;
}

// --- painting ------------------------------------------------------------------------------------

static gboolean check_model(const Told *told, const JanusModelInfo *info, LimnerInput *file,
                            GError **error) {
  g_autofree char *name = g_utf8_make_valid(info->name, -1);
  if (strcmp(told->recipe->model, name) == 0 && told->recipe->size_px == info->image_size_px)
    return TRUE;
  g_autofree char *painter = limner_recipe_dup_harmless(told->recipe->model, FALSE);
  g_autofree char *sentence = g_strdup_printf(
      "its chain was painted by the model \"%s\", which has to be open to bring it back", painter);
  return fail(error, file, sentence);
}

static gboolean paint(Told *told, JanusModel *model, GError **error) {
  const gsize side = (gsize)told->recipe->size_px, n_bytes = side * side * 3;
  guint8 *rgb = g_malloc(n_bytes);
  JanusError engine_error = {0};
  told->rgb = g_bytes_new_take(rgb, n_bytes);
  if (janus_model_decode(model, told->recipe->tokens, told->recipe->n_tokens, rgb, &engine_error))
    return TRUE;
  limner_propagate_engine_error(error, &engine_error);
  return FALSE;
}

// The file's own pixels are there, unless they were enlarged or cut.
static void take_pixels(Told *told, LimnerInput *file) {
  LimnerPicture *picture = limner_input_get_picture(file);
  if (limner_picture_get_width(picture) == told->recipe->size_px &&
      limner_picture_get_height(picture) == told->recipe->size_px)
    told->rgb = g_bytes_ref(limner_picture_get_bytes(picture));
}

static gboolean paint_all(GPtrArray *steps, LimnerInput *file, JanusModel *model,
                          GCancellable *cancellable, GError **error) {
  take_pixels(steps->pdata[steps->len - 1], file);
  for (guint i = 0; i < steps->len; i++) {
    Told *told = steps->pdata[i];
    if (g_cancellable_set_error_if_cancelled(cancellable, error) ||
        !check_model(told, janus_model_get_info(model), file, error) ||
        (!told->rgb && !paint(told, model, error)))
      return FALSE;
  }
  return TRUE;
}

// --- keeping -------------------------------------------------------------------------------------

// The same tokens may decode a little apart on another device: that file has another SHA-256, which
// the next step is told, so that the chain holds together here.
static LimnerEntry *keep_all(GPtrArray *steps, LimnerLibrary *library, GError **error) {
  g_autoptr(LimnerEntry) entry = NULL;
  for (guint i = 0; i < steps->len; i++) {
    Told *told = steps->pdata[i];
    if (entry) {
      g_free(told->recipe->input_sha256);
      told->recipe->input_sha256 = g_strdup(limner_entry_get_facts(entry)->sha256);
      g_clear_object(&entry);
    }
    g_autoptr(LimnerPicture) picture = limner_recipe_dup_picture(told->recipe, told->rgb);
    entry = limner_library_keep(library, picture, NULL, error);
    if (!entry)
      return NULL;
  }
  return g_steal_pointer(&entry);
}

LimnerEntry *limner_chain_restore(LimnerLibrary *library, LimnerInput *file, JanusModel *model,
                                  GCancellable *cancellable, GError **error) {
  g_autoptr(GPtrArray) steps = read_steps(file, error);
  if (!steps || !paint_all(steps, file, model, cancellable, error))
    return NULL;
  return keep_all(steps, library, error);
}
