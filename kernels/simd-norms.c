// SPDX-License-Identifier: MIT
// Normalisations and element-wise functions with vectors.
#include "kernels/simd-math.h"

#include <math.h>
#include <string.h>

static int part_of(int n, int most) {
  return n < most ? n : most;
}

static int part(int n, int i) {
  return part_of(n - i, LANES);
}

static void rms_norm(float *y, const float *x, const float *weight, int dim, float eps) {
  vf squares = vf_zero();
  for (int i = 0; i < dim; i += LANES) {
    vf value = vf_load_upto(x + i, part(dim, i));
    squares = vf_fma(value, value, squares);
  }
  vf scale = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)dim + eps));
  for (int i = 0; i < dim; i += LANES) {
    int n = part(dim, i);
    vf value = vf_mul(vf_load_upto(x + i, n), scale);
    vf_store_upto(y + i, vf_mul(value, vf_load_upto(weight + i, n)), n);
  }
}

static vf less_mean(const float *x, vf mean, int n) {
  const vf value = vf_sub(vf_load_upto(x, n), mean);
  if (n >= LANES)
    return value;
  float values[LANES] = {0};
  vf_store_part(values, value, n);
  return vf_load(values);
}

// The mean first, so that a large one costs the variance no digits.
static void layer_norm(float *y, const float *x, const float *weight, const float *bias, int dim,
                       float eps) {
  vf sum = vf_zero(), squares = vf_zero();
  for (int i = 0; i < dim; i += LANES)
    sum = vf_add(sum, vf_load_upto(x + i, part(dim, i)));
  const vf mean = vf_set(vf_sum(sum) / (float)dim);
  for (int i = 0; i < dim; i += LANES) {
    const vf value = less_mean(x + i, mean, part(dim, i));
    squares = vf_fma(value, value, squares);
  }
  const vf scale = vf_set(1.0f / sqrtf(vf_sum(squares) / (float)dim + eps));
  for (int i = 0; i < dim; i += LANES) {
    const int n = part(dim, i);
    const vf value = vf_mul(vf_sub(vf_load_upto(x + i, n), mean), scale);
    vf_store_upto(y + i, vf_fma(value, vf_load_upto(weight + i, n), vf_load_upto(bias + i, n)), n);
  }
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    vf_store(y + i, vf_mul(vf_silu(vf_load(gate + i)), vf_load(up + i)));
  int rest = (int)(n - i);
  if (rest > 0) {
    vf value = vf_silu(vf_load_part(gate + i, rest));
    vf_store_part(y + i, vf_mul(value, vf_load_part(up + i, rest)), rest);
  }
}

static void gelu(float *y, const float *x, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    vf_store(y + i, vf_gelu(vf_load(x + i)));
  int rest = (int)(n - i);
  if (rest > 0)
    vf_store_part(y + i, vf_gelu(vf_load_part(x + i, rest)), rest);
}

// Pixels and vectors of channels that are taken at once, so few that they stay in the first-level
// cache between their channels.
enum { CHUNK_PX = 32, CHUNK_VECS = 16 };

// Sums of LANES neighbouring channels and of their squares.
typedef struct channel_sums {
  vd sum[2], square[2];
} channel_sums;

// Adds pixels, each channel in the order of the pixels.
static void add_pixels(channel_sums *sums, const float *x, size_t stride, int n_pixels, int n) {
  vd sum[2] = {sums->sum[0], sums->sum[1]}, square[2] = {sums->square[0], sums->square[1]};
  for (int px = 0; px < n_pixels; px++) {
    vf value = vf_load_upto(x + (size_t)px * stride, n);
    vd low = vd_low(value), high = vd_high(value);
    sum[0] = vd_add(sum[0], low);
    sum[1] = vd_add(sum[1], high);
    square[0] = vd_fma(low, low, square[0]);
    square[1] = vd_fma(high, high, square[1]);
  }
  for (int i = 0; i < 2; i++) {
    sums->sum[i] = sum[i];
    sums->square[i] = square[i];
  }
}

static void store_groups(const jk_group_job *job, double *sums, const channel_sums *channels, int c,
                         int n) {
  double sum[LANES], square[LANES];
  for (int i = 0; i < 2; i++) {
    vd_store(sum + i * LANES / 2, channels->sum[i]);
    vd_store(square + i * LANES / 2, channels->square[i]);
  }
  for (int i = 0; i < n; i++) {
    int group = (c + i) / job->group_size;
    sums[2 * group] += sum[i];
    sums[2 * group + 1] += square[i];
  }
}

static void group_sums(const jk_group_job *job, double *sums, int begin, int end) {
  const int n_channels = job->channel_end - job->channel_begin;
  const size_t stride = (size_t)job->channels;
  memset(sums, 0, 2 * (size_t)(n_channels / job->group_size) * sizeof *sums);
  for (int first = 0; first < n_channels; first += CHUNK_VECS * LANES) {
    channel_sums channels[CHUNK_VECS] = {0};
    const int n_here = part_of(n_channels - first, CHUNK_VECS * LANES);
    for (int px = begin; px < end; px += CHUNK_PX) {
      const float *x = job->x + (size_t)px * stride + job->channel_begin + first;
      for (int c = 0; c < n_here; c += LANES)
        add_pixels(&channels[c / LANES], x + c, stride, part_of(end - px, CHUNK_PX),
                   part(n_here, c));
    }
    for (int c = 0; c < n_here; c += LANES)
      store_groups(job, sums, &channels[c / LANES], first + c, part(n_here, c));
  }
}

// (x - mean) scale + bias for LANES neighbouring channels.
JK_TILE void apply_channels(const jk_group_job *job, int begin, int end, int c, int n,
                            const bool swish) {
  float mean[LANES] = {0}, scale[LANES] = {0};
  for (int i = 0; i < n; i++) {
    int group = (c + i - job->channel_begin) / job->group_size;
    mean[i] = job->mean[group];
    scale[i] = job->scale[group] * job->weight[c + i];
  }
  vf means = vf_load(mean), scales = vf_load(scale), bias = vf_load_upto(job->bias + c, n);
  for (int px = begin; px < end; px++) {
    size_t at = (size_t)px * (size_t)job->channels + (size_t)c;
    vf value = vf_fma(vf_sub(vf_load_upto(job->x + at, n), means), scales, bias);
    vf_store_upto(job->y + at, swish ? vf_silu(value) : value, n);
  }
}

static void group_apply(const jk_group_job *job, int begin, int end) {
  for (int px = begin; px < end; px += CHUNK_PX) {
    const int last = px + part_of(end - px, CHUNK_PX);
    for (int c = job->channel_begin; c < job->channel_end; c += LANES) {
      int n = part(job->channel_end, c);
      if (job->swish)
        apply_channels(job, px, last, c, n, true);
      else
        apply_channels(job, px, last, c, n, false);
    }
  }
}

void JK_SIMD_NAME(jk_init_norms)(jk_cpu_kernels *kernels) {
  kernels->rms_norm = rms_norm;
  kernels->layer_norm = layer_norm;
  kernels->silu_mul = silu_mul;
  kernels->gelu = gelu;
  kernels->group_sums = group_sums;
  kernels->group_apply = group_apply;
}
