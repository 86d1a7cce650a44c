// SPDX-License-Identifier: MIT
// What the convolutions with vectors share: a tile of pixels by outputs, its beginning and its end.
#ifndef JK_SIMD_CONV_H
#define JK_SIMD_CONV_H

#include "kernels/simd-select.h"

// A tile's pixels are addressed from one base for every three.
enum { PX_PER_BASE = 3, N_BASES = CONV_TILE_PX / PX_PER_BASE };

JK_TILE void conv_clear(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const int n_vecs) {
  JK_UNROLLED(p, CONV_TILE_PX) {
    JK_UNROLLED(v, n_vecs) {
      acc[p][v] = vf_zero();
    }
  }
}

static inline void conv_store_vector(const jk_conv_row *row, vf sum, int px, int out) {
  int n = row->n_outs - out < LANES ? row->n_outs - out : LANES;
  if (n <= 0)
    return;
  size_t at = (size_t)px * row->stride + (size_t)out;
  vf value = vf_add(sum, vf_load(row->bias + out));
  if (row->residual)
    value = vf_add(vf_load_upto(row->residual + at, n), value);
  vf_store_upto(row->y + at, value, n);
}

JK_TILE void conv_store(vf acc[CONV_TILE_PX][CONV_TILE_VECS], const jk_conv_row *row, int column,
                        int px, const int n_vecs) {
  JK_UNROLLED(p, CONV_TILE_PX) {
    if (px + p < row->n_px) {
      JK_UNROLLED(v, n_vecs) {
        conv_store_vector(row, acc[p][v], px + p, column + v * LANES);
      }
    }
  }
}

#endif
