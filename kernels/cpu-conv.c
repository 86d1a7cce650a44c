// SPDX-License-Identifier: MIT
// 3x3 convolutions on the CPU: padded input rows, and how output rows are shared out.
#include "kernels/cpu-conv.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS_PER_ITEM = 8, ITEMS_PER_THREAD = 4, KERNEL = JK_CONV_KERNEL };

// Input rows of more than one output row are kept when they leave half of the second-level cache to
// the weights.
static const size_t rows_budget_bytes = 256 * 1024;

// Values that are normalised at once, behind the rows.
enum { NORMED_VALUES = 8192 };

static int min_int(int a, int b) {
  return a < b ? a : b;
}

static int max_int(int a, int b) {
  return a > b ? a : b;
}

static size_t value_bytes(const jk_cpu_device *cpu, const jk_conv *conv) {
  return conv->format == JK_FORMAT_BF16 ? cpu->kernels.conv_value_bytes : sizeof(float);
}

// Bytes of one padded input row for n_px outputs `step` apart; a whole tile past the end can be
// read.
static size_t row_bytes(const jk_cpu_device *cpu, const jk_conv *conv, int n_px, int step) {
  const size_t n_padded = (size_t)(n_px + JK_CONV_MAX_TILE_PX) * (size_t)step + KERNEL;
  const size_t n_bytes = n_padded * (size_t)conv->n_in_even * value_bytes(cpu, conv);
  return (n_bytes + 63) / 64 * 64;
}

static size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

// Bytes of the widest rows.
static size_t rows_bytes(const jk_cpu_device *cpu, const jk_conv *conv) {
  return max_size(KERNEL * row_bytes(cpu, conv, conv->max_width_px, 2), rows_budget_bytes);
}

static size_t normed_bytes(const jk_conv *conv) {
  return max_size(NORMED_VALUES, (size_t)conv->n_in) * sizeof(float);
}

static jk_status reserve_scratch(jk_cpu_device *cpu, size_t n_bytes) {
  for (int i = 0; i < cpu->base.n_threads; i++) {
    jk_cpu_thread *thread = &cpu->threads[i];
    if (thread->n_conv_rows_bytes >= n_bytes)
      continue;
    void *grown = jk_aligned_alloc(n_bytes);
    if (!grown)
      return JK_NO_MEMORY;
    jk_aligned_free(thread->conv_rows);
    thread->conv_rows = grown;
    thread->n_conv_rows_bytes = n_bytes;
  }
  return JK_OK;
}

static void conv_free(jk_device *dev, jk_conv *conv) {
  if (!conv)
    return;
  jk_aligned_free(conv->packed);
  jk_aligned_free(conv->folded);
  jk_aligned_free(conv->bias);
  free(conv);
}

static bool is_dtype(jk_dtype dtype) {
  return dtype >= JK_F32 && dtype <= JK_F16;
}

static bool is_conv(const jk_weight *weight, const jk_weight *bias, jk_format format,
                    int max_width_px) {
  return weight->data && bias->data && is_dtype(weight->dtype) && is_dtype(bias->dtype) &&
         weight->n_rows > 0 && weight->n_cols > 0 && weight->n_cols % (KERNEL * KERNEL) == 0 &&
         bias->n_rows == 1 && bias->n_cols == weight->n_rows && max_width_px > 0 &&
         max_width_px <= 1 << 20 && (format == JK_FORMAT_F32 || format == JK_FORMAT_BF16);
}

static jk_status conv_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                             int max_width_px, jk_conv **out) {
  *out = NULL;
  if (!is_conv(&weight, &bias, format, max_width_px))
    return JK_BAD_REQUEST;
  jk_conv *conv = calloc(1, sizeof *conv);
  if (!conv)
    return JK_NO_MEMORY;
  conv->n_in = weight.n_cols / (KERNEL * KERNEL);
  conv->n_in_even = format == JK_FORMAT_BF16 ? (conv->n_in + 1) / 2 * 2 : conv->n_in;
  conv->n_out = weight.n_rows;
  conv->max_width_px = max_width_px;
  conv->format = format;
  const size_t n_scratch = rows_bytes(jk_cpu_of(dev), conv) + normed_bytes(conv);
  if (!jk_conv_pack(conv, &weight, &bias) || reserve_scratch(jk_cpu_of(dev), n_scratch) != JK_OK) {
    conv_free(dev, conv);
    return JK_NO_MEMORY;
  }
  *out = conv;
  return JK_OK;
}

// The work is cut into units of an output row, for UP of the two output rows of an input row.
typedef struct shared_conv {
  jk_cpu_device *cpu;
  const jk_conv *conv;
  float *y;
  const float *x, *residual;
  const jk_group_job *norm; // of the input, or NULL
  int height, width;        // of the input
  int n_units, units_per_part, units_per_pass;
  int n_px;    // outputs of a unit, for UP half of a row's
  int step;    // input rows and pixels from one unit and output to the next
  int n_slots; // input rows in the scratch
  size_t slot_bytes;
  jk_conv_mode mode;
} shared_conv;

static void *slot(const shared_conv *s, int thread, int row) {
  char *scratch = s->cpu->threads[thread].conv_rows;
  return scratch + (size_t)((row + s->n_slots) % s->n_slots) * s->slot_bytes;
}

// Pixels as the kernel takes them.
static void load_pixels(const shared_conv *s, char *dst, const float *src, size_t n_px) {
  const jk_conv *conv = s->conv;
  const size_t n_in = (size_t)conv->n_in, size = value_bytes(s->cpu, conv);
  if (conv->format == JK_FORMAT_F32) {
    memcpy(dst, src, n_px * n_in * sizeof *src);
    return;
  }
  if (conv->n_in_even == conv->n_in) {
    s->cpu->kernels.conv_load(dst, src, n_px * n_in);
    return;
  }
  for (size_t px = 0; px < n_px; px++) {
    char *at = dst + px * (n_in + 1) * size;
    s->cpu->kernels.conv_load(at, src + px * n_in, n_in);
    memset(at + n_in * size, 0, size);
  }
}

// The same of pixels that are normalised first.
static void load_normed(const shared_conv *s, char *dst, const float *src, int thread) {
  const jk_conv *conv = s->conv;
  char *scratch = s->cpu->threads[thread].conv_rows;
  float *normed = (float *)(void *)(scratch + rows_bytes(s->cpu, conv));
  const size_t px_bytes = (size_t)conv->n_in_even * value_bytes(s->cpu, conv);
  const int chunk_px = max_int(1, NORMED_VALUES / conv->n_in);
  jk_group_job job = *s->norm;
  for (int px = 0; px < s->width; px += chunk_px) {
    const int n_px = min_int(s->width - px, chunk_px);
    job.x = src + (size_t)px * (size_t)conv->n_in;
    job.y = normed;
    s->cpu->kernels.group_apply(&job, 0, n_px);
    load_pixels(s, dst + (size_t)px * px_bytes, normed, (size_t)n_px);
  }
}

// Row `at` of the padded input. `at` counts from -1 (the padding above).
static void fill_row(const shared_conv *s, int at, int thread) {
  char *row = slot(s, thread, at);
  const size_t px_bytes = (size_t)s->conv->n_in_even * value_bytes(s->cpu, s->conv);
  const size_t left = s->mode == JK_CONV_DOWN ? 0 : 1, width = (size_t)s->width;
  if (at < 0 || at >= s->height) {
    memset(row, 0, (left + width + 1) * px_bytes);
    return;
  }
  const float *src = s->x + (size_t)at * width * (size_t)s->conv->n_in;
  memset(row, 0, left * px_bytes);
  if (s->norm)
    load_normed(s, row + left * px_bytes, src, thread);
  else
    load_pixels(s, row + left * px_bytes, src, width);
  memset(row + (left + width) * px_bytes, 0, px_bytes);
}

// What all rows of block `out` have in common; y and residual are those of output pixel `px`.
static jk_conv_row row_of(const shared_conv *s, int out, const char *packed, size_t px) {
  const jk_conv *conv = s->conv;
  const int width = jk_conv_block_width(conv->n_out, out);
  const size_t at = px * (size_t)conv->n_out + (size_t)out;
  return (jk_conv_row){
      .y = s->y + at,
      .residual = s->residual ? s->residual + at : NULL,
      .packed = packed,
      .bias = conv->bias + out,
      .n_px = s->n_px,
      .n_outs = min_int(conv->n_out - out, width),
      .width = width,
      .step = (size_t)s->step * (size_t)conv->n_in_even,
  };
}

static void run_row(const shared_conv *s, const jk_conv_row *row) {
  if (s->conv->format == JK_FORMAT_BF16)
    s->cpu->kernels.conv_row_bf16(row);
  else
    s->cpu->kernels.conv_row(row);
}

// Block `out` of a unit's row of outputs.
static void unit_block(const shared_conv *s, int unit, int out, const char *packed, int thread) {
  const int first = unit * s->step - (s->mode == JK_CONV_DOWN ? 0 : 1);
  jk_conv_row row = row_of(s, out, packed, (size_t)unit * (size_t)s->n_px);
  row.n_rows = KERNEL;
  row.n_values = KERNEL * s->conv->n_in_even;
  row.stride = (size_t)s->conv->n_out;
  for (int i = 0; i < KERNEL; i++)
    row.rows[i] = slot(s, thread, first + i);
  run_row(s, &row);
}

// The same of a phase of the doubled picture, which is a 2x2 convolution.
static void unit_phase(const shared_conv *s, int unit, int out, const char *packed, int phase,
                       int thread) {
  const size_t px_bytes = (size_t)s->conv->n_in_even * value_bytes(s->cpu, s->conv);
  const size_t out_row = (size_t)(2 * unit + phase / 2), out_px = (size_t)(phase % 2);
  jk_conv_row row = row_of(s, out, packed, out_row * 2 * (size_t)s->n_px + out_px);
  row.n_rows = 2;
  row.n_values = 2 * s->conv->n_in_even;
  row.stride = 2 * (size_t)s->conv->n_out;
  for (int i = 0; i < 2; i++)
    row.rows[i] = (char *)slot(s, thread, unit - 1 + phase / 2 + i) + out_px * px_bytes;
  run_row(s, &row);
}

// All outputs of units [begin, end), whose input rows are there; a block's weights serve them all.
static void run_units(const shared_conv *s, int begin, int end, int thread) {
  const jk_conv *conv = s->conv;
  const int n_phases = s->mode == JK_CONV_UP ? JK_CONV_PHASES : 1;
  const size_t n_taps = s->mode == JK_CONV_UP ? 4 : KERNEL * KERNEL;
  for (int phase = 0; phase < n_phases; phase++) {
    const char *packed = s->mode == JK_CONV_UP ? jk_conv_phase(conv, phase) : conv->packed;
    for (int out = 0; out < conv->n_out;) {
      for (int unit = begin; unit < end; unit++) {
        if (s->mode == JK_CONV_UP)
          unit_phase(s, unit, out, packed, phase, thread);
        else
          unit_block(s, unit, out, packed, thread);
      }
      const int width = jk_conv_block_width(conv->n_out, out);
      packed += n_taps * jk_conv_tap_bytes(conv, width);
      out += width;
    }
  }
}

// A band of units. Input rows live in slots by their number, so that each is made once per band.
static void conv_item(void *context, int item, int thread) {
  const shared_conv *s = context;
  const int above = s->mode == JK_CONV_DOWN ? 0 : 1;
  const int begin = item * s->units_per_part;
  const int end = begin + s->units_per_part < s->n_units ? begin + s->units_per_part : s->n_units;
  int n_filled = begin * s->step - above;
  for (int unit = begin; unit < end; unit += s->units_per_pass) {
    const int last = unit + s->units_per_pass < end ? unit + s->units_per_pass : end;
    for (; n_filled < (last - 1) * s->step - above + KERNEL; n_filled++)
      fill_row(s, n_filled, thread);
    run_units(s, unit, last, thread);
  }
}

static void cut_work(shared_conv *s) {
  const int n_parts = ITEMS_PER_THREAD * s->cpu->base.n_threads;
  s->units_per_part = max_int(1, min_int(s->n_units / n_parts, MAX_ROWS_PER_ITEM));
  s->slot_bytes = row_bytes(s->cpu, s->conv, s->n_px, s->step);
  const int n_fitting = (int)(rows_budget_bytes / s->slot_bytes);
  s->n_slots = min_int(max_int(n_fitting, KERNEL), (s->units_per_part - 1) * s->step + KERNEL);
  s->units_per_pass = (s->n_slots - KERNEL) / s->step + 1;
}

static void run(jk_cpu_device *cpu, float *y, const jk_conv *layer, const jk_group_job *norm,
                const float *x, const float *residual, int height, int width, jk_conv_mode mode) {
  const int divisor = mode == JK_CONV_DOWN ? 2 : 1, factor = mode == JK_CONV_UP ? 2 : 1;
  shared_conv s = {.cpu = cpu,
                   .conv = layer,
                   .y = y,
                   .x = x,
                   .residual = residual,
                   .norm = norm,
                   .height = height,
                   .width = width,
                   .n_units = height / divisor,
                   .n_px = width / divisor,
                   .step = divisor,
                   .mode = mode};
  if (s.n_units <= 0 || s.n_px <= 0)
    return;
  if (s.n_px * factor > layer->max_width_px) { // the padded rows would not fit
    cpu->failure = JK_BAD_REQUEST;
    return;
  }
  if (mode == JK_CONV_UP && !jk_conv_fold(layer)) {
    cpu->failure = JK_NO_MEMORY;
    return;
  }
  cut_work(&s);
  const double n_products = mode == JK_CONV_UP ? 16.0 : 9.0;
  jk_cpu_share(cpu, conv_item, &s, (s.n_units + s.units_per_part - 1) / s.units_per_part,
               n_products * (double)s.n_units * (double)s.n_px * layer->n_in * layer->n_out);
}

static void conv(jk_device *dev, float *y, const jk_conv *layer, const float *x,
                 const float *residual, int height, int width, jk_conv_mode mode) {
  run(jk_cpu_of(dev), y, layer, NULL, x, residual, height, width, mode);
}

static void norm_conv(jk_device *dev, float *y, const jk_conv *layer, const jk_group_norm *norm,
                      const float *x, const float *residual, int height, int width,
                      jk_conv_mode mode) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  float *mean = malloc(2 * (size_t)norm->n_groups * sizeof *mean);
  if (!mean) {
    cpu->failure = JK_NO_MEMORY;
    return;
  }
  jk_cpu_group_statistics(cpu, mean, mean + norm->n_groups, x, height * width, layer->n_in,
                          norm->n_groups, norm->eps);
  const jk_group_job job = {.weight = norm->weight,
                            .bias = norm->bias,
                            .mean = mean,
                            .scale = mean + norm->n_groups,
                            .channels = layer->n_in,
                            .group_size = layer->n_in / norm->n_groups,
                            .channel_end = layer->n_in,
                            .swish = norm->swish};
  run(cpu, y, layer, &job, x, residual, height, width, mode);
  free(mean);
}

void jk_cpu_init_conv(jk_device *table) {
  table->conv_create = conv_create;
  table->conv_free = conv_free;
  table->conv = conv;
  table->norm_conv = norm_conv;
}
