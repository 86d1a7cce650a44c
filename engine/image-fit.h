// SPDX-License-Identifier: MIT
// Inside the engine: a fitted picture as the numbers that the encoders read.
#ifndef JANUS_IMAGE_FIT_H
#define JANUS_IMAGE_FIT_H

#include "engine/model.h"

// rgb [size][size][3] to pixels [3][size][size], as VLMImageProcessor does: the product in f64
// rounded to f32, then the normalisation in f32.
void image_normalize(const JanusConfig *config, const uint8_t *rgb, float *pixels);

#endif
