// SPDX-License-Identifier: MIT
// Inside the engine: reading JSON files and naming the member that is wrong.
#ifndef JANUS_JSON_H
#define JANUS_JSON_H

#include "engine/engine.h"

#include <jansson.h>

// The object in a file of at most max_bytes; release with json_decref(). NULL on failure, to which
// a name that stands twice in an object counts. json_open() takes regular files alone,
// json_open_any() waits for pipes.
json_t *json_open(const char *path, size_t max_bytes, JanusError *error);
json_t *json_open_any(const char *path, size_t max_bytes, JanusError *error);
// The same from memory; `path` is for messages.
json_t *json_parse(const char *text, size_t n_bytes, const char *path, JanusError *error);

// An object inside a file, for reading members with messages. Borrowed throughout. `object` may be
// NULL: every member is then absent. An absent or null member leaves *value as it is.
typedef struct JsonPlace {
  const char *path;  // of the file
  const char *where; // "language_config.", or "" for the root
  const json_t *object;
} JsonPlace;

// A member that must be an object when present: *object is NULL when absent.
bool json_get_object(const JsonPlace *place, const char *key, const json_t **object,
                     JanusError *error);
bool json_get_int(const JsonPlace *place, const char *key, int min, int max, int *value,
                  JanusError *error);
bool json_get_number(const JsonPlace *place, const char *key, double min, double max, double *value,
                     JanusError *error);
// *text is borrowed from the document.
bool json_get_text(const JsonPlace *place, const char *key, const char **text, JanusError *error);
bool json_get_bool(const JsonPlace *place, const char *key, bool *value, JanusError *error);

// What kind of value this is, for messages: "a string". Static text.
const char *json_kind(const json_t *value);

#endif
