// SPDX-License-Identifier: MIT
// Inside the tensor table: what tensors.c shares with tensors-files.c.
#ifndef JANUS_TENSORS_FILES_H
#define JANUS_TENSORS_FILES_H

#include "engine/file.h"
#include "engine/tensors.h"

#include <jansson.h>

typedef struct TensorShard {
  char *path;
  FileMap map;
} TensorShard;

struct TensorSet {
  TensorShard *shards;
  size_t n_shards;
  Tensor *tensors; // by name, once complete
  size_t n_tensors, capacity;
  bool is_pytorch;
  JanusLayout layout;
  size_t n_skipped; // characters that the files leave out of the layout's names

  // of tensors that no file holds: where they lie, and what makes the values of one
  void *memory; // NULL = there are files
  size_t memory_bytes;
  void (*make)(const Tensor *tensor);

  // while an index is followed: which file is to hold what, and the file being read; borrowed
  const json_t *weight_map;
  const char *shard_name;
};

// An empty set with room for so many files; NULL and an error on failure.
TensorSet *tensors_new(size_t max_shards, JanusError *error);
void tensors_sort(TensorSet *set);

#endif
