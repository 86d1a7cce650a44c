// SPDX-License-Identifier: MIT
// Numbers of 8 bits with 4 of exponent (E4M3 of the Open Compute Project's OFP8: no infinities, the
// largest is 448), and their places in the packed order. Plain C, for the module and the tests.
#ifndef JK_CUDA_FP8_H
#define JK_CUDA_FP8_H

#include "kernels/cuda/plan.h"

#include <math.h>
#include <string.h>

// A step is two tiles of m16n8k16, 32 columns:
//   [tiles of outputs][steps][32 lanes][16 bytes], then scales, f32 [outputs].
// The bytes of a lane's word w: columns of its operand w in the first tile are bytes 1 and 3, in
// the second 0 and 2, so that either pair becomes two bf16 values by a mask, a shift and a product.
// A weight is its number times its output's scale.
enum { JK_FP8_COLS = 2 * JK_TILE_COLS, JK_FP8_STEP_BYTES = JK_TILE_OUTS * JK_FP8_COLS };

#define JK_E4M3_MOST 448.0f

JK_PLAN_FN float jk_e4m3_widen(uint8_t code) {
  const uint32_t bits = (uint32_t)(code & 0x7f) << 20;
  float x;
  if ((code & 0x7f) == 0x7f)
    return NAN;
  memcpy(&x, &bits, sizeof x);
  x *= 0x1p120f; // the difference of the exponents' zeros
  return code & 0x80 ? -x : x;
}

// To the nearest, ties to even, and to the largest what is larger.
JK_PLAN_FN uint8_t jk_e4m3_round(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000)
    return (uint8_t)(sign | 0x7f);
  const float magnitude = fabsf(x);
  if (magnitude >= JK_E4M3_MOST)
    return (uint8_t)(sign | 0x7e);
  if (magnitude < 0x1p-6f) // multiples of 2^-9
    return (uint8_t)(sign | (uint8_t)lrintf(magnitude * 0x1p9f));
  bits += 0x7ffff + (bits >> 20 & 1);
  return (uint8_t)(sign | ((bits >> 20) - (120 << 3)));
}

// The scale of an output whose largest magnitude is `most`: 0 when that is too small to be divided
// by, NaN when it is no finite number; the output's numbers are zeros then.
JK_PLAN_FN float jk_fp8_scale(float most) {
  if (!(most <= 0x1.fffffep127f))
    return NAN;
  return most < 0x1p-100f ? 0.0f : most / JK_E4M3_MOST;
}

JK_PLAN_FN uint8_t jk_fp8_number(float weight, float scale) {
  return scale > 0.0f ? jk_e4m3_round(weight / scale) : 0;
}

// The byte of an output and a column.
JK_PLAN_FN size_t jk_fp8_place(int n_in, int out, int col) {
  const size_t step = (size_t)(out / JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_FP8_COLS) +
                      (size_t)(col / JK_FP8_COLS);
  const int r = out % JK_TILE_OUTS, k = col % JK_TILE_COLS;
  const int tile = col % JK_FP8_COLS / JK_TILE_COLS;
  const int lane = r % 8 * 4 + k % 8 / 2, word = r / 8 + 2 * (k / 8);
  return step * JK_FP8_STEP_BYTES + (size_t)(lane * 16 + word * 4 + 2 * (k % 2) + 1 - tile);
}

#endif
