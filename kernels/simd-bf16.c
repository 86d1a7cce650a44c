// SPDX-License-Identifier: MIT
// The kernels with products of bf16 pairs, put over those of AVX-512.
#include "kernels/simd-select.h"

void jk_kernels_init_avx512_bf16(jk_cpu_kernels *kernels) {
  jk_init_conv_avx512_bf16(kernels);
  jk_init_attention_avx512_bf16(kernels);
}
