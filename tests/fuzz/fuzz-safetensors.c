// SPDX-License-Identifier: MIT
// Any bytes as a safetensors file: every tensor that it is said to hold lies inside it.
#include "engine/safetensors.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  static volatile unsigned sum; // so that the bytes are read
  JanusError error = {0};
  fuzz_write("x.safetensors", data, n_bytes);
  TensorSet *set = tensors_open_file(fuzz_path("x.safetensors"), &error);
  if (!set && (error.code == JANUS_ERROR_NONE || error.message[0] == '\0'))
    abort();
  for (size_t i = 0; set && i < tensors_count(set); i++) {
    const Tensor *tensor = tensors_get(set, i);
    char shape[TENSOR_SHAPE_TEXT];
    sum += sum_bytes(tensor);
    sum += (unsigned)strlen(tensor_shape_text(tensor->dims, tensor->n_dims, shape));
    if (tensors_find(set, tensor->name) == NULL)
      abort();
  }
  tensors_free(set);
  (void)sum;
  return 0;
}
