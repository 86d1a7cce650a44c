// SPDX-License-Identifier: MIT
// Inside the engine: what the model sees in a picture to be changed: SigLIP features through the
// aligner, and the VQ encoder's tokens. One Vision is one picture, worked through block by block.
#ifndef JANUS_VISION_H
#define JANUS_VISION_H

#include "engine/siglip.h"
#include "engine/vq-encoder.h"

typedef struct Vision {
  float *pixels;   // host [3][size][size], normalised: what both encoders read
  float *siglip;   // device [n_image_tokens][siglip.dim], after the final norm
  float *aligned;  // device [n_image_tokens][dim]; NULL when it was taken
  float *latent;   // host [code_dim][grid][grid], after quant_conv, before normalisation; or NULL
  int32_t *tokens; // host [n_image_tokens]
  int n_done, n_steps;
  SiglipWork tower;
  VqWorkspace vq;
  VqPass pass;
} Vision;

// Bytes that vision_init() and vision_init_features() take at most.
size_t vision_bytes(const JanusModel *model);
size_t vision_features_bytes(const JanusModel *model);

// Fits and normalises the picture and allocates. With `known_tokens` [n_image_tokens] (copied) the
// VQ encoder is not run and `latent` stays NULL. On failure *v is empty. This and the following
// take model->lock. *v must not move before vision_clear().
bool vision_init(Vision *v, JanusModel *model, const JanusImage *image, const int32_t *known_tokens,
                 JanusError *error);
// The same from pixels that are fitted already.
bool vision_init_fitted(Vision *v, JanusModel *model, const uint8_t *rgb,
                        const int32_t *known_tokens, JanusError *error);
// The picture as the model sees it, [size][size][3], malloc'd; NULL and an error on failure. Needs
// no lock.
uint8_t *vision_fit(const JanusModel *model, const JanusImage *image, JanusError *error);
// For the features alone: `tokens` say nothing.
bool vision_init_features(Vision *v, JanusModel *model, const JanusImage *image, JanusError *error);
void vision_clear(Vision *v, JanusModel *model); // an empty one is allowed

// The next block. False with CANCELLED when `cancel` (NULL is allowed) was set, or with DEVICE;
// what was seen so far is lost then.
bool vision_step(Vision *v, JanusModel *model, const atomic_bool *cancel, JanusError *error);
static inline bool vision_is_done(const Vision *v) {
  return v->n_done == v->n_steps;
}

#endif
