// SPDX-License-Identifier: MIT
// Inside the engine: the blocks of VQ-16 (Esser et al. 2021, as Sun et al. 2024 train it) that its
// encoder and its decoder share; rows of pixels with their channels beside each other.
#ifndef JANUS_VQ_BLOCKS_H
#define JANUS_VQ_BLOCKS_H

#include "engine/model.h"

#include <stdatomic.h>

// Activations of one pass, [pixels][channels]; allocated once, kept by its owner.
typedef struct VqWorkspace {
  float *x, *h, *spare; // as large as the largest level of both halves each
  float *q, *k, *v;     // attention of the deepest level
  float *codes;         // [n_image_tokens][code_dim], host
  float *pixels;        // [image_size][image_size][3], host: a picture, not clipped
  jk_context *contexts; // [n_image_tokens], host
} VqWorkspace;

// Bytes that vq_workspace_init() takes.
size_t vq_workspace_bytes(const JanusModel *model);

// On failure the workspace is empty. Both take model->lock.
bool vq_workspace_init(VqWorkspace *ws, JanusModel *model, JanusError *error);
void vq_workspace_clear(VqWorkspace *ws, JanusModel *model); // an empty one is allowed

// One picture on its way through the blocks; ws->x is the way. Every operation takes model->lock,
// so that another session may have the device in between, and after a stop none does anything.
typedef struct VqPass {
  VqWorkspace *ws;
  JanusModel *model;
  const atomic_bool *cancel; // NULL is allowed
  int side;                  // pixels, at the current level
  bool is_stopped;
} VqPass;

int vq_pass_pixels(const VqPass *pass); // side * side
void vq_swap(float **a, float **b);

void vq_norm(VqPass *pass, float *y, const float *x, const VqNorm *weights, bool swish);
void vq_conv(VqPass *pass, float *y, const jk_conv *weights, const float *x, const float *residual,
             jk_conv_mode mode);
// y = conv(swish(norm(x))) + residual; `normed`, which may be x, holds the middle where the device
// needs it.
void vq_norm_conv(VqPass *pass, float *y, const jk_conv *weights, const VqNorm *norm,
                  const float *x, const float *residual, float *normed);
void vq_linear(VqPass *pass, float *y, const jk_linear *weights, const float *x, bool accumulate);

// x += conv2(swish(norm2(conv1(swish(norm1(x)))))), x through the 1x1 when the width changes.
void vq_res_block(VqPass *pass, const VqResBlock *res);
void vq_middle(VqPass *pass, const VqMiddle *middle);
// Residual and attention blocks, then to the next level: JK_CONV_UP or JK_CONV_DOWN.
void vq_level(VqPass *pass, const VqLevel *level, jk_conv_mode mode);

// n_bytes from host (`upload`) or to host. False with DEVICE when the device failed; true without
// doing anything after a stop.
bool vq_transfer(VqPass *pass, bool upload, void *dst, const void *src, size_t n_bytes,
                 JanusError *error);

#endif
