// SPDX-License-Identifier: MIT
// Every row's states while a given list of tokens is fed, as a safetensors file.
#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/session.h"
#include "engine/vq-decoder.h"

#include <math.h>
#include <stdlib.h>

// What is collected, host memory: [steps][dim] or [steps][n_codes], a class after the other.
typedef struct Trace {
  JanusModel *model;
  Generation generation;
  double cfg;
  int n_steps;
  int32_t *ids;
  int64_t *input_ids;
  int n_prompt;
  float *hidden[GENERATION_MAX_CLASSES];
  float *logits[GENERATION_MAX_CLASSES];
  float *guided;
  float *pixels; // [3][size][size], NULL without a whole picture's tokens
} Trace;

static bool check(const JanusModel *model, const JanusRequest *request, const int32_t *tokens,
                  int n_tokens, JanusError *error) {
  const JanusConfig *config = &model->config;
  if (!request->prompt)
    return janus_fail(error, JANUS_ERROR_REQUEST, "a trace needs a prompt, found none");
  if (!isfinite(request->cfg))
    return janus_fail(error, JANUS_ERROR_REQUEST, "cfg must be a finite number, found %g",
                      request->cfg);
  if (n_tokens < 1 || n_tokens > config->n_image_tokens)
    return janus_fail(error, JANUS_ERROR_REQUEST, "a trace takes 1 to %d tokens, found %d",
                      config->n_image_tokens, n_tokens);
  for (int i = 0; i < n_tokens; i++)
    if (tokens[i] < 0 || tokens[i] >= config->n_codes)
      return janus_fail(error, JANUS_ERROR_REQUEST, "picture token %d must be 0 to %d, found %d", i,
                        config->n_codes - 1, (int)tokens[i]);
  return true;
}

static bool allocate(Trace *trace, JanusError *error) {
  const JanusConfig *config = &trace->model->config;
  const size_t steps = (size_t)trace->n_steps, n_codes = (size_t)config->n_codes;
  bool ok = true;
  for (int i = 0; i < GENERATION_MAX_CLASSES; i++) {
    trace->hidden[i] = calloc(steps * (size_t)config->dim, sizeof(float));
    trace->logits[i] = calloc(steps * n_codes, sizeof(float));
    ok = ok && trace->hidden[i] && trace->logits[i];
  }
  trace->guided = calloc(steps * n_codes, sizeof(float));
  trace->input_ids = calloc((size_t)trace->n_prompt, sizeof *trace->input_ids);
  if (!ok || !trace->guided || !trace->input_ids)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a trace of %d steps",
                      trace->n_steps);
  for (int i = 0; i < trace->n_prompt; i++)
    trace->input_ids[i] = trace->ids[i];
  return true;
}

static void clear(Trace *trace) {
  generation_clear(&trace->generation);
  for (int i = 0; i < GENERATION_MAX_CLASSES; i++) {
    free(trace->hidden[i]);
    free(trace->logits[i]);
  }
  free(trace->guided);
  free(trace->input_ids);
  free(trace->ids);
  free(trace->pixels);
}

static void fetch(Trace *trace, float *host, const float *device, size_t n) {
  trace->model->device->download(trace->model->device, host, device, n * sizeof(float));
}

// Step s: `hidden` is the state after the prompt and tokens 0 .. s-1.
static void keep_step(Trace *trace, int s, const float *hidden) {
  Generation *g = &trace->generation;
  const size_t dim = (size_t)trace->model->config.dim;
  const size_t n_codes = (size_t)trace->model->config.n_codes, at = (size_t)s;
  const float *guided = generation_logits(g, hidden, 1, trace->cfg);
  for (size_t i = 0; i < GENERATION_MAX_CLASSES; i++) {
    fetch(trace, trace->hidden[i] + at * dim, hidden + i * dim, dim);
    fetch(trace, trace->logits[i] + at * n_codes, g->logits + i * n_codes, n_codes);
  }
  fetch(trace, trace->guided + at * n_codes, guided, n_codes);
}

// The whole run, holding the device.
static bool run(Trace *trace, const int32_t *tokens, JanusError *error) {
  Generation *g = &trace->generation;
  const GenerationPlan plan = generation_plan(1, true);
  if (!generation_init(g, trace->model, &plan, trace->ids, trace->n_prompt, error))
    return false;
  while (!generation_is_prefilled(g))
    generation_prefill(g, NULL);
  keep_step(trace, 0, g->first);
  for (int s = 1; s < trace->n_steps; s++) {
    generation_feed(g, 0, 1, tokens + s - 1, s - 1, NULL);
    keep_step(trace, s, g->hidden);
  }
  return janus_device_check(trace->model->device, error);
}

static bool decode(Trace *trace, const int32_t *tokens, JanusError *error) {
  const size_t size = (size_t)trace->model->config.image_size_px, n = size * size;
  VqWorkspace ws;
  if (!vq_workspace_init(&ws, trace->model, error))
    return false;
  trace->pixels = malloc(3 * n * sizeof(float));
  bool ok = trace->pixels || janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for pixels");
  ok = ok && vq_decode(&ws, trace->model, tokens, NULL, error);
  for (size_t i = 0; ok && i < 3 * n; i++)
    trace->pixels[i % 3 * n + i / 3] = ws.pixels[i];
  vq_workspace_clear(&ws, trace->model);
  return ok;
}

static SafetensorsItem matrix(const char *name, const float *data, int n_rows, int n_cols) {
  return (SafetensorsItem){
      .name = name, .dtype_text = "F32", .data = data, .n_dims = 2, .dims = {n_rows, n_cols}};
}

static bool write(const Trace *trace, const char *path, JanusError *error) {
  const JanusConfig *config = &trace->model->config;
  const int steps = trace->n_steps, dim = config->dim, n_codes = config->n_codes;
  const int size = config->image_size_px;
  const SafetensorsItem items[] = {
      matrix("guided", trace->guided, steps, n_codes),
      matrix("hidden.cond", trace->hidden[GENERATION_COND], steps, dim),
      matrix("hidden.uncond", trace->hidden[GENERATION_UNCOND], steps, dim),
      {.name = "input_ids",
       .dtype_text = "I64",
       .data = trace->input_ids,
       .n_dims = 1,
       .dims = {trace->n_prompt}},
      matrix("logits.cond", trace->logits[GENERATION_COND], steps, n_codes),
      matrix("logits.uncond", trace->logits[GENERATION_UNCOND], steps, n_codes),
      {.name = "pixels",
       .dtype_text = "F32",
       .data = trace->pixels,
       .n_dims = 3,
       .dims = {3, size, size}},
  };
  const int n_items = (int)(sizeof items / sizeof *items);
  return safetensors_write(path, items, trace->pixels ? n_items : n_items - 1, error);
}

bool janus_trace(JanusModel *model, const JanusRequest *request, const int32_t *tokens,
                 int n_tokens, const char *out_path, JanusError *error) {
  Trace trace = {.model = model, .cfg = request->cfg, .n_steps = n_tokens};
  bool ok = check(model, request, tokens, n_tokens, error) &&
            janus_request_prompt(model, request->prompt, &trace.ids, &trace.n_prompt, error) &&
            allocate(&trace, error);
  if (ok) {
    pthread_mutex_lock(&model->lock);
    ok = run(&trace, tokens, error);
    generation_clear(&trace.generation);
    pthread_mutex_unlock(&model->lock);
  }
  ok = ok && (n_tokens < model->config.n_image_tokens || decode(&trace, tokens, error)) &&
       write(&trace, out_path, error);
  clear(&trace);
  return ok;
}
