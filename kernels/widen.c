// SPDX-License-Identifier: MIT
// Storage types of weights to f32.
#include "kernels/kernels.h"

#include <string.h>

static float float_of_bits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static uint32_t bits_of_float(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

// The exponent is moved by a multiplication, which also normalises subnormal halves.
static float widen_half(uint16_t half) {
  float magnitude = float_of_bits((uint32_t)(half & 0x7fff) << 13) * 0x1p112f;
  uint32_t special = (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
  return float_of_bits(bits_of_float(magnitude) | special | (uint32_t)(half & 0x8000) << 16);
}

void jk_widen(float *dst, const void *src, jk_dtype dtype, size_t n) {
  const uint16_t *words = src;
  switch (dtype) {
  case JK_F32:
    memcpy(dst, src, n * sizeof *dst);
    return;
  case JK_BF16:
    for (size_t i = 0; i < n; i++)
      dst[i] = float_of_bits((uint32_t)words[i] << 16);
    return;
  case JK_F16:
    for (size_t i = 0; i < n; i++)
      dst[i] = widen_half(words[i]);
    return;
  }
}
