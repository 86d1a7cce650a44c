// SPDX-License-Identifier: MIT
// Inside the engine: pixels to picture tokens by the checkpoint's VQ encoder, a level at a time.
#ifndef JANUS_VQ_ENCODER_H
#define JANUS_VQ_ENCODER_H

#include "engine/vq-blocks.h"

// Steps of one picture.
int vq_encoder_steps(const JanusModel *model);

// Step `step`, ascending from 0, of the picture ws->pixels, normalised; ws is the caller's and
// holds what lies between steps. Takes model->lock. False with CANCELLED or DEVICE; the picture
// must then begin anew.
bool vq_encoder_step(VqPass *pass, int step, JanusError *error);

// After the last step, when ws->codes holds quant_conv's output: the latent [code_dim][grid][grid],
// and for each position the nearest codebook row, both L2-normalised, the lowest on a tie.
void vq_encoder_latent(const VqPass *pass, float *latent);
void vq_encoder_tokens(const VqPass *pass, int32_t *tokens);

#endif
