// SPDX-License-Identifier: MIT
// Linear layers in packed formats on the CPU: inputs are rounded once an operation, then the blocks
// of outputs are shared out.
#include "kernels/cpu-device.h"

// Of weights per item: a stream long enough to be worth its beginning, items few enough to be even.
static const size_t item_bytes = 256 * 1024;

typedef struct packed_work {
  const jk_cpu_kernels *kernels;
  const jk_linear *layer;
  const float *x;
  float *y;
  char *inputs;
  jk_input_scale *scales;
  size_t row_bytes; // of one row's inputs
  int group, n_groups, n_rows, n_blocks;
  int blocks_per_item, n_block_items;
  bool accumulate;
} packed_work;

static int min_int(int a, int b) {
  return a < b ? a : b;
}

static int count_of(int n, int size) {
  return n / size + (n % size != 0);
}

static int part_rows(const packed_work *work, int part) {
  return min_int(JK_PART_ROWS, work->n_rows - part * JK_PART_ROWS);
}

// One row of inputs.
static void inputs_item(void *context, int item, int thread) {
  const packed_work *work = context;
  const int part = item / JK_PART_ROWS, row = item % JK_PART_ROWS, n_rows = part_rows(work, part);
  const int n_in = work->layer->n_in;
  const size_t group_bytes = work->row_bytes / (size_t)work->n_groups;
  const float *x = work->x + (size_t)item * (size_t)n_in;
  const size_t first = (size_t)part * JK_PART_ROWS * (size_t)work->n_groups;
  for (int group = 0; group < work->n_groups; group++) {
    const size_t at = first + (size_t)group * (size_t)n_rows + (size_t)row;
    const int n = min_int(work->group, n_in - group * work->group);
    char *dst = work->inputs + at * group_bytes;
    const float *src = x + (size_t)group * (size_t)work->group;
    if (work->layer->format == JK_FORMAT_BF16)
      work->kernels->round_inputs(dst, src, n);
    else
      work->kernels->quantise_inputs((int8_t *)dst, &work->scales[at], src, n);
  }
}

static void outputs_item(void *context, int item, int thread) {
  const packed_work *work = context;
  const jk_linear *layer = work->layer;
  const int part = item / work->n_block_items;
  const int block = item % work->n_block_items * work->blocks_per_item;
  const size_t row = (size_t)part * JK_PART_ROWS;
  const jk_packed_job job = {
      .y = work->y + row * (size_t)layer->n_out,
      .inputs = work->inputs + row * work->row_bytes,
      .scales = work->scales + row * (size_t)work->n_groups,
      .packed = layer->packed,
      .bias = layer->bias,
      .n_rows = part_rows(work, part),
      .n_in = layer->n_in,
      .n_out = layer->n_out,
      .accumulate = work->accumulate,
  };
  const int end = min_int(block + work->blocks_per_item, work->n_blocks);
  if (layer->format == JK_FORMAT_BF16)
    work->kernels->linear_bf16(&job, block, end);
  else if (layer->format == JK_FORMAT_Q8)
    work->kernels->linear_q8(&job, block, end);
  else
    work->kernels->linear_q4(&job, block, end);
}

static bool reserve_inputs(jk_cpu_device *dev, size_t n_bytes) {
  if (dev->n_inputs_bytes >= n_bytes)
    return true;
  jk_aligned_free(dev->inputs);
  dev->inputs = jk_aligned_alloc(n_bytes);
  dev->n_inputs_bytes = dev->inputs ? n_bytes : 0;
  return dev->inputs;
}

void jk_cpu_linear_packed(jk_cpu_device *dev, float *y, const jk_linear *layer, const float *x,
                          int n_rows, bool accumulate) {
  const bool is_bf16 = layer->format == JK_FORMAT_BF16;
  packed_work work = {
      .kernels = &dev->kernels,
      .layer = layer,
      .x = x,
      .y = y,
      .group = is_bf16 ? JK_BF16_GROUP : JK_GROUP,
      .n_rows = n_rows,
      .n_blocks = jk_n_blocks(layer->n_out),
      .accumulate = accumulate,
  };
  const size_t value_bytes = is_bf16 ? dev->kernels.rounded_bytes : sizeof(int8_t);
  work.n_groups = count_of(layer->n_in, work.group);
  work.row_bytes = (size_t)work.n_groups * (size_t)work.group * value_bytes;
  const size_t values_bytes = work.row_bytes * (size_t)n_rows;
  const size_t n_scales = is_bf16 ? 0 : (size_t)work.n_groups * (size_t)n_rows;
  if (!reserve_inputs(dev, values_bytes + n_scales * sizeof(jk_input_scale))) {
    dev->failure = dev->failure == JK_OK ? JK_NO_MEMORY : dev->failure;
    return;
  }
  work.inputs = dev->inputs;
  work.scales = (jk_input_scale *)(void *)(work.inputs + values_bytes);
  const double n_inputs = (double)n_rows * (double)layer->n_in;
  jk_cpu_share(dev, inputs_item, &work, n_rows, n_inputs);
  const size_t n_at_once = item_bytes / jk_block_bytes(layer->format, layer->n_in) + 1;
  work.blocks_per_item = n_at_once < (size_t)work.n_blocks ? (int)n_at_once : work.n_blocks;
  work.blocks_per_item =
      min_int(work.blocks_per_item, count_of(work.n_blocks, dev->base.n_threads));
  work.n_block_items = count_of(work.n_blocks, work.blocks_per_item);
  jk_cpu_share(dev, outputs_item, &work, count_of(n_rows, JK_PART_ROWS) * work.n_block_items,
               n_inputs * (double)layer->n_out);
}
