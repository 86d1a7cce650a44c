// SPDX-License-Identifier: MIT
// Vectors of AVX-512 (F, BW, DQ, VL) under the names that the vector kernels are written in.
#ifndef JK_SIMD_H
#define JK_SIMD_H

#include <immintrin.h>
#include <stdint.h>

#define JK_SIMD_NAME(name) name##_avx512

// How much fits 32 registers.
enum {
  LANES = 16,
  LINEAR_ROWS = 6,   // rows of a tile of 4 outputs
  CONV_TILE_PX = 12, // pixels of a tile of CONV_TILE_VECS vectors of outputs
  CONV_TILE_VECS = 2,
  VALUE_ROWS = 4, // rows of a tile of VALUE_VECS vectors of values
  VALUE_VECS = 4,
};

typedef __m512 vf;
typedef __m512d vd; // LANES / 2

static inline vf vf_zero(void) {
  return _mm512_setzero_ps();
}

static inline vf vf_set(float x) {
  return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p) {
  return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, vf x) {
  _mm512_storeu_ps(p, x);
}

static inline __mmask16 vf_mask(int n) {
  return (__mmask16)((1u << n) - 1);
}

// The first n < LANES values, zeros after them.
static inline vf vf_load_part(const float *p, int n) {
  return _mm512_maskz_loadu_ps(vf_mask(n), p);
}

static inline void vf_store_part(float *p, vf x, int n) {
  _mm512_mask_storeu_ps(p, vf_mask(n), x);
}

static inline vf vf_widen_bf16(__m256i words) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16));
}

static inline vf vf_load_bf16(const uint16_t *p) {
  return vf_widen_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf vf_load_bf16_part(const uint16_t *p, int n) {
  return vf_widen_bf16(_mm256_maskz_loadu_epi16(vf_mask(n), p));
}

static inline vf vf_load_f16(const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf vf_load_f16_part(const uint16_t *p, int n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vf_mask(n), p));
}

static inline vf vf_add(vf a, vf b) {
  return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b) {
  return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b) {
  return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b) {
  return _mm512_div_ps(a, b);
}

// a b + c, rounded once.
static inline vf vf_fma(vf a, vf b, vf c) {
  return _mm512_fmadd_ps(a, b, c);
}

// The second operand when either is no number.
static inline vf vf_max(vf a, vf b) {
  return _mm512_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b) {
  return _mm512_min_ps(a, b);
}

static inline vf vf_round(vf x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

// x 2^n for whole n.
static inline vf vf_scale(vf x, vf n) {
  return _mm512_scalef_ps(x, n);
}

static inline vf vf_abs(vf x) {
  return _mm512_abs_ps(x);
}

// The magnitude of `x` with the sign of `sign`.
static inline vf vf_copy_sign(vf x, vf sign) {
  return _mm512_or_ps(vf_abs(x), _mm512_and_ps(sign, vf_set(-0.0f)));
}

// Where a > b, yes; elsewhere, no.
static inline vf vf_select_greater(vf a, vf b, vf yes, vf no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), no, yes);
}

// The sums of the lanes of four vectors, each in the same order.
static inline __m128 vf_sum4(vf a, vf b, vf c, vf d) {
  __m256 a8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  __m256 b8 = _mm256_add_ps(_mm512_castps512_ps256(b), _mm512_extractf32x8_ps(b, 1));
  __m256 c8 = _mm256_add_ps(_mm512_castps512_ps256(c), _mm512_extractf32x8_ps(c, 1));
  __m256 d8 = _mm256_add_ps(_mm512_castps512_ps256(d), _mm512_extractf32x8_ps(d, 1));
  __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a8, b8), _mm256_unpackhi_ps(a8, b8));
  __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c8, d8), _mm256_unpackhi_ps(c8, d8));
  __m256 lo = _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0));
  __m256 hi = _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2));
  __m256 sums = _mm256_add_ps(lo, hi);
  return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
}

static inline float vf_largest(vf x) {
  return _mm512_reduce_max_ps(x);
}

static inline vd vd_zero(void) {
  return _mm512_setzero_pd();
}

static inline vd vd_low(vf x) {
  return _mm512_cvtps_pd(_mm512_castps512_ps256(x));
}

static inline vd vd_high(vf x) {
  return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
}

static inline vd vd_add(vd a, vd b) {
  return _mm512_add_pd(a, b);
}

static inline vd vd_fma(vd a, vd b, vd c) {
  return _mm512_fmadd_pd(a, b, c);
}

static inline void vd_store(double *p, vd x) {
  _mm512_storeu_pd(p, x);
}

#endif
