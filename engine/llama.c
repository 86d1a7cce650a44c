// SPDX-License-Identifier: MIT
// The language model's layers over a batch of rows.
#include "engine/llama.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <stdlib.h>

size_t llama_workspace_bytes(const JanusConfig *config, int max_rows) {
  const size_t attention =
      (size_t)(2 * config->n_heads + 2 * config->n_kv_heads) * (size_t)config->head_dim;
  const size_t n_floats = 2 * (size_t)config->dim + 2 * (size_t)config->hidden_dim + attention;
  return n_floats * (size_t)max_rows * sizeof(float);
}

static bool allocate_device(LlamaWorkspace *ws, const JanusModel *model, JanusError *error) {
  const JanusConfig *config = &model->config;
  const size_t rows = (size_t)ws->max_rows;
  const size_t n_q = rows * (size_t)config->n_heads * (size_t)config->head_dim;
  const size_t n_kv = rows * (size_t)config->n_kv_heads * (size_t)config->head_dim;
  const size_t n_x = rows * (size_t)config->dim, n_ffn = rows * (size_t)config->hidden_dim;
  jk_device *dev = model->device;
  return janus_buffer_new(dev, n_x, "the residual stream", &ws->x, error) &&
         janus_buffer_new(dev, n_x, "normed activations", &ws->normed, error) &&
         janus_buffer_new(dev, n_q, "queries", &ws->q, error) &&
         janus_buffer_new(dev, n_kv, "keys", &ws->k, error) &&
         janus_buffer_new(dev, n_kv, "values", &ws->v, error) &&
         janus_buffer_new(dev, n_q, "attention output", &ws->attended, error) &&
         janus_buffer_new(dev, n_ffn, "gate activations", &ws->gate, error) &&
         janus_buffer_new(dev, n_ffn, "up activations", &ws->up, error);
}

static bool allocate_host(LlamaWorkspace *ws, JanusError *error) {
  const size_t rows = (size_t)ws->max_rows;
  ws->caches = calloc(rows, sizeof *ws->caches);
  ws->contexts = calloc(rows, sizeof *ws->contexts);
  ws->slots = calloc(rows, sizeof *ws->slots);
  ws->positions = calloc(rows, sizeof *ws->positions);
  if (ws->caches && ws->contexts && ws->slots && ws->positions)
    return true;
  return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the rows of a pass");
}

bool llama_workspace_init(LlamaWorkspace *ws, const JanusModel *model, int max_rows,
                          JanusError *error) {
  *ws = (LlamaWorkspace){.max_rows = max_rows};
  if (allocate_device(ws, model, error) && allocate_host(ws, error))
    return true;
  llama_workspace_clear(ws, model->device);
  return false;
}

void llama_workspace_clear(LlamaWorkspace *ws, jk_device *device) {
  float *buffers[] = {ws->x, ws->normed, ws->q, ws->k, ws->v, ws->attended, ws->gate, ws->up};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    device->free(device, buffers[i]);
  free(ws->caches);
  free(ws->contexts);
  free(ws->slots);
  free(ws->positions);
  *ws = (LlamaWorkspace){0};
}

static void place_rows(LlamaWorkspace *ws, const LlamaRow *rows, int n_rows, int layer) {
  for (int i = 0; i < n_rows; i++) {
    const LlamaRow *row = &rows[i];
    ws->caches[i] = kv_cache_layer(row->cache, layer);
    ws->contexts[i] = (jk_context){.tail = ws->caches[i],
                                   .n_root = row->n_root,
                                   .n_prefix = row->n_prefix,
                                   .n_tail = row->slot + 1};
    if (row->n_root > 0)
      ws->contexts[i].root = kv_cache_layer(row->root, layer);
    if (row->n_prefix > 0)
      ws->contexts[i].prefix = kv_cache_layer(row->prefix, layer);
  }
}

static void attend(const JanusModel *model, LlamaWorkspace *ws, const JanusLayer *layer,
                   int n_rows) {
  const JanusConfig *config = &model->config;
  const int n_heads = config->n_heads, n_kv_heads = config->n_kv_heads;
  const int head_dim = config->head_dim;
  jk_device *dev = model->device;
  dev->rms_norm(dev, ws->normed, ws->x, layer->attention_norm, n_rows, config->dim,
                config->norm_eps);
  dev->linear(dev, ws->q, layer->q, ws->normed, n_rows, false);
  dev->linear(dev, ws->k, layer->k, ws->normed, n_rows, false);
  dev->linear(dev, ws->v, layer->v, ws->normed, n_rows, false);
  dev->rope(dev, ws->q, model->rope_cos, model->rope_sin, ws->positions, n_rows, n_heads, head_dim);
  dev->rope(dev, ws->k, model->rope_cos, model->rope_sin, ws->positions, n_rows, n_kv_heads,
            head_dim);
  dev->kv_write(dev, ws->caches, ws->slots, ws->k, ws->v, n_rows, n_kv_heads, head_dim);
  dev->attention(dev, ws->attended, ws->q, ws->contexts, n_rows, n_heads, n_kv_heads, head_dim);
  dev->linear(dev, ws->x, layer->o, ws->attended, n_rows, true);
}

static void feed_forward(const JanusModel *model, LlamaWorkspace *ws, const JanusLayer *layer,
                         int n_rows) {
  const JanusConfig *config = &model->config;
  jk_device *dev = model->device;
  dev->rms_norm(dev, ws->normed, ws->x, layer->ffn_norm, n_rows, config->dim, config->norm_eps);
  dev->linear(dev, ws->gate, layer->gate, ws->normed, n_rows, false);
  dev->linear(dev, ws->up, layer->up, ws->normed, n_rows, false);
  dev->silu_mul(dev, ws->gate, ws->gate, ws->up, (size_t)n_rows * (size_t)config->hidden_dim);
  dev->linear(dev, ws->x, layer->down, ws->gate, n_rows, true);
}

bool llama_forward(const JanusModel *model, LlamaWorkspace *ws, const LlamaRow *rows, int n_rows,
                   const atomic_bool *cancel) {
  for (int i = 0; i < n_rows; i++) {
    ws->slots[i] = rows[i].slot;
    ws->positions[i] = rows[i].n_root + rows[i].n_prefix + rows[i].slot;
  }
  for (int layer = 0; layer < model->config.n_layers; layer++) {
    if (cancel && atomic_load_explicit(cancel, memory_order_relaxed))
      return false;
    place_rows(ws, rows, n_rows, layer);
    attend(model, ws, &model->layers[layer], n_rows);
    feed_forward(model, ws, &model->layers[layer], n_rows);
  }
  return true;
}
