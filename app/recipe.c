// SPDX-License-Identifier: MIT
// Recipes as values and as the two texts of a file.
#include "config.h"

#include "app/recipe.h"

#include "app/picture-load.h"
#include "app/png-text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

LimnerRecipe *limner_recipe_new(const LimnerRequest *request, guint sample, const gint32 *tokens,
                                int n_tokens, const JanusModelInfo *info) {
  LimnerRecipe *recipe = g_new0(LimnerRecipe, 1);
  recipe->program = g_strdup("Limner " LIMNER_VERSION);
  recipe->model = g_utf8_make_valid(info->name, -1);
  recipe->weights = g_strdup(janus_weights_text(info->weights));
  recipe->device = g_strdup(info->device);
  recipe->request = *request;
  recipe->request.prompt = request->prompt ? g_utf8_make_valid(request->prompt, -1) : NULL;
  recipe->request.input = NULL;
  recipe->request.first_sample = 0;
  recipe->request.n_samples = (int)sample + 1;
  if (request->input)
    recipe->input_sha256 = g_strdup(limner_input_get_sha256(request->input));
  recipe->sample = sample;
  recipe->size_px = info->image_size_px;
  recipe->tokens = g_memdup2(tokens, (gsize)n_tokens * sizeof *tokens);
  recipe->n_tokens = n_tokens;
  return recipe;
}

void limner_recipe_free(LimnerRecipe *recipe) {
  if (!recipe)
    return;
  g_free(recipe->program);
  g_free(recipe->model);
  g_free(recipe->weights);
  g_free(recipe->device);
  g_free(recipe->input_sha256);
  g_free(recipe->request.prompt);
  g_free(recipe->tokens);
  g_free(recipe);
}

const char *limner_recipe_get_kind(const LimnerRecipe *recipe) {
  if (!recipe->request.prompt)
    return "tokens";
  return recipe->input_sha256 ? "edit" : "text-to-image";
}

LimnerPicture *limner_recipe_dup_picture(const LimnerRecipe *recipe, GBytes *rgb) {
  g_autofree char *parameters = limner_recipe_dup_parameters(recipe);
  g_autofree char *json = limner_recipe_dup_json(recipe);
  return limner_picture_new_with_texts(rgb, recipe->size_px, recipe->size_px, parameters, json);
}

// --- numbers and texts ---------------------------------------------------------------------------

// As short as it reads back the same, with a point.
static char *dup_number(double number) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  for (int n_digits = 15; n_digits <= 17; n_digits++) {
    const char format[] = {'%', '.', '1', (char)('0' + n_digits - 10), 'g', 0};
    g_ascii_formatd(text, sizeof text, format, number);
    if (g_ascii_strtod(text, NULL) == number)
      break;
  }
  return g_strdup(text);
}

static char *dup_quoted(const char *text) {
  json_t *value = json_string(text);
  char *dumped = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
  char *quoted = g_strdup(dumped ? dumped : "null");
  free(dumped);
  json_decref(value);
  return quoted;
}

// --- parameters ----------------------------------------------------------------------------------

// ", Key: value"; a value that would break the line is quoted as JSON is.
static void append_parameter(GString *line, const char *key, const char *value) {
  const gboolean is_plain = strpbrk(value, ",:\n\"") == NULL;
  g_autofree char *quoted = is_plain ? g_strdup(value) : dup_quoted(value);
  g_string_append_printf(line, "%s%s: %s", line->len ? ", " : "", key, quoted);
}

static void append_parameter_number(GString *line, const char *key, double number) {
  g_autofree char *text = dup_number(number);
  append_parameter(line, key, text);
}

static void append_parameter_integer(GString *line, const char *key, guint64 number) {
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  append_parameter(line, key, text);
}

static void append_drawing(GString *line, const LimnerRecipe *recipe) {
  const LimnerRequest *request = &recipe->request;
  append_parameter_number(line, "CFG scale", request->cfg);
  if (recipe->input_sha256)
    append_parameter_number(line, "Image CFG scale", request->image_cfg);
  append_parameter_integer(line, "Seed", request->seed);
  append_parameter_integer(line, "Sample", recipe->sample);
  append_parameter_number(line, "Temperature", request->temperature);
  append_parameter_integer(line, "Top-k", (guint64)request->top_k);
  append_parameter_number(line, "Top-p", request->top_p);
}

char *limner_recipe_dup_parameters(const LimnerRecipe *recipe) {
  g_autoptr(GString) line = g_string_new(NULL);
  g_autofree char *size = g_strdup_printf("%dx%d", recipe->size_px, recipe->size_px);
  append_parameter_integer(line, "Steps", (guint64)recipe->n_tokens);
  if (recipe->request.prompt)
    append_drawing(line, recipe);
  append_parameter(line, "Size", size);
  append_parameter(line, "Model", recipe->model);
  append_parameter(line, "Weights", recipe->weights);
  append_parameter(line, "Device", recipe->device);
  if (recipe->input_sha256) {
    append_parameter(line, "Fit", recipe->request.fit == JANUS_FIT_CROP ? "crop" : "pad");
    append_parameter(line, "Input SHA-256", recipe->input_sha256);
  }
  append_parameter(line, "Version", recipe->program);
  const char *prompt = recipe->request.prompt;
  return prompt && *prompt ? g_strconcat(prompt, "\n", line->str, NULL) : g_strdup(line->str);
}

// --- JSON ----------------------------------------------------------------------------------------

static void append_text(GString *json, const char *key, const char *value) {
  g_autofree char *quoted = dup_quoted(value);
  g_string_append_printf(json, ", \"%s\": %s", key, quoted);
}

static void append_number(GString *json, const char *key, double number) {
  g_autofree char *text = dup_number(number);
  g_string_append_printf(json, ", \"%s\": %s", key, text);
}

static void append_integer(GString *json, const char *key, guint64 number) {
  g_string_append_printf(json, ", \"%s\": %" G_GUINT64_FORMAT, key, number);
}

static void append_request(GString *json, const LimnerRecipe *recipe) {
  const LimnerRequest *request = &recipe->request;
  append_text(json, "prompt", request->prompt);
  append_integer(json, "seed", request->seed);
  append_integer(json, "sample", recipe->sample);
  append_number(json, "cfg", request->cfg);
  append_number(json, "temperature", request->temperature);
  append_integer(json, "top_k", (guint64)request->top_k);
  append_number(json, "top_p", request->top_p);
  if (!recipe->input_sha256)
    return;
  append_number(json, "image_cfg", request->image_cfg);
  append_text(json, "fit", request->fit == JANUS_FIT_CROP ? "crop" : "pad");
  g_string_append_printf(json, ", \"input\": {\"sha256\": \"%s\"%s}", recipe->input_sha256,
                         request->uses_input_tokens ? ", \"codes\": \"own\"" : "");
}

char *limner_recipe_dup_json(const LimnerRecipe *recipe) {
  GString *json = g_string_new("{\"format\": 1");
  append_text(json, "program", recipe->program);
  append_text(json, "kind", limner_recipe_get_kind(recipe));
  append_text(json, "model", recipe->model);
  append_text(json, "weights", recipe->weights);
  append_text(json, "device", recipe->device);
  append_integer(json, "size", (guint64)recipe->size_px);
  if (recipe->request.prompt)
    append_request(json, recipe);
  g_string_append(json, ", \"tokens\": [");
  for (int i = 0; i < recipe->n_tokens; i++)
    g_string_append_printf(json, "%s%d", i ? "," : "", recipe->tokens[i]);
  g_string_append(json, "]}");
  return g_string_free(json, FALSE);
}

char *limner_recipe_dup_plain(const char *json) {
  json_t *object = json_loads(json, 0, NULL);
  char *dumped = json_is_object(object) && json_object_del(object, LIMNER_RECIPE_CHAIN) == 0
                     ? json_dumps(object, JSON_COMPACT)
                     : NULL;
  char *plain = g_strdup(dumped ? dumped : json);
  free(dumped);
  json_decref(object);
  return plain;
}

// --- files ---------------------------------------------------------------------------------------

gboolean limner_recipe_find_chunks(GBytes *file, const char *name, char **json, char **parameters,
                                   GError **error) {
  *json = *parameters = NULL;
  if (limner_png_text_find(file, "limner", json) &&
      limner_png_text_find(file, "parameters", parameters))
    return TRUE;
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "%s: expected a PNG picture, found something else", name);
  return FALSE;
}

gboolean limner_recipe_read_chunks(const char *path, char **json, char **parameters,
                                   GError **error) {
  *json = *parameters = NULL;
  g_autoptr(GBytes) file = limner_file_load(path, error);
  return file && limner_recipe_find_chunks(file, path, json, parameters, error);
}

// --- other people's texts ------------------------------------------------------------------------

// Control characters (an escape sequence begins with one, also with one of U+0080 to U+009F), and
// those that turn the direction of what follows.
static gboolean is_steering(gunichar c) {
  return g_unichar_iscntrl(c) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

char *limner_recipe_dup_harmless(const char *text, gboolean keeps_lines) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GString *harmless = g_string_new(NULL);
  for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
    const gunichar c = g_utf8_get_char(at);
    const gboolean is_kept = !is_steering(c) || (keeps_lines && c == '\n');
    g_string_append_unichar(harmless, is_kept ? c : ' ');
  }
  return g_string_free(harmless, FALSE);
}
