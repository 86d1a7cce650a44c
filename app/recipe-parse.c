// SPDX-License-Identifier: MIT
// Recipes read back from JSON that anyone may have written: every value is checked.
#include "app/recipe.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define MAX_SEED ((double)((1ull << 53) - 1))
enum {
  FORMAT = 1,
  MAX_SAMPLE = 4095,
  MAX_SIZE_PX = 1 << 14,
  MAX_TOKENS = 1 << 20,
  SHA256_LENGTH = 64,
};

// What a value must be; the first one that is not is remembered.
typedef struct Reader {
  json_t *object;
  char *complaint; // owned
} Reader;

static json_t *complain(Reader *reader, const char *key, const char *expected) {
  if (!reader->complaint)
    reader->complaint = g_strdup_printf("the recipe's \"%s\": expected %s", key, expected);
  return NULL;
}

static char *read_text(Reader *reader, const char *key) {
  const char *text = json_string_value(json_object_get(reader->object, key));
  if (!text)
    complain(reader, key, "a text");
  return g_strdup(text);
}

static double read_number(Reader *reader, const char *key, double min, double max) {
  const json_t *value = json_object_get(reader->object, key);
  const double number = json_number_value(value);
  if (json_is_number(value) && isfinite(number) && number >= min && number <= max)
    return number;
  g_autofree char *expected = g_strdup_printf("a number from %.15g to %.15g", min, max);
  complain(reader, key, expected);
  return min;
}

static gint64 read_integer(Reader *reader, const char *key, double min, double max) {
  if (!json_is_integer(json_object_get(reader->object, key)))
    complain(reader, key, "a whole number");
  return (gint64)read_number(reader, key, min, max);
}

static JanusFit read_fit(Reader *reader) {
  const char *fit = json_string_value(json_object_get(reader->object, "fit"));
  if (g_strcmp0(fit, "pad") != 0 && g_strcmp0(fit, "crop") != 0)
    complain(reader, "fit", "pad or crop");
  return g_strcmp0(fit, "crop") == 0 ? JANUS_FIT_CROP : JANUS_FIT_PAD;
}

static char *read_sha256(Reader *reader, const json_t *input) {
  const char *sha256 = json_string_value(json_object_get(input, "sha256"));
  if (!sha256 || strlen(sha256) != SHA256_LENGTH ||
      strspn(sha256, "0123456789abcdef") != SHA256_LENGTH)
    complain(reader, "input", "an object with the SHA-256 of a file");
  return g_strdup(sha256);
}

static void read_tokens(Reader *reader, LimnerRecipe *recipe) {
  const json_t *list = json_object_get(reader->object, "tokens");
  const size_t n = json_array_size(list);
  if (!json_is_array(list) || n > MAX_TOKENS) {
    complain(reader, "tokens", "a list of whole numbers");
    return;
  }
  recipe->tokens = g_new0(gint32, n);
  recipe->n_tokens = (int)n;
  for (size_t i = 0; i < n; i++) {
    const json_t *token = json_array_get(list, i);
    const json_int_t id = json_integer_value(token);
    if (!json_is_integer(token) || id < 0 || id > G_MAXINT32)
      complain(reader, "tokens", "whole numbers from 0 on");
    else
      recipe->tokens[i] = (gint32)id;
  }
}

static void read_request(Reader *reader, LimnerRecipe *recipe) {
  LimnerRequest *request = &recipe->request;
  request->prompt = read_text(reader, "prompt");
  request->seed = (guint64)read_integer(reader, "seed", 0, MAX_SEED);
  recipe->sample = (guint)read_integer(reader, "sample", 0, MAX_SAMPLE);
  request->n_samples = (int)recipe->sample + 1;
  request->cfg = read_number(reader, "cfg", 0, 1000);
  request->temperature = read_number(reader, "temperature", 0, 1000);
  request->top_k = (int)read_integer(reader, "top_k", 0, G_MAXINT32);
  request->top_p = read_number(reader, "top_p", 0, 1);
  if (request->top_p <= 0)
    complain(reader, "top_p", "a number above 0");
  const json_t *input = json_object_get(reader->object, "input");
  if (!input)
    return;
  recipe->input_sha256 = read_sha256(reader, input);
  request->image_cfg = read_number(reader, "image_cfg", 0, 1000);
  request->fit = read_fit(reader);
  const json_t *codes = json_object_get(input, "codes");
  request->uses_input_tokens = g_strcmp0(json_string_value(codes), "own") == 0;
  if (codes && !request->uses_input_tokens)
    complain(reader, "input", "\"codes\" to be \"own\" or left out");
}

static LimnerRecipe *read_recipe(Reader *reader) {
  LimnerRecipe *recipe = g_new0(LimnerRecipe, 1);
  if (read_integer(reader, "format", 1, G_MAXINT32) > FORMAT)
    complain(reader, "format", "1, found that of a later Limner");
  recipe->program = read_text(reader, "program");
  recipe->model = read_text(reader, "model");
  recipe->weights = read_text(reader, "weights");
  recipe->device = read_text(reader, "device");
  recipe->request.n_samples = 1;
  recipe->size_px = (int)read_integer(reader, "size", 1, MAX_SIZE_PX);
  const char *kind = json_string_value(json_object_get(reader->object, "kind"));
  if (g_strcmp0(kind, "tokens") != 0)
    read_request(reader, recipe);
  if (g_strcmp0(kind, limner_recipe_get_kind(recipe)) != 0)
    complain(reader, "kind", "text-to-image, edit with an \"input\", or tokens");
  read_tokens(reader, recipe);
  recipe->n_before = (guint)json_array_size(json_object_get(reader->object, LIMNER_RECIPE_CHAIN));
  return recipe;
}

LimnerRecipe *limner_recipe_parse(const char *json, GError **error) {
  json_error_t where;
  json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &where);
  Reader reader = {.object = object};
  LimnerRecipe *recipe = json_is_object(object) ? read_recipe(&reader) : NULL;
  if (!object) { // the reason cites the file
    g_autofree char *found = limner_recipe_dup_harmless(where.text, FALSE);
    reader.complaint = g_strdup_printf("the recipe: expected JSON, found: %s", found);
  }
  if (object && !recipe)
    reader.complaint = g_strdup("the recipe: expected a JSON object, found something else");
  json_decref(object);
  if (!reader.complaint)
    return recipe;
  g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, reader.complaint);
  g_free(reader.complaint);
  limner_recipe_free(recipe);
  return NULL;
}
