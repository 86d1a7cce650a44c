// SPDX-License-Identifier: MIT
// Any bytes as a file of torch.save(): every tensor that it is said to hold lies inside it. What is
// no archive is taken as the pickle of one that is otherwise in order, or hardly any pickle would
// have the checksum that its directory states.
#include "engine/pickle.h"
#include "engine/tensors.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static unsigned sum_bytes(const Tensor *tensor) {
  const unsigned char *data = tensor->data;
  unsigned sum = 0;
  for (size_t i = 0; data && i < tensor->n_bytes; i++)
    sum += data[i];
  return sum;
}

static void check_error(const JanusError *error) {
  if (error->code == JANUS_ERROR_NONE || error->message[0] == '\0')
    abort();
}

static unsigned read_archive(const uint8_t *data, size_t n_bytes) {
  unsigned sum = 0;
  JanusError error = {0};
  fuzz_write("x.bin", data, n_bytes);
  TensorSet *set = tensors_open_file(fuzz_path("x.bin"), &error);
  if (!set)
    check_error(&error);
  // Many names may share one storage: not more is read than a file of this size is long for.
  for (size_t i = 0; set && i < tensors_count(set) && i < 100; i++)
    sum += sum_bytes(tensors_get(set, i));
  tensors_free(set);
  return sum;
}

static unsigned read_pickle(const uint8_t *data, size_t n_bytes) {
  PickleTensor *tensors = NULL;
  size_t n_tensors = 0;
  unsigned sum = 0;
  JanusError error = {0};
  if (!pickle_read_tensors(data, n_bytes, "fuzz", &tensors, &n_tensors, &error))
    check_error(&error);
  for (size_t i = 0; i < n_tensors; i++) {
    for (size_t j = 0; j < tensors[i].name.n_bytes; j++)
      sum += (unsigned char)tensors[i].name.text[j];
    for (int j = 0; j < tensors[i].n_dims; j++)
      if (tensors[i].dims[j] < 0 || tensors[i].strides[j] < 0)
        abort();
    if (tensors[i].offset < 0 || tensors[i].n_stored < 0 || !tensors[i].dtype)
      abort();
  }
  free(tensors);
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  static volatile unsigned sum; // so that the bytes are read
  const bool is_archive = n_bytes >= 2 && data[0] == 'P' && data[1] == 'K';
  sum += is_archive ? read_archive(data, n_bytes) : read_pickle(data, n_bytes);
  (void)sum;
  return 0;
}
