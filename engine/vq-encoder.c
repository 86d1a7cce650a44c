// SPDX-License-Identifier: MIT
// Pixels to picture tokens: the encoder of VQ-16 and its quantiser.
#include "engine/vq-encoder.h"

#include "engine/error.h"

#include <math.h>

// conv_in, the levels, the middle with what follows.
int vq_encoder_steps(const JanusModel *model) {
  return model->vq_encoder.n_levels + 2;
}

static bool begin_picture(VqPass *pass, JanusError *error) {
  VqWorkspace *ws = pass->ws;
  const int size = pass->model->config.image_size_px;
  pass->side = size;
  if (!vq_transfer(pass, true, ws->h, ws->pixels, 3 * (size_t)size * (size_t)size * sizeof(float),
                   error))
    return false;
  vq_conv(pass, ws->x, pass->model->vq_encoder.conv_in, ws->h, NULL, JK_CONV_SAME);
  return true;
}

static bool end_picture(VqPass *pass, JanusError *error) {
  VqWorkspace *ws = pass->ws;
  const VqEncoder *vq = &pass->model->vq_encoder;
  const size_t n_values = (size_t)vq_pass_pixels(pass) * (size_t)pass->model->config.code_dim;
  vq_middle(pass, &vq->middle);
  vq_norm_conv(pass, ws->h, vq->conv_out, &vq->norm_out, ws->x, NULL, ws->x);
  vq_linear(pass, ws->x, vq->quant_conv, ws->h, false);
  return vq_transfer(pass, false, ws->codes, ws->x, n_values * sizeof(float), error);
}

bool vq_encoder_step(VqPass *pass, int step, JanusError *error) {
  const VqEncoder *vq = &pass->model->vq_encoder;
  bool ok = true;
  if (step == 0)
    ok = begin_picture(pass, error);
  else if (step <= vq->n_levels)
    vq_level(pass, &vq->levels[step - 1], JK_CONV_DOWN);
  else
    ok = end_picture(pass, error);
  return ok && (!pass->is_stopped || janus_fail(error, JANUS_ERROR_CANCELLED, "stopped"));
}

void vq_encoder_latent(const VqPass *pass, float *latent) {
  const JanusConfig *c = &pass->model->config;
  for (int position = 0; position < c->n_image_tokens; position++)
    for (int i = 0; i < c->code_dim; i++)
      latent[i * c->n_image_tokens + position] = pass->ws->codes[position * c->code_dim + i];
}

// Distance to unit rows is smallest where the product is largest, whatever the length of z.
static int32_t nearest(const JanusModel *model, const float *z) {
  const int width = model->config.code_dim;
  int32_t best = 0;
  float best_product = -INFINITY;
  for (int32_t code = 0; code < model->config.n_codes; code++) {
    const float *row = model->vq.codebook + (size_t)code * (size_t)width;
    float product = 0;
    for (int i = 0; i < width; i++)
      product += z[i] * row[i];
    if (product > best_product) {
      best_product = product;
      best = code;
    }
  }
  return best;
}

void vq_encoder_tokens(const VqPass *pass, int32_t *tokens) {
  const JanusConfig *c = &pass->model->config;
  for (int i = 0; i < c->n_image_tokens; i++)
    tokens[i] = nearest(pass->model, pass->ws->codes + (size_t)i * (size_t)c->code_dim);
}
