// SPDX-License-Identifier: MIT
// Inside the CPU backend: guidance and the draw of one token.
#ifndef JK_SAMPLING_H
#define JK_SAMPLING_H

#include "kernels/kernels.h"

// An id with a key that orders as its value does, descending.
typedef struct jk_ranked {
  uint32_t key;
  int32_t id;
} jk_ranked;

// True when a draw has to rank the ids, which takes scratch of 2 * vocab entries.
bool jk_sampling_ranks(const jk_sampling *draw);

// See jk_device.guide.
void jk_guide(float *out, const float *full, const float *part, const float *uncond, float w1,
              float w2, size_t n);

// Draws one id; see jk_device.sample. Values that are no numbers are never drawn; 0 when all are.
// `scratch` may be NULL unless jk_sampling_ranks().
int32_t jk_draw(const float *guided, int vocab, const jk_sampling *draw, jk_ranked *scratch);

#endif
