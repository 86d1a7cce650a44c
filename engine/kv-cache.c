// SPDX-License-Identifier: MIT
// Keys and values of one sequence in all layers.
#include "engine/kv-cache.h"

#include "engine/buffer.h"

static size_t layer_bytes(const JanusConfig *config, int capacity) {
  return (size_t)2 * (size_t)config->n_kv_heads * (size_t)capacity * (size_t)config->head_dim *
         jk_dtype_size(config->kv_dtype);
}

size_t kv_cache_bytes(const JanusConfig *config, int capacity) {
  return layer_bytes(config, capacity) * (size_t)config->n_layers;
}

bool kv_cache_init(KvCache *cache, const JanusModel *model, int capacity, const char *purpose,
                   JanusError *error) {
  const JanusConfig *config = &model->config;
  *cache = (KvCache){.capacity = capacity,
                     .layer_bytes = layer_bytes(config, capacity),
                     .dtype = config->kv_dtype};
  const size_t n_floats = kv_cache_bytes(config, capacity) / sizeof(float) + 1;
  return janus_buffer_new(model->device, n_floats, purpose, &cache->data, error);
}

void kv_cache_clear(KvCache *cache, jk_device *device) {
  device->free(device, cache->data);
  *cache = (KvCache){0};
}

jk_kv kv_cache_layer(const KvCache *cache, int layer) {
  char *k = (char *)cache->data + (size_t)layer * cache->layer_bytes;
  return (jk_kv){
      .k = k, .v = k + cache->layer_bytes / 2, .capacity = cache->capacity, .dtype = cache->dtype};
}

void kv_cache_copy(const KvCache *to, const KvCache *from, const JanusModel *model, int n) {
  jk_device *dev = model->device;
  const JanusConfig *config = &model->config;
  for (int layer = 0; layer < config->n_layers; layer++) {
    const jk_kv a = kv_cache_layer(from, layer), b = kv_cache_layer(to, layer);
    const size_t n_position = (size_t)config->head_dim * jk_dtype_size(a.dtype);
    for (int head = 0; head < config->n_kv_heads; head++) {
      const size_t at = (size_t)head * (size_t)a.capacity * n_position;
      const size_t there = (size_t)head * (size_t)b.capacity * n_position;
      dev->copy(dev, (char *)b.k + there, (const char *)a.k + at, (size_t)n * n_position);
      dev->copy(dev, (char *)b.v + there, (const char *)a.v + at, (size_t)n * n_position);
    }
  }
}
