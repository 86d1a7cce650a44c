// SPDX-License-Identifier: MIT
// The tensors of a folder's safetensors file or shards, mapped read-only, every header checked.
// The format: 8 bytes little-endian header length, a JSON header, then the data it points into.
#include "engine/safetensors.h"

#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER_BYTES = 100000000, MAX_INDEX_BYTES = 100000000 };

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

typedef struct Shard {
  char *path;
  FileMap map;
} Shard;

struct SafetensorsSet {
  Shard *shards;
  size_t n_shards;
  SafetensorsTensor *tensors; // by name
  size_t n_tensors, capacity;
};

typedef struct DtypeFact {
  const char *text;
  size_t n_bytes; // of one element
  bool is_float;
  jk_dtype dtype;
} DtypeFact;

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

static bool read_shape(const HeaderPlace *place, const json_t *shape, SafetensorsTensor *tensor,
                       size_t *n_elements, JanusError *error) {
  if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_MAX_DIMS)
    return fail_tensor(place, error, "expected a shape of at most 8 whole numbers");
  tensor->n_dims = (int)json_array_size(shape);
  *n_elements = 1;
  for (int i = 0; i < tensor->n_dims; i++) {
    const json_t *item = json_array_get(shape, (size_t)i);
    const json_int_t dim = json_is_integer(item) ? json_integer_value(item) : -1;
    if (dim < 0)
      return fail_tensor(place, error, "the shape holds something that is not a size");
    if (__builtin_mul_overflow(*n_elements, (size_t)dim, n_elements))
      return fail_tensor(place, error, "the shape has more elements than memory has bytes");
    tensor->dims[i] = dim;
  }
  return true;
}

static bool read_offsets(const HeaderPlace *place, const json_t *offsets, SafetensorsTensor *tensor,
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
static bool read_tensor(const HeaderPlace *place, const json_t *entry, SafetensorsTensor *tensor,
                        JanusError *error) {
  const char *dtype = json_string_value(json_object_get(entry, "dtype"));
  size_t n_elements = 0;
  if (!dtype)
    return fail_tensor(place, error, "expected an object with a dtype");
  if (!read_shape(place, json_object_get(entry, "shape"), tensor, &n_elements, error) ||
      !read_offsets(place, json_object_get(entry, "data_offsets"), tensor, error))
    return false;
  const DtypeFact *fact = NULL;
  for (size_t i = 0; i < sizeof dtype_facts / sizeof *dtype_facts && !fact; i++)
    if (strcmp(dtype, dtype_facts[i].text) == 0)
      fact = &dtype_facts[i];
  if (!fact) {
    tensor->dtype_text = "of unknown type";
    tensor->data = NULL;
    return true;
  }
  size_t n_bytes = 0;
  if (__builtin_mul_overflow(n_elements, fact->n_bytes, &n_bytes))
    return fail_tensor(place, error, "the shape has more elements than memory has bytes");
  if (n_bytes != tensor->n_bytes) {
    char shape[SAFETENSORS_SHAPE_TEXT];
    return janus_fail(error, JANUS_ERROR_FORMAT,
                      "%s: tensor %s: expected %zu bytes for %s %s, found %zu", place->path,
                      place->name, n_bytes, fact->text,
                      safetensors_shape_text(tensor->dims, tensor->n_dims, shape), tensor->n_bytes);
  }
  tensor->dtype_text = fact->text;
  tensor->is_float = fact->is_float;
  tensor->dtype = fact->dtype;
  tensor->is_aligned = (uintptr_t)tensor->data % fact->n_bytes == 0;
  return true;
}

// The JSON header of a mapped file, and where its data begins.
static json_t *read_header(const Shard *shard, size_t *data_begin, JanusError *error) {
  const FileMap *map = &shard->map;
  uint64_t n_header = 0;
  if (map->n_bytes < 8) {
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected a safetensors file of at least 8 bytes, found %zu", shard->path,
               map->n_bytes);
    return NULL;
  }
  for (int i = 0; i < 8; i++)
    n_header |= (uint64_t)map->data[i] << (8 * i);
  if (n_header > MAX_HEADER_BYTES || n_header > map->n_bytes - 8) {
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected a safetensors header that fits in the file (%zu bytes), found one of "
               "%llu bytes (is the file complete?)",
               shard->path, map->n_bytes, (unsigned long long)n_header);
    return NULL;
  }
  *data_begin = 8 + (size_t)n_header;
  return json_parse((const char *)map->data + 8, (size_t)n_header, shard->path, error);
}

static SafetensorsTensor *add_tensor(SafetensorsSet *set) {
  if (set->n_tensors == set->capacity) {
    const size_t capacity = set->capacity ? 2 * set->capacity : 256;
    SafetensorsTensor *grown = realloc(set->tensors, capacity * sizeof *grown);
    if (!grown)
      return NULL;
    set->tensors = grown;
    set->capacity = capacity;
  }
  SafetensorsTensor *tensor = &set->tensors[set->n_tensors];
  *tensor = (SafetensorsTensor){0};
  return tensor;
}

static int compare_places(const void *a, const void *b) {
  const SafetensorsTensor *x = a, *y = b;
  return x->data < y->data ? -1 : x->data > y->data;
}

static int compare_names(const void *a, const void *b) {
  const SafetensorsTensor *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static bool check_overlap(SafetensorsTensor *tensors, size_t n, JanusError *error) {
  if (n > 1)
    qsort(tensors, n, sizeof *tensors, compare_places);
  const SafetensorsTensor *before = NULL;
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

// Adds the tensors of a mapped file; with an index's `weight_map`, those that it places here.
static bool add_header(SafetensorsSet *set, const Shard *shard, const json_t *header,
                       size_t data_begin, const json_t *weight_map, const char *shard_name,
                       JanusError *error) {
  const size_t n_before = set->n_tensors;
  const char *name;
  json_t *entry;
  json_object_foreach((json_t *)header, name, entry) {
    const HeaderPlace place = {.path = shard->path,
                               .name = name,
                               .data = shard->map.data + data_begin,
                               .n_data_bytes = shard->map.n_bytes - data_begin};
    const char *placed = json_string_value(json_object_get(weight_map, name));
    if (strcmp(name, "__metadata__") == 0)
      continue;
    SafetensorsTensor *tensor = add_tensor(set);
    if (!tensor)
      return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", shard->path);
    if (!read_tensor(&place, entry, tensor, error))
      return false;
    if (weight_map && (!placed || strcmp(placed, shard_name) != 0))
      continue;
    tensor->file = shard->path;
    tensor->name = strdup(name);
    if (!tensor->name)
      return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", shard->path);
    set->n_tensors++;
  }
  return set->n_tensors == n_before ||
         check_overlap(set->tensors + n_before, set->n_tensors - n_before, error);
}

// --- sets ---------------------------------------------------------------------------------------

// Maps a file as the next shard (there must be room) and adds its tensors. Takes `path`.
static bool add_file(SafetensorsSet *set, char *path, const json_t *weight_map,
                     const char *shard_name, JanusError *error) {
  Shard *shard = &set->shards[set->n_shards++];
  *shard = (Shard){.path = path};
  if (!path)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", shard_name);
  size_t data_begin = 0;
  if (!file_map(path, &shard->map, error))
    return false;
  json_t *header = read_header(shard, &data_begin, error);
  const bool ok =
      header && add_header(set, shard, header, data_begin, weight_map, shard_name, error);
  json_decref(header);
  return ok;
}

static SafetensorsSet *new_set(size_t max_shards, JanusError *error) {
  SafetensorsSet *set = calloc(1, sizeof *set);
  if (set)
    set->shards = calloc(max_shards ? max_shards : 1, sizeof *set->shards);
  if (set && set->shards)
    return set;
  free(set);
  janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %zu files", max_shards);
  return NULL;
}

bool safetensors_check(const SafetensorsSet *set, JanusError *error) {
  for (size_t i = 0; i < set->n_shards; i++)
    if (!file_map_check(&set->shards[i].map, set->shards[i].path, error))
      return false;
  return true;
}

// Sorts by name, or releases the set when it is not complete or changed while it was read.
static SafetensorsSet *finish(SafetensorsSet *set, bool ok, JanusError *error) {
  if (!ok || !safetensors_check(set, error)) {
    safetensors_free(set);
    return NULL;
  }
  if (set->n_tensors > 1)
    qsort(set->tensors, set->n_tensors, sizeof *set->tensors, compare_names);
  return set;
}

SafetensorsSet *safetensors_open_file(const char *path, JanusError *error) {
  SafetensorsSet *set = new_set(1, error);
  return set ? finish(set, add_file(set, strdup(path), NULL, path, error), error) : NULL;
}

void safetensors_free(SafetensorsSet *set) {
  if (!set)
    return;
  for (size_t i = 0; i < set->n_tensors; i++)
    free((char *)set->tensors[i].name);
  for (size_t i = 0; i < set->n_shards; i++) {
    file_unmap(&set->shards[i].map);
    free(set->shards[i].path);
  }
  free(set->tensors);
  free(set->shards);
  free(set);
}

// --- shards -------------------------------------------------------------------------------------

static bool is_shard_name(const char *name) {
  return name && *name && !strchr(name, '/') && strcmp(name, "..") != 0;
}

// Every tensor that the index names must have been found where it says.
static bool check_promises(SafetensorsSet *set, const char *index_path, const json_t *weight_map,
                           JanusError *error) {
  const char *name;
  json_t *shard;
  json_object_foreach((json_t *)weight_map, name, shard) {
    if (!safetensors_find(set, name))
      return janus_fail(error, JANUS_ERROR_FORMAT,
                        "%s: says that %s holds tensor %s, which it lacks", index_path,
                        json_string_value(shard), name);
  }
  return true;
}

static bool add_shards(SafetensorsSet *set, const char *folder, const char *index_path,
                       const json_t *weight_map, const json_t *shard_names, JanusError *error) {
  const char *shard_name;
  json_t *unused;
  json_object_foreach((json_t *)shard_names, shard_name, unused) {
    char *path = file_join(folder, shard_name);
    if (path && !file_exists(path)) {
      janus_fail(error, JANUS_ERROR_IO, "%s: is missing, but %s names it", path, index_name);
      free(path);
      return false;
    }
    if (!add_file(set, path, weight_map, shard_name, error))
      return false;
  }
  if (set->n_tensors > 1)
    qsort(set->tensors, set->n_tensors, sizeof *set->tensors, compare_names);
  return check_promises(set, index_path, weight_map, error);
}

// The set of file names in a weight_map; NULL when one is not a plain name.
static json_t *collect_shards(const char *index_path, const json_t *weight_map, JanusError *error) {
  json_t *names = json_object();
  const char *tensor;
  json_t *shard;
  json_object_foreach((json_t *)weight_map, tensor, shard) {
    const char *name = json_string_value(shard);
    if (!is_shard_name(name)) {
      janus_fail(error, JANUS_ERROR_FORMAT,
                 "%s: weight_map.%s: expected the name of a file in this folder, found %s",
                 index_path, tensor, name ? name : json_kind(shard));
      json_decref(names);
      return NULL;
    }
    json_object_set_new(names, name, json_true());
  }
  return names;
}

static SafetensorsSet *open_index(const char *folder, const char *index_path, JanusError *error) {
  json_t *index = json_open(index_path, MAX_INDEX_BYTES, error);
  if (!index)
    return NULL;
  const json_t *weight_map = json_object_get(index, "weight_map");
  json_t *shard_names = NULL;
  if (!json_is_object(weight_map) || json_object_size(weight_map) == 0)
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: expected an object weight_map, found %s", index_path,
               json_is_object(weight_map) ? "an empty one" : json_kind(weight_map));
  else
    shard_names = collect_shards(index_path, weight_map, error);
  SafetensorsSet *set = shard_names ? new_set(json_object_size(shard_names), error) : NULL;
  if (set)
    set = finish(set, add_shards(set, folder, index_path, weight_map, shard_names, error), error);
  json_decref(shard_names);
  json_decref(index);
  return set;
}

// --- folders ------------------------------------------------------------------------------------

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), n_end = strlen(end);
  return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

// What lies in a folder that has no file of the usual names.
typedef struct FolderScan {
  char *name; // of a *.safetensors file
  int n_safetensors;
  bool has_pytorch;
} FolderScan;

static bool scan_folder(const char *folder, FolderScan *scan, JanusError *error) {
  *scan = (FolderScan){0};
  DIR *dir = opendir(folder);
  if (!dir)
    return janus_fail(error, JANUS_ERROR_IO, "%s: this folder cannot be opened", folder);
  for (struct dirent *entry; (entry = readdir(dir));) {
    scan->has_pytorch = scan->has_pytorch || (strncmp(entry->d_name, "pytorch_model", 13) == 0 &&
                                              ends_with(entry->d_name, ".bin"));
    if (!ends_with(entry->d_name, ".safetensors"))
      continue;
    scan->n_safetensors++;
    free(scan->name);
    scan->name = strdup(entry->d_name);
  }
  closedir(dir);
  return true;
}

static SafetensorsSet *open_only_file(const char *folder, JanusError *error) {
  FolderScan scan;
  SafetensorsSet *set = NULL;
  if (!scan_folder(folder, &scan, error))
    return NULL;
  char *path = scan.n_safetensors == 1 && scan.name ? file_join(folder, scan.name) : NULL;
  if (path)
    set = safetensors_open_file(path, error);
  else if (scan.n_safetensors > 1)
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected %s or %s, found %d other safetensors files and no index", folder,
               single_name, index_name, scan.n_safetensors);
  else if (scan.has_pytorch)
    janus_fail(
        error, JANUS_ERROR_UNSUPPORTED,
        "%s: holds PyTorch .bin weights only, and this build reads safetensors: convert them "
        "(in Python, save_pretrained with safe_serialization=True)",
        folder);
  else
    janus_fail(error, JANUS_ERROR_IO, "%s: expected weights in %s or %s, found neither", folder,
               single_name, index_name);
  free(path);
  free(scan.name);
  return set;
}

SafetensorsSet *safetensors_open_folder(const char *folder, JanusError *error) {
  char *single = file_join(folder, single_name), *index = file_join(folder, index_name);
  SafetensorsSet *set = NULL;
  if (!single || !index)
    janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", folder);
  else if (file_exists(single))
    set = safetensors_open_file(single, error);
  else if (file_exists(index))
    set = open_index(folder, index, error);
  else
    set = open_only_file(folder, error);
  free(single);
  free(index);
  return set;
}

// --- access -------------------------------------------------------------------------------------

const SafetensorsTensor *safetensors_find(const SafetensorsSet *set, const char *name) {
  const SafetensorsTensor key = {.name = name};
  if (set->n_tensors == 0)
    return NULL;
  return bsearch(&key, set->tensors, set->n_tensors, sizeof key, compare_names);
}

size_t safetensors_count(const SafetensorsSet *set) {
  return set->n_tensors;
}

const SafetensorsTensor *safetensors_get(const SafetensorsSet *set, size_t index) {
  return &set->tensors[index];
}

const char *safetensors_shape_text(const int64_t *dims, int n_dims,
                                   char text[SAFETENSORS_SHAPE_TEXT]) {
  int n = snprintf(text, SAFETENSORS_SHAPE_TEXT, "[");
  for (int i = 0; i < n_dims; i++)
    n += snprintf(text + n, (size_t)(SAFETENSORS_SHAPE_TEXT - n), "%s%lld", i ? ", " : "",
                  (long long)dims[i]);
  snprintf(text + n, (size_t)(SAFETENSORS_SHAPE_TEXT - n), "]");
  return text;
}
