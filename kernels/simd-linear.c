// SPDX-License-Identifier: MIT
// Linear layers with vectors; weights are widened as they are read.
#include "kernels/simd-dot.h"

enum { OUTS_PER_STEP = 8, FEW_ROWS = 3 };

// The addresses of n weight rows from `out` on; those past the last output repeat it.
static inline void weight_rows(const char **w, const jk_linear_job *job, int out, int n) {
  size_t row_bytes = (size_t)job->n_in * jk_dtype_size(job->dtype);
  for (int i = 0; i < n; i++) {
    int o = out + i < job->n_out ? out + i : job->n_out - 1;
    w[i] = (const char *)job->weight + (size_t)o * row_bytes;
  }
}

static inline void store_four(const jk_linear_job *job, __m128 sums, int row, int out, int end) {
  float *y = job->y + (size_t)row * (size_t)job->n_out + out;
  const float *bias = job->bias ? job->bias + out : NULL;
  if (out + 4 <= end) {
    __m128 value = _mm_add_ps(sums, bias ? _mm_loadu_ps(bias) : _mm_setzero_ps());
    _mm_storeu_ps(y, job->accumulate ? _mm_add_ps(_mm_loadu_ps(y), value) : value);
    return;
  }
  float each[4];
  _mm_storeu_ps(each, sums);
  for (int i = 0; out + i < end; i++) {
    float value = each[i] + (bias ? bias[i] : 0.0f);
    y[i] = job->accumulate ? y[i] + value : value;
  }
}

JK_TILE void rows_tile(const jk_linear_job *job, const char *const *w, int row, int out, int end,
                       const int n_rows, const int n_outs, const jk_dtype dtype) {
  __m128 sums[LINEAR_ROWS * DOT_MAX_OUTS / 4];
  const float *x = job->x + (size_t)row * (size_t)job->n_in;
  dot_tile(sums, x, (size_t)job->n_in, w, job->n_in, n_rows, n_outs, dtype);
  for (int r = 0; r < n_rows; r++)
    for (int o = 0; o < n_outs && out + o < end; o += 4)
      store_four(job, sums[r * (n_outs / 4) + o / 4], row + r, out + o, end);
}

// Two tiles of 4 outputs, or one of 8 where that fits the registers.
JK_TILE void rows_step(const jk_linear_job *job, const char *const *w, int row, int out, int end,
                       const int n_rows, const jk_dtype dtype) {
  if (n_rows == 1 || (LANES == 16 && n_rows <= FEW_ROWS)) {
    rows_tile(job, w, row, out, end, n_rows, 8, dtype);
    return;
  }
  rows_tile(job, w, row, out, end, n_rows, 4, dtype);
  if (out + 4 < end)
    rows_tile(job, w + 4, row, out + 4, end, n_rows, 4, dtype);
}

JK_TILE void linear_of(const jk_linear_job *job, int row_begin, int row_end, int out_begin,
                       int out_end, const jk_dtype dtype) {
  const char *w[OUTS_PER_STEP];
  for (int out = out_begin; out < out_end; out += OUTS_PER_STEP) {
    weight_rows(w, job, out, OUTS_PER_STEP);
    int row = row_begin;
    for (; row + LINEAR_ROWS <= row_end; row += LINEAR_ROWS)
      rows_step(job, w, row, out, out_end, LINEAR_ROWS, dtype);
    switch (row_end - row) {
    case 1:
      rows_step(job, w, row, out, out_end, 1, dtype);
      break;
    case 2:
      rows_step(job, w, row, out, out_end, 2, dtype);
      break;
#ifdef JK_SIMD_AVX512
    case 3:
      rows_step(job, w, row, out, out_end, 3, dtype);
      break;
    case 4:
      rows_step(job, w, row, out, out_end, 4, dtype);
      break;
    case 5:
      rows_step(job, w, row, out, out_end, 5, dtype);
      break;
#endif
    }
  }
}

static void linear(const jk_linear_job *job, int row_begin, int row_end, int out_begin,
                   int out_end) {
  if (job->dtype == JK_F32)
    linear_of(job, row_begin, row_end, out_begin, out_end, JK_F32);
  else if (job->dtype == JK_BF16)
    linear_of(job, row_begin, row_end, out_begin, out_end, JK_BF16);
  else
    linear_of(job, row_begin, row_end, out_begin, out_end, JK_F16);
}

void JK_SIMD_NAME(jk_init_linear)(jk_cpu_kernels *kernels) {
  kernels->linear = linear;
}
