// SPDX-License-Identifier: MIT
// Operations of the CPU that move rows or draw tokens; the same plain C for every instruction set.
#include "kernels/bf16.h"
#include "kernels/cpu-device.h"

#include <string.h>

enum { VALUES_PER_ITEM = 8192 };

static void gather(jk_device *dev, float *y, jk_weight table, const int32_t *ids, int n) {
  size_t n_cols = (size_t)table.n_cols;
  size_t row_bytes = n_cols * jk_dtype_size(table.dtype);
  for (int i = 0; i < n; i++)
    jk_widen(y + (size_t)i * n_cols, (const char *)table.data + (size_t)ids[i] * row_bytes,
             table.dtype, n_cols);
}

static void rotate(float *restrict low, float *restrict high, const float *cos, const float *sin,
                   int half) {
  for (int i = 0; i < half; i++) {
    float a = low[i], b = high[i];
    low[i] = a * cos[i] - b * sin[i];
    high[i] = b * cos[i] + a * sin[i];
  }
}

typedef struct shared_rope {
  float *x;
  const float *cos, *sin;
  const int32_t *positions;
  int n_heads, head_dim;
} shared_rope;

static void rope_item(void *context, int row, int thread) {
  shared_rope *s = context;
  int half = s->head_dim / 2;
  size_t at = (size_t)s->positions[row] * (size_t)half;
  float *x = s->x + (size_t)row * (size_t)s->n_heads * (size_t)s->head_dim;
  for (int head = 0; head < s->n_heads; head++, x += s->head_dim)
    rotate(x, x + half, s->cos + at, s->sin + at, half);
}

static void rope(jk_device *dev, float *x, const float *cos, const float *sin,
                 const int32_t *positions, int n_rows, int n_heads, int head_dim) {
  shared_rope s = {x, cos, sin, positions, n_heads, head_dim};
  jk_cpu_share(jk_cpu_of(dev), rope_item, &s, n_rows,
               (double)n_rows * (double)n_heads * (double)head_dim);
}

typedef struct shared_kv {
  const jk_kv *caches;
  const int32_t *slots;
  const float *k, *v;
  int n_kv_heads, head_dim;
} shared_kv;

static void keep(void *base, size_t at, const float *src, size_t n, jk_dtype dtype) {
  if (dtype == JK_F32) {
    memcpy((float *)base + at, src, n * sizeof *src);
    return;
  }
  uint16_t *dst = (uint16_t *)base + at;
  for (size_t i = 0; i < n; i++)
    dst[i] = jk_bf16_round(src[i]);
}

static void kv_item(void *context, int row, int thread) {
  const shared_kv *s = context;
  const jk_kv *cache = &s->caches[row];
  size_t dim = (size_t)s->head_dim;
  for (int head = 0; head < s->n_kv_heads; head++) {
    size_t from = ((size_t)row * (size_t)s->n_kv_heads + (size_t)head) * dim;
    size_t to = ((size_t)head * (size_t)cache->capacity + (size_t)s->slots[row]) * dim;
    keep(cache->k, to, s->k + from, dim, cache->dtype);
    keep(cache->v, to, s->v + from, dim, cache->dtype);
  }
}

static void kv_write(jk_device *dev, const jk_kv *caches, const int32_t *slots, const float *k,
                     const float *v, int n_rows, int n_kv_heads, int head_dim) {
  shared_kv s = {caches, slots, k, v, n_kv_heads, head_dim};
  jk_cpu_share(jk_cpu_of(dev), kv_item, &s, n_rows,
               (double)n_rows * (double)n_kv_heads * (double)head_dim);
}

typedef struct shared_guide {
  float *out;
  const float *full, *part, *uncond;
  float w1, w2;
  size_t n;
} shared_guide;

static void guide_item(void *context, int item, int thread) {
  shared_guide *s = context;
  size_t at = (size_t)item * VALUES_PER_ITEM;
  size_t n = s->n - at < VALUES_PER_ITEM ? s->n - at : VALUES_PER_ITEM;
  jk_guide(s->out + at, s->full + at, s->part ? s->part + at : NULL, s->uncond + at, s->w1, s->w2,
           n);
}

static void guide(jk_device *dev, float *out, const float *full, const float *part,
                  const float *uncond, float w1, float w2, size_t n) {
  shared_guide s = {out, full, part, uncond, w1, w2, n};
  jk_cpu_share(jk_cpu_of(dev), guide_item, &s, (int)((n + VALUES_PER_ITEM - 1) / VALUES_PER_ITEM),
               (double)n);
}

typedef struct shared_sample {
  jk_cpu_device *cpu;
  int32_t *ids;
  const float *guided;
  const jk_sampling *draws;
  int vocab;
} shared_sample;

static void sample_item(void *context, int row, int thread) {
  shared_sample *s = context;
  s->ids[row] = jk_draw(s->guided + (size_t)row * (size_t)s->vocab, s->vocab, &s->draws[row],
                        s->cpu->threads[thread].ranked);
}

static jk_status reserve_ranked(jk_cpu_device *cpu, size_t n) {
  for (int i = 0; i < cpu->base.n_threads; i++) {
    jk_cpu_thread *thread = &cpu->threads[i];
    if (thread->n_ranked >= n)
      continue;
    jk_ranked *grown = jk_aligned_alloc(n * sizeof *grown);
    if (!grown)
      return JK_NO_MEMORY;
    jk_aligned_free(thread->ranked);
    thread->ranked = grown;
    thread->n_ranked = n;
  }
  return JK_OK;
}

static jk_status sample(jk_device *dev, int32_t *ids, const float *guided, int vocab,
                        const jk_sampling *draws, int n) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  for (int i = 0; i < n; i++) {
    if (jk_sampling_ranks(&draws[i])) {
      jk_status status = reserve_ranked(cpu, 2 * (size_t)vocab);
      if (status != JK_OK)
        return status;
      break;
    }
  }
  shared_sample s = {cpu, ids, guided, draws, vocab};
  jk_cpu_share(cpu, sample_item, &s, n, (double)n * (double)vocab * 16.0);
  return JK_OK;
}

void jk_cpu_init_rows(jk_device *table) {
  table->gather = gather;
  table->rope = rope;
  table->kv_write = kv_write;
  table->guide = guide;
  table->sample = sample;
}
