// SPDX-License-Identifier: MIT
// One table of a folder's tensors: filled file by file, sorted by name, asked by the original's
// names.
#include "engine/tensors-files.h"

#include "engine/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// --- values -------------------------------------------------------------------------------------

static const DtypeFact dtype_facts[] = {
    {"F32", 4, true, JK_F32},
    {"BF16", 2, true, JK_BF16},
    {"F16", 2, true, JK_F16},
    {"F64", 8},
    {"I64", 8},
    {"I32", 4},
    {"I16", 2},
    {"I8", 1},
    {"U64", 8},
    {"U32", 4},
    {"U16", 2},
    {"U8", 1},
    {"BOOL", 1},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
};

const DtypeFact *dtype_find(const char *text) {
  for (size_t i = 0; i < sizeof dtype_facts / sizeof *dtype_facts; i++)
    if (strcmp(text, dtype_facts[i].text) == 0)
      return &dtype_facts[i];
  return NULL;
}

bool tensor_count_bytes(const int64_t *dims, int n_dims, size_t element_bytes, size_t *n_bytes) {
  *n_bytes = element_bytes;
  for (int i = 0; i < n_dims; i++)
    if (__builtin_mul_overflow(*n_bytes, (size_t)dims[i], n_bytes))
      return false;
  return true;
}

const char *tensor_shape_text(const int64_t *dims, int n_dims, char text[TENSOR_SHAPE_TEXT]) {
  int n = snprintf(text, TENSOR_SHAPE_TEXT, "[");
  for (int i = 0; i < n_dims; i++)
    n += snprintf(text + n, (size_t)(TENSOR_SHAPE_TEXT - n), "%s%lld", i ? ", " : "",
                  (long long)dims[i]);
  snprintf(text + n, (size_t)(TENSOR_SHAPE_TEXT - n), "]");
  return text;
}

// --- filling ------------------------------------------------------------------------------------

TensorSet *tensors_new(size_t max_shards, JanusError *error) {
  TensorSet *set = calloc(1, sizeof *set);
  if (set)
    set->shards = calloc(max_shards ? max_shards : 1, sizeof *set->shards);
  if (set && set->shards)
    return set;
  free(set);
  janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %zu files", max_shards);
  return NULL;
}

void tensors_free(TensorSet *set) {
  if (!set)
    return;
  for (size_t i = 0; i < set->n_tensors; i++)
    free((char *)set->tensors[i].name);
  for (size_t i = 0; i < set->n_shards; i++) {
    file_unmap(&set->shards[i].map);
    free(set->shards[i].path);
  }
  if (set->memory)
    munmap(set->memory, set->memory_bytes);
  free(set->tensors);
  free(set->shards);
  free(set);
}

static Tensor *grow(TensorSet *set) {
  if (set->n_tensors == set->capacity) {
    const size_t capacity = set->capacity ? 2 * set->capacity : 256;
    Tensor *grown = realloc(set->tensors, capacity * sizeof *grown);
    if (!grown)
      return NULL;
    set->tensors = grown;
    set->capacity = capacity;
  }
  return &set->tensors[set->n_tensors];
}

bool tensors_add(const TensorFile *file, const char *name, const Tensor *tensor,
                 JanusError *error) {
  TensorSet *set = file->set;
  const char *placed = json_string_value(json_object_get(set->weight_map, name));
  if (set->weight_map && (!placed || strcmp(placed, set->shard_name) != 0))
    return true;
  Tensor *place = grow(set);
  char *copy = place ? strdup(name) : NULL;
  if (!copy)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", file->path);
  *place = *tensor;
  place->name = copy;
  place->file = file->path;
  set->n_tensors++;
  return true;
}

static int compare_names(const void *a, const void *b) {
  const Tensor *x = a, *y = b;
  return strcmp(x->name, y->name);
}

void tensors_sort(TensorSet *set) {
  if (set->n_tensors > 1)
    qsort(set->tensors, set->n_tensors, sizeof *set->tensors, compare_names);
}

// --- identity -----------------------------------------------------------------------------------

static uint64_t fold(uint64_t hash, const void *data, size_t n_bytes) { // FNV-1a
  const unsigned char *bytes = data;
  for (size_t i = 0; i < n_bytes; i++)
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static uint64_t fold_shard(uint64_t hash, const TensorShard *shard) {
  enum { N_SAMPLES = 32, SAMPLE_BYTES = 64 };
  const char *slash = strrchr(shard->path, '/'), *name = slash ? slash + 1 : shard->path;
  const FileMap *map = &shard->map;
  const int64_t facts[] = {(int64_t)map->n_bytes, map->modified.tv_sec, map->modified.tv_nsec};
  hash = fold(fold(hash, name, strlen(name)), facts, sizeof facts);
  for (size_t i = 1; i <= N_SAMPLES && map->n_bytes > SAMPLE_BYTES; i++)
    hash = fold(hash, map->data + (map->n_bytes - SAMPLE_BYTES) / N_SAMPLES * i, SAMPLE_BYTES);
  return hash;
}

uint64_t tensors_identity(const TensorSet *set) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  if (set->n_shards == 0)
    return 0;
  for (size_t i = 0; i < set->n_shards; i++)
    hash = fold_shard(hash, &set->shards[i]);
  for (size_t i = 0; i < set->n_tensors; i++) {
    const Tensor *tensor = &set->tensors[i];
    const int64_t facts[] = {tensor->dtype, tensor->n_dims, (int64_t)tensor->n_bytes};
    hash = fold(fold(hash, tensor->name, strlen(tensor->name)), facts, sizeof facts);
    hash = fold(hash, tensor->dims, (size_t)tensor->n_dims * sizeof *tensor->dims);
  }
  return hash;
}

// --- access -------------------------------------------------------------------------------------

bool tensors_check(const TensorSet *set, JanusError *error) {
  for (size_t i = 0; i < set->n_shards; i++)
    if (!file_map_check(&set->shards[i].map, set->shards[i].path, error))
      return false;
  return true;
}

static const Tensor *find_stored(const TensorSet *set, const char *name) {
  const Tensor key = {.name = name};
  if (set->n_tensors == 0)
    return NULL;
  return bsearch(&key, set->tensors, set->n_tensors, sizeof key, compare_names);
}

// Models that were saved without their language head have no "model." before every name.
void tensors_set_layout(TensorSet *set, JanusLayout layout) {
  set->layout = layout;
  set->n_skipped = 0;
  if (layout == JANUS_LAYOUT_TRANSFORMERS &&
      !find_stored(set, "model.language_model.embed_tokens.weight") &&
      find_stored(set, "language_model.embed_tokens.weight"))
    set->n_skipped = strlen("model.");
}

JanusLayout tensors_get_layout(const TensorSet *set) {
  return set->layout;
}

bool tensors_are_pytorch(const TensorSet *set) {
  return set->is_pytorch;
}

const char *tensors_stored_name(const TensorSet *set, const char *name,
                                char text[LAYOUT_NAME_BYTES]) {
  layout_name(set->layout, name, text);
  if (strncmp(text, "model.", set->n_skipped) == 0)
    memmove(text, text + set->n_skipped, strlen(text) - set->n_skipped + 1);
  return text;
}

const Tensor *tensors_find(const TensorSet *set, const char *name) {
  char stored[LAYOUT_NAME_BYTES];
  if (set->layout == JANUS_LAYOUT_ORIGINAL)
    return find_stored(set, name);
  return find_stored(set, tensors_stored_name(set, name, stored));
}

void tensors_make(const TensorSet *set, const Tensor *tensor) {
  if (set->make)
    set->make(tensor);
}

size_t tensors_count(const TensorSet *set) {
  return set->n_tensors;
}

const Tensor *tensors_get(const TensorSet *set, size_t index) {
  return &set->tensors[index];
}
