// SPDX-License-Identifier: MIT
// Convolution of one output row with AVX-512's products of bf16 pairs.
#include "kernels/bf16.h"
#include "kernels/simd-conv.h"

// Sums of n_vecs vectors of outputs for CONV_TILE_PX pixels from `px` on.
JK_TILE void conv_sums(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const jk_conv_row *row, int column,
                       int px, const int n_vecs) {
  const uint16_t *w = (const uint16_t *)row->packed + 2 * column;
  conv_clear(acc, n_vecs);
  for (int ky = 0; ky < row->n_rows; ky++) {
    const uint16_t *x[N_BASES];
    JK_UNROLLED(b, N_BASES) {
      x[b] = (const uint16_t *)row->rows[ky] + (size_t)(px + b * PX_PER_BASE) * row->step;
    }
    for (int i = 0; i < row->n_values; i += 2, w += 2 * row->width) {
      __m512bh weight[CONV_TILE_VECS];
      JK_UNROLLED(v, n_vecs) {
        weight[v] = (__m512bh)_mm512_loadu_si512(w + 2 * v * LANES);
      }
      JK_UNROLLED(p, CONV_TILE_PX) {
        int32_t pair;
        memcpy(&pair, &x[p / PX_PER_BASE][(size_t)(p % PX_PER_BASE) * row->step + (size_t)i],
               sizeof pair);
        const __m512bh in = (__m512bh)_mm512_set1_epi32(pair);
        JK_UNROLLED(v, n_vecs) {
          acc[p][v] = _mm512_dpbf16_ps(acc[p][v], in, weight[v]);
        }
      }
    }
  }
}

JK_TILE void conv_column(const jk_conv_row *row, int column, const int n_vecs) {
  for (int px = 0; px < row->n_px; px += CONV_TILE_PX) {
    vf acc[CONV_TILE_PX][CONV_TILE_VECS];
    conv_sums(acc, row, column, px, n_vecs);
    conv_store(acc, row, column, px, n_vecs);
  }
}

static void conv_row_bf16(const jk_conv_row *row) {
  if (row->width == CONV_TILE_VECS * LANES)
    conv_column(row, 0, CONV_TILE_VECS);
  else
    conv_column(row, 0, 1);
}

static void conv_load(void *dst, const float *src, size_t n) {
  uint16_t *words = dst;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    _mm256_storeu_si256((__m256i *)(words + i), (__m256i)_mm512_cvtneps_pbh(vf_load(src + i)));
  for (; i < n; i++)
    words[i] = jk_bf16_round(src[i]);
}

void jk_init_conv_avx512_bf16(jk_cpu_kernels *kernels) {
  kernels->conv_row_bf16 = conv_row_bf16;
  kernels->conv_load = conv_load;
  kernels->conv_value_bytes = sizeof(uint16_t);
}
