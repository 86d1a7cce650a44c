// SPDX-License-Identifier: MIT
// That an edit's tokens depend on the request alone: not on the number of samples or threads, the
// passes, what the model painted before, stops, or what else runs; and what an edit may not be.
#include "engine/model.h"
#include "engine/session.h"
#include "engine/vision.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "Turn the image into a nighttime scene.";
static const char TEXT[] = "A red fox, painted in ink on white paper.";

static JanusRequest edit_request(const JanusImage *image, int n_samples, uint64_t seed) {
  JanusRequest request = text_request(PROMPT, n_samples, seed);
  request.image = image;
  request.image_cfg = 5;
  return request;
}

static void test_samples(JanusModel *model, const JanusImage *image) {
  JanusRequest request = edit_request(image, 5, 7);
  int32_t *five = paint(model, &request), *again = paint(model, &request);
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  check(same_tokens(model, five, again, 5), "the same seed twice gives the same tokens");
  check(five && !same_tokens(model, five, five + n, 1), "samples differ");
  static const int counts[] = {1, 2, 3, 16, 17}; // a pass takes 16 samples
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    request.n_samples = counts[i];
    int32_t *tokens = paint(model, &request);
    check(same_tokens(model, five, tokens, counts[i] < 5 ? counts[i] : 5),
          "%d samples give the same first ones as 5", counts[i]);
    free(tokens);
  }
  free(again);
  free(five);
}

static void test_threads(const char *name, const JanusImage *image) {
  const JanusRequest request = edit_request(image, 3, 21);
  check_threads(name, &request);
}

// --- what was painted before ---------------------------------------------------------------------

// n - 1 characters of words.
static const char *fill(char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    text[i] = i + 1 < n ? "many words "[i % 11] : '\0';
  return text;
}

// The unconditional prompt's cache: short, long enough, outgrown.
static void test_history(const char *name, const JanusImage *image) {
  char words[400];
  const JanusRequest requests[] = {text_request(TEXT, 2, 5), edit_request(image, 2, 5),
                                   text_request(fill(words, sizeof words), 2, 5)};
  static const char *const titles[] = {"text", "edit", "long text"};
  enum { N = sizeof requests / sizeof *requests };
  int32_t *cold[N];
  for (int i = 0; i < N; i++) {
    JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
    cold[i] = paint(model, &requests[i]);
    janus_model_free(model);
  }
  for (int i = 0; i < N * N; i++) {
    JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
    int32_t *before = paint(model, &requests[i / N]), *after = paint(model, &requests[i % N]);
    check(same_tokens(model, cold[i / N], before, 2) && same_tokens(model, cold[i % N], after, 2),
          "%s after %s gives what it gives first", titles[i % N], titles[i / N]);
    free(after);
    free(before);
    janus_model_free(model);
  }
  for (int i = 0; i < N; i++)
    free(cold[i]);
}

static void test_one_prefix(JanusModel *model, const JanusImage *image) {
  char words[1200];
  const JanusRequest edit = edit_request(image, 1, 1), text = text_request(TEXT, 1, 1);
  const JanusRequest longer = text_request(fill(words, sizeof words), 1, 1);
  JanusSession *a = new_session(model, &edit);
  const PadPrefix *pads = model->pads;
  const bool is_run = janus_session_run(a, NULL, NULL, NULL);
  const int n_done = pads->n_done;
  JanusSession *b = new_session(model, &text);
  check(is_run && n_done > 2 * model->config.n_image_tokens && model->pads == pads &&
            janus_session_run(b, NULL, NULL, NULL) && pads->n_done == n_done,
        "a text after an edit computes no unconditional prompt: %d positions are there", n_done);
  check(pads->n_holders == 3, "the cache is held by two sessions and the model");
  JanusSession *c = new_session(model, &longer);
  check(model->pads != pads && model->pads->cache.capacity > pads->cache.capacity,
        "a longer prompt makes it anew: %d positions instead of %d", model->pads->cache.capacity,
        pads->cache.capacity);
  check(pads->n_holders == 2, "the old one stays until its sessions are gone");
  janus_session_free(a);
  janus_session_free(b);
  janus_session_free(c);
  check(model->pads->n_holders == 1, "then the model alone holds one");
}

typedef struct Painter {
  JanusModel *model;
  JanusRequest request;
  int32_t *tokens;
} Painter;

static void *paint_on_thread(void *data) {
  Painter *painter = data;
  painter->tokens = paint(painter->model, &painter->request);
  return NULL;
}

static void test_at_once(const char *name, const JanusImage *image) {
  char words[1200];
  JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
  Painter painters[] = {{model, edit_request(image, 2, 31), NULL},
                        {model, text_request(fill(words, sizeof words), 2, 32), NULL},
                        {model, edit_request(image, 1, 33), NULL}};
  enum { N = sizeof painters / sizeof *painters };
  pthread_t threads[N];
  for (int i = 0; i < N; i++)
    pthread_create(&threads[i], NULL, paint_on_thread, &painters[i]);
  for (int i = 0; i < N; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < N; i++) {
    int32_t *alone = paint(model, &painters[i].request);
    check(same_tokens(model, alone, painters[i].tokens, painters[i].request.n_samples),
          "session %d of three at once gives what it gives alone", i + 1);
    free(alone);
    free(painters[i].tokens);
  }
  janus_model_free(model);
}

// --- stopping ------------------------------------------------------------------------------------

enum { N_PHASES = JANUS_PHASE_DECODE + 1 };

typedef struct Watch {
  JanusSession *session; // cancelled at the stop; NULL = the callback says no
  int stop_after;        // calls; -1 = never
  int n_calls;
  int n_by_phase[N_PHASES], n_total[N_PHASES];
  bool is_orderly;
  JanusProgress last;
} Watch;

static bool watch(const JanusProgress *progress, void *user_data) {
  Watch *w = user_data;
  const bool is_next = progress->phase == w->last.phase ? progress->n_done > w->last.n_done
                                                        : progress->phase == w->last.phase + 1 &&
                                                              w->last.n_done == w->last.n_total;
  w->is_orderly = w->is_orderly && is_next && progress->n_done <= progress->n_total;
  w->last = *progress;
  w->n_by_phase[progress->phase]++;
  w->n_total[progress->phase] = progress->n_total;
  if (w->n_calls++ != w->stop_after)
    return true;
  if (w->session)
    janus_session_cancel(w->session);
  return w->session != NULL;
}

static Watch new_watch(int stop_after) {
  return (Watch){.stop_after = stop_after, .is_orderly = true, .last = {.n_total = 1}};
}

// Callbacks of a run without a stop; `whole` gets what they said.
static void test_progress(JanusModel *model, const JanusRequest *request, Watch *whole) {
  JanusSession *session = new_session(model, request);
  *whole = new_watch(-1);
  const bool ok = janus_session_run(session, watch, whole, NULL);
  const int n_look = siglip_steps(model) + vq_encoder_steps(model);
  const int n_tokens = model->config.n_image_tokens;
  check(ok && whole->is_orderly && whole->last.n_done == n_tokens,
        "progress goes through the phases in order");
  check(whole->n_by_phase[JANUS_PHASE_LOOK] == n_look && whole->n_total[JANUS_PHASE_LOOK] == n_look,
        "one call for each of the encoders' %d blocks", n_look);
  check(whole->n_by_phase[JANUS_PHASE_DECODE] == n_tokens, "and for each of %d tokens", n_tokens);
  janus_session_free(session);
}

static void test_stopping(JanusModel *model, const JanusImage *image) {
  const JanusRequest request = edit_request(image, 2, 9);
  int32_t *expected = paint(model, &request);
  Watch whole;
  test_progress(model, &request, &whole);
  bool are_resumed = true, are_cancelled = true;
  for (int stop = 0; stop + 1 < whole.n_calls; stop += stop % 3 == 0 ? 1 : 2) {
    JanusSession *session = new_session(model, &request);
    Watch w = new_watch(stop);
    JanusError error = {0};
    int n = 0;
    const bool ended = janus_session_run(session, watch, &w, &error);
    are_cancelled = are_cancelled && !ended && error.code == JANUS_ERROR_CANCELLED;
    are_resumed = are_resumed && janus_session_run(session, NULL, NULL, &error) &&
                  same_tokens(model, expected, janus_session_get_tokens(session, 0, &n), 2);
    janus_session_free(session);
  }
  check(are_cancelled, "a callback stops a run wherever it is, of %d places", whole.n_calls);
  check(are_resumed, "a run goes on where its callback stopped it");
  free(expected);
}

// A cancelled session makes no further step, in any phase.
static void test_cancel(JanusModel *model, const JanusImage *image) {
  static const char *const names[] = {"looking", "reading the prompt", "painting"};
  const JanusRequest request = edit_request(image, 2, 9);
  Watch whole = new_watch(-1);
  JanusSession *session = new_session(model, &request);
  janus_session_run(session, watch, &whole, NULL);
  janus_session_free(session);
  for (int phase = 0, before = 0; phase < N_PHASES; before += whole.n_by_phase[phase++]) {
    session = new_session(model, &request);
    Watch w = new_watch(before);
    w.session = session;
    JanusError error = {0};
    const bool ended = janus_session_run(session, watch, &w, &error);
    check(!ended && error.code == JANUS_ERROR_CANCELLED && w.n_calls == before + 1 &&
              (int)w.last.phase == phase,
          "cancelled while %s, it ends within one block", names[phase]);
    janus_session_free(session);
  }
}

// --- guidance ------------------------------------------------------------------------------------

// Tokens with fewer rows against those with rows whose weight is too small to change a bit.
static void compare_rows(JanusModel *model, const JanusRequest *fewer, const JanusRequest *all) {
  int32_t *a = paint(model, fewer), *b = paint(model, all);
  check(same_tokens(model, a, b, fewer->n_samples),
        "cfg %g, image-cfg %g: the same with the rows needed and with all", fewer->cfg,
        fewer->image_cfg);
  free(b);
  free(a);
}

static void test_guidance(JanusModel *model, const JanusImage *image) {
  const JanusRequest usual = edit_request(image, 2, 3);
  JanusRequest fewer = usual, all = usual;
  all.cfg = 1 + 1e-9;
  fewer.cfg = 1;
  compare_rows(model, &fewer, &all);
  fewer.image_cfg = 0;
  all.image_cfg = 1e-30;
  compare_rows(model, &fewer, &all);
  fewer.cfg = all.cfg = 5;
  compare_rows(model, &fewer, &all);
  int32_t *with_both = paint(model, &usual), *without_part = paint(model, &fewer);
  check(!same_tokens(model, with_both, without_part, 2), "image-cfg has an effect");
  free(without_part);
  free(with_both);
}

static void test_known_tokens(JanusModel *model, const JanusImage *image) {
  const size_t n = (size_t)model->config.n_image_tokens;
  JanusRequest request = edit_request(image, 2, 3);
  int32_t *tokens = calloc(n, sizeof *tokens), *encoded = paint(model, &request);
  JanusError error = {0};
  check(janus_model_encode(model, image, tokens, &error), "the picture is encoded%s",
        error.message);
  request.image_tokens = tokens;
  int32_t *known = paint(model, &request);
  check(same_tokens(model, encoded, known, 2), "the picture's own tokens change nothing");
  JanusSession *session = new_session(model, &request);
  Watch w = new_watch(-1);
  janus_session_run(session, watch, &w, NULL);
  check(w.n_by_phase[JANUS_PHASE_LOOK] == siglip_steps(model), "and save the VQ encoder");
  janus_session_free(session);
  for (size_t i = 0; i < n; i++)
    tokens[i] = (tokens[i] + 1) % model->config.n_codes;
  int32_t *other = paint(model, &request);
  check(!same_tokens(model, encoded, other, 2), "other tokens do");
  free(other);
  free(known);
  free(encoded);
  free(tokens);
}

// --- passes --------------------------------------------------------------------------------------

// All rows' hidden states [3][dim] behind the prompt, which is read in chunks of other sizes; of
// the picture `seen` has what is seen and nothing computed.
static void hidden_after(JanusModel *model, const JanusRequest *request, PicturePrefix *seen,
                         int chunk_rows, float *hidden) {
  GenerationPlan plan = generation_plan(1, true, 5, 5);
  seen->n_common_done = seen->n_own_done[0] = seen->n_own_done[1] = 0;
  Generation g;
  JanusPrompt prompt = {0};
  JanusError error = {0};
  plan.chunk_rows = chunk_rows;
  pad_prefix_release(model->pads, model->device); // it outlives a run: start without
  model->pads = NULL;
  if (!check(janus_request_prompt(model, request, &prompt, &error) &&
                 generation_init(&g, model, &plan, &prompt, seen, &error),
             "chunks of %d rows%s", chunk_rows, error.message))
    return;
  while (generation_prefill_done(&g) < generation_prefill_total(&g))
    generation_prefill(&g, NULL);
  generation_feed(&g, 0, 1, NULL, 0, NULL);
  model->device->download(model->device, hidden, g.hidden,
                          GENERATION_MAX_CLASSES * (size_t)model->config.dim * sizeof(float));
  generation_clear(&g);
}

static void test_chunks(JanusModel *model, const JanusImage *image) {
  static const int chunks[] = {32, 1, 7, 31, 33, 1000}; // slots begin and end within them
  const JanusRequest request = edit_request(image, 1, 0);
  const size_t dim = (size_t)model->config.dim, n = GENERATION_MAX_CLASSES * dim;
  float *expected = calloc(n, sizeof *expected), *found = calloc(n, sizeof *found);
  Vision vision;
  bool ok = vision_init(&vision, model, image, NULL, NULL);
  while (ok && !vision_is_done(&vision))
    ok = vision_step(&vision, model, NULL, NULL);
  check(ok, "the picture is seen");
  PicturePrefix *seen = picture_prefix_new(model, NULL, NULL, NULL);
  picture_prefix_see(seen, model, &vision);
  for (size_t i = 0; ok && i < sizeof chunks / sizeof *chunks; i++) {
    hidden_after(model, &request, seen, chunks[i], i == 0 ? expected : found);
    if (i > 0)
      check(memcmp(expected, found, n * sizeof *found) == 0,
            "prompt chunks of %d rows give the bits of 32", chunks[i]);
  }
  check(memcmp(expected, expected + dim, dim * sizeof *found) != 0 &&
            memcmp(expected + dim, expected + 2 * dim, dim * sizeof *found) != 0,
        "the three rows differ");
  picture_prefix_free(seen, model->device);
  vision_clear(&vision, model);
  free(found);
  free(expected);
}

// --- requests ------------------------------------------------------------------------------------

static void refuse(JanusModel *model, JanusRequest request, const char *expected) {
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, &request, &error);
  check(!session && error.code == JANUS_ERROR_REQUEST && strstr(error.message, expected) != NULL,
        "refused: %s", error.message);
  janus_session_free(session);
}

static void refuse_values(JanusModel *model, const JanusImage *image) {
  static const double weights[] = {NAN, INFINITY, -0.5};
  JanusRequest request = edit_request(image, 1, 1);
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
    request.image_cfg = weights[i];
    refuse(model, request, "image-cfg must be a finite number of at least 0, found");
  }
  request = edit_request(image, 1, 1);
  static const char *const prompts[] = {"", " \n\t\u3000"};
  for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
    request.prompt = prompts[i];
    refuse(model, request, "an edit needs a prompt");
  }
}

static void refuse_pictures(JanusModel *model, const JanusImage *image) {
  JanusImage bad[3] = {*image, *image, *image};
  bad[0].width_px = 0;
  bad[1].height_px = -3;
  bad[2].rgb = NULL;
  for (int i = 0; i < 3; i++)
    refuse(model, edit_request(&bad[i], 1, 1), "at least 1 x 1 pixels");
  const int n_tokens = model->config.n_image_tokens, n_codes = model->config.n_codes;
  int32_t *tokens = calloc((size_t)n_tokens, sizeof *tokens);
  JanusRequest request = edit_request(image, 1, 1);
  request.image_tokens = tokens;
  tokens[2] = n_codes;
  refuse(model, request, "token 2 of the picture");
  tokens[2] = 0;
  tokens[n_tokens - 1] = -1;
  refuse(model, request, "found -1");
  free(tokens);
}

// A prompt that leaves room for a picture to be painted, but not for the one to change too.
static void refuse_length(JanusModel *model, const JanusImage *image) {
  char *words = malloc(40000);
  JanusRequest request = text_request("", 1, 1);
  request.prompt = words;
  JanusPrompt prompt = {0};
  size_t n = 40000;
  fill(words, n);
  while (!janus_request_prompt(model, &request, &prompt, NULL)) {
    n = n * 63 / 64;
    fill(words, n);
  }
  const int n_room = model->config.max_positions - model->config.n_image_tokens - prompt.n_ids;
  check(n_room < 2 * model->config.n_image_tokens, "a text of %d tokens fits", prompt.n_ids);
  janus_prompt_clear(&prompt);
  request.image = image;
  refuse(model, request, "prompt too long");
  free(words);
}

static void test_memory(JanusModel *model) {
  const int n_words = 20;
  for (int n_samples = 1; n_samples <= 100; n_samples += 33) {
    const GenerationPlan plan = generation_plan(n_samples, true, 5, 5);
    const int n_prompt = n_words + 2 * (model->config.n_image_tokens + 2);
    const double kv = (double)generation_kv_bytes(model, &plan, n_prompt);
    const double least = (double)(generation_activation_bytes(model, &plan) + vision_bytes(model));
    const JanusMemory edit = janus_estimate_memory(model, n_samples, n_words, true);
    const JanusMemory text = janus_estimate_memory(model, n_samples, n_words, false);
    check(fabs((double)edit.kv_bytes - kv) <= 0.05 * kv && (double)edit.activation_bytes >= least,
          "%d samples: caches estimated %zu bytes, taken %.0f (bound 5 %%)", n_samples,
          edit.kv_bytes, kv);
    check(edit.kv_bytes > text.kv_bytes && edit.total_bytes > text.total_bytes,
          "%d samples: an edit needs more than a text", n_samples);
  }
}

int main(int argc, char **argv) {
  static const char *const names[] = {"tiny-f32", "tiny-gqa"};
  set_parity_folder(argc, argv);
  const JanusImage image = load_picture("portrait.png");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    JanusModel *model = open_checkpoint(names[i], jk_cpu_best_isa(), 2);
    model->pictures_budget_bytes = 0; // every edit computes everything; test-prefix has the others
    printf("# %s\n", names[i]);
    test_one_prefix(model, &image);
    test_samples(model, &image);
    test_stopping(model, &image);
    test_cancel(model, &image);
    test_guidance(model, &image);
    test_known_tokens(model, &image);
    test_chunks(model, &image);
    refuse_values(model, &image);
    refuse_pictures(model, &image);
    refuse_length(model, &image);
    test_memory(model);
    janus_model_free(model);
    test_threads(names[i], &image);
    test_history(names[i], &image);
    test_at_once(names[i], &image);
  }
  free((void *)image.rgb);
  return finish();
}
