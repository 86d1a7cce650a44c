// SPDX-License-Identifier: MIT
// Inside the engine: what the model sees in a picture to be changed: SigLIP features through the
// aligner, and the VQ encoder's tokens. One Vision is one picture, worked through block by block.
#ifndef JANUS_VISION_H
#define JANUS_VISION_H

#include "engine/model.h"

#include <stdatomic.h>

typedef struct VisionWork VisionWork;

typedef struct Vision {
  float *pixels;       // host [3][size][size], normalised: what both encoders read
  float *siglip;       // device [n_image_tokens][vision_dim], after the final norm
  float *aligned;      // device [n_image_tokens][dim]
  float *latent;       // host [code_dim][grid][grid], after quant_conv, before normalisation
  int32_t *tokens;     // host [n_image_tokens]
  int n_done, n_steps; // blocks
  VisionWork *work;    // activations; released by the last step
} Vision;

// Bytes that vision_init() takes at most.
size_t vision_bytes(const JanusModel *model);

// Fits and normalises the picture and allocates. With `known_tokens` [n_image_tokens] (copied) the
// VQ encoder is not run and `latent` stays NULL. On failure *v is empty. Takes model->lock.
bool vision_init(Vision *v, JanusModel *model, const JanusImage *image, const int32_t *known_tokens,
                 JanusError *error);
void vision_clear(Vision *v, JanusModel *model); // an empty one is allowed; takes model->lock

// The next block. Caller holds model->lock. False only when the device failed.
bool vision_step(Vision *v, const JanusModel *model, JanusError *error);
static inline bool vision_is_done(const Vision *v) {
  return v->n_done == v->n_steps;
}

#endif
