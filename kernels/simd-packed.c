// SPDX-License-Identifier: MIT
// Packed linear layers with plain vectors: bf16 is widened, products of bytes go through pairs of
// 16 bits.
#include "kernels/simd-packed.h"

#ifdef JK_SIMD_AVX512
enum { MAX_ROWS = 12 };
typedef __m512i vi;
#else
enum { MAX_ROWS = 4 };
typedef __m256i vi;
#endif
// A tile takes the outputs of a block in columns of two vectors.
enum { VECS = 2, COLUMNS = BLOCK_VECS / VECS, VEC_BYTES = 4 * LANES };

// --- bf16 ---------------------------------------------------------------------------------------

typedef struct pair {
  vf first, second; // columns
} pair;

static inline pair load_pair(const uint8_t *w) {
#ifdef JK_SIMD_AVX512
  const vi words = _mm512_load_si512(w);
  return (pair){_mm512_castsi512_ps(_mm512_slli_epi32(words, 16)),
                _mm512_castsi512_ps(_mm512_and_si512(words, _mm512_set1_epi32(-65536)))};
#else
  const vi words = _mm256_load_si256((const __m256i *)w);
  return (pair){_mm256_castsi256_ps(_mm256_slli_epi32(words, 16)),
                _mm256_castsi256_ps(_mm256_and_si256(words, _mm256_set1_epi32(-65536)))};
#endif
}

JK_TILE void bf16_column(const packed_tile *tile, int group, int column, const int n_rows) {
  enum { PAIRS = JK_BF16_GROUP / 2, PAIR_BYTES = 4 * JK_BLOCK_OUTS };
  const jk_packed_job *job = tile->job;
  const size_t at = (size_t)group * (size_t)job->n_rows + (size_t)tile->row;
  const float *x = (const float *)job->inputs + at * JK_BF16_GROUP;
  const int n_left = (job->n_in + 1) / 2 - group * PAIRS, n = n_left < PAIRS ? n_left : PAIRS;
  const uint8_t *w = tile->block + (size_t)group * PAIRS * PAIR_BYTES + column * VECS * VEC_BYTES;
  float *to = tile->sums + column * VECS * LANES;
  vf sums[MAX_ROWS][VECS];
  JK_UNROLLED(r, n_rows) {
    sums[r][0] = vf_load(to + r * JK_BLOCK_OUTS);
    sums[r][1] = vf_load(to + r * JK_BLOCK_OUTS + LANES);
  }
  for (int i = 0; i < n; i++) {
    const pair low = load_pair(w + PAIR_BYTES * i),
               high = load_pair(w + PAIR_BYTES * i + VEC_BYTES);
    fetch_ahead(w + PAIR_BYTES * i, false);
    if (VEC_BYTES == 64)
      fetch_ahead(w + PAIR_BYTES * i + 64, false);
    JK_UNROLLED(r, n_rows) {
      const vf in = vf_set(x[r * JK_BF16_GROUP + 2 * i]);
      const vf next = vf_set(x[r * JK_BF16_GROUP + 2 * i + 1]);
      sums[r][0] = vf_fma(low.first, in, sums[r][0]);
      sums[r][1] = vf_fma(high.first, in, sums[r][1]);
      sums[r][0] = vf_fma(low.second, next, sums[r][0]);
      sums[r][1] = vf_fma(high.second, next, sums[r][1]);
    }
  }
  JK_UNROLLED(r, n_rows) {
    vf_store(to + r * JK_BLOCK_OUTS, sums[r][0]);
    vf_store(to + r * JK_BLOCK_OUTS + LANES, sums[r][1]);
  }
}

// --- integers -----------------------------------------------------------------------------------

// Weights as magnitudes and what makes inputs take their signs.
typedef struct signed_bytes {
  vi magnitude;
#ifdef JK_SIMD_AVX512
  __mmask64 sign;
#else
  vi sign;
#endif
} signed_bytes;

#ifdef JK_SIMD_AVX512
static inline vi vi_zero(void) {
  return _mm512_setzero_si512();
}

static inline signed_bytes split_signs(vi w) {
  return (signed_bytes){_mm512_abs_epi8(w), _mm512_movepi8_mask(w)};
}

// The magnitudes stay below 128, so that two products fit 16 bits.
static inline vi add_products(vi sums, signed_bytes w, vi in) {
  const vi turned = _mm512_mask_sub_epi8(in, w.sign, vi_zero(), in);
  const vi pairs = _mm512_maddubs_epi16(w.magnitude, turned);
  return _mm512_add_epi32(sums, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

static inline vi four_inputs(const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  return _mm512_set1_epi32(four);
}

static inline vf to_floats(vi x) {
  return _mm512_cvtepi32_ps(x);
}

static inline vi load_q8(const uint8_t *w) {
  return _mm512_xor_si512(_mm512_load_si512(w), _mm512_set1_epi8((char)JK_Q8_ZERO));
}

static inline vi load_q4(const uint8_t *w, int shift) {
  const vi levels = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)jk_q4_levels));
  const vi both = _mm512_srl_epi16(_mm512_load_si512(w), _mm_cvtsi32_si128(shift));
  return _mm512_shuffle_epi8(levels, _mm512_and_si512(both, _mm512_set1_epi8(15)));
}
#else
static inline vi vi_zero(void) {
  return _mm256_setzero_si256();
}

static inline signed_bytes split_signs(vi w) {
  return (signed_bytes){_mm256_abs_epi8(w), w};
}

// The magnitudes stay below 128, so that two products fit 16 bits.
static inline vi add_products(vi sums, signed_bytes w, vi in) {
  const vi pairs = _mm256_maddubs_epi16(w.magnitude, _mm256_sign_epi8(in, w.sign));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline vi four_inputs(const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  return _mm256_set1_epi32(four);
}

static inline vf to_floats(vi x) {
  return _mm256_cvtepi32_ps(x);
}

static inline vi load_q8(const uint8_t *w) {
  return _mm256_xor_si256(_mm256_load_si256((const __m256i *)w),
                          _mm256_set1_epi8((char)JK_Q8_ZERO));
}

static inline vi load_q4(const uint8_t *w, int shift) {
  const vi levels = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)jk_q4_levels));
  const vi both = _mm256_srl_epi16(_mm256_load_si256((const __m256i *)w), _mm_cvtsi32_si128(shift));
  return _mm256_shuffle_epi8(levels, _mm256_and_si256(both, _mm256_set1_epi8(15)));
}
#endif

// Vector `vec` of a block's outputs, of one quad of columns.
JK_TILE signed_bytes load_quad(const uint8_t *w, int i, int vec, const jk_format format) {
  if (format == JK_FORMAT_Q8)
    return split_signs(load_q8(w + 4 * JK_BLOCK_OUTS * i + vec * VEC_BYTES));
  const int half = BLOCK_VECS / 2;
  return split_signs(
      load_q4(w + 2 * JK_BLOCK_OUTS * i + vec % half * VEC_BYTES, vec < half ? 0 : 4));
}

JK_TILE void integer_column(const packed_tile *tile, int group, int column, const int n_rows,
                            const jk_format format) {
  const size_t group_bytes = format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  const jk_packed_job *job = tile->job;
  const size_t at = (size_t)group * (size_t)job->n_rows + (size_t)tile->row;
  const int8_t *x = (const int8_t *)job->inputs + at * JK_GROUP;
  const uint8_t *w = tile->block + (size_t)group * group_bytes;
  const uint16_t *scales =
      (const uint16_t *)(w + group_bytes - JK_SCALES_BYTES) + column * VECS * LANES;
  float *to = tile->sums + column * VECS * LANES;
  vi dots[MAX_ROWS][VECS];
  JK_UNROLLED(r, n_rows) {
    dots[r][0] = dots[r][1] = vi_zero();
  }
  JK_ROLLED(i, JK_QUADS) {
    const signed_bytes low = load_quad(w, i, column * VECS, format);
    const signed_bytes high = load_quad(w, i, column * VECS + 1, format);
    if (column == 0) {
      fetch_ahead(w + (format == JK_FORMAT_Q8 ? 128 : 64) * i, false);
      if (format == JK_FORMAT_Q8)
        fetch_ahead(w + 128 * i + 64, false);
    }
    JK_UNROLLED(r, n_rows) {
      const vi in = four_inputs(x + r * JK_GROUP + 4 * i);
      dots[r][0] = add_products(dots[r][0], low, in);
      dots[r][1] = add_products(dots[r][1], high, in);
    }
  }
  const vf low = vf_load_bf16(scales), high = vf_load_bf16(scales + LANES);
  JK_UNROLLED(r, n_rows) {
    const vf scale = vf_set(job->scales[at + (size_t)r].scale);
    float *sums = to + r * JK_BLOCK_OUTS;
    vf_store(sums, vf_fma(to_floats(dots[r][0]), vf_mul(low, scale), vf_load(sums)));
    vf_store(sums + LANES,
             vf_fma(to_floats(dots[r][1]), vf_mul(high, scale), vf_load(sums + LANES)));
  }
}

// --- tiles --------------------------------------------------------------------------------------

JK_TILE void rows_tile(const packed_tile *tile, const int n_rows, const jk_format format) {
  for (int group = tile->begin; group < tile->end; group++) {
    JK_UNROLLED(column, COLUMNS) {
      if (format == JK_FORMAT_BF16)
        bf16_column(tile, group, column, n_rows);
      else
        integer_column(tile, group, column, n_rows, format);
    }
  }
}

#define TILE(n)                                                                                    \
  static void tile_bf16_##n(const packed_tile *tile) {                                             \
    rows_tile(tile, n, JK_FORMAT_BF16);                                                            \
  }                                                                                                \
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
#ifdef JK_SIMD_AVX512
TILE(5)
TILE(6)
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
#define MORE_TILES(f)                                                                              \
  , tile_##f##_5, tile_##f##_6, tile_##f##_7, tile_##f##_8, tile_##f##_9, tile_##f##_10,           \
      tile_##f##_11, tile_##f##_12
#else
#define MORE_TILES(f)
#endif
#define TILES(f)                                                                                   \
  { tile_##f##_1, tile_##f##_2, tile_##f##_3, tile_##f##_4 MORE_TILES(f) }

static void linear_bf16(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = TILES(bf16);
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_BF16, job->n_in),
              (job->n_in + JK_BF16_GROUP - 1) / JK_BF16_GROUP, 1, tiles, MAX_ROWS);
}

static void linear_q8(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = TILES(q8);
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_Q8, job->n_in),
              jk_n_groups(job->n_in), 2, tiles, MAX_ROWS);
}

static void linear_q4(const jk_packed_job *job, int block_begin, int block_end) {
  static const packed_tile_fn tiles[MAX_ROWS] = TILES(q4);
  packed_walk(job, block_begin, block_end, jk_block_bytes(JK_FORMAT_Q4, job->n_in),
              jk_n_groups(job->n_in), 2, tiles, MAX_ROWS);
}

void JK_SIMD_NAME(jk_init_packed)(jk_cpu_kernels *kernels) {
  kernels->linear_bf16 = linear_bf16;
  kernels->linear_q8 = linear_q8;
  kernels->linear_q4 = linear_q4;
}
