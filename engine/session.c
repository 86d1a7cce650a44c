// SPDX-License-Identifier: MIT
// One run of a text-to-image request: its checks, its tokens, drawing, stopping and looking at what
// there is so far.
#include "engine/session.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/preview.h"
#include "engine/vq-decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct JanusSession {
  // borrowed
  JanusModel *model;
  // owned
  Generation generation;
  int32_t *tokens;    // [n_samples][n_image_tokens]
  int32_t *fed;       // [group] tokens of one pass
  int32_t *complete;  // [n_image_tokens] a partial picture's tokens, filled up
  jk_sampling *draws; // [n_samples]
  VqWorkspace vq;
  bool has_vq;
  // state
  double cfg;
  int n_samples;
  int n_done; // tokens of every sample
  atomic_bool cancel;
};

// --- checks -------------------------------------------------------------------------------------

bool janus_request_check(const JanusRequest *request, JanusError *error) {
  const uint64_t max_seed = (UINT64_C(1) << 53) - 1;
  if (!request->prompt)
    return janus_fail(error, JANUS_ERROR_REQUEST, "a request needs a prompt, found none");
  if (request->n_samples < 1 || request->n_samples > JANUS_MAX_SAMPLES)
    return janus_fail(error, JANUS_ERROR_REQUEST, "samples must be 1 to %d, found %d",
                      JANUS_MAX_SAMPLES, request->n_samples);
  if (request->seed > max_seed)
    return janus_fail(error, JANUS_ERROR_REQUEST, "seed must be 0 to %llu (2^53-1), found %llu",
                      (unsigned long long)max_seed, (unsigned long long)request->seed);
  if (!isfinite(request->cfg))
    return janus_fail(error, JANUS_ERROR_REQUEST, "cfg must be a finite number, found %g",
                      request->cfg);
  if (!isfinite(request->temperature) || request->temperature < 0)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "temperature must be a finite number of at least 0, found %g",
                      request->temperature);
  if (request->top_k < 0)
    return janus_fail(error, JANUS_ERROR_REQUEST, "top-k must be at least 0, found %d",
                      request->top_k);
  if (!(request->top_p > 0 && request->top_p <= 1))
    return janus_fail(error, JANUS_ERROR_REQUEST, "top-p must be above 0 and at most 1, found %g",
                      request->top_p);
  return true;
}

bool janus_request_prompt(const JanusModel *model, const char *prompt, int32_t **ids, int *n_ids,
                          JanusError *error) {
  const JanusConfig *config = &model->config;
  *ids = NULL;
  if (!janus_prompt_text_to_image(model->tokenizer, &model->tags, prompt, ids, n_ids, error))
    return false;
  if ((int64_t)*n_ids + config->n_image_tokens <= config->max_positions)
    return true;
  const int n_found = *n_ids;
  free(*ids);
  *ids = NULL;
  return janus_fail(
      error, JANUS_ERROR_REQUEST,
      "prompt too long: this model takes at most %d tokens before a picture, found %d",
      config->max_positions - config->n_image_tokens, n_found);
}

bool janus_memory_check(const JanusMemory *needed, uint64_t present_bytes, JanusError *error) {
  if (present_bytes == 0 || needed->total_bytes <= present_bytes)
    return true;
  return janus_fail(error, JANUS_ERROR_MEMORY,
                    "not enough memory: %.1f GB needed (weights %.1f, keys and values %.1f, "
                    "activations %.1f), this machine has %.1f GB",
                    (double)needed->total_bytes / 1e9, (double)needed->weights_bytes / 1e9,
                    (double)needed->kv_bytes / 1e9, (double)needed->activation_bytes / 1e9,
                    (double)present_bytes / 1e9);
}

static uint64_t physical_memory_bytes(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

// --- making and releasing -----------------------------------------------------------------------

// Also makes the model's table of colours when this is its first session.
static bool attach_preview(JanusModel *model, JanusError *error) {
  if (!model->preview)
    model->preview = preview_table_new(model);
  return model->preview || janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a preview");
}

static bool allocate(JanusSession *session, const int32_t *ids, int n_prompt, JanusError *error) {
  JanusModel *model = session->model;
  const size_t n_tokens = (size_t)model->config.n_image_tokens;
  const size_t n_samples = (size_t)session->n_samples;
  const GenerationPlan plan = generation_plan(session->n_samples, session->cfg != 1);
  session->tokens = calloc(n_samples * n_tokens, sizeof *session->tokens);
  session->fed = calloc(n_samples, sizeof *session->fed);
  session->complete = calloc(n_tokens, sizeof *session->complete);
  session->draws = calloc(n_samples, sizeof *session->draws);
  if (!session->tokens || !session->fed || !session->complete || !session->draws)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %d samples",
                      session->n_samples);
  pthread_mutex_lock(&model->lock);
  const bool ok = attach_preview(model, error) &&
                  generation_init(&session->generation, model, &plan, ids, n_prompt, error);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

static void plan_draws(JanusSession *session, const JanusRequest *request) {
  for (int i = 0; i < session->n_samples; i++)
    session->draws[i] = (jk_sampling){.temperature = (float)request->temperature,
                                      .top_k = request->top_k,
                                      .top_p = (float)request->top_p,
                                      .seed = request->seed,
                                      .sample_index = (uint32_t)i};
}

JanusSession *janus_session_new(JanusModel *model, const JanusRequest *request, JanusError *error) {
  int32_t *ids = NULL;
  int n_prompt = 0;
  if (!janus_request_check(request, error) ||
      !janus_request_prompt(model, request->prompt, &ids, &n_prompt, error))
    return NULL;
  const JanusMemory needed =
      janus_estimate_memory(model, request->n_samples, n_prompt, request->image != NULL);
  JanusSession *session = NULL;
  if (janus_memory_check(&needed, physical_memory_bytes(), error)) {
    session = calloc(1, sizeof *session);
    if (!session)
      janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a session");
  }
  if (session) {
    session->model = model;
    session->cfg = request->cfg;
    session->n_samples = request->n_samples;
    atomic_init(&session->cancel, false);
    if (allocate(session, ids, n_prompt, error)) {
      plan_draws(session, request);
    } else {
      janus_session_free(session);
      session = NULL;
    }
  }
  free(ids);
  return session;
}

void janus_session_free(JanusSession *session) {
  if (!session)
    return;
  if (session->has_vq)
    vq_workspace_clear(&session->vq, session->model);
  pthread_mutex_lock(&session->model->lock);
  generation_clear(&session->generation);
  pthread_mutex_unlock(&session->model->lock);
  free(session->tokens);
  free(session->fed);
  free(session->complete);
  free(session->draws);
  free(session);
}

// --- running ------------------------------------------------------------------------------------

static bool is_cancelled(const JanusSession *session) {
  return atomic_load_explicit(&session->cancel, memory_order_relaxed);
}

static int32_t *token_at(JanusSession *session, int sample, int index) {
  return session->tokens + (size_t)sample * (size_t)session->model->config.n_image_tokens + index;
}

// Draws token `index` of samples first .. first + n - 1. `guided` has one row a sample, or one row
// that all share (the first token's: samples differ in noise only).
static bool draw(JanusSession *session, const float *guided, bool is_shared, int index, int first,
                 int n, JanusError *error) {
  jk_device *dev = session->model->device;
  const int n_codes = session->model->config.n_codes, n_calls = is_shared ? n : 1;
  jk_status status = JK_OK;
  for (int i = 0; i < n; i++)
    session->draws[first + i].position = (uint32_t)index;
  for (int i = 0; i < n_calls && status == JK_OK; i++)
    status = dev->sample(dev, session->fed + i, guided, n_codes, session->draws + first + i,
                         n / n_calls);
  if (status != JK_OK)
    return janus_fail(error, JANUS_ERROR_DEVICE, "%s failed while drawing a token: %s", dev->name,
                      jk_status_text(status));
  for (int i = 0; i < n; i++)
    *token_at(session, first + i, index) = session->fed[i];
  return janus_device_check(dev, error);
}

// The next token of every sample. On a stop no token of this step counts.
static bool step(JanusSession *session, JanusError *error) {
  Generation *g = &session->generation;
  const int index = session->n_done;
  if (index == 0)
    return draw(session, generation_logits(g, g->first, 1, session->cfg), true, 0, 0,
                session->n_samples, error);
  for (int first = 0; first < session->n_samples; first += g->group_samples) {
    const int left = session->n_samples - first;
    const int n = left < g->group_samples ? left : g->group_samples;
    for (int i = 0; i < n; i++)
      session->fed[i] = *token_at(session, first + i, index - 1);
    if (!generation_feed(g, first, n, session->fed, index - 1, &session->cancel))
      return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
    const float *guided = generation_logits(g, g->hidden, n, session->cfg);
    if (!draw(session, guided, false, index, first, n, error))
      return false;
  }
  return true;
}

// One prompt chunk or one token of every sample, holding the device.
static bool advance(JanusSession *session, JanusProgress *progress, JanusError *error) {
  Generation *g = &session->generation;
  bool ok = !is_cancelled(session) || janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  pthread_mutex_lock(&session->model->lock);
  if (ok && !generation_is_prefilled(g)) {
    ok = generation_prefill(g, &session->cancel)
             ? janus_device_check(session->model->device, error)
             : janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
    *progress =
        (JanusProgress){JANUS_PHASE_PREFILL, g->n_prompt_done, g->plan.n_classes * g->n_prompt};
  } else if (ok) {
    ok = step(session, error);
    session->n_done += ok;
    *progress =
        (JanusProgress){JANUS_PHASE_DECODE, session->n_done, session->model->config.n_image_tokens};
  }
  pthread_mutex_unlock(&session->model->lock);
  return ok;
}

bool janus_session_run(JanusSession *session, JanusProgressFunc progress, void *user_data,
                       JanusError *error) {
  JanusProgress report;
  while (session->n_done < session->model->config.n_image_tokens) {
    if (!advance(session, &report, error))
      return false;
    if (progress && !progress(&report, user_data))
      return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  }
  return true;
}

void janus_session_cancel(JanusSession *session) {
  atomic_store_explicit(&session->cancel, true, memory_order_relaxed);
}

// --- looking ------------------------------------------------------------------------------------

const int32_t *janus_session_get_tokens(const JanusSession *session, int sample, int *n_tokens) {
  const bool is_there = sample >= 0 && sample < session->n_samples;
  *n_tokens = is_there ? session->n_done : 0;
  return session->tokens +
         (is_there ? (size_t)sample * (size_t)session->model->config.n_image_tokens : 0);
}

static bool prepare_vq(JanusSession *session, JanusError *error) {
  if (!session->has_vq)
    session->has_vq = vq_workspace_init(&session->vq, session->model, error);
  return session->has_vq;
}

bool janus_session_decode(JanusSession *session, int sample, uint8_t *rgb, JanusError *error) {
  JanusModel *model = session->model;
  const JanusConfig *config = &model->config;
  const size_t size = (size_t)config->image_size_px;
  if (sample < 0 || sample >= session->n_samples)
    return janus_fail(error, JANUS_ERROR_REQUEST, "sample must be 0 to %d, found %d",
                      session->n_samples - 1, sample);
  if (!prepare_vq(session, error))
    return false;
  memcpy(session->complete, token_at(session, sample, 0),
         (size_t)config->n_image_tokens * sizeof *session->complete);
  vq_complete_tokens(session->complete, config->grid, session->n_done);
  if (!vq_decode(&session->vq, model, session->complete, &session->cancel, error))
    return false;
  vq_pixels_to_bytes(rgb, session->vq.pixels, size * size * 3);
  if (session->n_done == config->n_image_tokens)
    preview_table_learn(model->preview, session->complete, session->vq.pixels);
  return true;
}

int janus_session_preview(JanusSession *session, int sample, uint8_t *rgb) {
  JanusModel *model = session->model;
  if (sample < 0 || sample >= session->n_samples || session->n_done < model->config.grid ||
      !prepare_vq(session, NULL) ||
      !preview_table_prepare(model->preview, model, &session->vq, &session->cancel))
    return 0;
  return preview_table_paint(model->preview, token_at(session, sample, 0), session->n_done, rgb);
}
