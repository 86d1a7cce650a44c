// SPDX-License-Identifier: MIT
// Packed copies on disk: what one must look like, reading it.
//
// A file is a header, a list of sections, and the sections, each on pages of its own. The first two
// follow from the model alone, so that checking them is comparing bytes.
#include "engine/packed-file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYOUT_VERSION = 1, PAGE = 4096, LABEL_BYTES = 64 };

typedef struct Header {
  char magic[16];
  uint64_t version;
  uint64_t identity;
  uint64_t n_sections;
  uint64_t n_bytes; // of the file
} Header;

typedef struct Section {
  uint64_t offset, n_bytes;
  uint32_t format, n_out, n_in, zero;
} Section;

// --- identity -----------------------------------------------------------------------------------

// Folds bytes into a hash (FNV-1a).
static uint64_t fold(uint64_t hash, const void *data, size_t n_bytes) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < n_bytes; i++)
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static const uint64_t HASH_START = UINT64_C(0xcbf29ce484222325);

// How this device packs: other code, or another instruction set's order, packs these numbers into
// other bytes. Odd sizes show how ends are filled up.
static uint64_t fold_layout(uint64_t hash, jk_device *device, jk_format format) {
  enum { N_OUT = 75, N_IN = 328 };
  float values[N_OUT * N_IN];
  for (int i = 0; i < N_OUT * N_IN; i++)
    values[i] = (float)((i * 7919) % 1009 - 504) / (float)(1 + i % 13);
  const jk_weight weight = {.data = values, .dtype = JK_F32, .n_rows = N_OUT, .n_cols = N_IN};
  jk_linear *linear = NULL;
  if (device->linear_create(device, weight, (jk_weight){0}, format, &linear) == JK_OK)
    hash = fold(hash, device->linear_packed(linear), jk_packed_bytes(format, N_OUT, N_IN));
  device->linear_free(device, linear);
  return hash;
}

static uint64_t identify(const TensorSet *files, jk_device *device, const PackedShape *shapes,
                         size_t n_shapes) {
  uint64_t hash = tensors_identity(files);
  for (int format = JK_FORMAT_BF16; format <= JK_FORMAT_Q4; format++)
    for (size_t i = 0; i < n_shapes; i++)
      if ((int)shapes[i].format == format) {
        hash = fold_layout(hash, device, shapes[i].format);
        break;
      }
  return hash;
}

// --- what is expected ---------------------------------------------------------------------------

static uint64_t round_up(uint64_t n_bytes) {
  return (n_bytes + PAGE - 1) / PAGE * PAGE;
}

static bool plan(PackedCache *cache, uint64_t identity, const PackedShape *shapes, size_t n) {
  Header header = {.magic = "limner packed 1\n",
                   .version = LAYOUT_VERSION,
                   .identity = identity,
                   .n_sections = n};
  cache->n_head = round_up(sizeof header + n * sizeof(Section));
  cache->n_bytes = cache->n_head;
  cache->head = calloc(1, cache->n_head);
  if (!cache->head)
    return false;
  for (size_t i = 0; i < n; i++) {
    const Section section = {.offset = cache->n_bytes,
                             .n_bytes =
                                 jk_packed_bytes(shapes[i].format, shapes[i].n_out, shapes[i].n_in),
                             .format = (uint32_t)shapes[i].format,
                             .n_out = (uint32_t)shapes[i].n_out,
                             .n_in = (uint32_t)shapes[i].n_in};
    memcpy(cache->head + sizeof header + i * sizeof section, &section, sizeof section);
    cache->n_bytes += round_up(section.n_bytes);
  }
  header.n_bytes = cache->n_bytes;
  memcpy(cache->head, &header, sizeof header);
  cache->n_sections = n;
  return n > 0;
}

static Section section_of(const PackedCache *cache, size_t index) {
  Section section;
  memcpy(&section, cache->head + sizeof(Header) + index * sizeof section, sizeof section);
  return section;
}

size_t packed_section_offset(const PackedCache *cache, size_t index) {
  return section_of(cache, index).offset;
}

size_t packed_section_bytes(const PackedCache *cache, size_t index) {
  return section_of(cache, index).n_bytes;
}

// "Janus-4o-7B-q8-1a2b3c4d-": the beginning that copies of one source in one format share.
static void name_file(PackedCache *cache, const char *source, const char *label, uint64_t identity,
                      char *name, size_t n_bytes) {
  char harmless[LABEL_BYTES];
  char *full = realpath(source, NULL);
  const char *path = full ? full : source;
  snprintf(harmless, sizeof harmless, "%s", label);
  for (char *c = harmless; *c; c++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
      *c = '_';
  const int n =
      snprintf(name, n_bytes, "%s-%08x-", harmless, (unsigned)fold(HASH_START, path, strlen(path)));
  cache->n_shared_name = (size_t)n;
  snprintf(name + n, n_bytes - (size_t)n, "%016llx.packed", (unsigned long long)identity);
  free(full);
}

PackedCache *packed_cache_new(const char *folder, const char *source, const char *label,
                              const TensorSet *files, jk_device *device, const PackedShape *shapes,
                              size_t n_shapes) {
  char name[LABEL_BYTES + 64];
  PackedCache *cache = calloc(1, sizeof *cache);
  if (!cache)
    return NULL;
  cache->map.fd = -1;
  const uint64_t identity = identify(files, device, shapes, n_shapes);
  name_file(cache, source, label, identity, name, sizeof name);
  cache->folder = strdup(folder);
  cache->path = file_join(folder, name);
  if (cache->folder && cache->path && plan(cache, identity, shapes, n_shapes))
    return cache;
  packed_cache_free(cache);
  return NULL;
}

void packed_cache_free(PackedCache *cache) {
  if (!cache)
    return;
  file_unmap(&cache->map);
  free(cache->folder);
  free(cache->path);
  free(cache->head);
  free(cache);
}

const char *packed_cache_get_path(const PackedCache *cache) {
  return cache->path;
}

size_t packed_cache_get_bytes(const PackedCache *cache) {
  return cache->n_bytes;
}

// --- reading ------------------------------------------------------------------------------------

bool packed_cache_open(PackedCache *cache) {
  if (cache->map.data)
    return true;
  if (!file_map(cache->path, &cache->map, NULL))
    return false;
  if (cache->map.n_bytes == cache->n_bytes &&
      memcmp(cache->map.data, cache->head, cache->n_head) == 0 &&
      file_map_check(&cache->map, cache->path, NULL))
    return true;
  file_unmap(&cache->map);
  return false;
}

bool packed_cache_is_open(const PackedCache *cache) {
  return cache->map.data != NULL;
}

const void *packed_cache_section(const PackedCache *cache, size_t index) {
  return cache->map.data + packed_section_offset(cache, index);
}

bool packed_cache_check(const PackedCache *cache, JanusError *error) {
  return !cache || !cache->map.data || file_map_check(&cache->map, cache->path, error);
}
