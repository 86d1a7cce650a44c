// SPDX-License-Identifier: MIT
// Packed linear layers with AVX-512's products of bytes (VNNI): weights are the unsigned side, so
// that inputs come from memory, four columns in every lane.
#include "kernels/simd-packed.h"

#include <string.h>

enum { MAX_ROWS = 12, GROUPS_PER_STEP = 1, MAX_KEPT_ROWS = 4 };

// Both vectors of outputs of one quad of columns, as unsigned bytes.
typedef struct quad {
  __m512i low, high;
} quad;

JK_TILE quad load_quad(const uint8_t *w, int i, __m512i levels, const jk_format format) {
  if (format == JK_FORMAT_Q8)
    return (quad){_mm512_load_si512(w + 128 * i), _mm512_load_si512(w + 128 * i + 64)};
  const __m512i both = _mm512_load_si512(w + 64 * i), mask = _mm512_set1_epi8(15);
  return (quad){
      _mm512_shuffle_epi8(levels, _mm512_and_si512(both, mask)),
      _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(both, 4), mask)),
  };
}

// Where it was measured to help; see fetch_ahead().
JK_TILE bool is_deep(const int n_rows, const jk_format format) {
  return format == JK_FORMAT_Q8 ? n_rows > 4 : n_rows <= 6;
}

JK_TILE __m512i four_inputs(const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  return _mm512_set1_epi32(four);
}

// sums += the products of four bytes in every lane. Written out because GCC 12 moves the sums of a
// loop from register to register when it is given the intrinsic.
JK_TILE __m512i add_products(__m512i sums, __m512i weights, __m512i inputs) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(weights), "v"(inputs));
  return sums;
}

// The exact sums of one group.
JK_TILE void group_dots(__m512i dots[MAX_ROWS][BLOCK_VECS], const uint8_t *w, const int8_t *x,
                        const jk_input_scale *scales, __m512i levels, const int n_rows,
                        const jk_format format) {
  const bool deep = is_deep(n_rows, format);
  JK_UNROLLED(r, n_rows) {
    dots[r][0] = _mm512_set1_epi32(scales[r].offset);
    dots[r][1] = dots[r][0];
  }
  JK_ROLLED(i, JK_QUADS) {
    const quad weight = load_quad(w, i, levels, format);
    fetch_ahead(w + (format == JK_FORMAT_Q8 ? 128 : 64) * i, deep);
    if (format == JK_FORMAT_Q8)
      fetch_ahead(w + 128 * i + 64, deep);
    JK_UNROLLED(r, n_rows) {
      const __m512i in = four_inputs(x + r * JK_GROUP + 4 * i);
      dots[r][0] = add_products(dots[r][0], weight.low, in);
      dots[r][1] = add_products(dots[r][1], weight.high, in);
    }
  }
}

// Sums of few rows stay in registers.
typedef struct tile_sums {
  vf kept[MAX_ROWS][BLOCK_VECS];
} tile_sums;

JK_TILE void add_scaled(tile_sums *sums, float *stored, int r, int v, __m512i dots, vf scale,
                        const bool is_kept) {
  const vf dot = _mm512_cvtepi32_ps(dots);
  float *at = stored + r * JK_BLOCK_OUTS + v * LANES;
  if (is_kept)
    sums->kept[r][v] = vf_fma(dot, scale, sums->kept[r][v]);
  else
    vf_store(at, vf_fma(dot, scale, vf_load(at)));
}

JK_TILE void rows_tile(const packed_tile *tile, const int n_rows, const jk_format format) {
  const size_t group_bytes = format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  const bool deep = is_deep(n_rows, format), is_kept = n_rows <= MAX_KEPT_ROWS;
  const jk_packed_job *job = tile->job;
  const __m512i levels =
      _mm512_xor_si512(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)jk_q4_levels)),
                       _mm512_set1_epi8((char)JK_Q8_ZERO));
  tile_sums sums;
  JK_UNROLLED(r, n_rows) {
    sums.kept[r][0] = vf_load(tile->sums + r * JK_BLOCK_OUTS);
    sums.kept[r][1] = vf_load(tile->sums + r * JK_BLOCK_OUTS + LANES);
  }
  for (int group = tile->begin; group < tile->end; group++) {
    const uint8_t *w = tile->block + (size_t)group * group_bytes;
    const size_t at = (size_t)group * (size_t)job->n_rows + (size_t)tile->row;
    const jk_input_scale *scales = job->scales + at;
    const uint16_t *weight_scales = (const uint16_t *)(w + group_bytes - JK_SCALES_BYTES);
    __m512i dots[MAX_ROWS][BLOCK_VECS];
    group_dots(dots, w, (const int8_t *)job->inputs + at * JK_GROUP, scales, levels, n_rows,
               format);
    const vf low = vf_load_bf16(weight_scales), high = vf_load_bf16(weight_scales + LANES);
    fetch_ahead(weight_scales, deep);
    JK_UNROLLED(r, n_rows) {
      const vf scale = vf_set(scales[r].scale);
      add_scaled(&sums, tile->sums, r, 0, dots[r][0], vf_mul(low, scale), is_kept);
      add_scaled(&sums, tile->sums, r, 1, dots[r][1], vf_mul(high, scale), is_kept);
    }
  }
  if (!is_kept)
    return;
  JK_UNROLLED(r, n_rows) {
    vf_store(tile->sums + r * JK_BLOCK_OUTS, sums.kept[r][0]);
    vf_store(tile->sums + r * JK_BLOCK_OUTS + LANES, sums.kept[r][1]);
  }
}

#define TILE(n)                                                                                    \
  static void tile_q8_##n(const packed_tile *tile) {                                               \
    rows_tile(tile, n, JK_FORMAT_Q8);                                                              \
  }                                                                                                \
  static void tile_q4_##n(const packed_tile *tile) {                                               \
    rows_tile(tile, n, JK_FORMAT_Q4);                                                              \
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
#define TILES(format)                                                                              \
  {                                                                                                \
    tile_##format##_1, tile_##format##_2, tile_##format##_3, tile_##format##_4, tile_##format##_5, \
        tile_##format##_6, tile_##format##_7, tile_##format##_8, tile_##format##_9,                \
        tile_##format##_10, tile_##format##_11, tile_##format##_12                                 \
  }

static void linear_q8(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = TILES(q8);
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_Q8, job->n_in),
              jk_n_groups(job->n_in), GROUPS_PER_STEP, tiles, MAX_ROWS);
}

static void linear_q4(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = TILES(q4);
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_Q4, job->n_in),
              jk_n_groups(job->n_in), GROUPS_PER_STEP, tiles, MAX_ROWS);
}

void jk_kernels_init_avx512_vnni(jk_cpu_kernels *kernels) {
  kernels->linear_q8 = linear_q8;
  kernels->linear_q4 = linear_q4;
}
