// SPDX-License-Identifier: MIT
// Lists of picture tokens in JSON files.
#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

#include <stdlib.h>

enum { MAX_TOKEN_FILE_BYTES = 64000000 };

// The list asked for, borrowed; NULL and an error when there is none.
static const json_t *pick_list(const json_t *root, const char *path, int sample,
                               JanusError *error) {
  const json_t *samples = json_object_get(root, "samples");
  const json_t *list = json_object_get(root, "tokens");
  if (!samples && !list) {
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: expected a list tokens or samples, found neither",
               path);
    return NULL;
  }
  if (samples && json_array_size(samples) == 0) {
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: samples: expected a list of lists, found %s", path,
               json_is_array(samples) ? "an empty one" : json_kind(samples));
    return NULL;
  }
  const size_t n = samples ? json_array_size(samples) : 1;
  if (sample < 0 || (size_t)sample >= n) {
    janus_fail(error, JANUS_ERROR_REQUEST, "%s: expected sample 0 to %d, found %d", path,
               (int)n - 1, sample);
    return NULL;
  }
  if (samples)
    list = json_array_get(samples, (size_t)sample);
  if (json_is_array(list))
    return list;
  janus_fail(error, JANUS_ERROR_FORMAT, "%s: expected a list of tokens, found %s", path,
             json_kind(list));
  return NULL;
}

static bool read_list(const json_t *list, const char *path, int32_t *tokens, JanusError *error) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *item = json_array_get(list, i);
    const json_int_t value = json_integer_value(item);
    if (!json_is_integer(item))
      return janus_fail(error, JANUS_ERROR_FORMAT,
                        "%s: token %zu: expected a whole number, found %s", path, i,
                        json_kind(item));
    if (value < 0 || value > INT32_MAX)
      return janus_fail(error, JANUS_ERROR_FORMAT, "%s: token %zu: expected 0 to %d, found %lld",
                        path, i, INT32_MAX, (long long)value);
    tokens[i] = (int32_t)value;
  }
  return true;
}

bool janus_tokens_load(const char *path, int sample, int32_t **tokens, int *n_tokens,
                       JanusError *error) {
  *tokens = NULL;
  *n_tokens = 0;
  json_t *root = json_open_any(path, MAX_TOKEN_FILE_BYTES, error);
  const json_t *list = root ? pick_list(root, path, sample, error) : NULL;
  const size_t n = json_array_size(list);
  int32_t *values = list ? calloc(n ? n : 1, sizeof *values) : NULL;
  bool ok = values && read_list(list, path, values, error);
  if (list && !values)
    janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory for %zu tokens", path, n);
  json_decref(root);
  if (!ok) {
    free(values);
    return false;
  }
  *tokens = values;
  *n_tokens = (int)n;
  return true;
}

static void write_list(FILE *stream, const int32_t *tokens, int n_tokens) {
  fputc('[', stream);
  for (int i = 0; i < n_tokens; i++)
    fprintf(stream, "%s%d", i ? ", " : "", (int)tokens[i]);
  fputc(']', stream);
}

bool janus_tokens_save(const char *path, const int32_t *const *tokens, const int *n_tokens,
                       int n_samples, JanusError *error) {
  FileWriter writer;
  if (!file_writer_open(&writer, path, error))
    return false;
  fputs(n_samples == 1 ? "{\"tokens\": " : "{\"samples\": [", writer.stream);
  for (int i = 0; i < n_samples; i++) {
    if (i > 0)
      fputs(",\n ", writer.stream);
    write_list(writer.stream, tokens[i], n_tokens[i]);
  }
  fputs(n_samples == 1 ? "}\n" : "]}\n", writer.stream);
  return file_writer_close(&writer, error);
}
