// SPDX-License-Identifier: MIT
// Packed linear layers with AVX-512's products of bf16 pairs.
#include "kernels/bf16.h"
#include "kernels/simd-packed.h"

enum {
  MAX_ROWS = 12,
  MAX_SHALLOW_ROWS = 4,
  PAIRS = JK_BF16_GROUP / 2,
  PAIR_BYTES = 4 * JK_BLOCK_OUTS
};

JK_TILE void rows_tile(const packed_tile *tile, const int n_rows) {
  const jk_packed_job *job = tile->job;
  const int n_pairs = (job->n_in + 1) / 2;
  vf sums[MAX_ROWS][BLOCK_VECS];
  JK_UNROLLED(r, n_rows) {
    sums[r][0] = vf_load(tile->sums + r * JK_BLOCK_OUTS);
    sums[r][1] = vf_load(tile->sums + r * JK_BLOCK_OUTS + LANES);
  }
  for (int group = tile->begin; group < tile->end; group++) {
    const uint8_t *w = tile->block + (size_t)group * PAIRS * PAIR_BYTES;
    const size_t at = (size_t)group * (size_t)job->n_rows + (size_t)tile->row;
    const int32_t *x = (const int32_t *)job->inputs + at * PAIRS;
    const int n = n_pairs - group * PAIRS < PAIRS ? n_pairs - group * PAIRS : PAIRS;
    for (int i = 0; i < n; i++) {
      const __m512bh low = (__m512bh)_mm512_load_si512(w + PAIR_BYTES * i);
      const __m512bh high = (__m512bh)_mm512_load_si512(w + PAIR_BYTES * i + 64);
      fetch_ahead(w + PAIR_BYTES * i, n_rows > MAX_SHALLOW_ROWS);
      fetch_ahead(w + PAIR_BYTES * i + 64, n_rows > MAX_SHALLOW_ROWS);
      JK_UNROLLED(r, n_rows) {
        const __m512bh in = (__m512bh)_mm512_set1_epi32(x[r * PAIRS + i]);
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], low, in);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], high, in);
      }
    }
  }
  JK_UNROLLED(r, n_rows) {
    vf_store(tile->sums + r * JK_BLOCK_OUTS, sums[r][0]);
    vf_store(tile->sums + r * JK_BLOCK_OUTS + LANES, sums[r][1]);
  }
}

#define TILE(n)                                                                                    \
  static void tile_##n(const packed_tile *tile) {                                                  \
    rows_tile(tile, n);                                                                            \
  }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)

static void linear_bf16(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = {tile_1, tile_2, tile_3, tile_4,  tile_5,  tile_6,
                                                 tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_BF16, job->n_in),
              (job->n_in + JK_BF16_GROUP - 1) / JK_BF16_GROUP, 1, tiles, MAX_ROWS);
}

static void round_inputs(void *dst, const float *x, int n) {
  uint16_t *words = dst;
  int i = 0;
  for (; i + LANES <= n; i += LANES)
    _mm256_store_si256((__m256i *)(words + i), (__m256i)_mm512_cvtneps_pbh(vf_load(x + i)));
  for (; i < JK_BF16_GROUP; i++)
    words[i] = i < n ? jk_bf16_round(x[i]) : 0;
}

void jk_kernels_init_avx512_bf16_packed(jk_cpu_kernels *kernels) {
  kernels->linear_bf16 = linear_bf16;
  kernels->round_inputs = round_inputs;
  kernels->rounded_bytes = sizeof(uint16_t);
}
