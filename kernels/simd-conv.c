// SPDX-License-Identifier: MIT
// Convolution of one output row with vectors: direct, a tile of pixels by outputs in registers.
#include "kernels/simd-conv.h"
#include "kernels/bf16.h"

// The words of pairs lie in one vector; each is half a float.
typedef uint32_t words __attribute__((vector_size(sizeof(vf))));

JK_TILE void add_products(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const float *const x[N_BASES],
                          size_t step, int i, const vf weight[CONV_TILE_VECS], const int n_vecs) {
  JK_UNROLLED(p, CONV_TILE_PX) {
    vf in = vf_set(x[p / PX_PER_BASE][(size_t)(p % PX_PER_BASE) * step + (size_t)i]);
    JK_UNROLLED(v, n_vecs) {
      acc[p][v] = vf_fma(in, weight[v], acc[p][v]);
    }
  }
}

// Sums of n_vecs vectors of outputs for CONV_TILE_PX pixels from `px` on; `column` is where the
// outputs begin in the block.
JK_TILE void conv_sums(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const jk_conv_row *row, int column,
                       int px, const int n_vecs) {
  const float *w = (const float *)row->packed + column;
  conv_clear(acc, n_vecs);
  for (int ky = 0; ky < row->n_rows; ky++) {
    const float *x[N_BASES];
    JK_UNROLLED(b, N_BASES) {
      x[b] = (const float *)row->rows[ky] + (size_t)(px + b * PX_PER_BASE) * row->step;
    }
    for (int i = 0; i < row->n_values; i++, w += row->width) {
      vf weight[CONV_TILE_VECS];
      JK_UNROLLED(v, n_vecs) {
        weight[v] = vf_load(w + v * LANES);
      }
      add_products(acc, x, row->step, i, weight, n_vecs);
    }
  }
}

// The same with bf16 weights; the inputs are floats that were rounded.
JK_TILE void conv_sums_bf16(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const jk_conv_row *row,
                            int column, int px, const int n_vecs) {
  const uint16_t *w = (const uint16_t *)row->packed + 2 * column;
  conv_clear(acc, n_vecs);
  for (int ky = 0; ky < row->n_rows; ky++) {
    const float *x[N_BASES];
    JK_UNROLLED(b, N_BASES) {
      x[b] = (const float *)row->rows[ky] + (size_t)(px + b * PX_PER_BASE) * row->step;
    }
    for (int i = 0; i < row->n_values; i += 2, w += 2 * row->width) {
      vf even[CONV_TILE_VECS], odd[CONV_TILE_VECS];
      JK_UNROLLED(v, n_vecs) {
        words pairs;
        memcpy(&pairs, w + 2 * v * LANES, sizeof pairs);
        even[v] = (vf)(pairs << 16);
        odd[v] = (vf)(pairs & 0xffff0000u);
      }
      add_products(acc, x, row->step, i, even, n_vecs);
      add_products(acc, x, row->step, i + 1, odd, n_vecs);
    }
  }
}

JK_TILE void conv_column(const jk_conv_row *row, int column, const int n_vecs, const bool bf16) {
  for (int px = 0; px < row->n_px; px += CONV_TILE_PX) {
    vf acc[CONV_TILE_PX][CONV_TILE_VECS];
    if (bf16)
      conv_sums_bf16(acc, row, column, px, n_vecs);
    else
      conv_sums(acc, row, column, px, n_vecs);
    conv_store(acc, row, column, px, n_vecs);
  }
}

JK_TILE void conv_block(const jk_conv_row *row, const bool bf16) {
  int column = 0;
  for (; column + CONV_TILE_VECS * LANES <= row->width; column += CONV_TILE_VECS * LANES)
    conv_column(row, column, CONV_TILE_VECS, bf16);
  if (column < row->width)
    conv_column(row, column, 1, bf16);
}

static void conv_row(const jk_conv_row *row) {
  conv_block(row, false);
}

static void conv_row_bf16(const jk_conv_row *row) {
  conv_block(row, true);
}

static void conv_load(void *dst, const float *src, size_t n) {
  float *rounded = dst;
  for (size_t i = 0; i < n; i++)
    rounded[i] = jk_bf16_widen(jk_bf16_round(src[i]));
}

void JK_SIMD_NAME(jk_init_conv)(jk_cpu_kernels *kernels) {
  kernels->conv_row = conv_row;
  kernels->conv_row_bf16 = conv_row_bf16;
  kernels->conv_load = conv_load;
  kernels->conv_value_bytes = sizeof(float);
}
