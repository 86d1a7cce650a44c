// SPDX-License-Identifier: MIT
// Every row's states while a given list of tokens is fed, as a safetensors file.
#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/safetensors.h"
#include "engine/session.h"
#include "engine/vision.h"
#include "engine/vq-decoder.h"

#include <stdlib.h>
#include <string.h>

// What is collected, host memory: [steps][dim] or [steps][n_codes], a class after the other.
typedef struct Trace {
  JanusModel *model;
  const JanusRequest *request;
  Generation generation;
  Vision vision;          // of an edit
  PicturePrefix *picture; // of an edit, nobody else's: a trace computes everything
  JanusPrompt prompt;
  int n_steps;
  int64_t *input_ids;
  int n_prompt;
  float *hidden[GENERATION_MAX_CLASSES];
  float *logits[GENERATION_MAX_CLASSES];
  float *guided;
  float *siglip, *aligned; // [n_image_tokens][width] of an edit
  int64_t *vq_ids;         // [n_image_tokens] of an edit
  float *pixels;           // [3][size][size], NULL without a whole picture's tokens
} Trace;

static bool check(const JanusModel *model, const JanusRequest *request, const int32_t *tokens,
                  int n_tokens, JanusError *error) {
  const JanusConfig *config = &model->config;
  if (!janus_request_check(request, error) || !janus_request_tokens_check(model, request, error))
    return false;
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
  trace->n_prompt = trace->prompt.n_ids;
  trace->guided = calloc(steps * n_codes, sizeof(float));
  trace->input_ids = calloc((size_t)trace->n_prompt, sizeof *trace->input_ids);
  if (!ok || !trace->guided || !trace->input_ids)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a trace of %d steps",
                      trace->n_steps);
  for (int i = 0; i < trace->n_prompt; i++)
    trace->input_ids[i] = trace->prompt.ids[i];
  return true;
}

static void clear(Trace *trace) {
  vision_clear(&trace->vision, trace->model);
  for (int i = 0; i < GENERATION_MAX_CLASSES; i++) {
    free(trace->hidden[i]);
    free(trace->logits[i]);
  }
  janus_prompt_clear(&trace->prompt);
  free(trace->guided);
  free(trace->input_ids);
  free(trace->siglip);
  free(trace->aligned);
  free(trace->vq_ids);
  free(trace->pixels);
}

static void fetch(Trace *trace, float *host, const float *device, size_t n) {
  trace->model->device->download(trace->model->device, host, device, n * sizeof(float));
}

// What the encoders saw, into host memory.
static bool keep_vision(Trace *trace, JanusError *error) {
  const JanusConfig *config = &trace->model->config;
  const size_t n = (size_t)config->n_image_tokens;
  const size_t n_siglip = n * (size_t)trace->model->siglip.dim, n_aligned = n * (size_t)config->dim;
  trace->siglip = malloc(n_siglip * sizeof(float));
  trace->aligned = malloc(n_aligned * sizeof(float));
  trace->vq_ids = malloc(n * sizeof *trace->vq_ids);
  if (!trace->siglip || !trace->aligned || !trace->vq_ids)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a trace");
  fetch(trace, trace->siglip, trace->vision.siglip, n_siglip);
  fetch(trace, trace->aligned, trace->vision.aligned, n_aligned);
  for (size_t i = 0; i < n; i++)
    trace->vq_ids[i] = trace->vision.tokens[i];
  return true;
}

// The encoders; both, so that a trace has the latents also where other tokens take their place.
static bool look(Trace *trace, JanusError *error) {
  JanusModel *model = trace->model;
  const JanusRequest *request = trace->request;
  if (!request->image)
    return true;
  bool ok = vision_init(&trace->vision, model, request->image, NULL, error);
  while (ok && !vision_is_done(&trace->vision))
    ok = vision_step(&trace->vision, model, NULL, error);
  if (ok && request->image_tokens)
    memcpy(trace->vision.tokens, request->image_tokens,
           (size_t)model->config.n_image_tokens * sizeof *request->image_tokens);
  return ok && keep_vision(trace, error);
}

// All rows of a request, also those that its guidance would not need.
static GenerationPlan plan_all(const JanusRequest *request) {
  return generation_plan(1, request->image != NULL, 5, 5);
}

// Step s is the state after the prompt and tokens 0 .. s-1.
static void keep_step(Trace *trace, int s) {
  Generation *g = &trace->generation;
  const size_t dim = (size_t)trace->model->config.dim;
  const size_t n_codes = (size_t)trace->model->config.n_codes, at = (size_t)s;
  const float *guided = generation_logits(g, 1, trace->request->cfg, trace->request->image_cfg);
  for (int i = 0; i < g->plan.n_classes; i++) {
    const GenerationClass class = g->plan.classes[i];
    fetch(trace, trace->hidden[class] + at * dim, g->hidden + (size_t)i * dim, dim);
    fetch(trace, trace->logits[class] + at * n_codes, g->logits + (size_t)i * n_codes, n_codes);
  }
  fetch(trace, trace->guided + at * n_codes, guided, n_codes);
}

// The prompt and the tokens, holding the device.
static bool run(Trace *trace, const int32_t *tokens, JanusError *error) {
  Generation *g = &trace->generation;
  const GenerationPlan plan = plan_all(trace->request);
  if (trace->request->image) {
    trace->picture = picture_prefix_new(trace->model, NULL, NULL, error);
    if (!trace->picture)
      return false;
    picture_prefix_see(trace->picture, trace->model, &trace->vision);
  }
  if (!generation_init(g, trace->model, &plan, &trace->prompt, trace->picture, error))
    return false;
  while (generation_prefill_done(g) < generation_prefill_total(g))
    generation_prefill(g, NULL);
  for (int s = 0; s < trace->n_steps; s++) {
    generation_feed(g, 0, 1, s > 0 ? tokens + s - 1 : NULL, s, NULL);
    keep_step(trace, s);
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

// --- the file -----------------------------------------------------------------------------------

enum { MAX_ITEMS = 16 };

// The file's tensors; names are static text.
typedef struct Items {
  SafetensorsItem list[MAX_ITEMS];
  int n;
} Items;

static void add(Items *items, const char *name, const char *dtype, const void *data, int n_dims,
                const int64_t dims[3]) {
  SafetensorsItem *item = &items->list[items->n++];
  *item = (SafetensorsItem){.name = name, .dtype_text = dtype, .data = data, .n_dims = n_dims};
  for (int i = 0; i < n_dims; i++)
    item->dims[i] = dims[i];
}

static void add_matrix(Items *items, const char *name, const float *data, int n_rows, int n_cols) {
  add(items, name, "F32", data, 2, (int64_t[]){n_rows, n_cols, 0});
}

static void add_ids(Items *items, const char *name, const int64_t *ids, int n) {
  add(items, name, "I64", ids, 1, (int64_t[]){n, 0, 0});
}

static void add_rows(Items *items, const Trace *trace) {
  const bool is_edit = trace->request->image != NULL;
  const int steps = trace->n_steps, dim = trace->model->config.dim;
  const int n_codes = trace->model->config.n_codes;
  static const char *const hidden[2][GENERATION_MAX_CLASSES] = {
      {"hidden.cond", NULL, "hidden.uncond"}, {"hidden.full", "hidden.part", "hidden.uncond"}};
  static const char *const logits[2][GENERATION_MAX_CLASSES] = {
      {"logits.cond", NULL, "logits.uncond"}, {"logits.full", "logits.part", "logits.uncond"}};
  for (int i = 0; i < GENERATION_MAX_CLASSES; i++) {
    if (!hidden[is_edit][i])
      continue;
    add_matrix(items, hidden[is_edit][i], trace->hidden[i], steps, dim);
    add_matrix(items, logits[is_edit][i], trace->logits[i], steps, n_codes);
  }
  add_matrix(items, "guided", trace->guided, steps, n_codes);
}

static void add_vision(Items *items, const Trace *trace) {
  const JanusConfig *config = &trace->model->config;
  const int n = config->n_image_tokens, size = config->image_size_px, grid = config->grid;
  add(items, "pixel_values", "F32", trace->vision.pixels, 3, (int64_t[]){3, size, size});
  add_matrix(items, "siglip", trace->siglip, n, trace->model->siglip.dim);
  add_matrix(items, "aligned", trace->aligned, n, config->dim);
  add_ids(items, "vq_ids", trace->vq_ids, n);
  add(items, "vq_latent", "F32", trace->vision.latent, 3,
      (int64_t[]){config->code_dim, grid, grid});
}

static bool write(const Trace *trace, const char *path, JanusError *error) {
  const int size = trace->model->config.image_size_px;
  Items items = {.n = 0};
  add_ids(&items, "input_ids", trace->input_ids, trace->n_prompt);
  add_rows(&items, trace);
  if (trace->request->image)
    add_vision(&items, trace);
  if (trace->pixels)
    add(&items, "pixels", "F32", trace->pixels, 3, (int64_t[]){3, size, size});
  return safetensors_write(path, items.list, items.n, error);
}

bool janus_trace(JanusModel *model, const JanusRequest *request, const int32_t *tokens,
                 int n_tokens, const char *out_path, JanusError *error) {
  Trace trace = {.model = model, .request = request, .n_steps = n_tokens};
  bool ok = check(model, request, tokens, n_tokens, error) &&
            janus_request_prompt(model, request, &trace.prompt, error) && allocate(&trace, error) &&
            look(&trace, error);
  if (ok) {
    pthread_mutex_lock(&model->lock);
    ok = run(&trace, tokens, error);
    generation_clear(&trace.generation);
    picture_prefix_free(trace.picture, model->device);
    pthread_mutex_unlock(&model->lock);
  }
  ok = ok && (n_tokens < model->config.n_image_tokens || decode(&trace, tokens, error)) &&
       janus_model_check_files(model, error) && write(&trace, out_path, error);
  clear(&trace);
  return ok;
}
