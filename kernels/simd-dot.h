// SPDX-License-Identifier: MIT
// Tiles of dot products: every (row, output) pair owns one vector of sums, so that the shape of the
// tile changes no result.
#ifndef JK_SIMD_DOT_H
#define JK_SIMD_DOT_H

#include "kernels/simd-select.h"

enum { DOT_MAX_OUTS = 8 };

JK_TILE vf load_weight(const char *w, int k, const jk_dtype dtype) {
  if (dtype == JK_F32)
    return vf_load((const float *)w + k);
  if (dtype == JK_BF16)
    return vf_load_bf16((const uint16_t *)w + k);
  return vf_load_f16((const uint16_t *)w + k);
}

JK_TILE vf load_weight_part(const char *w, int k, int n, const jk_dtype dtype) {
  if (dtype == JK_F32)
    return vf_load_part((const float *)w + k, n);
  if (dtype == JK_BF16)
    return vf_load_bf16_part((const uint16_t *)w + k, n);
  return vf_load_f16_part((const uint16_t *)w + k, n);
}

// sums[r][o / 4] = x[r] . w[o] over n values; x rows are x_stride apart. n_outs is 4 or 8.
JK_TILE void dot_tile(__m128 *sums, const float *x, size_t x_stride, const char *const *w, int n,
                      const int n_rows, const int n_outs, const jk_dtype dtype) {
  vf acc[LINEAR_ROWS][DOT_MAX_OUTS];
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(o, n_outs) {
      acc[r][o] = vf_zero();
    }
  }
  int k = 0;
  for (; k + LANES <= n; k += LANES) {
    vf in[LINEAR_ROWS];
    JK_UNROLLED(r, n_rows) {
      in[r] = vf_load(x + (size_t)r * x_stride + k);
    }
    JK_UNROLLED(o, n_outs) {
      vf weight = load_weight(w[o], k, dtype);
      JK_UNROLLED(r, n_rows) {
        acc[r][o] = vf_fma(in[r], weight, acc[r][o]);
      }
    }
  }
  if (k < n) {
    JK_UNROLLED(o, n_outs) {
      vf weight = load_weight_part(w[o], k, n - k, dtype);
      JK_UNROLLED(r, n_rows) {
        acc[r][o] = vf_fma(vf_load_part(x + (size_t)r * x_stride + k, n - k), weight, acc[r][o]);
      }
    }
  }
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(q, n_outs / 4) {
      const vf *four = &acc[r][4 * q];
      sums[r * (n_outs / 4) + q] = vf_sum4(four[0], four[1], four[2], four[3]);
    }
  }
}

#endif
