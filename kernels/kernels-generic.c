// SPDX-License-Identifier: MIT
// The reference in plain C: every computation of the CPU backend, on any machine.
#include "kernels/bf16.h"
#include "kernels/cpu-kernels.h"

#include <math.h>
#include <string.h>

enum { LANES = 8, SLICE = 256, ROW_TILE = 8, GROUP_SLICE = 16 };

static const void *element(const void *base, jk_dtype dtype, size_t index) {
  return (const char *)base + index * jk_dtype_size(dtype);
}

static float sum_lanes(const float lanes[LANES]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
         ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

// Adds the products of n values, n <= SLICE; lane = position modulo LANES.
static void add_products(float lanes[LANES], const float *x, const float *w, int n) {
  int i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int lane = 0; lane < LANES; lane++)
      lanes[lane] += x[i + lane] * w[i + lane];
  for (int lane = 0; i < n; i++, lane++)
    lanes[lane] += x[i] * w[i];
}

static void linear_tile(const jk_linear_job *job, int row, int n_rows, int out) {
  float lanes[ROW_TILE][LANES] = {{0}};
  float slice[SLICE];
  size_t first = (size_t)out * (size_t)job->n_in;
  for (int k = 0; k < job->n_in; k += SLICE) {
    int n = job->n_in - k < SLICE ? job->n_in - k : SLICE;
    jk_widen(slice, element(job->weight, job->dtype, first + (size_t)k), job->dtype, (size_t)n);
    for (int r = 0; r < n_rows; r++)
      add_products(lanes[r], job->x + (size_t)(row + r) * (size_t)job->n_in + k, slice, n);
  }
  for (int r = 0; r < n_rows; r++) {
    float value = sum_lanes(lanes[r]) + (job->bias ? job->bias[out] : 0.0f);
    float *y = job->y + (size_t)(row + r) * (size_t)job->n_out + out;
    *y = job->accumulate ? *y + value : value;
  }
}

static void linear_generic(const jk_linear_job *job, int row_begin, int row_end, int out_begin,
                           int out_end) {
  for (int out = out_begin; out < out_end; out++)
    for (int row = row_begin; row < row_end; row += ROW_TILE)
      linear_tile(job, row, row_end - row < ROW_TILE ? row_end - row : ROW_TILE, out);
}

static void store_block(const jk_packed_job *job, const float *sums, int row, int block) {
  const int out = block * JK_BLOCK_OUTS;
  float *y = job->y + (size_t)row * (size_t)job->n_out + out;
  for (int o = 0; o < JK_BLOCK_OUTS && out + o < job->n_out; o++) {
    const float value = sums[o] + (job->bias ? job->bias[out + o] : 0.0f);
    y[o] = job->accumulate ? y[o] + value : value;
  }
}

// Here the inputs are floats that were rounded.
static void linear_bf16_generic(const jk_packed_job *job, int block_begin, int block_end) {
  const size_t n_words = jk_block_bytes(JK_FORMAT_BF16, job->n_in) / sizeof(uint16_t);
  for (int block = block_begin; block < block_end; block++) {
    for (int row = 0; row < job->n_rows; row++) {
      float sums[JK_BLOCK_OUTS] = {0};
      const uint16_t *w = (const uint16_t *)job->packed + (size_t)block * n_words;
      for (int i = 0; i < job->n_in; i += 2, w += 2 * JK_BLOCK_OUTS) {
        const size_t group = (size_t)(i / JK_BF16_GROUP) * (size_t)job->n_rows + (size_t)row;
        const float *x = (const float *)job->inputs + group * JK_BF16_GROUP + i % JK_BF16_GROUP;
        for (int o = 0; o < JK_BLOCK_OUTS; o++)
          sums[o] += x[0] * jk_bf16_widen(w[2 * o]) + x[1] * jk_bf16_widen(w[2 * o + 1]);
      }
      store_block(job, sums, row, block);
    }
  }
}

static void round_inputs_generic(void *dst, const float *x, int n) {
  float *rounded = dst;
  for (int i = 0; i < JK_BF16_GROUP; i++)
    rounded[i] = i < n ? jk_bf16_widen(jk_bf16_round(x[i])) : 0.0f;
}

// The exact sums of one group of one row.
static void dot_q8(int32_t *dots, const uint8_t *w, const int8_t *x) {
  for (int i = 0; i < JK_GROUP; i++)
    for (int o = 0; o < JK_BLOCK_OUTS; o++)
      dots[o] += (w[i / 4 * 4 * JK_BLOCK_OUTS + 4 * o + i % 4] - JK_Q8_ZERO) * x[i];
}

static void dot_q4(int32_t *dots, const uint8_t *w, const int8_t *x) {
  enum { HALF = JK_BLOCK_OUTS / 2 };
  for (int i = 0; i < JK_GROUP; i++) {
    for (int o = 0; o < HALF; o++) {
      const uint8_t both = w[i / 4 * 4 * HALF + 4 * o + i % 4];
      dots[o] += jk_q4_levels[both & 15] * x[i];
      dots[o + HALF] += jk_q4_levels[both >> 4] * x[i];
    }
  }
}

static void linear_groups(const jk_packed_job *job, int row, int block, jk_format format) {
  const size_t group_bytes = format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  const uint8_t *w = job->packed;
  float sums[JK_BLOCK_OUTS] = {0};
  w += (size_t)block * jk_block_bytes(format, job->n_in);
  for (int group = 0; group < jk_n_groups(job->n_in); group++, w += group_bytes) {
    const size_t at = (size_t)group * (size_t)job->n_rows + (size_t)row;
    const int8_t *x = (const int8_t *)job->inputs + at * JK_GROUP;
    const uint16_t *scales = (const uint16_t *)(const void *)(w + group_bytes - JK_SCALES_BYTES);
    int32_t dots[JK_BLOCK_OUTS] = {0};
    if (format == JK_FORMAT_Q8)
      dot_q8(dots, w, x);
    else
      dot_q4(dots, w, x);
    for (int o = 0; o < JK_BLOCK_OUTS; o++)
      sums[o] = fmaf((float)dots[o], jk_bf16_widen(scales[o]) * job->scales[at].scale, sums[o]);
  }
  store_block(job, sums, row, block);
}

static void linear_q8_generic(const jk_packed_job *job, int block_begin, int block_end) {
  for (int block = block_begin; block < block_end; block++)
    for (int row = 0; row < job->n_rows; row++)
      linear_groups(job, row, block, JK_FORMAT_Q8);
}

static void linear_q4_generic(const jk_packed_job *job, int block_begin, int block_end) {
  for (int block = block_begin; block < block_end; block++)
    for (int row = 0; row < job->n_rows; row++)
      linear_groups(job, row, block, JK_FORMAT_Q4);
}

static void quantise_inputs_generic(int8_t *dst, jk_input_scale *scale, const float *x, int n) {
  uint32_t max_bits = 0;
  float max;
  int32_t sum = 0;
  memset(dst, 0, JK_GROUP);
  for (int i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    max_bits = (bits & 0x7fffffff) > max_bits ? bits & 0x7fffffff : max_bits;
  }
  memcpy(&max, &max_bits, sizeof max);
  *scale = (jk_input_scale){isfinite(max) ? 0.0f : NAN, 0};
  if (!isfinite(max) || max < JK_LEAST_INPUT)
    return;
  const float factor = JK_LARGEST_INPUT / max;
  for (int i = 0; i < n; i++) {
    dst[i] = (int8_t)lrintf(x[i] * factor);
    sum += dst[i];
  }
  *scale = (jk_input_scale){max / JK_LARGEST_INPUT, -JK_Q8_ZERO * sum};
}

// One head of a context.
typedef struct cached_head {
  const jk_context *context;
  int kv_head, head_dim;
} cached_head;

// Widens n values from `d` on of the key or value vector of position `pos`.
static void load_cached(float *slice, const cached_head *head, bool value, int pos, int d, int n) {
  const jk_context *context = head->context;
  const jk_kv *kv = &context->root;
  if (pos >= context->n_root) {
    pos -= context->n_root;
    kv = pos < context->n_prefix ? &context->prefix : &context->tail;
    pos -= pos < context->n_prefix ? 0 : context->n_prefix;
  }
  size_t at = (size_t)head->kv_head * (size_t)kv->capacity + (size_t)pos;
  at = at * (size_t)head->head_dim + (size_t)d;
  jk_widen(slice, element(value ? kv->v : kv->k, kv->dtype, at), kv->dtype, (size_t)n);
}

typedef struct softmax_state {
  float max, sum;
} softmax_state;

static float score(const cached_head *head, const float *q, int pos) {
  float lanes[LANES] = {0}, slice[SLICE];
  for (int d = 0; d < head->head_dim; d += SLICE) {
    int n = head->head_dim - d < SLICE ? head->head_dim - d : SLICE;
    load_cached(slice, head, false, pos, d, n);
    add_products(lanes, q + d, slice, n);
  }
  return sum_lanes(lanes) * (1.0f / sqrtf((float)head->head_dim));
}

static void add_value(float *out, const cached_head *head, int pos, float weight) {
  float slice[SLICE];
  for (int d = 0; d < head->head_dim; d += SLICE) {
    int n = head->head_dim - d < SLICE ? head->head_dim - d : SLICE;
    load_cached(slice, head, true, pos, d, n);
    for (int i = 0; i < n; i++)
      out[d + i] += weight * slice[i];
  }
}

static void attend_block(softmax_state *state, float *out, const float *q, const cached_head *head,
                         int begin, int end) {
  float p[JK_KEY_BLOCK];
  float max = state->max;
  for (int pos = begin; pos < end; pos++) {
    p[pos - begin] = score(head, q, pos);
    max = p[pos - begin] > max ? p[pos - begin] : max;
  }
  float shrink = state->max == max ? 1.0f : expf(state->max - max);
  state->max = max;
  state->sum *= shrink;
  for (int d = 0; d < head->head_dim; d++)
    out[d] *= shrink;
  for (int pos = begin; pos < end; pos++) {
    float weight = expf(p[pos - begin] - max);
    state->sum += weight;
    add_value(out, head, pos, weight);
  }
}

static void attention_generic(const jk_attention_job *job, int row_begin, int row_end, int head) {
  int dim = job->head_dim;
  for (int row = row_begin; row < row_end; row++) {
    const jk_context *context = &job->contexts[row];
    cached_head cached = {context, head / (job->n_heads / job->n_kv_heads), dim};
    size_t at = ((size_t)row * (size_t)job->n_heads + (size_t)head) * (size_t)dim;
    float *out = job->out + at;
    softmax_state state = {-INFINITY, 0.0f};
    int n = jk_context_positions(context);
    memset(out, 0, (size_t)dim * sizeof *out);
    for (int begin = 0; begin < n; begin += JK_KEY_BLOCK) {
      int end = n - begin < JK_KEY_BLOCK ? n : begin + JK_KEY_BLOCK;
      attend_block(&state, out, job->q + at, &cached, begin, end);
    }
    for (int d = 0; d < dim && n > 0; d++)
      out[d] /= state.sum;
  }
}

static void store_pixel(const jk_conv_row *row, const float *sums, int px) {
  size_t at = (size_t)px * row->stride;
  for (int o = 0; o < row->n_outs; o++) {
    float value = sums[o] + row->bias[o];
    row->y[at + (size_t)o] = row->residual ? row->residual[at + (size_t)o] + value : value;
  }
}

static void conv_row_generic(const jk_conv_row *row) {
  for (int px = 0; px < row->n_px; px++) {
    float sums[JK_CONV_BLOCK] = {0};
    const float *w = row->packed;
    for (int ky = 0; ky < row->n_rows; ky++) {
      const float *x = (const float *)row->rows[ky] + (size_t)px * row->step;
      for (int i = 0; i < row->n_values; i++, w += row->width)
        for (int o = 0; o < row->width; o++)
          sums[o] += x[i] * w[o];
    }
    store_pixel(row, sums, px);
  }
}

// Here the inputs are floats that were rounded.
static void conv_row_bf16_generic(const jk_conv_row *row) {
  for (int px = 0; px < row->n_px; px++) {
    float sums[JK_CONV_BLOCK] = {0};
    const uint16_t *w = row->packed;
    for (int ky = 0; ky < row->n_rows; ky++) {
      const float *x = (const float *)row->rows[ky] + (size_t)px * row->step;
      for (int i = 0; i < row->n_values; i += 2, w += 2 * row->width)
        for (int o = 0; o < row->width; o++)
          sums[o] += x[i] * jk_bf16_widen(w[2 * o]) + x[i + 1] * jk_bf16_widen(w[2 * o + 1]);
    }
    store_pixel(row, sums, px);
  }
}

static void conv_load_generic(void *dst, const float *src, size_t n) {
  for (size_t i = 0; i < n; i++)
    ((float *)dst)[i] = jk_bf16_widen(jk_bf16_round(src[i]));
}

static void group_sums_generic(const jk_group_job *job, double *sums, int begin, int end) {
  int n_channels = job->channel_end - job->channel_begin;
  memset(sums, 0, 2 * (size_t)(n_channels / job->group_size) * sizeof *sums);
  for (int c = job->channel_begin; c < job->channel_end; c++) {
    int group = (c - job->channel_begin) / job->group_size;
    double sum = 0.0, squares = 0.0;
    for (int px = begin; px < end; px++) {
      double value = (double)job->x[(size_t)px * (size_t)job->channels + (size_t)c];
      sum += value;
      squares += value * value;
    }
    sums[2 * group] += sum;
    sums[2 * group + 1] += squares;
  }
}

static float silu(float x) {
  return x / (1.0f + expf(-x));
}

static void group_apply_generic(const jk_group_job *job, int begin, int end) {
  for (int px = begin; px < end; px++) {
    for (int c = job->channel_begin; c < job->channel_end; c++) {
      size_t i = (size_t)px * (size_t)job->channels + (size_t)c;
      int group = (c - job->channel_begin) / job->group_size;
      float value = (job->x[i] - job->mean[group]) * (job->scale[group] * job->weight[c]);
      value += job->bias[c];
      job->y[i] = job->swish ? silu(value) : value;
    }
  }
}

static void rms_norm_generic(float *y, const float *x, const float *weight, int dim, float eps) {
  float lanes[LANES] = {0};
  add_products(lanes, x, x, dim);
  float scale = 1.0f / sqrtf(sum_lanes(lanes) / (float)dim + eps);
  for (int i = 0; i < dim; i++)
    y[i] = x[i] * scale * weight[i];
}

static void layer_norm_generic(float *y, const float *x, const float *weight, const float *bias,
                               int dim, float eps) {
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < dim; i++)
    sum += (double)x[i];
  const double mean = sum / dim;
  for (int i = 0; i < dim; i++)
    squares += ((double)x[i] - mean) * ((double)x[i] - mean);
  const double scale = 1.0 / sqrt(squares / dim + (double)eps);
  for (int i = 0; i < dim; i++)
    y[i] = (float)(((double)x[i] - mean) * scale) * weight[i] + bias[i];
}

static void silu_mul_generic(float *y, const float *gate, const float *up, size_t n) {
  for (size_t i = 0; i < n; i++)
    y[i] = silu(gate[i]) * up[i];
}

static void gelu_generic(float *y, const float *x, size_t n) {
  const float sqrt_half = 0.70710678118654752f;
  for (size_t i = 0; i < n; i++)
    y[i] = 0.5f * x[i] * (1.0f + erff(x[i] * sqrt_half));
}

void jk_kernels_init_generic(jk_cpu_kernels *kernels) {
  *kernels = (jk_cpu_kernels){
      .linear = linear_generic,
      .pack_block = jk_pack_block,
      .linear_bf16 = linear_bf16_generic,
      .linear_q8 = linear_q8_generic,
      .linear_q4 = linear_q4_generic,
      .round_inputs = round_inputs_generic,
      .rounded_bytes = sizeof(float),
      .quantise_inputs = quantise_inputs_generic,
      .attention = attention_generic,
      .conv_row = conv_row_generic,
      .conv_row_bf16 = conv_row_bf16_generic,
      .conv_load = conv_load_generic,
      .conv_value_bytes = sizeof(float),
      .group_sums = group_sums_generic,
      .group_apply = group_apply_generic,
      .rms_norm = rms_norm_generic,
      .layer_norm = layer_norm_generic,
      .silu_mul = silu_mul_generic,
      .gelu = gelu_generic,
  };
}
