// SPDX-License-Identifier: MIT
// Linear layers on the CPU: how the work is shared out.
#include "kernels/cpu-device.h"

#include <stdlib.h>

// Rows per item, few enough that their inputs stay in the second-level cache.
enum { ROWS_PER_ITEM = 48, OUT_GRAIN = 8, ITEMS_PER_THREAD = 3 };

static bool is_weight(const jk_weight *weight) {
  return weight->data && weight->n_rows > 0 && weight->n_cols > 0 && weight->dtype >= JK_F32 &&
         weight->dtype <= JK_F16;
}

static bool is_bias(const jk_weight *bias, int n_out) {
  return !bias->data || (is_weight(bias) && bias->n_rows == 1 && bias->n_cols == n_out);
}

static void linear_free(jk_device *dev, jk_linear *linear) {
  if (!linear)
    return;
  jk_aligned_free(linear->bias);
  jk_aligned_free(linear->owned);
  free(linear);
}

// A layer that has its bias and no weights yet.
static jk_status linear_new(int n_out, int n_in, jk_weight bias, jk_format format,
                            jk_linear **out) {
  jk_linear *linear = calloc(1, sizeof *linear);
  if (!linear)
    return JK_NO_MEMORY;
  *linear = (jk_linear){.format = format, .n_out = n_out, .n_in = n_in};
  if (bias.data) {
    linear->bias = jk_aligned_alloc((size_t)n_out * sizeof(float));
    if (!linear->bias) {
      free(linear);
      return JK_NO_MEMORY;
    }
    jk_widen(linear->bias, bias.data, bias.dtype, (size_t)n_out);
  }
  *out = linear;
  return JK_OK;
}

typedef struct packing {
  const jk_cpu_kernels *kernels;
  jk_linear *linear;
  const jk_weight *weight;
} packing;

static void pack_item(void *context, int item, int thread) {
  packing *p = context;
  const size_t n_bytes = jk_block_bytes(p->linear->format, p->linear->n_in);
  p->kernels->pack_block((char *)p->linear->owned + (size_t)item * n_bytes, p->weight,
                         p->linear->format, item);
}

static jk_status linear_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                               jk_linear **out) {
  *out = NULL;
  if (format < JK_FORMAT_F32 || format > JK_FORMAT_Q4 || !is_weight(&weight) ||
      !is_bias(&bias, weight.n_rows))
    return JK_BAD_REQUEST;
  jk_linear *linear = NULL;
  jk_status status = linear_new(weight.n_rows, weight.n_cols, bias, format, &linear);
  if (status != JK_OK)
    return status;
  if (format == JK_FORMAT_F32) {
    linear->weight = weight;
  } else {
    linear->owned = jk_aligned_alloc(jk_packed_bytes(format, weight.n_rows, weight.n_cols));
    linear->packed = linear->owned;
    if (!linear->owned) {
      linear_free(dev, linear);
      return JK_NO_MEMORY;
    }
    packing p = {&jk_cpu_of(dev)->kernels, linear, &weight};
    jk_cpu_share(jk_cpu_of(dev), pack_item, &p, jk_n_blocks(weight.n_rows),
                 (double)weight.n_rows * (double)weight.n_cols);
  }
  *out = linear;
  return JK_OK;
}

static jk_status linear_open(jk_device *dev, const void *packed, int n_out, int n_in,
                             jk_weight bias, jk_format format, jk_linear **out) {
  *out = NULL;
  if (!packed || (uintptr_t)packed % 64 != 0 || format > JK_FORMAT_Q4 ||
      jk_packed_bytes(format, n_out, n_in) == 0 || !is_bias(&bias, n_out))
    return JK_BAD_REQUEST;
  jk_status status = linear_new(n_out, n_in, bias, format, out);
  if (status == JK_OK)
    (*out)->packed = packed;
  return status;
}

static const void *linear_packed(const jk_linear *linear) {
  return linear->packed;
}

static size_t linear_bytes(const jk_linear *linear) {
  if (!linear)
    return 0;
  const size_t n_weights = (size_t)linear->n_out * (size_t)linear->n_in;
  return (linear->format == JK_FORMAT_F32
              ? n_weights * jk_dtype_size(linear->weight.dtype)
              : jk_packed_bytes(linear->format, linear->n_out, linear->n_in)) +
         (linear->bias ? (size_t)linear->n_out * sizeof(float) : 0);
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
  if (layer->format != JK_FORMAT_F32) {
    jk_cpu_linear_packed(cpu, y, layer, x, n_rows, accumulate);
    return;
  }
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

void jk_cpu_init_linear(jk_device *table) {
  table->linear_create = linear_create;
  table->linear_open = linear_open;
  table->linear_packed = linear_packed;
  table->linear_free = linear_free;
  table->linear_bytes = linear_bytes;
  table->linear = linear;
}
