// SPDX-License-Identifier: MIT
// Inside the engine: the tensors of a folder's safetensors file or shards, mapped read-only.
#ifndef JANUS_SAFETENSORS_H
#define JANUS_SAFETENSORS_H

#include "engine/engine.h"
#include "kernels/kernels.h"

enum { SAFETENSORS_MAX_DIMS = 8 };

// One tensor; everything borrowed from its set.
typedef struct SafetensorsTensor {
  const char *name;
  const char *file;       // for messages
  const void *data;       // NULL for a type that is not known
  bool is_aligned;        // `data` is aligned to the element size
  const char *dtype_text; // "BF16", "I64", ...
  bool is_float;          // F32, BF16 or F16: `dtype` holds
  jk_dtype dtype;
  int n_dims;
  int64_t dims[SAFETENSORS_MAX_DIMS];
  size_t n_bytes;
} SafetensorsTensor;

typedef struct SafetensorsSet SafetensorsSet;

// Opens FOLDER/model.safetensors, or the shards that FOLDER/model.safetensors.index.json names (or
// a single *.safetensors). Checks every header against its file. NULL and an error on failure.
SafetensorsSet *safetensors_open_folder(const char *folder, JanusError *error);
// One file, for tools and tests.
SafetensorsSet *safetensors_open_file(const char *path, JanusError *error);
void safetensors_free(SafetensorsSet *set); // NULL is allowed
// Whether the files still are what was opened (file_map_check()). Any thread.
bool safetensors_check(const SafetensorsSet *set, JanusError *error);

// NULL when absent. O(log n).
const SafetensorsTensor *safetensors_find(const SafetensorsSet *set, const char *name);
size_t safetensors_count(const SafetensorsSet *set);
const SafetensorsTensor *safetensors_get(const SafetensorsSet *set, size_t index); // by name order

// "[64, 176]", into `text`, for messages. Returns it.
enum { SAFETENSORS_SHAPE_TEXT = 192 };
const char *safetensors_shape_text(const int64_t *dims, int n_dims,
                                   char text[SAFETENSORS_SHAPE_TEXT]);

// --- writing -------------------------------------------------------------------------------------

// One tensor to write; data borrowed until safetensors_write() returns.
typedef struct SafetensorsItem {
  const char *name;
  const char *dtype_text; // "F32" or "I64"
  const void *data;
  int n_dims;
  int64_t dims[SAFETENSORS_MAX_DIMS];
} SafetensorsItem;

// Writes items to `path`, beside and renamed.
bool safetensors_write(const char *path, const SafetensorsItem *items, int n_items,
                       JanusError *error);

#endif
