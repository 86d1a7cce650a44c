// SPDX-License-Identifier: MIT
// Inside the engine: picture tokens to pixels by the checkpoint's VQ decoder.
#ifndef JANUS_VQ_DECODER_H
#define JANUS_VQ_DECODER_H

#include "engine/vq-blocks.h"

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
