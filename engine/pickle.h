// SPDX-License-Identifier: MIT
// Inside the engine: what a pickled state dict says of its tensors. A reader of the few operations
// that torch.save() writes for one; names of code are compared with a list, never looked up.
#ifndef JANUS_PICKLE_H
#define JANUS_PICKLE_H

#include "engine/tensors.h"

// A piece of the pickle's text, without a NUL.
typedef struct PickleText {
  const char *text;
  size_t n_bytes;
} PickleText;

// A tensor as the pickle describes it; nothing is checked against its storage yet.
typedef struct PickleTensor {
  PickleText name;
  PickleText storage;     // key of the storage's entry
  const DtypeFact *dtype; // of the storage
  int64_t n_stored;       // values of the storage
  int64_t offset;         // of the first value
  int n_dims;
  int64_t dims[TENSOR_MAX_DIMS], strides[TENSOR_MAX_DIMS]; // none negative
} PickleTensor;

// Reads a pickle (protocol 2) of a dictionary of tensors. On success *tensors is malloc'd, in the
// order of the pickle; its texts point into `data`. `path` is for messages. False, one sentence and
// no tensors for anything else.
bool pickle_read_tensors(const unsigned char *data, size_t n_bytes, const char *path,
                         PickleTensor **tensors, size_t *n_tensors, JanusError *error);

#endif
