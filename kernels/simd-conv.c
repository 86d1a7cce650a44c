// SPDX-License-Identifier: MIT
// 3x3 convolution of one output row with vectors: direct, a tile of pixels by outputs in registers.
#include "kernels/simd-select.h"

// A tile's pixels are addressed from one base for every three.
enum { PX_PER_BASE = 3, N_BASES = CONV_TILE_PX / PX_PER_BASE };

// Sums of n_vecs vectors of outputs for CONV_TILE_PX pixels from `px` on; `w` is the block's
// column.
JK_TILE void conv_sums(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const jk_conv_row *row, const float *w,
                       int width, int px, const int n_vecs) {
  size_t stride = (size_t)row->step * (size_t)row->n_in;
  int n = 3 * row->n_in;
  JK_UNROLLED(p, CONV_TILE_PX) {
    JK_UNROLLED(v, n_vecs) {
      acc[p][v] = vf_zero();
    }
  }
  for (int ky = 0; ky < 3; ky++) {
    const float *x[N_BASES];
    JK_UNROLLED(b, N_BASES) {
      x[b] = row->rows[ky] + (size_t)(px + b * PX_PER_BASE) * stride;
    }
    for (int i = 0; i < n; i++, w += width) {
      vf weight[CONV_TILE_VECS];
      JK_UNROLLED(v, n_vecs) {
        weight[v] = vf_load(w + v * LANES);
      }
      JK_UNROLLED(p, CONV_TILE_PX) {
        vf in = vf_set(x[p / PX_PER_BASE][(size_t)(p % PX_PER_BASE) * stride + (size_t)i]);
        JK_UNROLLED(v, n_vecs) {
          acc[p][v] = vf_fma(in, weight[v], acc[p][v]);
        }
      }
    }
  }
}

static inline void store_outputs(const jk_conv_row *row, vf sum, int px, int out) {
  int n = row->n_out - out < LANES ? row->n_out - out : LANES;
  if (n <= 0)
    return;
  size_t at = (size_t)px * (size_t)row->n_out + (size_t)out;
  vf value = vf_add(sum, vf_load(row->bias + out));
  if (row->residual)
    value = vf_add(vf_load_upto(row->residual + at, n), value);
  vf_store_upto(row->y + at, value, n);
}

JK_TILE void conv_column(const jk_conv_row *row, const float *w, int width, int out,
                         const int n_vecs) {
  for (int px = 0; px < row->n_px; px += CONV_TILE_PX) {
    vf acc[CONV_TILE_PX][CONV_TILE_VECS];
    conv_sums(acc, row, w, width, px, n_vecs);
    JK_UNROLLED(p, CONV_TILE_PX) {
      if (px + p < row->n_px) {
        JK_UNROLLED(v, n_vecs) {
          store_outputs(row, acc[p][v], px + p, out + v * LANES);
        }
      }
    }
  }
}

static void conv_row(const jk_conv_row *row) {
  const float *packed = row->packed;
  for (int out = 0; out < row->n_out;) {
    int width = jk_conv_block_width(row->n_out, out);
    int column = 0;
    for (; column + CONV_TILE_VECS * LANES <= width; column += CONV_TILE_VECS * LANES)
      conv_column(row, packed + column, width, out + column, CONV_TILE_VECS);
    if (column < width)
      conv_column(row, packed + column, width, out + column, 1);
    packed += 9 * (size_t)row->n_in * (size_t)width;
    out += width;
  }
}

void JK_SIMD_NAME(jk_init_conv)(jk_cpu_kernels *kernels) {
  kernels->conv_row = conv_row;
}
