// SPDX-License-Identifier: MIT
// The blocks that both halves of VQ-16 share.
#include "engine/vq-blocks.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/model-make.h"

#include <stdlib.h>
#include <string.h>

// --- memory -------------------------------------------------------------------------------------

static size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

// Floats of the largest activation of a level, and of what it hands on.
static size_t level_floats(const VqLevel *level, size_t n_pixels, size_t n_next_pixels) {
  size_t most = n_next_pixels * (size_t)level->res[level->n_res - 1].n_out;
  for (int i = 0; i < level->n_res; i++) {
    const VqResBlock *res = &level->res[i];
    most = max_size(most, n_pixels * (size_t)(res->n_in > res->n_out ? res->n_in : res->n_out));
  }
  return most;
}

// Floats of the largest activation of both halves.
static size_t max_activation(const JanusModel *model) {
  const VqDecoder *decoder = &model->vq;
  const VqEncoder *encoder = &model->vq_encoder;
  const size_t n_tokens = (size_t)model->config.n_image_tokens;
  size_t most = max_size((size_t)decoder->z_channels, (size_t)model->config.code_dim);
  most = n_tokens * max_size(most, (size_t)decoder->middle.res1.n_in);
  for (int i = 0; i < decoder->n_levels; i++) {
    const size_t n_pixels = n_tokens << (2 * i),
                 n_fine = n_tokens << (2 * (decoder->n_levels - 1 - i));
    const size_t n_up = decoder->levels[i].resample ? 4 * n_pixels : n_pixels;
    most = max_size(most, level_floats(&decoder->levels[i], n_pixels, n_up));
    most = max_size(most, level_floats(&encoder->levels[i], n_fine, n_fine));
    most = max_size(most, 3 * n_pixels);
  }
  return most;
}

// Widest attention of a half; a level need not be as wide as the middle.
static int half_channels(const VqMiddle *middle, const VqLevel *levels, int n_levels) {
  int most = middle->attention.norm.channels;
  for (int i = 0; i < n_levels; i++)
    for (int j = 0; j < levels[i].n_res; j++)
      if (levels[i].has_attention && levels[i].attention[j].norm.channels > most)
        most = levels[i].attention[j].norm.channels;
  return most;
}

static size_t attention_floats(const JanusModel *model) {
  const VqDecoder *decoder = &model->vq;
  const VqEncoder *encoder = &model->vq_encoder;
  const int a = half_channels(&decoder->middle, decoder->levels, decoder->n_levels);
  const int b = half_channels(&encoder->middle, encoder->levels, encoder->n_levels);
  return (size_t)model->config.n_image_tokens * (size_t)(a > b ? a : b);
}

static size_t n_picture_values(const JanusModel *model) {
  return 3 * (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
}

size_t vq_workspace_bytes(const JanusModel *model) {
  const size_t n_tokens = (size_t)model->config.n_image_tokens;
  const size_t n_floats = 3 * max_activation(model) + 3 * attention_floats(model) +
                          n_tokens * (size_t)model->config.code_dim + n_picture_values(model);
  return n_floats * sizeof(float) + n_tokens * sizeof(jk_context);
}

static bool allocate_host(VqWorkspace *ws, const JanusModel *model, JanusError *error) {
  const size_t n_tokens = (size_t)model->config.n_image_tokens;
  ws->codes = calloc(n_tokens * (size_t)model->config.code_dim, sizeof(float));
  ws->pixels = calloc(n_picture_values(model), sizeof(float));
  ws->contexts = calloc(n_tokens, sizeof *ws->contexts);
  if (ws->codes && ws->pixels && ws->contexts)
    return true;
  return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a picture of %d pixels",
                    model->config.image_size_px);
}

static bool allocate_device(VqWorkspace *ws, const JanusModel *model, JanusError *error) {
  jk_device *dev = model->device;
  const size_t n_most = max_activation(model), n_attention = attention_floats(model);
  return janus_buffer_new(dev, n_most, "the picture decoder", &ws->x, error) &&
         janus_buffer_new(dev, n_most, "the picture decoder", &ws->h, error) &&
         janus_buffer_new(dev, n_most, "the picture decoder", &ws->spare, error) &&
         janus_buffer_new(dev, n_attention, "the picture decoder's queries", &ws->q, error) &&
         janus_buffer_new(dev, n_attention, "the picture decoder's keys", &ws->k, error) &&
         janus_buffer_new(dev, n_attention, "the picture decoder's values", &ws->v, error);
}

bool vq_workspace_init(VqWorkspace *ws, JanusModel *model, JanusError *error) {
  *ws = (VqWorkspace){0};
  pthread_mutex_lock(&model->lock);
  const bool ok =
      model_make(model, MODEL_DECODER, NULL, error) && allocate_device(ws, model, error);
  pthread_mutex_unlock(&model->lock);
  if (ok && allocate_host(ws, model, error))
    return true;
  vq_workspace_clear(ws, model);
  return false;
}

void vq_workspace_clear(VqWorkspace *ws, JanusModel *model) {
  float *buffers[] = {ws->x, ws->h, ws->spare, ws->q, ws->k, ws->v};
  pthread_mutex_lock(&model->lock);
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    model->device->free(model->device, buffers[i]);
  pthread_mutex_unlock(&model->lock);
  free(ws->codes);
  free(ws->pixels);
  free(ws->contexts);
  *ws = (VqWorkspace){0};
}

// --- blocks -------------------------------------------------------------------------------------

// Between any two operations another session may have the device, and a stop is noticed.
static bool begin(VqPass *pass) {
  pass->is_stopped = pass->is_stopped ||
                     (pass->cancel && atomic_load_explicit(pass->cancel, memory_order_relaxed));
  if (!pass->is_stopped)
    pthread_mutex_lock(&pass->model->lock);
  return !pass->is_stopped;
}

static void end(VqPass *pass) {
  pthread_mutex_unlock(&pass->model->lock);
}

int vq_pass_pixels(const VqPass *pass) {
  return pass->side * pass->side;
}

void vq_swap(float **a, float **b) {
  float *kept = *a;
  *a = *b;
  *b = kept;
}

void vq_norm(VqPass *pass, float *y, const float *x, const VqNorm *weights, bool swish) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->group_norm(dev, y, x, weights->weight, weights->bias, vq_pass_pixels(pass),
                  weights->channels, pass->model->config.vq_norm_groups,
                  pass->model->config.vq_norm_eps, swish);
  end(pass);
}

void vq_conv(VqPass *pass, float *y, const jk_conv *weights, const float *x, const float *residual,
             jk_conv_mode mode) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->conv(dev, y, weights, x, residual, pass->side, pass->side, mode);
  end(pass);
}

void vq_norm_conv(VqPass *pass, float *y, const jk_conv *weights, const VqNorm *norm,
                  const float *x, const float *residual, float *normed) {
  const JanusConfig *config = &pass->model->config;
  jk_device *dev = pass->model->device;
  const jk_group_norm in_front = {.weight = norm->weight,
                                  .bias = norm->bias,
                                  .n_groups = config->vq_norm_groups,
                                  .eps = config->vq_norm_eps,
                                  .swish = true};
  if (!dev->norm_conv) {
    vq_norm(pass, normed, x, norm, true);
    vq_conv(pass, y, weights, normed, residual, JK_CONV_SAME);
    return;
  }
  if (!begin(pass))
    return;
  dev->norm_conv(dev, y, weights, &in_front, x, residual, pass->side, pass->side, JK_CONV_SAME);
  end(pass);
}

void vq_linear(VqPass *pass, float *y, const jk_linear *weights, const float *x, bool accumulate) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->linear(dev, y, weights, x, vq_pass_pixels(pass), accumulate);
  end(pass);
}

// x += conv2(swish(norm2(conv1(swish(norm1(x)))))), x through the 1x1 when the width changes.
void vq_res_block(VqPass *pass, const VqResBlock *res) {
  VqWorkspace *ws = pass->ws;
  vq_norm_conv(pass, ws->spare, res->conv1, &res->norm1, ws->x, NULL, ws->h);
  if (res->shortcut) {
    vq_linear(pass, ws->h, res->shortcut, ws->x, false);
    vq_swap(&ws->x, &ws->h);
  }
  vq_norm_conv(pass, ws->x, res->conv2, &res->norm2, ws->spare, ws->x, ws->spare);
}

static void attention_block(VqPass *pass, const VqAttention *weights) {
  VqWorkspace *ws = pass->ws;
  jk_device *dev = pass->model->device;
  const int n = vq_pass_pixels(pass);
  const jk_kv kv = {.k = ws->k, .v = ws->v, .capacity = n};
  for (int i = 0; i < n; i++)
    ws->contexts[i] = (jk_context){.tail = kv, .n_tail = n};
  vq_norm(pass, ws->h, ws->x, &weights->norm, false);
  vq_linear(pass, ws->q, weights->q, ws->h, false);
  vq_linear(pass, ws->k, weights->k, ws->h, false);
  vq_linear(pass, ws->v, weights->v, ws->h, false);
  if (begin(pass)) {
    dev->attention(dev, ws->h, ws->q, ws->contexts, n, 1, 1, weights->norm.channels);
    end(pass);
  }
  vq_linear(pass, ws->x, weights->proj_out, ws->h, true);
}

void vq_level(VqPass *pass, const VqLevel *level, jk_conv_mode mode) {
  VqWorkspace *ws = pass->ws;
  for (int i = 0; i < level->n_res; i++) {
    vq_res_block(pass, &level->res[i]);
    if (level->has_attention)
      attention_block(pass, &level->attention[i]);
  }
  if (!level->resample)
    return;
  vq_conv(pass, ws->h, level->resample, ws->x, NULL, mode);
  vq_swap(&ws->x, &ws->h);
  pass->side = mode == JK_CONV_UP ? pass->side * 2 : pass->side / 2;
}

void vq_middle(VqPass *pass, const VqMiddle *middle) {
  vq_res_block(pass, &middle->res1);
  attention_block(pass, &middle->attention);
  vq_res_block(pass, &middle->res2);
}

bool vq_transfer(VqPass *pass, bool upload, void *dst, const void *src, size_t n_bytes,
                 JanusError *error) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return true;
  const jk_status status =
      upload ? dev->upload(dev, dst, src, n_bytes) : dev->download(dev, dst, src, n_bytes);
  const bool ok = janus_device_check(dev, error);
  end(pass);
  if (ok && status != JK_OK)
    return janus_fail(error, JANUS_ERROR_DEVICE, "%s: cannot copy a picture: %s", dev->name,
                      jk_status_text(status));
  return ok;
}
