// SPDX-License-Identifier: MIT
// Packing of linear layers' weights: rounding them to bf16, or to integers with scales.
#include "kernels/bf16.h"
#include "kernels/packed.h"

#include <string.h>

const int8_t jk_q4_levels[JK_Q4_LEVELS] = {-127, -97, -76, -60, -45, -33, -21, -9,
                                           2,    12,  24,  35,  48,  63,  81,  104};

enum { LANES = 16, LARGEST = 127 };

size_t jk_block_bytes(jk_format format, int n_in) {
  switch (format) {
  case JK_FORMAT_BF16:
    return ((size_t)n_in + 1) / 2 * JK_BLOCK_OUTS * 2 * sizeof(uint16_t);
  case JK_FORMAT_Q8:
    return (size_t)jk_n_groups(n_in) * JK_Q8_GROUP_BYTES;
  case JK_FORMAT_Q4:
    return (size_t)jk_n_groups(n_in) * JK_Q4_GROUP_BYTES;
  case JK_FORMAT_F32:
    break;
  }
  return 0;
}

size_t jk_packed_bytes(jk_format format, int n_out, int n_in) {
  if (n_out <= 0 || n_in <= 0)
    return 0;
  return (size_t)jk_n_blocks(n_out) * jk_block_bytes(format, n_in);
}

// --- one group of one output --------------------------------------------------------------------

typedef struct group_values {
  float w[JK_GROUP];
  int8_t q[JK_GROUP]; // integers, or indices of levels
} group_values;

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// The largest magnitude; what is no number counts as larger than every number.
static float largest(const float *w) {
  uint32_t max = 0;
  for (int i = 0; i < JK_GROUP; i++) {
    const uint32_t bits = bits_of(w[i]) & 0x7fffffff;
    max = bits > max ? bits : max;
  }
  float x;
  memcpy(&x, &max, sizeof x);
  return x;
}

// Whole numbers nearest to w * factor, ties to even, at most LARGEST in magnitude.
static void round_group(int8_t *q, const float *w, float factor) {
  const float shift = 0x1.8p23f; // sums with it have no fraction
  for (int i = 0; i < JK_GROUP; i++) {
    float x = w[i] * factor;
    x = x > LARGEST ? LARGEST : x;
    x = x < -LARGEST ? -LARGEST : x;
    q[i] = (int8_t)(bits_of(x + shift) - bits_of(shift));
  }
}

// Scales of a normal number, and none where the group is empty: too small to be divided by, or not
// of numbers (which the scale then says).
static bool is_empty(float magnitude, uint16_t *scale) {
  const bool is_finite = magnitude <= 0x1.fffffep127f;
  *scale = is_finite ? 0 : 0x7fc0;
  return !is_finite || magnitude < 0x1p-100f;
}

static uint16_t quantise_q8(group_values *group) {
  uint16_t scale;
  const float magnitude = largest(group->w);
  if (is_empty(magnitude, &scale)) {
    memset(group->q, 0, sizeof group->q);
    return scale;
  }
  scale = jk_bf16_round(magnitude / LARGEST);
  round_group(group->q, group->w, 1.0f / jk_bf16_widen(scale));
  return scale;
}

// The indices of the levels nearest to whole numbers, and the levels.
static void choose_levels(int8_t *indices, int8_t *levels, const int8_t *q) {
  memset(indices, 0, JK_GROUP);
  memset(levels, jk_q4_levels[0], JK_GROUP);
  for (int l = 1; l < JK_Q4_LEVELS; l++) {
    const int8_t step = (int8_t)(jk_q4_levels[l] - jk_q4_levels[l - 1]);
    const int8_t middle = (int8_t)((jk_q4_levels[l] + jk_q4_levels[l - 1]) / 2);
    for (int i = 0; i < JK_GROUP; i++) {
      const int8_t is_above = (int8_t) - (q[i] > middle);
      indices[i] = (int8_t)(indices[i] - is_above);
      levels[i] = (int8_t)(levels[i] + (is_above & step));
    }
  }
}

// A scale for given levels, and how much of the squares of w it takes away: with the best scale
// s = sum(w t) / sum(t^2), the error is sum(w^2) - s sum(w t).
typedef struct fit {
  float scale, gain;
} fit;

static fit fit_levels(const float *w, const int8_t *levels) {
  float lanes[LANES] = {0};
  int32_t squares = 0;
  for (int i = 0; i < JK_GROUP; i += LANES)
    for (int lane = 0; lane < LANES; lane++)
      lanes[lane] += w[i + lane] * (float)levels[i + lane];
  for (int i = 0; i < JK_GROUP; i++)
    squares += (int32_t)levels[i] * (int32_t)levels[i];
  for (int n = LANES / 2; n > 0; n /= 2)
    for (int lane = 0; lane < n; lane++)
      lanes[lane] += lanes[lane + n];
  const float scale = lanes[0] / (float)squares;
  return (fit){scale, scale * lanes[0]};
}

// Tries scales at which the largest weight falls on, beyond and short of the last level, of both
// signs because the levels are not symmetric.
static uint16_t quantise_q4(group_values *group) {
  static const float tries[] = {0.80f, 0.88f, 0.96f, 1.04f, 1.12f, 1.20f};
  uint16_t scale;
  int8_t q[JK_GROUP], levels[JK_GROUP];
  fit best = {0};
  memset(group->q, 0, sizeof group->q);
  const float magnitude = largest(group->w);
  if (is_empty(magnitude, &scale))
    return scale;
  for (int i = 0; i < 12; i++) {
    round_group(q, group->w, (i % 2 ? -tries[i / 2] : tries[i / 2]) * LARGEST / magnitude);
    choose_levels(group->q, levels, q);
    const fit tried = fit_levels(group->w, levels);
    best = tried.gain > best.gain ? tried : best;
  }
  scale = jk_bf16_round(best.scale);
  round_group(q, group->w, 1.0f / jk_bf16_widen(scale));
  choose_levels(group->q, levels, q);
  return scale;
}

// --- blocks -------------------------------------------------------------------------------------

// n values of row `row` from column `col` on; zeros where there are none.
static void load(float *w, const jk_weight *weight, int row, int col, int n) {
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

static void pack_bf16(uint16_t *dst, const jk_weight *weight, int row) {
  float w[JK_GROUP];
  const int n_even = weight->n_cols + weight->n_cols % 2;
  for (int col = 0; col < n_even; col += JK_GROUP) {
    const int n = n_even - col < JK_GROUP ? n_even - col : JK_GROUP;
    for (int o = 0; o < JK_BLOCK_OUTS; o++) {
      uint16_t *at = dst + (size_t)col * JK_BLOCK_OUTS + 2 * o;
      load(w, weight, row + o, col, n);
      for (int i = 0; i < n; i += 2, at += 2 * JK_BLOCK_OUTS) {
        at[0] = jk_bf16_round(w[i]);
        at[1] = jk_bf16_round(w[i + 1]);
      }
    }
  }
}

static void put_q8(uint8_t *dst, const int8_t *q, int o) {
  for (int i = 0; i < JK_GROUP; i++)
    dst[i / 4 * 4 * JK_BLOCK_OUTS + 4 * o + i % 4] = (uint8_t)(q[i] + JK_Q8_ZERO);
}

static void put_q4(uint8_t *dst, const int8_t *indices, int o) {
  const int half = JK_BLOCK_OUTS / 2, shift = o < half ? 0 : 4;
  for (int i = 0; i < JK_GROUP; i++) {
    uint8_t *at = &dst[i / 4 * 4 * half + 4 * (o % half) + i % 4];
    *at = (uint8_t)(*at | indices[i] << shift);
  }
}

static void pack_group(uint8_t *dst, const jk_weight *weight, jk_format format, int row, int col) {
  group_values group;
  const size_t n_bytes = format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  uint16_t *scales = (uint16_t *)(void *)(dst + n_bytes - JK_SCALES_BYTES);
  memset(dst, 0, n_bytes);
  for (int o = 0; o < JK_BLOCK_OUTS; o++) {
    load(group.w, weight, row + o, col, JK_GROUP);
    scales[o] = format == JK_FORMAT_Q8 ? quantise_q8(&group) : quantise_q4(&group);
    if (format == JK_FORMAT_Q8)
      put_q8(dst, group.q, o);
    else
      put_q4(dst, group.q, o);
  }
}

void jk_pack_block(void *dst, const jk_weight *weight, jk_format format, int block) {
  const int row = block * JK_BLOCK_OUTS;
  if (format == JK_FORMAT_BF16) {
    pack_bf16(dst, weight, row);
    return;
  }
  uint8_t *at = dst;
  for (int col = 0; col < weight->n_cols; col += JK_GROUP) {
    pack_group(at, weight, format, row, col);
    at += format == JK_FORMAT_Q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  }
}
