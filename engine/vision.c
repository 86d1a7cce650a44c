// SPDX-License-Identifier: MIT
// What the model sees in a picture: both encoders, one after the other.
#include "engine/vision.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/image-fit.h"
#include "engine/model-make.h"

#include <stdlib.h>
#include <string.h>

// --- memory -------------------------------------------------------------------------------------

static size_t n_picture_values(const JanusModel *model) {
  return 3 * (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
}

size_t vision_features_bytes(const JanusModel *model) {
  const size_t n = (size_t)model->config.n_image_tokens;
  const size_t width = (size_t)(model->siglip.dim + model->config.dim + 1);
  return (n_picture_values(model) + n * width) * sizeof(float) + siglip_bytes(model);
}

size_t vision_bytes(const JanusModel *model) {
  const size_t n_latent = (size_t)model->config.n_image_tokens * (size_t)model->config.code_dim;
  return vision_features_bytes(model) + n_latent * sizeof(float) + vq_workspace_bytes(model);
}

static bool allocate_host(Vision *v, const JanusModel *model, const int32_t *known_tokens,
                          JanusError *error) {
  const size_t n = (size_t)model->config.n_image_tokens;
  v->pixels = malloc(n_picture_values(model) * sizeof *v->pixels);
  v->tokens = calloc(n, sizeof *v->tokens);
  if (known_tokens && v->tokens)
    memcpy(v->tokens, known_tokens, n * sizeof *v->tokens);
  else
    v->latent = calloc(n * (size_t)model->config.code_dim, sizeof *v->latent);
  return (v->pixels && v->tokens && (known_tokens || v->latent)) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to look at a picture");
}

static bool allocate_device(Vision *v, JanusModel *model, JanusError *error) {
  const size_t n = (size_t)model->config.n_image_tokens;
  jk_device *dev = model->device;
  const unsigned groups = MODEL_SIGLIP | (v->latent ? MODEL_ENCODER : 0);
  pthread_mutex_lock(&model->lock);
  const bool ok = model_make(model, groups, NULL, error) &&
                  janus_buffer_new(dev, n * (size_t)model->siglip.dim, "the picture's features",
                                   &v->siglip, error) &&
                  janus_buffer_new(dev, n * (size_t)model->config.dim, "the picture's embeddings",
                                   &v->aligned, error) &&
                  siglip_init(&v->tower, model, error);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

// --- the picture --------------------------------------------------------------------------------

uint8_t *vision_fit(const JanusModel *model, const JanusImage *image, JanusError *error) {
  const JanusModelInfo *info = &model->info;
  uint8_t *rgb = malloc(n_picture_values(model));
  if (!rgb) {
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to look at a picture");
    return NULL;
  }
  if (janus_image_fit(image, info->image_size_px, info->min_size_px, info->background, rgb, error))
    return rgb;
  free(rgb);
  return NULL;
}

bool vision_init_fitted(Vision *v, JanusModel *model, const uint8_t *rgb,
                        const int32_t *known_tokens, JanusError *error) {
  *v = (Vision){0};
  v->n_steps = siglip_steps(model) + (known_tokens ? 0 : vq_encoder_steps(model));
  if (allocate_host(v, model, known_tokens, error) && allocate_device(v, model, error) &&
      (known_tokens || vq_workspace_init(&v->vq, model, error))) {
    image_normalize(&model->config, rgb, v->pixels);
    return true;
  }
  vision_clear(v, model);
  return false;
}

bool vision_init(Vision *v, JanusModel *model, const JanusImage *image, const int32_t *known_tokens,
                 JanusError *error) {
  uint8_t *rgb = vision_fit(model, image, error);
  *v = (Vision){0};
  const bool ok = rgb && vision_init_fitted(v, model, rgb, known_tokens, error);
  free(rgb);
  return ok;
}

bool vision_init_features(Vision *v, JanusModel *model, const JanusImage *image,
                          JanusError *error) {
  *v = (Vision){0};
  int32_t *unread = calloc((size_t)model->config.n_image_tokens, sizeof *unread);
  const bool ok =
      unread ? vision_init(v, model, image, unread, error)
             : janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to look at a picture");
  free(unread);
  return ok;
}

void vision_clear(Vision *v, JanusModel *model) {
  jk_device *dev = model->device;
  vq_workspace_clear(&v->vq, model);
  pthread_mutex_lock(&model->lock);
  siglip_clear(&v->tower, dev);
  dev->free(dev, v->siglip);
  dev->free(dev, v->aligned);
  pthread_mutex_unlock(&model->lock);
  free(v->pixels);
  free(v->latent);
  free(v->tokens);
  *v = (Vision){0};
}

// --- steps --------------------------------------------------------------------------------------

static bool tower_step(Vision *v, JanusModel *model, JanusError *error) {
  pthread_mutex_lock(&model->lock);
  siglip_step(&v->tower, model, v->n_done, v->pixels, v->siglip, v->aligned);
  const bool ok = janus_device_check(model->device, error);
  if (v->n_done == siglip_steps(model) - 1)
    siglip_clear(&v->tower, model->device);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

// The encoder reads rows of pixels with their channels beside each other.
static void interleave(Vision *v, const JanusModel *model) {
  const size_t n = n_picture_values(model) / 3;
  for (size_t i = 0; i < 3 * n; i++)
    v->vq.pixels[i] = v->pixels[i % 3 * n + i / 3];
}

static bool encoder_step(Vision *v, JanusModel *model, const atomic_bool *cancel,
                         JanusError *error) {
  const int step = v->n_done - siglip_steps(model);
  if (step == 0) {
    v->pass = (VqPass){.ws = &v->vq, .model = model};
    interleave(v, model);
  }
  v->pass.cancel = cancel;
  if (!vq_encoder_step(&v->pass, step, error))
    return false;
  if (v->n_done == v->n_steps - 1) {
    vq_encoder_latent(&v->pass, v->latent);
    vq_encoder_tokens(&v->pass, v->tokens);
    vq_workspace_clear(&v->vq, model);
  }
  return true;
}

bool vision_step(Vision *v, JanusModel *model, const atomic_bool *cancel, JanusError *error) {
  if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  const bool ok = v->n_done < siglip_steps(model) ? tower_step(v, model, error)
                                                  : encoder_step(v, model, cancel, error);
  v->n_done += ok;
  return ok;
}

bool janus_model_encode(JanusModel *model, const JanusImage *image, int32_t *tokens,
                        JanusError *error) {
  Vision v;
  if (!vision_init(&v, model, image, NULL, error))
    return false;
  bool ok = true;
  v.n_done = siglip_steps(model); // the tokens alone
  while (ok && !vision_is_done(&v))
    ok = vision_step(&v, model, NULL, error);
  ok = ok && janus_model_check_files(model, error);
  if (ok)
    memcpy(tokens, v.tokens, (size_t)model->config.n_image_tokens * sizeof *tokens);
  vision_clear(&v, model);
  return ok;
}
