// SPDX-License-Identifier: MIT
// The rows of one request: shared prompts, the samples' own picture tokens, and the head.
#include "engine/generation.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

GenerationPlan generation_plan(int n_samples, bool guided) {
  return (GenerationPlan){.n_samples = n_samples,
                          .n_classes = guided ? 2 : 1,
                          .chunk_rows = GENERATION_CHUNK_ROWS,
                          .group_rows = GENERATION_GROUP_ROWS};
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

static int plan_group_samples(const GenerationPlan *plan) {
  return min_int(plan->n_samples, plan->group_rows / plan->n_classes);
}

static int plan_max_rows(const GenerationPlan *plan) {
  const int n_group = plan_group_samples(plan) * plan->n_classes;
  return n_group > plan->chunk_rows ? n_group : plan->chunk_rows;
}

size_t generation_activation_bytes(const JanusModel *model, const GenerationPlan *plan) {
  const JanusConfig *config = &model->config;
  const size_t group = (size_t)plan_group_samples(plan), classes = (size_t)plan->n_classes;
  const size_t rows = group * classes;
  const size_t n_floats = rows * (size_t)model->gen_embed.n_cols + classes * (size_t)config->dim +
                          rows * (size_t)(config->dim + model->gen_head_dim) +
                          (rows + group) * (size_t)config->n_codes;
  return n_floats * sizeof(float) + llama_workspace_bytes(config, plan_max_rows(plan));
}

size_t generation_kv_bytes(const JanusModel *model, const GenerationPlan *plan, int n_prompt) {
  const JanusConfig *config = &model->config;
  const size_t per_class = kv_cache_bytes(config, n_prompt) +
                           (size_t)plan->n_samples * kv_cache_bytes(config, config->n_image_tokens);
  return per_class * (size_t)plan->n_classes;
}

static bool allocate_host(Generation *g, const int32_t *ids, JanusError *error) {
  const size_t n_classes = (size_t)g->plan.n_classes, n_prompt = (size_t)g->n_prompt;
  g->prompt = malloc(n_classes * n_prompt * sizeof *g->prompt);
  g->tails = calloc(n_classes * (size_t)g->plan.n_samples, sizeof *g->tails);
  g->rows = calloc((size_t)g->ws.max_rows, sizeof *g->rows);
  g->fed = calloc((size_t)g->ws.max_rows, sizeof *g->fed);
  if (!g->prompt || !g->tails || !g->rows || !g->fed)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %d samples",
                      g->plan.n_samples);
  for (size_t i = 0; i < n_classes; i++)
    memcpy(g->prompt + i * n_prompt, ids, n_prompt * sizeof *ids);
  for (int i = 1; n_classes > GENERATION_UNCOND && i < g->n_prompt - 1; i++)
    g->prompt[GENERATION_UNCOND * g->n_prompt + i] = g->model->tags.pad;
  return true;
}

static bool allocate_caches(Generation *g, JanusError *error) {
  const int n_classes = g->plan.n_classes, n_tokens = g->model->config.n_image_tokens;
  for (int i = 0; i < n_classes; i++)
    if (!kv_cache_init(&g->shared[i], g->model, g->n_prompt, "keys and values of the prompt",
                       error))
      return false;
  for (int i = 0; i < n_classes * g->plan.n_samples; i++)
    if (!kv_cache_init(&g->tails[i], g->model, n_tokens, "keys and values of a picture", error))
      return false;
  return true;
}

static bool allocate_head(Generation *g, JanusError *error) {
  const JanusModel *model = g->model;
  const size_t dim = (size_t)model->config.dim, n_codes = (size_t)model->config.n_codes;
  const size_t group = (size_t)g->group_samples, classes = (size_t)g->plan.n_classes;
  const size_t rows = group * classes, n_embed = (size_t)model->gen_embed.n_cols;
  jk_device *dev = model->device;
  return janus_buffer_new(dev, rows * n_embed, "token embeddings", &g->embed, error) &&
         janus_buffer_new(dev, classes * dim, "the prompt's state", &g->first, error) &&
         janus_buffer_new(dev, rows * dim, "hidden states", &g->hidden, error) &&
         janus_buffer_new(dev, rows * (size_t)model->gen_head_dim, "the head", &g->head, error) &&
         janus_buffer_new(dev, rows * n_codes, "logits", &g->logits, error) &&
         janus_buffer_new(dev, group * n_codes, "guided logits", &g->guided, error);
}

bool generation_init(Generation *g, const JanusModel *model, const GenerationPlan *plan,
                     const int32_t *ids, int n_prompt, JanusError *error) {
  *g = (Generation){.model = model,
                    .plan = *plan,
                    .group_samples = plan_group_samples(plan),
                    .n_prompt = n_prompt};
  if (llama_workspace_init(&g->ws, model, plan_max_rows(plan), error) &&
      allocate_host(g, ids, error) && allocate_caches(g, error) && allocate_head(g, error))
    return true;
  generation_clear(g);
  return false;
}

void generation_clear(Generation *g) {
  if (!g->model)
    return;
  jk_device *dev = g->model->device;
  for (int i = 0; i < GENERATION_MAX_CLASSES; i++)
    kv_cache_clear(&g->shared[i], dev);
  for (int i = 0; g->tails && i < g->plan.n_classes * g->plan.n_samples; i++)
    kv_cache_clear(&g->tails[i], dev);
  float *buffers[] = {g->embed, g->first, g->hidden, g->head, g->logits, g->guided};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    dev->free(dev, buffers[i]);
  llama_workspace_clear(&g->ws, dev);
  free(g->prompt);
  free(g->tails);
  free(g->rows);
  free(g->fed);
  *g = (Generation){0};
}

bool generation_is_prefilled(const Generation *g) {
  return g->n_prompt_done == g->plan.n_classes * g->n_prompt;
}

// Keeps the normed state of those rows of the last pass that end a prompt.
static void keep_last_positions(Generation *g, int first_row, int n) {
  const JanusModel *model = g->model;
  const size_t dim = (size_t)model->config.dim;
  for (int class = 0; class < g->plan.n_classes; class ++) {
    const int row = (class + 1) * g->n_prompt - 1 - first_row;
    if (row >= 0 && row < n)
      model->device->rms_norm(model->device, g->first + (size_t) class * dim,
                              g->ws.x + (size_t)row * dim, model->final_norm, 1, (int)dim,
                              model->config.norm_eps);
  }
}

bool generation_prefill(Generation *g, const atomic_bool *cancel) {
  const JanusModel *model = g->model;
  const int first = g->n_prompt_done, n_total = g->plan.n_classes * g->n_prompt;
  const int n = min_int(g->plan.chunk_rows, n_total - first);
  if (n <= 0)
    return true;
  for (int i = 0; i < n; i++)
    g->rows[i] = (LlamaRow){.cache = &g->shared[(first + i) / g->n_prompt],
                            .slot = (first + i) % g->n_prompt};
  model->device->gather(model->device, g->ws.x, model->text_embedding, g->prompt + first, n);
  if (!llama_forward(model, &g->ws, g->rows, n, cancel))
    return false;
  keep_last_positions(g, first, n);
  g->n_prompt_done += n;
  return true;
}

// gen_aligner(gen_embed(token)) of every row into the residual stream.
static void embed_tokens(Generation *g, int n_rows) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  dev->gather(dev, g->embed, model->gen_embed, g->fed, n_rows);
  dev->linear(dev, g->ws.normed, model->gen_aligner_in, g->embed, n_rows, false);
  dev->gelu(dev, g->ws.normed, g->ws.normed, (size_t)n_rows * (size_t)model->config.dim);
  dev->linear(dev, g->ws.x, model->gen_aligner_out, g->ws.normed, n_rows, false);
}

bool generation_feed(Generation *g, int first, int n, const int32_t *tokens, int index,
                     const atomic_bool *cancel) {
  const JanusModel *model = g->model;
  const int n_classes = g->plan.n_classes, n_rows = n * n_classes;
  for (int i = 0; i < n_rows; i++) {
    const int class = i / n, sample = first + i % n;
    g->fed[i] = tokens[i % n];
    g->rows[i] = (LlamaRow){.prefix = &g->shared[class],
                            .cache = &g->tails[sample * n_classes + class],
                            .n_prefix = g->n_prompt,
                            .slot = index};
  }
  embed_tokens(g, n_rows);
  if (!llama_forward(model, &g->ws, g->rows, n_rows, cancel))
    return false;
  model->device->rms_norm(model->device, g->hidden, g->ws.x, model->final_norm, n_rows,
                          model->config.dim, model->config.norm_eps);
  return true;
}

const float *generation_logits(Generation *g, const float *hidden, int n, double cfg) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  const int n_rows = n * g->plan.n_classes;
  const size_t n_values = (size_t)n * (size_t)model->config.n_codes;
  dev->linear(dev, g->head, model->gen_head_proj, hidden, n_rows, false);
  dev->gelu(dev, g->head, g->head, (size_t)n_rows * (size_t)model->gen_head_dim);
  dev->linear(dev, g->logits, model->gen_head_vision, g->head, n_rows, false);
  if (g->plan.n_classes == 1)
    return g->logits;
  dev->guide(dev, g->guided, g->logits, NULL, g->logits + n_values, (float)cfg, 0.0f, n_values);
  return g->guided;
}
