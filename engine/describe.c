// SPDX-License-Identifier: MIT
// A question about a picture and the text that answers it: SigLIP, the prompt, and one token after
// another from lm_head.
#include "engine/describe.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/generation.h"
#include "engine/model-parts.h"
#include "engine/session.h"
#include "engine/text-stream.h"
#include "engine/vision.h"

#include <stdlib.h>

enum { CHUNK_ROWS = GENERATION_CHUNK_ROWS, TEXT_STREAM = 1 };

struct JanusAnswer {
  // borrowed
  JanusModel *model;
  // owned
  Vision vision;
  JanusPrompt prompt;
  KvCache cache; // of the prompt and the answer
  LlamaWorkspace ws;
  float *hidden, *logits; // device [dim], [vocab]
  int32_t *tokens;        // [max_tokens]
  TextStream text;
  // state
  jk_sampling draw;
  int max_tokens;
  int n_tokens; // drawn
  int n_fed;    // positions in the cache
  bool is_whole;
  atomic_bool cancel;
};

// --- checks -------------------------------------------------------------------------------------

static bool check(const JanusModel *model, const JanusQuestion *question, JanusError *error) {
  const JanusRequest request = {.prompt = question->text,
                                .image = question->image,
                                .n_samples = 1,
                                .seed = question->seed,
                                .cfg = 1,
                                .temperature = question->temperature,
                                .top_k = question->top_k,
                                .top_p = question->top_p};
  if (!model->config.describes)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "%s: this model paints but cannot describe: its generation_config.json says "
                      "\"describes\": false",
                      model->info.folder);
  if (!question->image)
    return janus_fail(error, JANUS_ERROR_REQUEST, "describing needs a picture, found none");
  if (question->max_tokens < 1)
    return janus_fail(error, JANUS_ERROR_REQUEST, "max-tokens must be at least 1, found %d",
                      question->max_tokens);
  return janus_request_check(&request, error);
}

// The prompt, and how long an answer can be after it.
static bool make_prompt(const JanusModel *model, const JanusQuestion *question, JanusPrompt *prompt,
                        int *max_tokens, JanusError *error) {
  const JanusConfig *config = &model->config;
  if (!janus_prompt_describe(model->tokenizer, &model->tags, question->text, config->n_image_tokens,
                             prompt, error))
    return false;
  const int n_found = prompt->n_ids, n_left = config->max_positions - n_found;
  *max_tokens = question->max_tokens < n_left ? question->max_tokens : n_left;
  if (n_left >= 1)
    return true;
  janus_prompt_clear(prompt);
  return janus_fail(error, JANUS_ERROR_REQUEST,
                    "question too long: this model takes at most %d tokens before an answer, the "
                    "picture's %d among them, found %d",
                    config->max_positions - 1, config->n_image_tokens, n_found);
}

// --- memory -------------------------------------------------------------------------------------

// Caller holds model->lock.
static JanusMemory estimate(const JanusModel *model, int n_prompt, int max_tokens) {
  const JanusConfig *config = &model->config;
  const JanusWeights weights = model->info.weights;
  const unsigned groups = MODEL_LANGUAGE | MODEL_SIGLIP;
  const size_t n_floats = (size_t)config->dim + (size_t)config->vocab;
  const PartBytes head = model_lm_head_bytes(model, weights);
  const PartBytes bytes = model_bytes(model, groups, weights);
  JanusMemory memory = {
      .weights_bytes = bytes.owned + bytes.mapped + head.owned + head.mapped,
      .unmade_bytes = model_unmade_bytes(model, groups) + (model->lm_head ? 0 : head.owned),
      .kv_bytes = kv_cache_bytes(config, n_prompt + max_tokens),
      .activation_bytes = llama_workspace_bytes(config, CHUNK_ROWS) + n_floats * sizeof(float) +
                          vision_features_bytes(model)};
  memory.total_bytes = memory.weights_bytes + memory.kv_bytes + memory.activation_bytes;
  return memory;
}

JanusMemory janus_estimate_describing(const JanusModel *model, int n_prompt_tokens,
                                      int max_tokens) {
  const int n_prompt = n_prompt_tokens + model->config.n_image_tokens + 2;
  pthread_mutex_lock(model_lock(model));
  const JanusMemory memory = estimate(model, n_prompt, max_tokens);
  pthread_mutex_unlock(model_lock(model));
  return memory;
}

// --- making and releasing -----------------------------------------------------------------------

static bool allocate_device(JanusAnswer *a, JanusError *error) {
  JanusModel *model = a->model;
  const JanusConfig *config = &model->config;
  jk_device *dev = model->device;
  pthread_mutex_lock(&model->lock);
  const bool ok =
      model_make(model, MODEL_LANGUAGE, NULL, error) && model_take_lm_head(model, error) &&
      kv_cache_init(&a->cache, model, a->prompt.n_ids + a->max_tokens,
                    "keys and values of an answer", error) &&
      llama_workspace_init(&a->ws, model, CHUNK_ROWS, error) &&
      janus_buffer_new(dev, (size_t)config->dim, "the hidden state", &a->hidden, error) &&
      janus_buffer_new(dev, (size_t)config->vocab, "logits", &a->logits, error);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

static bool allocate(JanusAnswer *a, const JanusQuestion *question, JanusError *error) {
  a->tokens = calloc((size_t)a->max_tokens, sizeof *a->tokens);
  if (!a->tokens || !text_stream_add(&a->text, "", 0))
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for an answer");
  return allocate_device(a, error) &&
         vision_init_features(&a->vision, a->model, question->image, error);
}

// Takes the prompt over when it succeeds.
static JanusAnswer *new_answer(JanusModel *model, const JanusQuestion *question,
                               JanusPrompt *prompt, int max_tokens, JanusError *error) {
  JanusAnswer *a = calloc(1, sizeof *a);
  if (!a) {
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for an answer");
    return NULL;
  }
  a->model = model;
  a->prompt = *prompt;
  a->max_tokens = max_tokens;
  a->draw = (jk_sampling){.temperature = (float)question->temperature,
                          .top_k = question->top_k,
                          .top_p = (float)question->top_p,
                          .seed = question->seed,
                          .stream = TEXT_STREAM};
  atomic_init(&a->cancel, false);
  *prompt = (JanusPrompt){0};
  if (allocate(a, question, error))
    return a;
  janus_answer_free(a);
  return NULL;
}

JanusAnswer *janus_answer_new(JanusModel *model, const JanusQuestion *question, JanusError *error) {
  JanusPrompt prompt = {0};
  int max_tokens = 0;
  if (!check(model, question, error) || !make_prompt(model, question, &prompt, &max_tokens, error))
    return NULL;
  JanusAnswer *answer = NULL;
  pthread_mutex_lock(&model->lock);
  const JanusMemory needed = estimate(model, prompt.n_ids, max_tokens);
  const bool has_room = picture_prefixes_make_room(model, &needed, 0, error);
  pthread_mutex_unlock(&model->lock);
  if (has_room)
    answer = new_answer(model, question, &prompt, max_tokens, error);
  janus_prompt_clear(&prompt);
  return answer;
}

void janus_answer_free(JanusAnswer *a) {
  if (!a)
    return;
  JanusModel *model = a->model;
  vision_clear(&a->vision, model);
  pthread_mutex_lock(&model->lock);
  kv_cache_clear(&a->cache, model->device);
  llama_workspace_clear(&a->ws, model->device);
  model->device->free(model->device, a->hidden);
  model->device->free(model->device, a->logits);
  pthread_mutex_unlock(&model->lock);
  janus_prompt_clear(&a->prompt);
  text_stream_clear(&a->text);
  free(a->tokens);
  free(a);
}

// --- running ------------------------------------------------------------------------------------

static bool is_cancelled(const JanusAnswer *a) {
  return atomic_load_explicit(&a->cancel, memory_order_relaxed);
}

// The picture's features take the place of the ids that keep its slot; positions first ..
// first + n - 1 are in the residual stream.
static void embed_picture(JanusAnswer *a, int first, int n) {
  jk_device *dev = a->model->device;
  const int at = a->prompt.features_at, slot_end = at + a->model->config.n_image_tokens;
  const int begin = first > at ? first : at, end = first + n < slot_end ? first + n : slot_end;
  const size_t dim = (size_t)a->model->config.dim;
  if (begin < end)
    dev->copy(dev, a->ws.x + (size_t)(begin - first) * dim,
              a->vision.aligned + (size_t)(begin - at) * dim,
              (size_t)(end - begin) * dim * sizeof(float));
}

// The next n positions of the prompt, or of the answer; the last one's state goes to a->hidden.
static bool feed(JanusAnswer *a, int n, JanusError *error) {
  const JanusModel *model = a->model;
  jk_device *dev = model->device;
  LlamaRow rows[CHUNK_ROWS];
  const bool in_prompt = a->n_fed < a->prompt.n_ids;
  const int32_t *ids =
      in_prompt ? a->prompt.ids + a->n_fed : a->tokens + (a->n_fed - a->prompt.n_ids);
  for (int i = 0; i < n; i++)
    rows[i] = (LlamaRow){.cache = &a->cache, .slot = a->n_fed + i};
  dev->gather(dev, a->ws.x, model->text_embedding, ids, n);
  if (in_prompt)
    embed_picture(a, a->n_fed, n);
  if (!llama_forward(model, &a->ws, rows, n, &a->cancel))
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  dev->rms_norm(dev, a->hidden, a->ws.x + (size_t)(n - 1) * (size_t)model->config.dim,
                model->final_norm, 1, model->config.dim, model->config.norm_eps);
  a->n_fed += n;
  return janus_device_check(dev, error);
}

// Takes the token in: the model's end, or more text.
static bool take(JanusAnswer *a, int32_t token, JanusError *error) {
  a->is_whole = token == a->model->tags.eos;
  if (!a->is_whole)
    a->tokens[a->n_tokens++] = token;
  const bool is_last = a->is_whole || a->n_tokens == a->max_tokens;
  return (text_stream_add_token(&a->text, a->model->tokenizer, token) &&
          (!is_last || text_stream_end(&a->text))) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for an answer");
}

// The next token of the answer, after all that is fed.
static bool step(JanusAnswer *a, JanusError *error) {
  JanusModel *model = a->model;
  jk_device *dev = model->device;
  int32_t token = 0;
  if (a->n_tokens > 0 && !feed(a, 1, error))
    return false;
  dev->linear(dev, a->logits, model->lm_head, a->hidden, 1, false);
  a->draw.position = (uint32_t)a->n_tokens;
  const jk_status status = dev->sample(dev, &token, a->logits, model->config.vocab, &a->draw, 1);
  if (status != JK_OK)
    return janus_device_fail(dev, status, " while drawing a token", error);
  return janus_device_check(dev, error) && take(a, token, error);
}

// One block of the encoder, one chunk of the prompt or one token, holding the device.
static bool advance(JanusAnswer *a, JanusProgress *progress, JanusError *error) {
  const int n_prompt = a->prompt.n_ids, left = n_prompt - a->n_fed;
  bool ok;
  if (is_cancelled(a))
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  if (!vision_is_done(&a->vision)) { // takes the device itself
    ok = vision_step(&a->vision, a->model, &a->cancel, error);
    *progress = (JanusProgress){JANUS_PHASE_LOOK, a->vision.n_done, a->vision.n_steps};
    return ok;
  }
  pthread_mutex_lock(&a->model->lock);
  ok = left > 0 ? feed(a, left < CHUNK_ROWS ? left : CHUNK_ROWS, error) : step(a, error);
  pthread_mutex_unlock(&a->model->lock);
  *progress = left > 0 ? (JanusProgress){JANUS_PHASE_PREFILL, a->n_fed, n_prompt}
                       : (JanusProgress){JANUS_PHASE_DECODE, a->n_tokens, a->max_tokens};
  return ok;
}

bool janus_answer_run(JanusAnswer *answer, JanusProgressFunc progress, void *user_data,
                      JanusError *error) {
  JanusProgress report;
  while (!answer->is_whole && answer->n_tokens < answer->max_tokens) {
    if (!advance(answer, &report, error) || !janus_model_check_files(answer->model, error))
      return false;
    if (progress && !progress(&report, user_data))
      return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  }
  return true;
}

void janus_answer_cancel(JanusAnswer *answer) {
  atomic_store_explicit(&answer->cancel, true, memory_order_relaxed);
}

// --- looking ------------------------------------------------------------------------------------

const int32_t *janus_answer_get_tokens(const JanusAnswer *answer, int *n_tokens) {
  *n_tokens = answer->n_tokens;
  return answer->tokens;
}

const char *janus_answer_get_text(const JanusAnswer *answer, size_t *n_bytes) {
  *n_bytes = answer->text.n_bytes;
  return answer->text.text;
}

bool janus_answer_is_whole(const JanusAnswer *answer) {
  return answer->is_whole;
}

const float *answer_get_hidden(const JanusAnswer *answer) {
  return answer->hidden;
}

const float *answer_get_logits(const JanusAnswer *answer) {
  return answer->logits;
}
