// SPDX-License-Identifier: MIT
// The SigLIP tower: patches, pre-norm blocks, the final norm; then the aligner.
#include "engine/siglip.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

static const float NORM_EPS = 1e-6f;

// --- memory -------------------------------------------------------------------------------------

static size_t n_patch_values(const JanusModel *model) {
  return 3 * (size_t)model->config.patch_size_px * (size_t)model->config.patch_size_px;
}

// `normed` also holds patches at the start and the aligner's middle at the end.
static size_t normed_width(const JanusModel *model) {
  size_t width = (size_t)model->siglip.dim;
  if (n_patch_values(model) > width)
    width = n_patch_values(model);
  return (size_t)model->config.dim > width ? (size_t)model->config.dim : width;
}

size_t siglip_bytes(const JanusModel *model) {
  const size_t n = (size_t)model->config.n_image_tokens, dim = (size_t)model->siglip.dim;
  const size_t n_floats = n * (6 * dim + normed_width(model) + (size_t)model->siglip.hidden_dim +
                               n_patch_values(model));
  return n_floats * sizeof(float) + n * (sizeof(jk_kv) + sizeof(int32_t) + sizeof(jk_context));
}

// As the language model's: f32 where everything is.
static jk_dtype cache_dtype(const JanusModel *model) {
  return model->info.weights == JANUS_WEIGHTS_F32 ? JK_F32 : JK_BF16;
}

static bool allocate_host(SiglipWork *work, const JanusModel *model, JanusError *error) {
  const int n = model->config.n_image_tokens;
  work->caches = calloc((size_t)n, sizeof *work->caches);
  work->slots = calloc((size_t)n, sizeof *work->slots);
  work->contexts = calloc((size_t)n, sizeof *work->contexts);
  work->patches = calloc((size_t)n * n_patch_values(model), sizeof *work->patches);
  if (!work->caches || !work->slots || !work->contexts || !work->patches)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to look at a picture");
  for (int i = 0; i < n; i++) {
    work->caches[i] =
        (jk_kv){.k = work->keys, .v = work->values, .capacity = n, .dtype = cache_dtype(model)};
    work->slots[i] = i;
    work->contexts[i] = (jk_context){.tail = work->caches[i], .n_tail = n}; // all see all
  }
  return true;
}

bool siglip_init(SiglipWork *work, const JanusModel *model, JanusError *error) {
  const size_t n = (size_t)model->config.n_image_tokens, n_x = n * (size_t)model->siglip.dim;
  const size_t n_hidden = n * (size_t)model->siglip.hidden_dim;
  jk_device *dev = model->device;
  *work = (SiglipWork){0};
  if (janus_buffer_new(dev, n_x, "the picture's features", &work->x, error) &&
      janus_buffer_new(dev, n * normed_width(model), "normed features", &work->normed, error) &&
      janus_buffer_new(dev, n_x, "queries of a picture", &work->q, error) &&
      janus_buffer_new(dev, n_x, "keys of a picture", &work->k, error) &&
      janus_buffer_new(dev, n_x, "values of a picture", &work->v, error) &&
      janus_buffer_new(dev, n_x, "keys of a picture", &work->keys, error) &&
      janus_buffer_new(dev, n_x, "values of a picture", &work->values, error) &&
      janus_buffer_new(dev, n_hidden, "hidden features", &work->hidden, error) &&
      allocate_host(work, model, error))
    return true;
  siglip_clear(work, dev);
  return false;
}

void siglip_clear(SiglipWork *work, jk_device *device) {
  float *buffers[] = {work->x, work->normed, work->q,      work->k,
                      work->v, work->keys,   work->values, work->hidden};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    device->free(device, buffers[i]);
  free(work->caches);
  free(work->slots);
  free(work->contexts);
  free(work->patches);
  *work = (SiglipWork){0};
}

// --- steps --------------------------------------------------------------------------------------

int siglip_steps(const JanusModel *model) {
  return model->siglip.n_blocks + 2;
}

// A convolution whose step is its size: each patch's values, [3][patch][patch], through one layer.
static void embed_patches(SiglipWork *work, const JanusModel *model, const float *pixels) {
  const JanusConfig *c = &model->config;
  const size_t size = (size_t)c->image_size_px, patch = (size_t)c->patch_size_px;
  const size_t grid = (size_t)c->grid, n = (size_t)c->n_image_tokens;
  jk_device *dev = model->device;
  for (size_t token = 0; token < n; token++)
    for (size_t row = 0; row < 3 * patch; row++) {
      const size_t y = token / grid * patch + row % patch, x = token % grid * patch;
      memcpy(work->patches + (token * 3 * patch + row) * patch,
             pixels + (row / patch * size + y) * size + x, patch * sizeof(float));
    }
  dev->upload(dev, work->normed, work->patches, n * n_patch_values(model) * sizeof(float));
  dev->copy(dev, work->x, model->siglip.pos_embed, n * (size_t)model->siglip.dim * sizeof(float));
  dev->linear(dev, work->x, model->siglip.patch_embed, work->normed, (int)n, true);
}

static void norm(const JanusModel *model, float *y, const float *x, const LayerNorm *weights) {
  jk_device *dev = model->device;
  dev->layer_norm(dev, y, x, weights->weight, weights->bias, model->config.n_image_tokens,
                  model->siglip.dim, NORM_EPS);
}

static void run_block(SiglipWork *work, const JanusModel *model, const SiglipBlock *block) {
  const Siglip *siglip = &model->siglip;
  const int n = model->config.n_image_tokens, n_heads = siglip->n_heads;
  const int head_dim = siglip->dim / n_heads;
  jk_device *dev = model->device;
  norm(model, work->normed, work->x, &block->norm1);
  dev->linear(dev, work->q, block->q, work->normed, n, false);
  dev->linear(dev, work->k, block->k, work->normed, n, false);
  dev->linear(dev, work->v, block->v, work->normed, n, false);
  dev->kv_write(dev, work->caches, work->slots, work->k, work->v, n, n_heads, head_dim);
  dev->attention(dev, work->normed, work->q, work->contexts, n, n_heads, n_heads, head_dim);
  dev->linear(dev, work->x, block->proj, work->normed, n, true);
  norm(model, work->normed, work->x, &block->norm2);
  dev->linear(dev, work->hidden, block->fc1, work->normed, n, false);
  dev->gelu(dev, work->hidden, work->hidden, (size_t)n * (size_t)siglip->hidden_dim);
  dev->linear(dev, work->x, block->fc2, work->hidden, n, true);
}

static void end_tower(SiglipWork *work, const JanusModel *model, float *siglip, float *aligned) {
  const int n = model->config.n_image_tokens;
  jk_device *dev = model->device;
  norm(model, siglip, work->x, &model->siglip.norm);
  dev->linear(dev, work->normed, model->aligner_in, siglip, n, false);
  dev->gelu(dev, work->normed, work->normed, (size_t)n * (size_t)model->config.dim);
  dev->linear(dev, aligned, model->aligner_out, work->normed, n, false);
}

void siglip_step(SiglipWork *work, const JanusModel *model, int step, const float *pixels,
                 float *siglip, float *aligned) {
  if (step == 0)
    embed_patches(work, model, pixels);
  else if (step <= model->siglip.n_blocks)
    run_block(work, model, &model->siglip.blocks[step - 1]);
  else
    end_tower(work, model, siglip, aligned);
}
