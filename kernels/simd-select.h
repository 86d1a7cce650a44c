// SPDX-License-Identifier: MIT
// The vectors of the instruction set that this compilation is for, and what all vector kernels use.
// The vector kernels are written once and compiled for each set under names that end in it.
#ifndef JK_SIMD_SELECT_H
#define JK_SIMD_SELECT_H

#ifdef JK_SIMD_AVX512
#include "kernels/simd-avx512.h"
#else
#include "kernels/simd-avx2.h"
#endif

#include "kernels/cpu-kernels.h"

// Tiles are written for any size and become straight code by constant arguments.
#define JK_TILE static inline __attribute__((always_inline))
#define JK_UNROLLED(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
// Loops that fetch ahead of themselves stay loops: written out, compilers move all of a turn's
// fetches to its beginning, more than can be on their way at once.
#define JK_ROLLED(i, n) _Pragma("GCC unroll 1") for (int i = 0; i < (n); i++)

// The first n <= LANES values.
static inline vf vf_load_upto(const float *p, int n) {
  return n >= LANES ? vf_load(p) : vf_load_part(p, n);
}

static inline void vf_store_upto(float *p, vf x, int n) {
  if (n >= LANES)
    vf_store(p, x);
  else
    vf_store_part(p, x, n);
}

static inline float vf_sum(vf x) {
  return _mm_cvtss_f32(vf_sum4(x, x, x, x));
}

// One part of the table each.
void JK_SIMD_NAME(jk_init_linear)(jk_cpu_kernels *kernels);
void JK_SIMD_NAME(jk_init_pack)(jk_cpu_kernels *kernels);
void JK_SIMD_NAME(jk_init_packed)(jk_cpu_kernels *kernels);
void JK_SIMD_NAME(jk_init_attention)(jk_cpu_kernels *kernels);
void JK_SIMD_NAME(jk_init_conv)(jk_cpu_kernels *kernels);
void JK_SIMD_NAME(jk_init_norms)(jk_cpu_kernels *kernels);
// And with AVX-512's products of bf16 pairs.
void jk_init_conv_avx512_bf16(jk_cpu_kernels *kernels);
void jk_init_attention_avx512_bf16(jk_cpu_kernels *kernels);

#endif
