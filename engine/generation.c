// SPDX-License-Identifier: MIT
// The rows of one request: shared prompts, the samples' own picture tokens, and the head.
#include "engine/generation.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

GenerationPlan generation_plan(int n_samples, bool is_edit, double cfg, double image_cfg) {
  GenerationPlan plan = {.n_samples = n_samples,
                         .chunk_rows = GENERATION_CHUNK_ROWS,
                         .group_rows = GENERATION_GROUP_ROWS};
  plan.classes[plan.n_classes++] = GENERATION_COND;
  if (is_edit && image_cfg != 0)
    plan.classes[plan.n_classes++] = GENERATION_PART;
  if (cfg != 1)
    plan.classes[plan.n_classes++] = GENERATION_UNCOND;
  return plan;
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

static bool has_class(const GenerationPlan *plan, GenerationClass class) {
  bool is_there = false;
  for (int i = 0; i < plan->n_classes; i++)
    is_there = is_there || plan->classes[i] == class;
  return is_there;
}

// --- memory -------------------------------------------------------------------------------------

size_t generation_activation_bytes(const JanusModel *model, const GenerationPlan *plan) {
  const JanusConfig *config = &model->config;
  const size_t group = (size_t)plan_group_samples(plan), classes = (size_t)plan->n_classes;
  const size_t rows = group * classes, max_rows = (size_t)plan_max_rows(plan);
  const size_t n_floats = max_rows * (size_t)model->gen_embed.n_cols +
                          rows * (size_t)(config->dim + model->gen_head_dim) +
                          (rows + group) * (size_t)config->n_codes;
  return n_floats * sizeof(float) + llama_workspace_bytes(config, plan_max_rows(plan));
}

size_t generation_kv_bytes(const JanusModel *model, const GenerationPlan *plan, int n_prompt) {
  const JanusConfig *config = &model->config;
  const bool has_uncond = has_class(plan, GENERATION_UNCOND);
  const size_t n_shared = (size_t)(plan->n_classes - has_uncond);
  const size_t n_tails = (size_t)plan->n_samples * (size_t)plan->n_classes;
  return n_shared * kv_cache_bytes(config, n_prompt - 1) +
         (has_uncond ? pad_prefix_bytes(config, n_prompt - 1) : 0) +
         n_tails * kv_cache_bytes(config, config->n_image_tokens);
}

static bool allocate_host(Generation *g, JanusError *error) {
  const size_t n_classes = (size_t)g->plan.n_classes;
  g->tails = calloc(n_classes * (size_t)g->plan.n_samples, sizeof *g->tails);
  g->rows = calloc((size_t)g->ws.max_rows, sizeof *g->rows);
  g->fed = calloc((size_t)g->ws.max_rows, sizeof *g->fed);
  return (g->tails && g->rows && g->fed) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %d samples",
                    g->plan.n_samples);
}

static bool allocate_caches(Generation *g, JanusModel *model, JanusError *error) {
  const int n_classes = g->plan.n_classes, n_tokens = model->config.n_image_tokens;
  for (int i = 0; i < n_classes; i++) {
    const GenerationClass class = g->plan.classes[i];
    if (class == GENERATION_UNCOND)
      g->pads = pad_prefix_hold(model, g->n_prefix, error);
    else if (!kv_cache_init(&g->shared[class], model, g->n_prefix, "keys and values of the prompt",
                            error))
      return false;
  }
  if (has_class(&g->plan, GENERATION_UNCOND) && !g->pads)
    return false;
  for (int i = 0; i < n_classes * g->plan.n_samples; i++)
    if (!kv_cache_init(&g->tails[i], model, n_tokens, "keys and values of a picture", error))
      return false;
  return true;
}

static bool allocate_head(Generation *g, JanusError *error) {
  const JanusModel *model = g->model;
  const size_t dim = (size_t)model->config.dim, n_codes = (size_t)model->config.n_codes;
  const size_t group = (size_t)g->group_samples;
  const size_t rows = group * (size_t)g->plan.n_classes, max_rows = (size_t)g->ws.max_rows;
  const size_t n_embed = (size_t)model->gen_embed.n_cols;
  jk_device *dev = model->device;
  return janus_buffer_new(dev, max_rows * n_embed, "token embeddings", &g->embed, error) &&
         janus_buffer_new(dev, rows * dim, "hidden states", &g->hidden, error) &&
         janus_buffer_new(dev, rows * (size_t)model->gen_head_dim, "the head", &g->head, error) &&
         janus_buffer_new(dev, rows * n_codes, "logits", &g->logits, error) &&
         janus_buffer_new(dev, group * n_codes, "guided logits", &g->guided, error);
}

bool generation_init(Generation *g, JanusModel *model, const GenerationPlan *plan,
                     JanusPrompt *prompt, JanusError *error) {
  *g = (Generation){.model = model,
                    .plan = *plan,
                    .group_samples = plan_group_samples(plan),
                    .n_prefix = prompt->n_ids - 1};
  if (llama_workspace_init(&g->ws, model, plan_max_rows(plan), error) && allocate_host(g, error) &&
      allocate_caches(g, model, error) && allocate_head(g, error)) {
    g->prompt = *prompt;
    *prompt = (JanusPrompt){0};
    return true;
  }
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
  pad_prefix_release(g->pads, dev);
  float *buffers[] = {g->embed, g->hidden, g->head, g->logits, g->guided};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    dev->free(dev, buffers[i]);
  llama_workspace_clear(&g->ws, dev);
  janus_prompt_clear(&g->prompt);
  free(g->tails);
  free(g->rows);
  free(g->fed);
  *g = (Generation){0};
}

// --- the prompts --------------------------------------------------------------------------------

static const KvCache *prefix_of(const Generation *g, GenerationClass class) {
  return class == GENERATION_UNCOND ? &g->pads->cache : &g->shared[class];
}

static int *prefix_done_of(Generation *g, GenerationClass class) {
  return class == GENERATION_UNCOND ? &g->pads->n_done : &g->n_prefix_done[class];
}

static int prefix_done(const Generation *g, GenerationClass class) {
  const int n_done = class == GENERATION_UNCOND ? g->pads->n_done : g->n_prefix_done[class];
  return min_int(n_done, g->n_prefix);
}

int generation_prefill_done(const Generation *g) {
  int n_done = 0;
  for (int i = 0; i < g->plan.n_classes; i++)
    n_done += prefix_done(g, g->plan.classes[i]);
  return n_done;
}

int generation_prefill_total(const Generation *g) {
  return g->plan.n_classes * g->n_prefix;
}

// gen_aligner(gen_embed(id)) of n ids (host) into x [n][dim].
static void embed_codes(Generation *g, float *x, const int32_t *ids, int n) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  dev->gather(dev, g->embed, model->gen_embed, ids, n);
  dev->linear(dev, g->ws.normed, model->gen_aligner_in, g->embed, n, false);
  dev->gelu(dev, g->ws.normed, g->ws.normed, (size_t)n * (size_t)model->config.dim);
  dev->linear(dev, x, model->gen_aligner_out, g->ws.normed, n, false);
}

// The part of [first, first + n) that lies in the slot which begins at `at`.
static int overlap(const Generation *g, int at, int first, int n, int *begin) {
  const int end = min_int(first + n, at + g->model->config.n_image_tokens);
  *begin = at > first ? at : first;
  return at > 0 && end > *begin ? end - *begin : 0;
}

// The picture takes the place of the ids that keep its slots.
static void embed_picture(Generation *g, GenerationClass class, int first, int n) {
  jk_device *dev = g->model->device;
  const size_t dim = (size_t)g->model->config.dim;
  int begin, n_here = overlap(g, g->prompt.features_at, first, n, &begin);
  if (n_here > 0)
    dev->copy(dev, g->ws.x + (size_t)(begin - first) * dim,
              g->picture.features + (size_t)(begin - g->prompt.features_at) * dim,
              (size_t)n_here * dim * sizeof(float));
  n_here = class == GENERATION_COND ? overlap(g, g->prompt.codes_at, first, n, &begin) : 0;
  if (n_here > 0)
    embed_codes(g, g->ws.x + (size_t)(begin - first) * dim,
                g->picture.tokens + (begin - g->prompt.codes_at), n_here);
}

// Positions first .. first + n - 1 of a class's prompt into the residual stream.
static void embed_prompt(Generation *g, GenerationClass class, int first, int n) {
  const JanusModel *model = g->model;
  for (int i = 0; i < n; i++) {
    const bool is_pad = class == GENERATION_UNCOND && first + i > 0;
    g->fed[i] = is_pad ? model->tags.pad : g->prompt.ids[first + i];
  }
  model->device->gather(model->device, g->ws.x, model->text_embedding, g->fed, n);
  if (class != GENERATION_UNCOND && g->prompt.features_at > 0)
    embed_picture(g, class, first, n);
}

bool generation_prefill(Generation *g, const atomic_bool *cancel) {
  int i = 0;
  while (i < g->plan.n_classes && prefix_done(g, g->plan.classes[i]) == g->n_prefix)
    i++;
  if (i == g->plan.n_classes)
    return true;
  const GenerationClass class = g->plan.classes[i];
  const int first = prefix_done(g, class), n = min_int(g->plan.chunk_rows, g->n_prefix - first);
  for (int row = 0; row < n; row++)
    g->rows[row] = (LlamaRow){.cache = prefix_of(g, class), .slot = first + row};
  embed_prompt(g, class, first, n);
  if (!llama_forward(g->model, &g->ws, g->rows, n, cancel))
    return false;
  *prefix_done_of(g, class) = first + n;
  return true;
}

// --- the picture --------------------------------------------------------------------------------

bool generation_feed(Generation *g, int first, int n, const int32_t *tokens, int slot,
                     const atomic_bool *cancel) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  const int n_classes = g->plan.n_classes, n_rows = n * n_classes;
  for (int row = 0; row < n_rows; row++) {
    const int i = row / n, sample = first + row % n;
    g->fed[row] = slot == 0 ? model->tags.begin_of_image : tokens[row % n];
    g->rows[row] = (LlamaRow){.prefix = prefix_of(g, g->plan.classes[i]),
                              .cache = &g->tails[sample * n_classes + i],
                              .n_prefix = g->n_prefix,
                              .slot = slot};
  }
  if (slot == 0)
    dev->gather(dev, g->ws.x, model->text_embedding, g->fed, n_rows);
  else
    embed_codes(g, g->ws.x, g->fed, n_rows);
  if (!llama_forward(model, &g->ws, g->rows, n_rows, cancel))
    return false;
  dev->rms_norm(dev, g->hidden, g->ws.x, model->final_norm, n_rows, model->config.dim,
                model->config.norm_eps);
  return true;
}

int generation_max_refed(const Generation *g) {
  return g->ws.max_rows / g->plan.n_classes;
}

bool generation_refeed(Generation *g, int sample, const int32_t *tokens, int slot, int n,
                       const atomic_bool *cancel) {
  const int n_classes = g->plan.n_classes, n_rows = n * n_classes;
  for (int row = 0; row < n_rows; row++) {
    const int i = row / n, at = row % n;
    g->fed[row] = tokens[at];
    g->rows[row] = (LlamaRow){.prefix = prefix_of(g, g->plan.classes[i]),
                              .cache = &g->tails[sample * n_classes + i],
                              .n_prefix = g->n_prefix,
                              .slot = slot + at};
  }
  embed_codes(g, g->ws.x, g->fed, n_rows);
  return llama_forward(g->model, &g->ws, g->rows, n_rows, cancel);
}

// The logits of one class, NULL where the plan has no such rows.
static const float *logits_of(const Generation *g, GenerationClass class, size_t n_values) {
  for (int i = 0; i < g->plan.n_classes; i++)
    if (g->plan.classes[i] == class)
      return g->logits + (size_t)i * n_values;
  return NULL;
}

const float *generation_logits(Generation *g, int n, double cfg, double image_cfg) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  const int n_rows = n * g->plan.n_classes;
  const size_t n_values = (size_t)n * (size_t)model->config.n_codes;
  dev->linear(dev, g->head, model->gen_head_proj, g->hidden, n_rows, false);
  dev->gelu(dev, g->head, g->head, (size_t)n_rows * (size_t)model->gen_head_dim);
  dev->linear(dev, g->logits, model->gen_head_vision, g->head, n_rows, false);
  if (g->plan.n_classes == 1)
    return g->logits;
  const float *full = g->logits, *uncond = logits_of(g, GENERATION_UNCOND, n_values);
  // Without an unconditional row cfg is 1, which reads none.
  dev->guide(dev, g->guided, full, logits_of(g, GENERATION_PART, n_values), uncond ? uncond : full,
             (float)cfg, (float)image_cfg, n_values);
  return g->guided;
}
