// SPDX-License-Identifier: MIT
// Packing of one block of a linear layer's weights: rounding to bf16, or to integers with scales.
// Loops that compilers make vectors of; compiled for each instruction set, the bytes are the same.
#ifndef JK_PACK_BLOCK_H
#define JK_PACK_BLOCK_H

#include "kernels/bf16.h"
#include "kernels/packed.h"

#include <string.h>

enum { PACK_LANES = 16, PACK_LARGEST = 127 };

typedef struct pack_group {
  float w[JK_GROUP];
  int8_t q[JK_GROUP]; // integers, or indices of levels
} pack_group;

static inline uint32_t pack_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// The largest magnitude; what is no number counts as larger than every number.
static inline float pack_largest(const float *w) {
  uint32_t max = 0;
  for (int i = 0; i < JK_GROUP; i++) {
    const uint32_t bits = pack_bits(w[i]) & 0x7fffffff;
    max = bits > max ? bits : max;
  }
  float x;
  memcpy(&x, &max, sizeof x);
  return x;
}

// Whole numbers nearest to w * factor, ties to even, at most PACK_LARGEST in magnitude.
static inline void pack_round(int8_t *restrict q, const float *restrict w, float factor) {
  const float shift = 0x1.8p23f; // sums with it have no fraction
  for (int i = 0; i < JK_GROUP; i++) {
    int32_t x = (int32_t)(pack_bits(w[i] * factor + shift) - 0x4b400000u);
    x = x > PACK_LARGEST ? PACK_LARGEST : x;
    q[i] = (int8_t)(x < -PACK_LARGEST ? -PACK_LARGEST : x);
  }
}

// A group is empty when its numbers are too small to be divided by, or when one is none (which the
// scale then says).
static inline bool pack_is_empty(float magnitude, uint16_t *scale) {
  const bool is_finite = magnitude <= 0x1.fffffep127f;
  *scale = is_finite ? 0 : 0x7fc0;
  return !is_finite || magnitude < 0x1p-100f;
}

static inline uint16_t pack_q8(pack_group *group) {
  uint16_t scale;
  const float magnitude = pack_largest(group->w);
  if (pack_is_empty(magnitude, &scale)) {
    memset(group->q, 0, sizeof group->q);
    return scale;
  }
  scale = jk_bf16_round(magnitude / PACK_LARGEST);
  pack_round(group->q, group->w, 1.0f / jk_bf16_widen(scale));
  return scale;
}

// The indices of the levels nearest to whole numbers, and the levels.
static inline void pack_choose(int8_t *restrict indices, int8_t *restrict levels,
                               const int8_t *restrict q) {
  int8_t is_above[JK_GROUP];
  memset(indices, 0, JK_GROUP);
  memset(levels, jk_q4_levels[0], JK_GROUP);
  for (int l = 1; l < JK_Q4_LEVELS; l++) {
    const int8_t step = (int8_t)(jk_q4_levels[l] - jk_q4_levels[l - 1]);
    const int8_t middle = (int8_t)((jk_q4_levels[l] + jk_q4_levels[l - 1]) / 2);
    for (int i = 0; i < JK_GROUP; i++)
      is_above[i] = (int8_t) - (q[i] > middle);
    for (int i = 0; i < JK_GROUP; i++) {
      indices[i] = (int8_t)(indices[i] - is_above[i]);
      levels[i] = (int8_t)(levels[i] + (is_above[i] & step));
    }
  }
}

// A scale for given levels, and how much of the squares of w it takes away: with the best scale
// s = sum(w t) / sum(t^2), the error is sum(w^2) - s sum(w t).
typedef struct pack_fit {
  float scale, gain;
} pack_fit;

static inline pack_fit pack_fit_levels(const float *restrict w, const int8_t *restrict levels) {
  float lanes[PACK_LANES] = {0}, t[JK_GROUP];
  int32_t squares = 0;
  for (int i = 0; i < JK_GROUP; i++) {
    t[i] = (float)levels[i];
    squares += levels[i] * levels[i];
  }
  for (int i = 0; i < JK_GROUP; i += PACK_LANES)
    for (int lane = 0; lane < PACK_LANES; lane++)
      lanes[lane] += w[i + lane] * t[i + lane];
  float sum = 0.0f;
  for (int lane = 0; lane < PACK_LANES; lane++)
    sum += lanes[lane];
  const float scale = sum / (float)squares;
  return (pack_fit){scale, scale * sum};
}

// Tries scales at which the largest weight falls on, beyond and short of the last level, of both
// signs because the levels are not symmetric.
static inline uint16_t pack_q4(pack_group *group) {
  static const float tries[] = {0.86f, 1.0f, 1.14f};
  uint16_t scale;
  int8_t q[JK_GROUP], levels[JK_GROUP];
  pack_fit best = {0};
  memset(group->q, 0, sizeof group->q);
  const float magnitude = pack_largest(group->w);
  if (pack_is_empty(magnitude, &scale))
    return scale;
  for (int i = 0; i < 6; i++) {
    const float factor = (i % 2 ? -tries[i / 2] : tries[i / 2]) * PACK_LARGEST / magnitude;
    pack_round(q, group->w, factor);
    pack_choose(group->q, levels, q);
    const pack_fit tried = pack_fit_levels(group->w, levels);
    best = tried.gain > best.gain ? tried : best;
  }
  scale = jk_bf16_round(best.scale);
  pack_round(q, group->w, 1.0f / jk_bf16_widen(scale));
  pack_choose(group->q, levels, q);
  return scale;
}

// n values of row `row` from column `col` on; zeros where there are none.
static inline void pack_load(float *w, const jk_weight *weight, int row, int col, int n) {
  int n_there = row < weight->n_rows ? weight->n_cols - col : 0;
  n_there = n_there < n ? n_there : n;
  if (n_there > 0) {
    const size_t at = (size_t)row * (size_t)weight->n_cols + (size_t)col;
    const char *src = (const char *)weight->data + at * jk_dtype_size(weight->dtype);
    jk_widen(w, src, weight->dtype, (size_t)n_there);
  }
  for (int i = n_there > 0 ? n_there : 0; i < n; i++)
    w[i] = 0.0f;
}

static inline void pack_bf16_block(uint16_t *dst, const jk_weight *weight, int row) {
  enum { COLS = 4 * JK_GROUP };
  float w[COLS];
  uint16_t rounded[COLS];
  const int n_even = weight->n_cols + weight->n_cols % 2;
  for (int col = 0; col < n_even; col += COLS) {
    const int n = n_even - col < COLS ? n_even - col : COLS;
    for (int o = 0; o < JK_BLOCK_OUTS; o++) {
      uint16_t *at = dst + (size_t)col * JK_BLOCK_OUTS + 2 * o;
      pack_load(w, weight, row + o, col, n);
      for (int i = 0; i < n; i++)
        rounded[i] = jk_bf16_round(w[i]);
      for (int i = 0; i < n; i += 2, at += 2 * JK_BLOCK_OUTS)
        memcpy(at, rounded + i, 2 * sizeof *at);
    }
  }
}

static inline void pack_q8_group(uint8_t *dst, const jk_weight *weight, int row, int col) {
  uint16_t *scales = (uint16_t *)(void *)(dst + JK_Q8_GROUP_BYTES - JK_SCALES_BYTES);
  pack_group group;
  uint8_t bytes[JK_GROUP];
  for (int o = 0; o < JK_BLOCK_OUTS; o++) {
    pack_load(group.w, weight, row + o, col, JK_GROUP);
    scales[o] = pack_q8(&group);
    for (int i = 0; i < JK_GROUP; i++)
      bytes[i] = (uint8_t)(group.q[i] + JK_Q8_ZERO);
    for (int quad = 0; quad < JK_QUADS; quad++)
      memcpy(dst + 4 * (quad * JK_BLOCK_OUTS + o), bytes + 4 * quad, 4);
  }
}

static inline void pack_q4_group(uint8_t *dst, const jk_weight *weight, int row, int col) {
  enum { HALF = JK_BLOCK_OUTS / 2 };
  uint16_t *scales = (uint16_t *)(void *)(dst + JK_Q4_GROUP_BYTES - JK_SCALES_BYTES);
  pack_group low, high;
  uint8_t bytes[JK_GROUP];
  for (int o = 0; o < HALF; o++) {
    pack_load(low.w, weight, row + o, col, JK_GROUP);
    pack_load(high.w, weight, row + o + HALF, col, JK_GROUP);
    scales[o] = pack_q4(&low);
    scales[o + HALF] = pack_q4(&high);
    for (int i = 0; i < JK_GROUP; i++)
      bytes[i] = (uint8_t)(low.q[i] | high.q[i] << 4);
    for (int quad = 0; quad < JK_QUADS; quad++)
      memcpy(dst + 4 * (quad * HALF + o), bytes + 4 * quad, 4);
  }
}

static inline void pack_block(void *dst, const jk_weight *weight, jk_format format, int block) {
  const int row = block * JK_BLOCK_OUTS;
  uint8_t *at = dst;
  if (format == JK_FORMAT_BF16) {
    pack_bf16_block(dst, weight, row);
    return;
  }
  for (int col = 0; col < weight->n_cols; col += JK_GROUP) {
    if (format == JK_FORMAT_Q8)
      pack_q8_group(at, weight, row, col);
    else
      pack_q4_group(at, weight, row, col);
    at += format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  }
}

#endif
