// SPDX-License-Identifier: MIT
// Inside the engine: keys and values of one sequence in all layers.
#ifndef JANUS_KV_CACHE_H
#define JANUS_KV_CACHE_H

#include "engine/model.h"

// [n_layers][k, v][n_kv_heads][capacity][head_dim], device memory. Zero = empty.
typedef struct KvCache {
  float *data;
  int capacity;       // positions
  jk_dtype dtype;     // the config's
  size_t layer_bytes; // of k and v of one layer
} KvCache;

// Bytes that kv_cache_init() takes for `capacity` positions.
size_t kv_cache_bytes(const JanusConfig *config, int capacity);

// `purpose` is static text for messages. On failure the cache is empty.
bool kv_cache_init(KvCache *cache, const JanusModel *model, int capacity, const char *purpose,
                   JanusError *error);
void kv_cache_clear(KvCache *cache, jk_device *device); // an empty one is allowed

// The first n positions of `from` into `to`, which has room for them.
void kv_cache_copy(const KvCache *to, const KvCache *from, const JanusModel *model, int n);

// What the kernels take. Borrowed.
jk_kv kv_cache_layer(const KvCache *cache, int layer);

#endif
