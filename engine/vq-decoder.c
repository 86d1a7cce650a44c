// SPDX-License-Identifier: MIT
// Picture tokens to pixels: the decoder of VQ-16.
#include "engine/vq-decoder.h"

#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

static size_t n_picture_values(const JanusModel *model) {
  return 3 * (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
}

void vq_complete_tokens(int32_t *tokens, int grid, int n_known) {
  for (int i = n_known; i < grid * grid; i++) {
    const int above = i >= grid ? i - grid : n_known - 1;
    tokens[i] = n_known > 0 ? tokens[above] : -1;
  }
}

static void look_up(VqPass *pass, const int32_t *tokens) {
  const size_t n_bytes = (size_t)pass->model->config.code_dim * sizeof(float);
  const size_t width = (size_t)pass->model->config.code_dim;
  for (size_t i = 0; i < (size_t)pass->model->config.n_image_tokens; i++) {
    float *code = pass->ws->codes + i * width;
    if (tokens[i] < 0)
      memset(code, 0, n_bytes);
    else
      memcpy(code, pass->model->vq.codebook + (size_t)tokens[i] * width, n_bytes);
  }
}

// From the codes in ws->spare to pixels in ws->x.
static void all_blocks(VqPass *pass) {
  VqWorkspace *ws = pass->ws;
  const VqDecoder *vq = &pass->model->vq;
  vq_linear(pass, ws->h, vq->post_quant_conv, ws->spare, false);
  vq_conv(pass, ws->x, vq->conv_in, ws->h, NULL, JK_CONV_SAME);
  vq_middle(pass, &vq->middle);
  for (int i = 0; i < vq->n_levels; i++)
    vq_level(pass, &vq->levels[i], JK_CONV_UP);
  vq_norm_conv(pass, ws->h, vq->conv_out, &vq->norm_out, ws->x, NULL, ws->x);
  vq_swap(&ws->x, &ws->h);
}

bool vq_decode(VqWorkspace *ws, JanusModel *model, const int32_t *tokens, const atomic_bool *cancel,
               JanusError *error) {
  const JanusConfig *config = &model->config;
  const size_t n_code_values = (size_t)config->n_image_tokens * (size_t)config->code_dim;
  VqPass pass = {.ws = ws, .model = model, .cancel = cancel, .side = config->grid};
  look_up(&pass, tokens);
  if (!vq_transfer(&pass, true, ws->spare, ws->codes, n_code_values * sizeof(float), error))
    return false;
  all_blocks(&pass);
  if (!vq_transfer(&pass, false, ws->pixels, ws->x, n_picture_values(model) * sizeof(float), error))
    return false;
  if (pass.is_stopped)
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  return true;
}

void vq_pixels_to_bytes(uint8_t *bytes, const float *pixels, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const float value = (pixels[i] + 1.0f) / 2.0f * 255.0f;
    bytes[i] = value >= 255.0f ? 255 : value > 0.0f ? (uint8_t)value : 0;
  }
}

bool janus_model_decode(JanusModel *model, const int32_t *tokens, int n_tokens, uint8_t *rgb,
                        JanusError *error) {
  const JanusConfig *config = &model->config;
  if (n_tokens != config->n_image_tokens)
    return janus_fail(error, JANUS_ERROR_REQUEST, "a picture has %d tokens, found %d",
                      config->n_image_tokens, n_tokens);
  for (int i = 0; i < n_tokens; i++)
    if (tokens[i] < 0 || tokens[i] >= config->n_codes)
      return janus_fail(error, JANUS_ERROR_REQUEST, "picture token %d must be 0 to %d, found %d", i,
                        config->n_codes - 1, (int)tokens[i]);
  VqWorkspace ws;
  if (!vq_workspace_init(&ws, model, error))
    return false;
  const bool ok =
      vq_decode(&ws, model, tokens, NULL, error) && janus_model_check_files(model, error);
  if (ok)
    vq_pixels_to_bytes(rgb, ws.pixels, n_picture_values(model));
  vq_workspace_clear(&ws, model);
  return ok;
}
