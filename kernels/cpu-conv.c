// SPDX-License-Identifier: MIT
// 3x3 convolutions on the CPU: packing, padded input rows, and how output rows are shared out.
#include "kernels/cpu-device.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS_PER_ITEM = 8, ITEMS_PER_THREAD = 4, KERNEL = 3 };

static int n_padded_outputs(int n_out) {
  int out = 0;
  while (out < n_out)
    out += jk_conv_block_width(n_out, out);
  return out;
}

// Floats of one padded input row. Stride 2 is the widest; a whole tile past the end can be read.
static size_t row_floats(int width_px, int step, int n_in) {
  return ((size_t)(width_px + JK_CONV_MAX_TILE_PX) * (size_t)step + KERNEL) * (size_t)n_in;
}

static jk_status reserve_scratch(jk_cpu_device *cpu, size_t n_floats) {
  for (int i = 0; i < cpu->base.n_threads; i++) {
    jk_cpu_thread *thread = &cpu->threads[i];
    if (thread->n_conv_rows_floats >= n_floats)
      continue;
    float *grown = jk_aligned_alloc(n_floats * sizeof *grown);
    if (!grown)
      return JK_NO_MEMORY;
    jk_aligned_free(thread->conv_rows);
    thread->conv_rows = grown;
    thread->n_conv_rows_floats = n_floats;
  }
  return JK_OK;
}

// From [n_out][n_in][3][3] to blocks of [3][3][n_in][width].
static void pack(jk_conv *conv, const jk_weight *weight) {
  float *block = conv->packed;
  for (int out = 0; out < conv->n_out;) {
    int width = jk_conv_block_width(conv->n_out, out);
    for (int o = 0; o < width && out + o < conv->n_out; o++) {
      for (int i = 0; i < conv->n_in; i++) {
        float taps[KERNEL * KERNEL];
        size_t at = ((size_t)(out + o) * (size_t)conv->n_in + (size_t)i) * KERNEL * KERNEL;
        const char *src = (const char *)weight->data + at * jk_dtype_size(weight->dtype);
        jk_widen(taps, src, weight->dtype, KERNEL * KERNEL);
        for (int tap = 0; tap < KERNEL * KERNEL; tap++)
          block[((size_t)tap * (size_t)conv->n_in + (size_t)i) * (size_t)width + (size_t)o] =
              taps[tap];
      }
    }
    block += (size_t)KERNEL * KERNEL * (size_t)conv->n_in * (size_t)width;
    out += width;
  }
}

static void conv_free(jk_device *dev, jk_conv *conv) {
  if (!conv)
    return;
  jk_aligned_free(conv->packed);
  jk_aligned_free(conv->bias);
  free(conv);
}

static bool is_dtype(jk_dtype dtype) {
  return dtype >= JK_F32 && dtype <= JK_F16;
}

static bool is_conv(const jk_weight *weight, const jk_weight *bias, int max_width_px) {
  return weight->data && bias->data && is_dtype(weight->dtype) && is_dtype(bias->dtype) &&
         weight->n_rows > 0 && weight->n_cols > 0 && weight->n_cols % (KERNEL * KERNEL) == 0 &&
         bias->n_rows == 1 && bias->n_cols == weight->n_rows && max_width_px > 0 &&
         max_width_px <= 1 << 20;
}

static jk_status conv_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                             int max_width_px, jk_conv **out) {
  *out = NULL;
  if (format != JK_FORMAT_F32 || !is_conv(&weight, &bias, max_width_px))
    return JK_BAD_REQUEST;
  jk_conv *conv = calloc(1, sizeof *conv);
  if (!conv)
    return JK_NO_MEMORY;
  conv->n_in = weight.n_cols / (KERNEL * KERNEL);
  conv->n_out = weight.n_rows;
  conv->max_width_px = max_width_px;
  size_t n_padded = (size_t)n_padded_outputs(conv->n_out);
  conv->packed = jk_aligned_alloc(n_padded * (size_t)weight.n_cols * sizeof(float));
  conv->bias = jk_aligned_alloc(n_padded * sizeof(float));
  size_t n_scratch = KERNEL * row_floats(max_width_px, 2, conv->n_in);
  if (!conv->packed || !conv->bias || reserve_scratch(jk_cpu_of(dev), n_scratch) != JK_OK) {
    conv_free(dev, conv);
    return JK_NO_MEMORY;
  }
  jk_widen(conv->bias, bias.data, bias.dtype, (size_t)conv->n_out);
  pack(conv, &weight);
  *out = conv;
  return JK_OK;
}

typedef struct shared_conv {
  jk_cpu_device *cpu;
  const jk_conv *conv;
  float *y;
  const float *x, *residual;
  int height, width;         // of the input
  int out_height, out_width; // of the output
  int rows_per_part;
  jk_conv_mode mode;
} shared_conv;

// Row `at` of the padded, for UP doubled, input. `at` counts from -1 (the padding above).
static void fill_row(const shared_conv *s, float *row, int at) {
  size_t n_in = (size_t)s->conv->n_in;
  int scale = s->mode == JK_CONV_UP ? 2 : 1;
  size_t width = (size_t)(s->width * scale);
  bool pads_left = s->mode != JK_CONV_DOWN;
  float *dst = row + (pads_left ? n_in : 0);
  if (at < 0 || at >= s->height * scale) {
    memset(row, 0, (width + 2) * n_in * sizeof *row);
    return;
  }
  const float *src = s->x + (size_t)(at / scale) * (size_t)s->width * n_in;
  if (pads_left)
    memset(row, 0, n_in * sizeof *row);
  if (scale == 1)
    memcpy(dst, src, width * n_in * sizeof *dst);
  for (size_t px = 0; scale == 2 && px < width; px++)
    memcpy(dst + px * n_in, src + px / 2 * n_in, n_in * sizeof *dst);
  memset(dst + width * n_in, 0, n_in * sizeof *dst);
}

// A band of output rows. Input rows live in three slots by their number modulo 3, so each is built
// once per band.
static void conv_item(void *context, int item, int thread) {
  const shared_conv *s = context;
  const jk_conv *conv = s->conv;
  int step = s->mode == JK_CONV_DOWN ? 2 : 1;
  int above = s->mode == JK_CONV_DOWN ? 0 : 1;
  float *scratch = s->cpu->threads[thread].conv_rows;
  size_t slot_floats = row_floats(s->out_width, step, conv->n_in);
  int begin = item * s->rows_per_part;
  int end = begin + s->rows_per_part < s->out_height ? begin + s->rows_per_part : s->out_height;
  int n_filled = begin * step - above;
  for (int y = begin; y < end; y++) {
    int first = y * step - above;
    for (; n_filled < first + KERNEL; n_filled++)
      fill_row(s, scratch + (size_t)((n_filled + KERNEL) % KERNEL) * slot_floats, n_filled);
    size_t at = (size_t)y * (size_t)s->out_width * (size_t)conv->n_out;
    jk_conv_row row = {
        .y = s->y + at,
        .residual = s->residual ? s->residual + at : NULL,
        .packed = conv->packed,
        .bias = conv->bias,
        .n_px = s->out_width,
        .n_in = conv->n_in,
        .n_out = conv->n_out,
        .step = step,
    };
    for (int i = 0; i < KERNEL; i++)
      row.rows[i] = scratch + (size_t)((first + i + KERNEL) % KERNEL) * slot_floats;
    s->cpu->kernels.conv_row(&row);
  }
}

static void conv(jk_device *dev, float *y, const jk_conv *layer, const float *x,
                 const float *residual, int height, int width, jk_conv_mode mode) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_conv s = {.cpu = cpu,
                   .conv = layer,
                   .y = y,
                   .x = x,
                   .residual = residual,
                   .height = height,
                   .width = width,
                   .out_height = height,
                   .out_width = width,
                   .mode = mode};
  if (mode == JK_CONV_UP) {
    s.out_height *= 2;
    s.out_width *= 2;
  } else if (mode == JK_CONV_DOWN) {
    s.out_height /= 2;
    s.out_width /= 2;
  }
  if (s.out_height <= 0 || s.out_width <= 0)
    return;
  if (s.out_width > layer->max_width_px) { // the padded rows would not fit
    cpu->failure = JK_BAD_REQUEST;
    return;
  }
  s.rows_per_part = s.out_height / (ITEMS_PER_THREAD * dev->n_threads);
  if (s.rows_per_part < 1)
    s.rows_per_part = 1;
  if (s.rows_per_part > MAX_ROWS_PER_ITEM)
    s.rows_per_part = MAX_ROWS_PER_ITEM;
  int n_items = (s.out_height + s.rows_per_part - 1) / s.rows_per_part;
  jk_cpu_share(cpu, conv_item, &s, n_items,
               9.0 * (double)s.out_height * (double)s.out_width * layer->n_in * layer->n_out);
}

void jk_cpu_init_conv(jk_device *table) {
  table->conv_create = conv_create;
  table->conv_free = conv_free;
  table->conv = conv;
}
