// SPDX-License-Identifier: MIT
// The tensors of a safetensors file, its header checked. The format: 8 bytes little-endian header
// length, a JSON header, then the data it points into.
#include "engine/safetensors.h"

#include "engine/error.h"
#include "engine/json.h"
#include "engine/tensors-files.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 100000000 };

// --- one header ---------------------------------------------------------------------------------

// Where a header is being read, for messages.
typedef struct HeaderPlace {
  const char *path;
  const char *name; // of the tensor
  const unsigned char *data;
  size_t n_data_bytes;
} HeaderPlace;

static bool fail_tensor(const HeaderPlace *place, JanusError *error, const char *what) {
  return janus_fail(error, JANUS_ERROR_FORMAT, "%s: tensor %s: %s", place->path, place->name, what);
}

static bool read_shape(const HeaderPlace *place, const json_t *shape, Tensor *tensor,
                       JanusError *error) {
  if (!json_is_array(shape) || json_array_size(shape) > TENSOR_MAX_DIMS)
    return fail_tensor(place, error, "expected a shape of at most 8 whole numbers");
  tensor->n_dims = (int)json_array_size(shape);
  for (int i = 0; i < tensor->n_dims; i++) {
    const json_t *item = json_array_get(shape, (size_t)i);
    const json_int_t dim = json_is_integer(item) ? json_integer_value(item) : -1;
    if (dim < 0)
      return fail_tensor(place, error, "the shape holds something that is not a size");
    tensor->dims[i] = dim;
  }
  return true;
}

static bool read_offsets(const HeaderPlace *place, const json_t *offsets, Tensor *tensor,
                         JanusError *error) {
  const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
    return fail_tensor(place, error, "expected two whole numbers as data_offsets");
  const json_int_t begin = json_integer_value(first), end = json_integer_value(last);
  if (begin < 0 || end < begin || (uint64_t)end > place->n_data_bytes)
    return janus_fail(error, JANUS_ERROR_FORMAT,
                      "%s: tensor %s: expected data inside bytes 0 to %zu, found %lld to %lld%s",
                      place->path, place->name, place->n_data_bytes, (long long)begin,
                      (long long)end, begin >= 0 && end > begin ? " (is the file complete?)" : "");
  tensor->data = place->data + begin;
  tensor->n_bytes = (size_t)(end - begin);
  return true;
}

// What the header says of one tensor. A type that is not known keeps its place but has no data.
static bool read_tensor(const HeaderPlace *place, const json_t *entry, Tensor *tensor,
                        JanusError *error) {
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  size_t n_bytes = 0;
  if (!dtype)
    return fail_tensor(place, error, "expected an object with a dtype");
  if (!read_shape(place, json_object_get(entry, "shape"), tensor, error) ||
      !read_offsets(place, json_object_get(entry, "data_offsets"), tensor, error))
    return false;
  const DtypeFact *fact = dtype_find(dtype);
  if (!tensor_count_bytes(tensor->dims, tensor->n_dims, fact ? fact->n_bytes : 1, &n_bytes))
    return fail_tensor(place, error, "the shape has more elements than memory has bytes");
  if (!fact) {
    tensor->dtype_text = "of unknown type";
    tensor->data = NULL;
    return true;
  }
  if (n_bytes != tensor->n_bytes) {
    char shape[TENSOR_SHAPE_TEXT];
    return janus_fail(error, JANUS_ERROR_FORMAT,
                      "%s: tensor %s: expected %zu bytes for %s %s, found %zu", place->path,
                      place->name, n_bytes, fact->text,
                      tensor_shape_text(tensor->dims, tensor->n_dims, shape), tensor->n_bytes);
  }
  tensor->dtype_text = fact->text;
  tensor->is_float = fact->is_float;
  tensor->dtype = fact->dtype;
  tensor->is_aligned = (uintptr_t)tensor->data % fact->n_bytes == 0;
  return true;
}

// The JSON header, and where the data begins.
static json_t *read_header(const TensorFile *file, size_t *data_begin, JanusError *error) {
  uint64_t n_header = 0;
  if (file->n_bytes < 8) {
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected a safetensors file of at least 8 bytes, found %zu", file->path,
               file->n_bytes);
    return NULL;
  }
  for (int i = 0; i < 8; i++)
    n_header |= (uint64_t)file->data[i] << (8 * i);
  if (n_header > MAX_HEADER_BYTES || n_header > file->n_bytes - 8) {
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected a safetensors header that fits in the file (%zu bytes), found one of "
               "%llu bytes (is the file complete?)",
               file->path, file->n_bytes, (unsigned long long)n_header);
    return NULL;
  }
  *data_begin = 8 + (size_t)n_header;
  return json_parse((const char *)file->data + 8, (size_t)n_header, file->path, error);
}

static int compare_places(const void *a, const void *b) {
  const Tensor *x = a, *y = b;
  return x->data < y->data ? -1 : x->data > y->data;
}

static bool check_overlap(Tensor *tensors, size_t n, JanusError *error) {
  if (n > 1)
    qsort(tensors, n, sizeof *tensors, compare_places);
  const Tensor *before = NULL;
  for (size_t i = 0; i < n; i++) {
    if (!tensors[i].data || tensors[i].n_bytes == 0)
      continue;
    if (before && (const char *)before->data + before->n_bytes > (const char *)tensors[i].data)
      return janus_fail(error, JANUS_ERROR_FORMAT, "%s: the tensors %s and %s overlap",
                        before->file, before->name, tensors[i].name);
    before = &tensors[i];
  }
  return true;
}

static bool add_tensors(const TensorFile *file, const json_t *header, size_t data_begin,
                        JanusError *error) {
  const char *name;
  json_t *entry;
  json_object_foreach((json_t *)header, name, entry) {
    const HeaderPlace place = {.path = file->path,
                               .name = name,
                               .data = file->data + data_begin,
                               .n_data_bytes = file->n_bytes - data_begin};
    Tensor tensor = {0};
    if (strcmp(name, "__metadata__") != 0 &&
        (!read_tensor(&place, entry, &tensor, error) || !tensors_add(file, name, &tensor, error)))
      return false;
  }
  return true;
}

bool safetensors_read(const TensorFile *file, JanusError *error) {
  TensorSet *set = file->set;
  const size_t n_before = set->n_tensors;
  size_t data_begin = 0;
  json_t *header = read_header(file, &data_begin, error);
  bool ok = header && add_tensors(file, header, data_begin, error);
  if (ok && set->n_tensors > n_before)
    ok = check_overlap(set->tensors + n_before, set->n_tensors - n_before, error);
  json_decref(header);
  return ok;
}
