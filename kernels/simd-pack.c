// SPDX-License-Identifier: MIT
// Packing of weights and rounding of inputs with vectors, as the compiler finds them.
#include "kernels/pack-block.h"
#include "kernels/simd-select.h"

#include <math.h>

static void pack(void *dst, const jk_weight *weight, jk_format format, int block) {
  pack_block(dst, weight, format, block);
}

static void quantise_inputs(int8_t *dst, jk_input_scale *scale, const float *x, int n) {
  float padded[JK_GROUP] = {0};
  int32_t sum = 0;
  if (n < JK_GROUP)
    x = memcpy(padded, x, (size_t)n * sizeof *x);
  const float max = pack_largest(x);
  if (!isfinite(max) || max < JK_LEAST_INPUT) {
    *scale = (jk_input_scale){isfinite(max) ? 0.0f : NAN, 0};
    memset(dst, 0, JK_GROUP);
    return;
  }
  pack_round(dst, x, JK_LARGEST_INPUT / max);
  for (int i = 0; i < JK_GROUP; i++)
    sum += dst[i];
  *scale = (jk_input_scale){max / JK_LARGEST_INPUT, -JK_Q8_ZERO * sum};
}

static void round_inputs(void *dst, const float *x, int n) {
  float *rounded = dst;
  for (int i = 0; i < n; i++)
    rounded[i] = jk_bf16_widen(jk_bf16_round(x[i]));
  for (int i = n; i < JK_BF16_GROUP; i++)
    rounded[i] = 0.0f;
}

void JK_SIMD_NAME(jk_init_pack)(jk_cpu_kernels *kernels) {
  kernels->pack_block = pack;
  kernels->quantise_inputs = quantise_inputs;
  kernels->round_inputs = round_inputs;
  kernels->rounded_bytes = sizeof(float);
}
