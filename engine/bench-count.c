// SPDX-License-Identifier: MIT
// What a decode step must move and compute, from the model's own shapes; and which of its
// operations take how long.
#include "engine/bench.h"
#include "engine/kv-cache.h"
#include "engine/session.h"

#include <time.h>

// --- counts -------------------------------------------------------------------------------------

static size_t layer_bytes(const jk_device *dev, const JanusLayer *layer) {
  const jk_linear *linears[] = {layer->q,    layer->k,  layer->v,   layer->o,
                                layer->gate, layer->up, layer->down};
  size_t n_bytes = 0;
  for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
    n_bytes += dev->linear_bytes(linears[i]);
  return n_bytes;
}

static size_t step_weights_bytes(const JanusModel *model) {
  const jk_device *dev = model->device;
  const jk_linear *linears[] = {model->gen_aligner_in, model->gen_aligner_out, model->gen_head_proj,
                                model->gen_head_vision};
  size_t n_bytes = 0;
  for (int i = 0; i < model->config.n_layers; i++)
    n_bytes += layer_bytes(dev, &model->layers[i]);
  for (size_t i = 0; i < sizeof linears / sizeof *linears; i++)
    n_bytes += dev->linear_bytes(linears[i]);
  return n_bytes;
}

// Products and sums of the language model's layers for one row.
static double layers_flops(const JanusConfig *c) {
  const double dim = c->dim, n_q = (double)c->n_heads * c->head_dim;
  const double n_kv = (double)c->n_kv_heads * c->head_dim;
  return 2 * c->n_layers * dim * (2 * n_q + 2 * n_kv + 3.0 * c->hidden_dim);
}

static double borders_flops(const JanusModel *model) {
  const double dim = model->config.dim, head_dim = model->gen_head_dim;
  return 2 * (dim * (model->gen_embed.n_cols + dim) + head_dim * (dim + model->config.n_codes));
}

bool bench_count(const JanusModel *model, const JanusRequest *request, BenchCounts *counts,
                 JanusError *error) {
  const JanusConfig *config = &model->config;
  JanusPrompt prompt = {0};
  if (!janus_request_check(request, error) || !janus_request_prompt(model, request, &prompt, error))
    return false;
  const GenerationPlan plan =
      generation_plan(request->n_samples, request->image, request->cfg, request->image_cfg);
  const int group = plan.group_rows / plan.n_classes;
  *counts = (BenchCounts){
      .plan = plan,
      .n_prompt = prompt.n_ids,
      .n_common = prompt.codes_at,
      .n_passes = (request->n_samples + group - 1) / group,
      .n_rows = request->n_samples * plan.n_classes,
      .row_flops = layers_flops(config) + borders_flops(model),
      .prompt_flops = layers_flops(config),
      .context_flops = 4.0 * config->n_layers * config->n_heads * config->head_dim,
  };
  counts->weights_bytes = (size_t)counts->n_passes * step_weights_bytes(model);
  janus_prompt_clear(&prompt);
  return true;
}

size_t bench_kv_bytes(const JanusModel *model, const BenchCounts *counts, int step) {
  const GenerationPlan *plan = &counts->plan;
  int n_positions = 0;
  for (int i = 0; i < plan->n_classes; i++) {
    const int n_shared = plan->classes[i] == GENERATION_PART ? counts->n_common : 0;
    n_positions += counts->n_prompt - 1 - n_shared + plan->n_samples * (step + 1);
  }
  return (size_t)n_positions * kv_cache_bytes(&model->config, 1);
}

size_t bench_kv_new_bytes(const JanusModel *model, const BenchCounts *counts) {
  return (size_t)counts->n_rows * kv_cache_bytes(&model->config, 1);
}

// --- where the time goes ------------------------------------------------------------------------

double bench_now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void timed_linear(jk_device *dev, float *y, const jk_linear *linear, const float *x,
                         int n_rows, bool accumulate) {
  BenchObserver *observer = dev->observer;
  const double begin = bench_now_s();
  observer->before.linear(dev, y, linear, x, n_rows, accumulate);
  observer->linear_s += bench_now_s() - begin;
}

static void timed_attention(jk_device *dev, float *out, const float *q, const jk_context *contexts,
                            int n_rows, int n_heads, int n_kv_heads, int head_dim) {
  BenchObserver *observer = dev->observer;
  const double begin = bench_now_s();
  observer->before.attention(dev, out, q, contexts, n_rows, n_heads, n_kv_heads, head_dim);
  observer->attention_s += bench_now_s() - begin;
}

void bench_observer_begin(BenchObserver *observer, jk_device *device) {
  *observer = (BenchObserver){.before = *device};
  device->observer = observer;
  device->linear = timed_linear;
  device->attention = timed_attention;
}

void bench_observer_end(BenchObserver *observer, jk_device *device) {
  device->observer = NULL;
  device->linear = observer->before.linear;
  device->attention = observer->before.attention;
}
