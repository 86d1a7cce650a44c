// SPDX-License-Identifier: MIT
// Picture tokens to pixels: the decoder of VQ-16 (Esser et al. 2021, as Sun et al. 2024 train it),
// rows of pixels with their channels beside each other.
#include "engine/vq-decoder.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

// One decode on its way through the blocks.
typedef struct VqPass {
  VqWorkspace *ws;
  JanusModel *model;
  const atomic_bool *cancel;
  int side; // pixels, at the current level
  bool is_stopped;
} VqPass;

// --- memory -------------------------------------------------------------------------------------

static size_t max_size(size_t a, size_t b) {
  return a > b ? a : b;
}

// Floats of the largest activation.
static size_t max_activation(const JanusModel *model) {
  const VqDecoder *vq = &model->vq;
  size_t n_pixels = (size_t)model->config.n_image_tokens;
  size_t most = max_size((size_t)vq->z_channels, (size_t)model->config.code_dim);
  most = n_pixels * max_size(most, (size_t)vq->mid_res1.n_in);
  for (int i = 0; i < vq->n_levels; i++) {
    const VqLevel *level = &vq->levels[i];
    for (int j = 0; j < level->n_res; j++) {
      const VqResBlock *res = &level->res[j];
      most = max_size(most, n_pixels * (size_t)(res->n_in > res->n_out ? res->n_in : res->n_out));
    }
    n_pixels *= level->upsample ? 4 : 1;
    most = max_size(most, n_pixels * (size_t)level->res[level->n_res - 1].n_out);
  }
  return max_size(most, n_pixels * 3);
}

static size_t attention_floats(const JanusModel *model) {
  return (size_t)model->config.n_image_tokens * (size_t)model->vq.mid_attention.norm.channels;
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
  const bool ok = allocate_device(ws, model, error);
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

static int n_pixels(const VqPass *pass) {
  return pass->side * pass->side;
}

static void swap(float **a, float **b) {
  float *kept = *a;
  *a = *b;
  *b = kept;
}

static void norm(VqPass *pass, float *y, const float *x, const VqNorm *weights, bool swish) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->group_norm(dev, y, x, weights->weight, weights->bias, n_pixels(pass), weights->channels,
                  pass->model->config.vq_norm_groups, pass->model->config.vq_norm_eps, swish);
  end(pass);
}

static void conv(VqPass *pass, float *y, const jk_conv *weights, const float *x,
                 const float *residual, jk_conv_mode mode) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->conv(dev, y, weights, x, residual, pass->side, pass->side, mode);
  end(pass);
}

static void linear(VqPass *pass, float *y, const jk_linear *weights, const float *x,
                   bool accumulate) {
  jk_device *dev = pass->model->device;
  if (!begin(pass))
    return;
  dev->linear(dev, y, weights, x, n_pixels(pass), accumulate);
  end(pass);
}

// x += conv2(swish(norm2(conv1(swish(norm1(x)))))), x through the 1x1 when the width changes.
static void res_block(VqPass *pass, const VqResBlock *res) {
  VqWorkspace *ws = pass->ws;
  norm(pass, ws->h, ws->x, &res->norm1, true);
  conv(pass, ws->spare, res->conv1, ws->h, NULL, JK_CONV_SAME);
  norm(pass, ws->spare, ws->spare, &res->norm2, true);
  if (res->shortcut) {
    linear(pass, ws->h, res->shortcut, ws->x, false);
    swap(&ws->x, &ws->h);
  }
  conv(pass, ws->x, res->conv2, ws->spare, ws->x, JK_CONV_SAME);
}

static void attention_block(VqPass *pass, const VqAttention *weights) {
  VqWorkspace *ws = pass->ws;
  jk_device *dev = pass->model->device;
  const int n = n_pixels(pass);
  const jk_kv kv = {.k = ws->k, .v = ws->v, .capacity = n};
  for (int i = 0; i < n; i++)
    ws->contexts[i] = (jk_context){.tail = kv, .n_tail = n};
  norm(pass, ws->h, ws->x, &weights->norm, false);
  linear(pass, ws->q, weights->q, ws->h, false);
  linear(pass, ws->k, weights->k, ws->h, false);
  linear(pass, ws->v, weights->v, ws->h, false);
  if (begin(pass)) {
    dev->attention(dev, ws->h, ws->q, ws->contexts, n, 1, 1, weights->norm.channels);
    end(pass);
  }
  linear(pass, ws->x, weights->proj_out, ws->h, true);
}

static void level_blocks(VqPass *pass, const VqLevel *level) {
  VqWorkspace *ws = pass->ws;
  for (int i = 0; i < level->n_res; i++) {
    res_block(pass, &level->res[i]);
    if (level->has_attention)
      attention_block(pass, &level->attention[i]);
  }
  if (!level->upsample)
    return;
  conv(pass, ws->h, level->upsample, ws->x, NULL, JK_CONV_UP);
  swap(&ws->x, &ws->h);
  pass->side *= 2;
}

static void all_blocks(VqPass *pass) {
  VqWorkspace *ws = pass->ws;
  const VqDecoder *vq = &pass->model->vq;
  linear(pass, ws->h, vq->post_quant_conv, ws->spare, false);
  conv(pass, ws->x, vq->conv_in, ws->h, NULL, JK_CONV_SAME);
  res_block(pass, &vq->mid_res1);
  attention_block(pass, &vq->mid_attention);
  res_block(pass, &vq->mid_res2);
  for (int i = 0; i < vq->n_levels; i++)
    level_blocks(pass, &vq->levels[i]);
  norm(pass, ws->h, ws->x, &vq->norm_out, true);
  conv(pass, ws->x, vq->conv_out, ws->h, NULL, JK_CONV_SAME);
}

// --- decode -------------------------------------------------------------------------------------

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

// Host to device (before) or device to host (after the blocks); false when the device failed.
static bool transfer(VqPass *pass, bool upload, JanusError *error) {
  JanusModel *model = pass->model;
  VqWorkspace *ws = pass->ws;
  jk_device *dev = model->device;
  jk_status status = JK_OK;
  if (!begin(pass))
    return true;
  if (upload)
    status = dev->upload(dev, ws->spare, ws->codes,
                         (size_t)n_pixels(pass) * (size_t)model->config.code_dim * sizeof(float));
  else
    status = dev->download(dev, ws->pixels, ws->x, n_picture_values(model) * sizeof(float));
  const bool ok = janus_device_check(dev, error);
  end(pass);
  if (ok && status != JK_OK)
    return janus_fail(error, JANUS_ERROR_DEVICE, "%s: cannot copy a picture: %s", dev->name,
                      jk_status_text(status));
  return ok;
}

bool vq_decode(VqWorkspace *ws, JanusModel *model, const int32_t *tokens, const atomic_bool *cancel,
               JanusError *error) {
  VqPass pass = {.ws = ws, .model = model, .cancel = cancel, .side = model->config.grid};
  look_up(&pass, tokens);
  if (!transfer(&pass, true, error))
    return false;
  all_blocks(&pass);
  if (!transfer(&pass, false, error))
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
  const bool ok = vq_decode(&ws, model, tokens, NULL, error);
  if (ok)
    vq_pixels_to_bytes(rgb, ws.pixels, n_picture_values(model));
  vq_workspace_clear(&ws, model);
  return ok;
}
