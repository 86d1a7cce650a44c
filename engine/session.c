// SPDX-License-Identifier: MIT
// One run of a request, a text or an edit: its checks, its tokens, drawing, stopping and looking at
// what there is so far.
#include "engine/session.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/preview.h"
#include "engine/vision.h"
#include "engine/vq-decoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct JanusSession {
  // borrowed
  JanusModel *model;
  // owned
  PicturePrefix *picture; // of an edit: what is known of it, found or made
  Vision vision;          // of a picture that is not seen yet
  Generation generation;
  int32_t *tokens;    // [n_samples][n_image_tokens]
  int32_t *fed;       // [group] tokens of one pass
  int32_t *complete;  // [n_image_tokens] a partial picture's tokens, filled up
  jk_sampling *draws; // [n_samples]
  VqWorkspace vq;
  bool has_vq;
  // state
  double cfg, image_cfg;
  bool is_edit;
  int n_samples;
  int n_known; // tokens of every sample at the start
  int n_done;  // tokens of every sample
  int n_fed;   // slots of every sample whose keys and values are there
  atomic_bool cancel;
};

// --- checks -------------------------------------------------------------------------------------

static bool check_image(const JanusRequest *request, JanusError *error) {
  const JanusImage *image = request->image;
  if (!image)
    return true;
  if (!image->rgb || image->width_px < 1 || image->height_px < 1)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a picture to change needs at least 1 x 1 pixels, found %d x %d",
                      image->width_px, image->height_px);
  if (!(isfinite(request->image_cfg) && request->image_cfg >= 0))
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "image-cfg must be a finite number of at least 0, found %g",
                      request->image_cfg);
  return true;
}

bool janus_request_check(const JanusRequest *request, JanusError *error) {
  const uint64_t max_seed = (UINT64_C(1) << 53) - 1;
  if (!request->prompt)
    return janus_fail(error, JANUS_ERROR_REQUEST, "a request needs a prompt, found none");
  if (request->n_samples < 1 || request->n_samples > JANUS_MAX_SAMPLES)
    return janus_fail(error, JANUS_ERROR_REQUEST, "samples must be 1 to %d, found %d",
                      JANUS_MAX_SAMPLES, request->n_samples);
  if (request->first_sample < 0 || request->first_sample > JANUS_MAX_SAMPLES - request->n_samples)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "the first of %d samples must be 0 to %d, found %d", request->n_samples,
                      JANUS_MAX_SAMPLES - request->n_samples, request->first_sample);
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
  return check_image(request, error);
}

bool janus_request_prompt(const JanusModel *model, const JanusRequest *request, JanusPrompt *prompt,
                          JanusError *error) {
  const JanusConfig *config = &model->config;
  const bool ok = request->image
                      ? janus_prompt_edit(model->tokenizer, &model->tags, request->prompt,
                                          config->n_image_tokens, prompt, error)
                      : janus_prompt_text_to_image(model->tokenizer, &model->tags, request->prompt,
                                                   prompt, error);
  if (!ok || (int64_t)prompt->n_ids + config->n_image_tokens <= config->max_positions)
    return ok;
  const int n_found = prompt->n_ids;
  janus_prompt_clear(prompt);
  return janus_fail(
      error, JANUS_ERROR_REQUEST,
      "prompt too long: this model takes at most %d tokens before a picture, found %d",
      config->max_positions - config->n_image_tokens, n_found);
}

static bool check_known(const JanusConfig *config, const JanusRequest *request, JanusError *error) {
  if (!request->known_tokens)
    return true;
  if (request->n_known < 0 || request->n_known > config->n_image_tokens)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a picture to continue must have 0 to %d tokens, found %d",
                      config->n_image_tokens, request->n_known);
  const size_t n = (size_t)request->n_samples * (size_t)request->n_known;
  for (size_t i = 0; i < n; i++)
    if (request->known_tokens[i] < 0 || request->known_tokens[i] >= config->n_codes)
      return janus_fail(error, JANUS_ERROR_REQUEST,
                        "a token of the picture to continue must be 0 to %d, found %d",
                        config->n_codes - 1, (int)request->known_tokens[i]);
  return true;
}

bool janus_request_tokens_check(const JanusModel *model, const JanusRequest *request,
                                JanusError *error) {
  const JanusConfig *config = &model->config;
  for (int i = 0; request->image && request->image_tokens && i < config->n_image_tokens; i++)
    if (request->image_tokens[i] < 0 || request->image_tokens[i] >= config->n_codes)
      return janus_fail(error, JANUS_ERROR_REQUEST,
                        "token %d of the picture to change must be 0 to %d, found %d", i,
                        config->n_codes - 1, (int)request->image_tokens[i]);
  return check_known(config, request, error);
}

// --- making and releasing -----------------------------------------------------------------------

// Also makes the model's table of colours when this is its first session.
static bool attach_preview(JanusModel *model, JanusError *error) {
  if (!model->preview)
    model->preview = preview_table_new(model);
  return model->preview || janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a preview");
}

static bool allocate(JanusSession *session, const JanusRequest *request, JanusPrompt *prompt,
                     JanusError *error) {
  JanusModel *model = session->model;
  const size_t n_tokens = (size_t)model->config.n_image_tokens;
  const size_t n_samples = (size_t)session->n_samples;
  const GenerationPlan plan =
      generation_plan(session->n_samples, session->is_edit, session->cfg, session->image_cfg);
  session->tokens = calloc(n_samples * n_tokens, sizeof *session->tokens);
  session->fed = calloc(n_samples, sizeof *session->fed);
  session->complete = calloc(n_tokens, sizeof *session->complete);
  session->draws = calloc(n_samples, sizeof *session->draws);
  if (!session->tokens || !session->fed || !session->complete || !session->draws)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %d samples",
                      session->n_samples);
  PicturePrefix *picture = session->picture;
  if (picture && !picture_prefix_is_seen(picture) &&
      !vision_init_fitted(&session->vision, model, picture->rgb, request->image_tokens, error))
    return false;
  pthread_mutex_lock(&model->lock);
  const bool ok = attach_preview(model, error) &&
                  generation_init(&session->generation, model, &plan, prompt, picture, error);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

static void give_back(JanusModel *model, PicturePrefix *picture) {
  pthread_mutex_lock(&model->lock);
  picture_prefix_give_back(model, picture);
  pthread_mutex_unlock(&model->lock);
}

static void plan_draws(JanusSession *session, const JanusRequest *request) {
  for (int i = 0; i < session->n_samples; i++)
    session->draws[i] = (jk_sampling){.temperature = (float)request->temperature,
                                      .top_k = request->top_k,
                                      .top_p = (float)request->top_p,
                                      .seed = request->seed,
                                      .sample_index = (uint32_t)(request->first_sample + i)};
}

static int32_t *token_at(JanusSession *session, int sample, int index) {
  return session->tokens + (size_t)sample * (size_t)session->model->config.n_image_tokens + index;
}

static void take_known(JanusSession *session, const JanusRequest *request) {
  session->n_known = session->n_done = request->known_tokens ? request->n_known : 0;
  const size_t n = (size_t)session->n_known;
  for (int i = 0; n > 0 && i < session->n_samples; i++)
    memcpy(token_at(session, i, 0), request->known_tokens + (size_t)i * n,
           n * sizeof *session->tokens);
}

// Takes the picture over.
static JanusSession *new_session(JanusModel *model, const JanusRequest *request,
                                 JanusPrompt *prompt, PicturePrefix *picture, JanusError *error) {
  JanusSession *session = calloc(1, sizeof *session);
  if (!session) {
    give_back(model, picture);
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a session");
    return NULL;
  }
  session->model = model;
  session->picture = picture;
  session->cfg = request->cfg;
  session->image_cfg = request->image_cfg;
  session->is_edit = request->image != NULL;
  session->n_samples = request->n_samples;
  atomic_init(&session->cancel, false);
  if (allocate(session, request, prompt, error)) {
    plan_draws(session, request);
    take_known(session, request);
    return session;
  }
  janus_session_free(session);
  return NULL;
}

// What is known of the request's picture, if it has one; then with room for the run beside it.
static bool take_picture(JanusModel *model, const JanusRequest *request, const JanusMemory *needed,
                         PicturePrefix **picture, JanusError *error) {
  uint8_t *rgb = request->image ? vision_fit(model, request->image, error) : NULL;
  *picture = NULL;
  if (request->image && !rgb)
    return false;
  pthread_mutex_lock(&model->lock);
  bool ok = true;
  if (rgb) {
    *picture = picture_prefix_take(model, rgb, request->image_tokens, error);
    ok = *picture != NULL;
  }
  const size_t held_bytes = *picture ? picture_prefix_held_bytes(*picture, model) : 0;
  ok = ok && picture_prefixes_make_room(model, needed, held_bytes, error);
  if (!ok)
    picture_prefix_give_back(model, *picture);
  pthread_mutex_unlock(&model->lock);
  return ok;
}

JanusSession *janus_session_new(JanusModel *model, const JanusRequest *request, JanusError *error) {
  JanusPrompt prompt = {0};
  PicturePrefix *picture = NULL;
  if (!janus_request_check(request, error) || !janus_request_tokens_check(model, request, error) ||
      !janus_request_prompt(model, request, &prompt, error))
    return NULL;
  const int n_words = prompt.n_ids - (request->image ? 2 * (model->config.n_image_tokens + 2) : 0);
  const JanusMemory needed =
      janus_estimate_memory(model, request->n_samples, n_words, request->image != NULL);
  JanusSession *session = NULL;
  if (take_picture(model, request, &needed, &picture, error))
    session = new_session(model, request, &prompt, picture, error);
  janus_prompt_clear(&prompt);
  return session;
}

void janus_session_free(JanusSession *session) {
  if (!session)
    return;
  if (session->has_vq)
    vq_workspace_clear(&session->vq, session->model);
  vision_clear(&session->vision, session->model);
  pthread_mutex_lock(&session->model->lock);
  generation_clear(&session->generation);
  picture_prefix_give_back(session->model, session->picture);
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

// Draws token `index` of samples first .. first + n - 1 from a row of `guided` each.
static bool draw(JanusSession *session, const float *guided, int index, int first, int n,
                 JanusError *error) {
  jk_device *dev = session->model->device;
  for (int i = 0; i < n; i++)
    session->draws[first + i].position = (uint32_t)index;
  const jk_status status = dev->sample(dev, session->fed, guided, session->model->config.n_codes,
                                       session->draws + first, n);
  if (status != JK_OK)
    return janus_device_fail(dev, status, " while drawing a token", error);
  for (int i = 0; i < n; i++)
    *token_at(session, first + i, index) = session->fed[i];
  return janus_device_check(dev, error);
}

// The next token of every sample. On a stop no token of this step counts.
static bool step(JanusSession *session, JanusError *error) {
  Generation *g = &session->generation;
  const int index = session->n_done;
  for (int first = 0; first < session->n_samples; first += g->group_samples) {
    const int left = session->n_samples - first;
    const int n = left < g->group_samples ? left : g->group_samples;
    for (int i = 0; i < n && index > 0; i++)
      session->fed[i] = *token_at(session, first + i, index - 1);
    if (!generation_feed(g, first, n, session->fed, index, &session->cancel))
      return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
    const float *guided = generation_logits(g, n, session->cfg, session->image_cfg);
    if (!draw(session, guided, index, first, n, error))
      return false;
  }
  session->n_fed = ++session->n_done;
  return true;
}

static bool feed_first(JanusSession *session) {
  Generation *g = &session->generation;
  for (int first = 0; first < session->n_samples; first += g->group_samples) {
    const int left = session->n_samples - first;
    const int n = left < g->group_samples ? left : g->group_samples;
    if (!generation_feed(g, first, n, session->fed, 0, &session->cancel))
      return false;
  }
  session->n_fed = 1;
  return true;
}

// The next slots of every sample whose tokens are known: nothing is drawn.
static bool refeed(JanusSession *session, JanusError *error) {
  Generation *g = &session->generation;
  const int slot = session->n_fed, left = session->n_done - slot;
  const int n = left < generation_max_refed(g) ? left : generation_max_refed(g);
  bool ok = slot > 0 || feed_first(session);
  for (int i = 0; slot > 0 && ok && i < session->n_samples; i++)
    ok = generation_refeed(g, i, token_at(session, i, slot - 1), slot, n, &session->cancel);
  if (!ok)
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  session->n_fed += slot > 0 ? n : 0;
  return janus_device_check(session->model->device, error);
}

static bool prefill(JanusSession *session, JanusError *error) {
  if (generation_prefill(&session->generation, &session->cancel))
    return janus_device_check(session->model->device, error);
  return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
}

// The prompt's positions and those of the tokens known before.
static JanusProgress prefill_progress(const JanusSession *session) {
  const Generation *g = &session->generation;
  const int n_rows = g->plan.n_classes * session->n_samples;
  const int n_refed = session->n_fed < session->n_known ? session->n_fed : session->n_known;
  return (JanusProgress){JANUS_PHASE_PREFILL, generation_prefill_done(g) + n_rows * n_refed,
                         generation_prefill_total(g) + n_rows * session->n_known};
}

// One block of an encoder. It takes the device itself, to let others in between.
static bool look(JanusSession *session, JanusProgress *progress, JanusError *error) {
  Vision *vision = &session->vision;
  const bool ok = vision_step(vision, session->model, &session->cancel, error);
  *progress = (JanusProgress){JANUS_PHASE_LOOK, vision->n_done, vision->n_steps};
  if (vision_is_done(vision)) {
    picture_prefix_see(session->picture, session->model, vision);
    vision_clear(vision, session->model);
  }
  return ok;
}

// One block of an encoder, one chunk of the prompt or of known tokens, or one token of every
// sample, holding the device.
static bool advance(JanusSession *session, JanusProgress *progress, JanusError *error) {
  Generation *g = &session->generation;
  if (is_cancelled(session))
    return janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
  if (!vision_is_done(&session->vision))
    return look(session, progress, error);
  bool ok;
  pthread_mutex_lock(&session->model->lock);
  if (session->n_fed == 0 && generation_prefill_done(g) < generation_prefill_total(g)) {
    ok = prefill(session, error);
    *progress = prefill_progress(session);
  } else if (session->n_fed < session->n_done) {
    ok = refeed(session, error);
    *progress = prefill_progress(session);
  } else {
    ok = step(session, error);
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
    if (!advance(session, &report, error) || !janus_model_check_files(session->model, error))
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

int session_count_prefilled(const JanusSession *session) {
  return session->generation.n_prefilled;
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
  if (!vq_decode(&session->vq, model, session->complete, &session->cancel, error) ||
      !janus_model_check_files(model, error))
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
