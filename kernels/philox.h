// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox4x32-10 (Salmon et al. 2011) and the Gumbel noise made of it.
#ifndef JK_PHILOX_H
#define JK_PHILOX_H

#include <math.h>
#include <stdint.h>

typedef struct jk_philox {
  uint32_t word[4];
} jk_philox;

// The four output words of a counter under a 64-bit key (low word first).
static inline jk_philox jk_philox4x32(jk_philox counter, uint64_t key) {
  uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
  jk_philox c = counter;
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c.word[0];
    uint64_t b = (uint64_t)0xCD9E8D57u * c.word[2];
    c = (jk_philox){{(uint32_t)(b >> 32) ^ c.word[1] ^ key0, (uint32_t)b,
                     (uint32_t)(a >> 32) ^ c.word[3] ^ key1, (uint32_t)a}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

// A word as a number between 0 and 1, both excluded.
static inline double jk_uniform(uint32_t word) {
  return ((double)word + 0.5) * 0x1p-32;
}

// A word as standard Gumbel noise, computed in f64.
static inline float jk_gumbel(uint32_t word) {
  return (float)-log(-log(jk_uniform(word)));
}

#endif
