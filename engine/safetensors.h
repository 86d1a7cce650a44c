// SPDX-License-Identifier: MIT
// Inside the engine: the safetensors format, read into a table of tensors and written.
#ifndef JANUS_SAFETENSORS_H
#define JANUS_SAFETENSORS_H

#include "engine/tensors.h"

// Adds the tensors of a mapped file, its header checked against it.
bool safetensors_read(const TensorFile *file, JanusError *error);

// --- writing -------------------------------------------------------------------------------------

// One tensor to write; data borrowed until safetensors_write() returns.
typedef struct SafetensorsItem {
  const char *name;
  const char *dtype_text; // "F32" or "I64"
  const void *data;
  int n_dims;
  int64_t dims[TENSOR_MAX_DIMS];
} SafetensorsItem;

// Writes items to `path`, beside and renamed.
bool safetensors_write(const char *path, const SafetensorsItem *items, int n_items,
                       JanusError *error);

#endif
