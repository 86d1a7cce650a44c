// SPDX-License-Identifier: MIT
// Any bytes as the index of weights in several files, and after a NUL as one of those: refused with
// a sentence, or every tensor that the index names lies inside the file it names.
#include "engine/tensors-files.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A shard that holds one tensor of two bytes.
static void write_shard(const char *name, const char *tensor) {
  char file[200] = {0};
  const char *ends[] = {"{\"", "\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]}}"};
  char *header = file + 8;
  strcpy(header, ends[0]);
  strcat(header, tensor);
  strcat(header, ends[1]);
  const size_t n = strlen(header);
  file[0] = (char)n;
  fuzz_write(name, file, 8 + n + 2);
}

static unsigned sum_bytes(const Tensor *tensor) {
  const unsigned char *data = tensor->data;
  unsigned sum = 0;
  for (size_t i = 0; data && i < tensor->n_bytes; i++)
    sum += data[i];
  return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  static volatile unsigned sum; // so that the bytes are read
  const uint8_t *end = n_bytes ? memchr(data, 0, n_bytes) : NULL;
  const size_t n_index = end ? (size_t)(end - data) : n_bytes;
  JanusError error = {0};
  write_shard("a.safetensors", "a");
  write_shard("b.safetensors", "b");
  if (end)
    fuzz_write("c.safetensors", end + 1, n_bytes - n_index - 1);
  else
    unlink(fuzz_path("c.safetensors"));
  fuzz_write("model.safetensors.index.json", data, n_index);
  TensorSet *set = tensors_open_folder(fuzz_folder(), &error);
  if (!set && (error.code == JANUS_ERROR_NONE || error.message[0] == '\0'))
    abort();
  for (size_t i = 0; set && i < tensors_count(set); i++) {
    sum += sum_bytes(tensors_get(set, i));
    if (!tensors_find(set, tensors_get(set, i)->name))
      abort();
  }
  tensors_free(set);
  return 0;
}
