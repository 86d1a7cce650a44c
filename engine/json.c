// SPDX-License-Identifier: MIT
// Reading JSON files and naming the member that is wrong. (The parser itself limits the depth.)
#include "engine/json.h"

#include "engine/error.h"
#include "engine/file.h"

#include <stdlib.h>

json_t *json_parse(const char *text, size_t n_bytes, const char *path, JanusError *error) {
  json_error_t detail;
  json_t *root = json_loadb(text, n_bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &detail);
  if (!root) {
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: not valid JSON at line %d: %s", path, detail.line,
               detail.text);
    return NULL;
  }
  if (json_is_object(root))
    return root;
  janus_fail(error, JANUS_ERROR_FORMAT, "%s: expected a JSON object, found %s", path,
             json_kind(root));
  json_decref(root);
  return NULL;
}

// Parses a text that was read, and releases it.
static json_t *parse_read(char *text, size_t n_bytes, const char *path, JanusError *error) {
  json_t *root = NULL;
  if (n_bytes == 0)
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: the file is empty", path);
  else
    root = json_parse(text, n_bytes, path, error);
  free(text);
  return root;
}

json_t *json_open(const char *path, size_t max_bytes, JanusError *error) {
  char *text = NULL;
  size_t n_bytes = 0;
  if (!file_read_regular(path, max_bytes, &text, &n_bytes, error))
    return NULL;
  return parse_read(text, n_bytes, path, error);
}

json_t *json_open_any(const char *path, size_t max_bytes, JanusError *error) {
  char *text = NULL;
  size_t n_bytes = 0;
  if (!file_read(path, max_bytes, &text, &n_bytes, error))
    return NULL;
  return parse_read(text, n_bytes, path, error);
}

const char *json_kind(const json_t *value) {
  switch (value ? json_typeof(value) : JSON_NULL) {
  case JSON_OBJECT:
    return "an object";
  case JSON_ARRAY:
    return "a list";
  case JSON_STRING:
    return "a string";
  case JSON_INTEGER:
    return "a whole number";
  case JSON_REAL:
    return "a number with a fraction";
  case JSON_TRUE:
  case JSON_FALSE:
    return "true or false";
  case JSON_NULL:
    break;
  }
  return "nothing";
}

// The member, or NULL when it is absent or null.
static const json_t *member(const JsonPlace *place, const char *key) {
  const json_t *value = json_object_get(place->object, key);
  return json_is_null(value) ? NULL : value;
}

static bool fail_kind(const JsonPlace *place, const char *key, const char *expected,
                      const json_t *found, JanusError *error) {
  return janus_fail(error, JANUS_ERROR_FORMAT, "%s: %s%s: expected %s, found %s", place->path,
                    place->where, key, expected, json_kind(found));
}

bool json_get_object(const JsonPlace *place, const char *key, const json_t **object,
                     JanusError *error) {
  *object = member(place, key);
  if (!*object || json_is_object(*object))
    return true;
  return fail_kind(place, key, "an object", *object, error);
}

bool json_get_int(const JsonPlace *place, const char *key, int min, int max, int *value,
                  JanusError *error) {
  const json_t *found = member(place, key);
  if (!found)
    return true;
  if (!json_is_integer(found))
    return fail_kind(place, key, "a whole number", found, error);
  const json_int_t number = json_integer_value(found);
  if (number < min || number > max)
    return janus_fail(error, JANUS_ERROR_FORMAT, "%s: %s%s: expected %d to %d, found %lld",
                      place->path, place->where, key, min, max, (long long)number);
  *value = (int)number;
  return true;
}

bool json_get_number(const JsonPlace *place, const char *key, double min, double max, double *value,
                     JanusError *error) {
  const json_t *found = member(place, key);
  if (!found)
    return true;
  if (!json_is_number(found))
    return fail_kind(place, key, "a number", found, error);
  const double number = json_number_value(found);
  if (!(number >= min && number <= max))
    return janus_fail(error, JANUS_ERROR_FORMAT, "%s: %s%s: expected %g to %g, found %g",
                      place->path, place->where, key, min, max, number);
  *value = number;
  return true;
}

bool json_get_text(const JsonPlace *place, const char *key, const char **text, JanusError *error) {
  const json_t *found = member(place, key);
  if (!found)
    return true;
  if (!json_is_string(found))
    return fail_kind(place, key, "a string", found, error);
  *text = json_string_value(found);
  return true;
}

bool json_get_bool(const JsonPlace *place, const char *key, bool *value, JanusError *error) {
  const json_t *found = member(place, key);
  if (!found)
    return true;
  if (!json_is_boolean(found))
    return fail_kind(place, key, "true or false", found, error);
  *value = json_is_true(found);
  return true;
}
