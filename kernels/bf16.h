// SPDX-License-Identifier: MIT
// The upper half of a float: rounding to it and widening it, one value at a time.
#ifndef JK_BF16_H
#define JK_BF16_H

#include <stdint.h>
#include <string.h>

// To the nearest, ties to even; what is no number stays none.
static inline uint16_t jk_bf16_round(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const uint32_t quiet = bits >> 16 | 0x40;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

static inline float jk_bf16_widen(uint16_t word) {
  const uint32_t bits = (uint32_t)word << 16;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#endif
