// SPDX-License-Identifier: MIT
// Random bf16 values, a gigabyte a second of them.
#include "engine/synthetic.h"

#include <math.h>
#include <string.h>

enum { TABLE_BITS = 12, TABLE_SIZE = 1 << TABLE_BITS, PER_WORD = 64 / TABLE_BITS };

// Steele et al. 2014 (SplitMix64), word number `index` of the sequence.
static uint64_t random_word(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static uint16_t to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Box and Muller 1958; in pairs of both signs, so that the table has exactly this mean.
static void make_table(uint16_t table[TABLE_SIZE], uint64_t seed, float mean, float deviation) {
  const double two_pi = 6.283185307179586;
  for (uint64_t i = 0; i < TABLE_SIZE / 2; i++) {
    const double u = ((double)(random_word(seed, 2 * i) >> 11) + 0.5) * 0x1p-53;
    const double v = (double)(random_word(seed, 2 * i + 1) >> 11) * 0x1p-53;
    const float x = deviation * (float)(sqrt(-2 * log(u)) * cos(two_pi * v));
    table[2 * i] = to_bf16(mean + x);
    table[2 * i + 1] = to_bf16(mean - x);
  }
}

void synthetic_fill(uint16_t *values, size_t n, uint64_t seed, float mean, float deviation) {
  uint16_t table[TABLE_SIZE];
  make_table(table, ~seed, mean, deviation);
  size_t i = 0;
  for (uint64_t word = 0; i < n; word++) {
    uint64_t bits = random_word(seed, word);
    for (int j = 0; j < PER_WORD && i < n; j++, bits >>= TABLE_BITS)
      values[i++] = table[bits & (TABLE_SIZE - 1)];
  }
}
