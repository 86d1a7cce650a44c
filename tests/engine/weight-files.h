// SPDX-License-Identifier: MIT
// Weight files for the engine's tests: safetensors, and the archives of torch.save(), written here
// byte by byte; and a checkpoint's tensors as the transformers port has them.
#ifndef LIMNER_TESTS_WEIGHT_FILES_H
#define LIMNER_TESTS_WEIGHT_FILES_H

#include "engine/tensors.h"
#include "tests/engine/data.h"

// One entry of an archive; `data` NULL = a hole.
typedef struct ZipItem {
  const char *name;
  const void *data;
  uint64_t n_bytes;
  int method; // 0 = stored, which is also what is written when another is stated
} ZipItem;

// As PyTorch does: the data at multiples of 64, the end record of zip64 before the old one.
void write_zip(const TestFolder *folder, const char *name, const ZipItem *items, size_t n_items);

// Tensors by name, dtype_text, dims and data (NULL = a hole), one storage a tensor.
void write_torch(const TestFolder *folder, const char *name, const Tensor *tensors,
                 size_t n_tensors);
void write_safetensors(const TestFolder *folder, const char *name, const Tensor *tensors,
                       size_t n_tensors);

// A growing list of tensors; texts are owned, data is borrowed.
typedef struct TensorList {
  Tensor *tensors;
  size_t n;
} TensorList;

// One more: `tensor` under another name; n_bytes are counted from the shape.
void add_to_list(TensorList *list, const char *name, const Tensor *tensor);
void free_list(TensorList *list);

// Third `part` of a tensor along its first dimension.
Tensor third_of(const Tensor *tensor, int part);

#endif
