// SPDX-License-Identifier: MIT
// Inside the engine: picture tokens to pixels by the checkpoint's VQ decoder.
#ifndef JANUS_VQ_DECODER_H
#define JANUS_VQ_DECODER_H

#include "engine/model.h"

#include <stdatomic.h>

// Activations of one decode, [pixels][channels]; allocated once, kept by its owner.
typedef struct VqWorkspace {
  float *x, *h, *spare; // as large as the largest level each
  float *q, *k, *v;     // attention of the deepest level
  float *codes;         // [n_image_tokens][code_dim], host
  float *pixels;        // [image_size][image_size][3], host: the result before clipping
  jk_context *contexts; // [n_image_tokens], host
} VqWorkspace;

// Bytes that vq_workspace_init() takes.
size_t vq_workspace_bytes(const JanusModel *model);

// On failure the workspace is empty. Both take model->lock.
bool vq_workspace_init(VqWorkspace *ws, JanusModel *model, JanusError *error);
void vq_workspace_clear(VqWorkspace *ws, JanusModel *model); // an empty one is allowed

// Fills a whole picture's tokens from the first n_known: what is not known takes the nearest known
// token above it, then the last known one, then -1 (a code of zeros).
void vq_complete_tokens(int32_t *tokens, int grid, int n_known);

// Decodes n_image_tokens tokens (each < n_codes; -1 is a code of zeros) into ws->pixels. Takes
// model->lock between cancellation points. False with CANCELLED when `cancel` (NULL is allowed) was
// set, checked around every block, or with DEVICE.
bool vq_decode(VqWorkspace *ws, JanusModel *model, const int32_t *tokens, const atomic_bool *cancel,
               JanusError *error);

// clip((x + 1) / 2 * 255, 0, 255), truncated; n values.
void vq_pixels_to_bytes(uint8_t *bytes, const float *pixels, size_t n);

#endif
