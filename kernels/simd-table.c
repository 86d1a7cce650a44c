// SPDX-License-Identifier: MIT
// The vector kernels of one instruction set, put over the plain ones.
#include "kernels/simd-select.h"

void JK_SIMD_NAME(jk_kernels_init)(jk_cpu_kernels *kernels) {
  JK_SIMD_NAME(jk_init_linear)(kernels);
  JK_SIMD_NAME(jk_init_pack)(kernels);
  JK_SIMD_NAME(jk_init_packed)(kernels);
  JK_SIMD_NAME(jk_init_attention)(kernels);
  JK_SIMD_NAME(jk_init_conv)(kernels);
  JK_SIMD_NAME(jk_init_norms)(kernels);
}
