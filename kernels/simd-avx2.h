// SPDX-License-Identifier: MIT
// Vectors of AVX2 with FMA and F16C under the names that the vector kernels are written in.
#ifndef JK_SIMD_H
#define JK_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define JK_SIMD_NAME(name) name##_avx2

// How much fits 16 registers.
enum {
  LANES = 8,
  LINEAR_ROWS = 3,  // rows of a tile of 4 outputs
  CONV_TILE_PX = 6, // pixels of a tile of CONV_TILE_VECS vectors of outputs
  CONV_TILE_VECS = 2,
  VALUE_ROWS = 3, // rows of a tile of VALUE_VECS vectors of values
  VALUE_VECS = 4,
};

typedef __m256 vf;
typedef __m256d vd; // LANES / 2

static inline vf vf_zero(void) {
  return _mm256_setzero_ps();
}

static inline vf vf_set(float x) {
  return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p) {
  return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, vf x) {
  _mm256_storeu_ps(p, x);
}

static inline __m256i vf_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// The first n < LANES values, zeros after them.
static inline vf vf_load_part(const float *p, int n) {
  return _mm256_maskload_ps(p, vf_mask(n));
}

static inline void vf_store_part(float *p, vf x, int n) {
  _mm256_maskstore_ps(p, vf_mask(n), x);
}

static inline __m128i vf_load_words_part(const uint16_t *p, int n) {
  uint16_t words[8] = {0};
  memcpy(words, p, (size_t)n * sizeof *p);
  return _mm_loadu_si128((const __m128i *)words);
}

static inline vf vf_widen_bf16(__m128i words) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
}

static inline vf vf_load_bf16(const uint16_t *p) {
  return vf_widen_bf16(_mm_loadu_si128((const __m128i *)p));
}

static inline vf vf_load_bf16_part(const uint16_t *p, int n) {
  return vf_widen_bf16(vf_load_words_part(p, n));
}

static inline vf vf_load_f16(const uint16_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vf vf_load_f16_part(const uint16_t *p, int n) {
  return _mm256_cvtph_ps(vf_load_words_part(p, n));
}

static inline vf vf_add(vf a, vf b) {
  return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b) {
  return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b) {
  return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b) {
  return _mm256_div_ps(a, b);
}

// a b + c, rounded once.
static inline vf vf_fma(vf a, vf b, vf c) {
  return _mm256_fmadd_ps(a, b, c);
}

// The second operand when either is no number.
static inline vf vf_max(vf a, vf b) {
  return _mm256_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b) {
  return _mm256_min_ps(a, b);
}

static inline vf vf_round(vf x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x 2^n for whole n, in two steps because 2^n alone may be out of range.
static inline vf vf_scale(vf x, vf n) {
  __m256i whole = _mm256_cvtps_epi32(n);
  __m256i first = _mm256_srai_epi32(whole, 1);
  __m256i second = _mm256_sub_epi32(whole, first);
  __m256i bias = _mm256_set1_epi32(127);
  __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
  __m256 b = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(x, a), b);
}

static inline vf vf_abs(vf x) {
  return _mm256_andnot_ps(vf_set(-0.0f), x);
}

// The magnitude of `x` with the sign of `sign`.
static inline vf vf_copy_sign(vf x, vf sign) {
  return _mm256_or_ps(vf_abs(x), _mm256_and_ps(sign, vf_set(-0.0f)));
}

// Where a > b, yes; elsewhere, no.
static inline vf vf_select_greater(vf a, vf b, vf yes, vf no) {
  return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

// The sums of the lanes of four vectors, each in the same order.
static inline __m128 vf_sum4(vf a, vf b, vf c, vf d) {
  __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
  __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
  __m256 lo = _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0));
  __m256 hi = _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2));
  __m256 sums = _mm256_add_ps(lo, hi);
  return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline float vf_largest(vf x) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

static inline vd vd_zero(void) {
  return _mm256_setzero_pd();
}

static inline vd vd_low(vf x) {
  return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

static inline vd vd_high(vf x) {
  return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

static inline vd vd_add(vd a, vd b) {
  return _mm256_add_pd(a, b);
}

static inline vd vd_fma(vd a, vd b, vd c) {
  return _mm256_fmadd_pd(a, b, c);
}

static inline void vd_store(double *p, vd x) {
  _mm256_storeu_pd(p, x);
}

#endif
