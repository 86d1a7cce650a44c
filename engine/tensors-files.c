// SPDX-License-Identifier: MIT
// Which files of a folder hold its tensors: safetensors before PyTorch's, one file before shards.
#include "engine/tensors-files.h"

#include "engine/error.h"
#include "engine/json.h"
#include "engine/safetensors.h"
#include "engine/torch-file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INDEX_BYTES = 100000000 };

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), n_end = strlen(end);
  return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

// --- files --------------------------------------------------------------------------------------

// What a clone without Git LFS holds instead of a large file.
static bool is_pointer(const TensorFile *file) {
  static const char start[] = "version https://git-lfs.github.com/";
  return file->n_bytes > strlen(start) && memcmp(file->data, start, strlen(start)) == 0;
}

// Maps a file as the next shard (there must be room) and adds its tensors. Takes `path`.
static bool add_file(TensorSet *set, char *path, JanusError *error) {
  TensorShard *shard = &set->shards[set->n_shards++];
  *shard = (TensorShard){.path = path};
  if (!path)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the name of a file");
  if (!file_map(path, &shard->map, error))
    return false;
  const TensorFile file = {
      .set = set, .path = path, .data = shard->map.data, .n_bytes = shard->map.n_bytes};
  if (is_pointer(&file))
    return janus_fail(error, JANUS_ERROR_FORMAT,
                      "%s: expected weights, found the note that Git LFS leaves in their place: "
                      "fetch the file itself (git lfs pull)",
                      path);
  if (!ends_with(path, ".bin"))
    return safetensors_read(&file, error);
  set->is_pytorch = true;
  return torch_file_read(&file, error);
}

// The tensors must be sorted.
static bool check_names(const TensorSet *set, JanusError *error) {
  char name[QUOTED_TEXT];
  for (size_t i = 1; i < set->n_tensors; i++) {
    const Tensor *before = &set->tensors[i - 1], *tensor = &set->tensors[i];
    if (strcmp(before->name, tensor->name) == 0)
      return janus_fail(error, JANUS_ERROR_FORMAT, "%s: the tensor %s is there twice", tensor->file,
                        janus_quoted_text(tensor->name, strlen(tensor->name), name));
  }
  return true;
}

// Sorts by name, or releases the set when it is not complete or changed while it was read.
static TensorSet *finish(TensorSet *set, bool ok, JanusError *error) {
  tensors_sort(set);
  if (ok && tensors_check(set, error) && check_names(set, error))
    return set;
  tensors_free(set);
  return NULL;
}

TensorSet *tensors_open_file(const char *path, JanusError *error) {
  TensorSet *set = tensors_new(1, error);
  return set ? finish(set, add_file(set, strdup(path), error), error) : NULL;
}

// --- shards -------------------------------------------------------------------------------------

static bool is_shard_name(const char *name) {
  return name && *name && !strchr(name, '/') && strcmp(name, "..") != 0;
}

// Every tensor that the index names must have been found where it says.
static bool check_promises(TensorSet *set, const char *index_path, const json_t *weight_map,
                           JanusError *error) {
  const char *name;
  json_t *shard;
  json_object_foreach((json_t *)weight_map, name, shard) {
    if (!tensors_find(set, name))
      return janus_fail(error, JANUS_ERROR_FORMAT,
                        "%s: says that %s holds tensor %s, which it lacks", index_path,
                        json_string_value(shard), name);
  }
  return true;
}

static bool add_shards(TensorSet *set, const char *folder, const char *index_path,
                       const json_t *weight_map, const json_t *shard_names, JanusError *error) {
  const char *shard_name;
  json_t *unused;
  bool ok = true;
  set->weight_map = weight_map;
  json_object_foreach((json_t *)shard_names, shard_name, unused) {
    char *path = file_join(folder, shard_name);
    set->shard_name = shard_name;
    if (path && !file_exists(path)) {
      ok = janus_fail(error, JANUS_ERROR_IO, "%s: is missing, but %s names it", path,
                      strrchr(index_path, '/') + 1);
      free(path);
    } else {
      ok = add_file(set, path, error);
    }
    if (!ok)
      break;
  }
  set->weight_map = NULL;
  tensors_sort(set);
  return ok && check_promises(set, index_path, weight_map, error);
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

static TensorSet *open_index(const char *folder, const char *index_path, JanusError *error) {
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
  TensorSet *set = shard_names ? tensors_new(json_object_size(shard_names), error) : NULL;
  if (set)
    set = finish(set, add_shards(set, folder, index_path, weight_map, shard_names, error), error);
  json_decref(shard_names);
  json_decref(index);
  return set;
}

// --- folders ------------------------------------------------------------------------------------

// FOLDER/NAME when it is there; NULL otherwise, and for want of memory.
static char *find_file(const char *folder, const char *name) {
  char *path = file_join(folder, name);
  if (path && file_exists(path))
    return path;
  free(path);
  return NULL;
}

// A folder's only *.safetensors file, whatever its name; else NULL and an error.
static char *find_only_file(const char *folder, JanusError *error) {
  char *path = NULL;
  int n_found = 0;
  DIR *dir = opendir(folder);
  if (!dir) {
    janus_fail(error, JANUS_ERROR_IO, "%s: this folder cannot be opened", folder);
    return NULL;
  }
  for (struct dirent *entry; (entry = readdir(dir));) {
    if (!ends_with(entry->d_name, ".safetensors"))
      continue;
    n_found++;
    free(path);
    path = file_join(folder, entry->d_name);
  }
  closedir(dir);
  if (n_found == 1 && path)
    return path;
  free(path);
  if (n_found > 0)
    janus_fail(error, JANUS_ERROR_FORMAT,
               "%s: expected model.safetensors or model.safetensors.index.json, found %d other "
               "safetensors files and no index",
               folder, n_found);
  else
    janus_fail(error, JANUS_ERROR_IO,
               "%s: expected weights in model.safetensors or pytorch_model.bin, or their "
               ".index.json, found none of them",
               folder);
  return NULL;
}

TensorSet *tensors_open_folder(const char *folder, JanusError *error) {
  static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                      "pytorch_model.bin", "pytorch_model.bin.index.json"};
  char *path = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !path; i++)
    path = find_file(folder, names[i]);
  if (!path)
    path = find_only_file(folder, error);
  TensorSet *set = NULL;
  if (path && ends_with(path, ".index.json"))
    set = open_index(folder, path, error);
  else if (path)
    set = tensors_open_file(path, error);
  free(path);
  return set;
}
