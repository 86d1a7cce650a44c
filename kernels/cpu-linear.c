// SPDX-License-Identifier: MIT
// Linear layers and attention on the CPU: how the work is shared out.
#include "kernels/cpu-device.h"

#include <stdlib.h>

// Rows per item, few enough that their inputs stay in the second-level cache.
enum { ROWS_PER_ITEM = 48, QUERIES_PER_ITEM = 24, OUT_GRAIN = 8, ITEMS_PER_THREAD = 3 };

static bool is_weight(const jk_weight *weight) {
  return weight->data && weight->n_rows > 0 && weight->n_cols > 0 && weight->dtype >= JK_F32 &&
         weight->dtype <= JK_F16;
}

size_t jk_packed_bytes(jk_format format, int n_out, int n_in) {
  return 0;
}

static jk_status linear_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                               jk_linear **out) {
  *out = NULL;
  bool has_bias = bias.data != NULL;
  if (format != JK_FORMAT_F32 || !is_weight(&weight) ||
      (has_bias && (!is_weight(&bias) || bias.n_rows != 1 || bias.n_cols != weight.n_rows)))
    return JK_BAD_REQUEST;
  jk_linear *linear = calloc(1, sizeof *linear);
  if (!linear)
    return JK_NO_MEMORY;
  linear->weight = weight;
  if (has_bias) {
    linear->bias = jk_aligned_alloc((size_t)weight.n_rows * sizeof(float));
    if (!linear->bias) {
      free(linear);
      return JK_NO_MEMORY;
    }
    jk_widen(linear->bias, bias.data, bias.dtype, (size_t)bias.n_cols);
  }
  *out = linear;
  return JK_OK;
}

static jk_status linear_open(jk_device *dev, const void *packed, int n_out, int n_in,
                             jk_weight bias, jk_format format, jk_linear **out) {
  *out = NULL;
  return JK_BAD_REQUEST;
}

static const void *linear_packed(const jk_linear *linear) {
  return NULL;
}

static void linear_free(jk_device *dev, jk_linear *linear) {
  if (!linear)
    return;
  jk_aligned_free(linear->bias);
  free(linear);
}

static size_t linear_bytes(const jk_linear *linear) {
  if (!linear)
    return 0;
  const jk_weight *w = &linear->weight;
  return (size_t)w->n_rows * (size_t)w->n_cols * jk_dtype_size(w->dtype) +
         (linear->bias ? (size_t)w->n_rows * sizeof(float) : 0);
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

// The work of one operation cut into n_row_parts x n_out_parts items.
typedef struct shared_linear {
  const jk_cpu_kernels *kernels;
  jk_linear_job job;
  int rows_per_part, outs_per_part, n_out_parts;
} shared_linear;

static void linear_item(void *context, int item, int thread) {
  shared_linear *shared = context;
  int row = item / shared->n_out_parts * shared->rows_per_part;
  int out = item % shared->n_out_parts * shared->outs_per_part;
  shared->kernels->linear(&shared->job, row,
                          min_int(row + shared->rows_per_part, shared->job.n_rows), out,
                          min_int(out + shared->outs_per_part, shared->job.n_out));
}

static void linear(jk_device *dev, float *y, const jk_linear *layer, const float *x, int n_rows,
                   bool accumulate) {
  if (n_rows <= 0)
    return;
  jk_cpu_device *cpu = jk_cpu_of(dev);
  const jk_weight *w = &layer->weight;
  shared_linear shared = {
      .kernels = &cpu->kernels,
      .job = {y, x, w->data, layer->bias, w->dtype, n_rows, w->n_cols, w->n_rows, accumulate},
      .rows_per_part = ROWS_PER_ITEM,
  };
  int n_row_parts = (n_rows + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM;
  int n_wanted = (ITEMS_PER_THREAD * dev->n_threads + n_row_parts - 1) / n_row_parts;
  int n_grains = (w->n_rows + OUT_GRAIN - 1) / OUT_GRAIN;
  shared.outs_per_part = (n_grains + n_wanted - 1) / n_wanted * OUT_GRAIN;
  shared.n_out_parts = (w->n_rows + shared.outs_per_part - 1) / shared.outs_per_part;
  jk_cpu_share(cpu, linear_item, &shared, n_row_parts * shared.n_out_parts,
               (double)n_rows * (double)w->n_rows * (double)w->n_cols);
}

typedef struct shared_attention {
  const jk_cpu_kernels *kernels;
  jk_attention_job job;
  int rows_per_part;
} shared_attention;

static void attention_item(void *context, int item, int thread) {
  shared_attention *shared = context;
  int head = item % shared->job.n_heads;
  int row = item / shared->job.n_heads * shared->rows_per_part;
  int end = min_int(row + shared->rows_per_part, shared->job.n_rows);
  shared->kernels->attention(&shared->job, row, end, head);
}

static void attention(jk_device *dev, float *out, const float *q, const jk_context *contexts,
                      int n_rows, int n_heads, int n_kv_heads, int head_dim) {
  if (n_rows <= 0)
    return;
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_attention shared = {
      .kernels = &cpu->kernels,
      .job = {out, q, contexts, n_rows, n_heads, n_kv_heads, head_dim},
      .rows_per_part = QUERIES_PER_ITEM,
  };
  double n_keys = 0.0;
  for (int i = 0; i < n_rows; i++)
    n_keys += jk_context_positions(&contexts[i]);
  int n_row_parts = (n_rows + QUERIES_PER_ITEM - 1) / QUERIES_PER_ITEM;
  jk_cpu_share(cpu, attention_item, &shared, n_row_parts * n_heads,
               2.0 * n_keys * (double)n_heads * (double)head_dim);
}

void jk_cpu_init_linear(jk_device *table) {
  table->linear_create = linear_create;
  table->linear_open = linear_open;
  table->linear_packed = linear_packed;
  table->linear_free = linear_free;
  table->linear_bytes = linear_bytes;
  table->linear = linear;
  table->attention = attention;
}
