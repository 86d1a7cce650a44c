// SPDX-License-Identifier: MIT
// limner-cli info FILE.png: what a saved picture carries.
#include "app/cli/common.h"
#include "app/picture-load.h"
#include "app/recipe.h"

#include <stdio.h>

typedef struct Found {
  gint64 width_px, height_px;
  char *json, *parameters; // as the file has them, or NULL
  LimnerRecipe *recipe;    // of `json`
} Found;

static void found_clear(Found *found) {
  g_free(found->json);
  g_free(found->parameters);
  limner_recipe_free(found->recipe);
}

static gboolean find_size(Found *found, GBytes *file) {
  const GLogFunc before = cli_hush_loaders();
  const gboolean ok = limner_file_find_size(file, &found->width_px, &found->height_px);
  g_log_set_default_handler(before, NULL);
  return ok;
}

static gboolean find(Found *found, const char *path, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(path, error);
  if (!file)
    return FALSE;
  const gboolean is_picture = find_size(found, file);
  g_autoptr(GError) reason = NULL;
  if (!limner_recipe_find_chunks(file, path, &found->json, &found->parameters, &reason)) {
    if (!is_picture)
      g_propagate_error(error, g_steal_pointer(&reason));
    return is_picture; // of another kind: it carries nothing
  }
  if (!is_picture) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a PNG picture, found a damaged one", path);
    return FALSE;
  }
  found->recipe = found->json ? limner_recipe_parse(found->json, error) : NULL;
  if (found->json && !found->recipe)
    g_prefix_error(error, "%s: ", path);
  return found->recipe || !found->json;
}

// --- for people ----------------------------------------------------------------------------------

static void print_text(const char *name, const char *text) {
  g_autofree char *harmless = limner_recipe_dup_harmless(text, TRUE);
  printf("%s%s\n", name, harmless);
}

static void print_number(const char *name, double number) {
  g_autofree char *text = cli_json_number(number);
  printf("%s: %s\n", name, text);
}

static void print_request(const LimnerRecipe *recipe) {
  const LimnerRequest *request = &recipe->request;
  print_text("prompt: ", request->prompt);
  printf("seed: %" G_GUINT64_FORMAT ", sample %u\n", request->seed, recipe->sample);
  print_number("cfg", request->cfg);
  if (recipe->input_sha256)
    print_number("image-cfg", request->image_cfg);
  print_number("temperature", request->temperature);
  print_number("top-k", request->top_k);
  print_number("top-p", request->top_p);
  if (!recipe->input_sha256)
    return;
  printf("fit: %s\n", request->fit == JANUS_FIT_CROP ? "crop" : "pad");
  printf("input: the file with SHA-256 %s\n", recipe->input_sha256);
}

static void print_people(const char *path, const Found *found) {
  const LimnerRecipe *recipe = found->recipe;
  printf("%s: %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT " px\n", path, found->width_px,
         found->height_px);
  if (!recipe) {
    print_text("", found->parameters ? found->parameters : "carries no recipe");
    return;
  }
  printf("kind: %s\n", limner_recipe_get_kind(recipe));
  if (recipe->request.prompt)
    print_request(recipe);
  print_text("model: ", recipe->model);
  print_text("weights: ", recipe->weights);
  print_text("device: ", recipe->device);
  print_text("program: ", recipe->program);
  printf("tokens: %d\n", recipe->n_tokens);
  if (recipe->n_before > 0)
    printf("chain: %u steps before it\n", recipe->n_before);
}

// --- for programs --------------------------------------------------------------------------------

// The recipe's own members follow the file's.
static void print_json(const char *path, const Found *found) {
  g_autofree char *file = cli_json_text(path);
  g_autofree char *parameters = cli_json_text(found->parameters);
  g_autofree char *recipe = found->recipe ? limner_recipe_dup_json(found->recipe) : NULL;
  printf("{\"file\": %s, \"width\": %" G_GINT64_FORMAT ", \"height\": %" G_GINT64_FORMAT
         ", \"parameters\": %s%s%s\n",
         file, found->width_px, found->height_px, parameters, recipe ? ", " : "",
         recipe ? recipe + 1 : "}");
}

int cli_info_picture(const CliCommon *common, const char *path) {
  Found found = {0};
  g_autoptr(GError) error = NULL;
  const gboolean ok = find(&found, path, &error);
  if (!ok)
    cli_fail_error(error);
  else if (common->json)
    print_json(path, &found);
  else
    print_people(path, &found);
  found_clear(&found);
  return ok ? CLI_DONE : CLI_FAILED;
}
