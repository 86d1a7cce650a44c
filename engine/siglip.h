// SPDX-License-Identifier: MIT
// Inside the engine: the SigLIP tower and the aligner behind it, a block at a time. Zhai et al.
// 2023.
#ifndef JANUS_SIGLIP_H
#define JANUS_SIGLIP_H

#include "engine/model.h"

// Activations of one picture, n = n_image_tokens rows. Zero = empty.
typedef struct SiglipWork {
  float *x;             // [n][dim] the residual stream
  float *normed;        // [n][max(dim, patch values, the language model's dim)]
  float *q;             // [n][n_heads][head_dim]
  float *k, *v;         // likewise
  float *keys;          // [n_heads][n][head_dim]
  float *values;        // likewise
  float *hidden;        // [n][hidden_dim]
  jk_kv *caches;        // host, [n]
  int32_t *slots;       // host, [n]
  jk_context *contexts; // host, [n]
  float *patches;       // host, [n][3][patch][patch]
} SiglipWork;

// Bytes that siglip_init() takes.
size_t siglip_bytes(const JanusModel *model);

// On failure *work is empty. Caller holds model->lock, as for all the following.
bool siglip_init(SiglipWork *work, const JanusModel *model, JanusError *error);
void siglip_clear(SiglipWork *work, jk_device *device); // an empty one is allowed

// Steps of one picture: the patches, the blocks, the end.
int siglip_steps(const JanusModel *model);

// Step `step`, ascending from 0. `pixels` is host [3][size][size], normalised. The last one gives
// `siglip` [n][dim], behind the final norm, and `aligned` [n][the language model's dim].
void siglip_step(SiglipWork *work, const JanusModel *model, int step, const float *pixels,
                 float *siglip, float *aligned);

#endif
