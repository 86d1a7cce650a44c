// SPDX-License-Identifier: MIT
// That a picture's tokens depend on the request alone: not on the number of samples or threads,
// the passes, previews, stops, or what else runs; and what a request may not be.
#include "engine/model.h"
#include "engine/session.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "A red fox, painted in ink on white paper.";

static void test_samples(JanusModel *model) {
  JanusRequest request = text_request(PROMPT, 5, 7);
  int32_t *five = paint(model, &request), *again = paint(model, &request);
  check(same_tokens(model, five, again, 5), "the same seed twice gives the same tokens");
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  check(five && !same_tokens(model, five, five + n, 1), "samples differ");
  static const int counts[] = {1, 2, 24, 25, 60};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    request.n_samples = counts[i];
    int32_t *tokens = paint(model, &request);
    check(same_tokens(model, five, tokens, counts[i] < 5 ? counts[i] : 5),
          "%d samples give the same first ones as 5", counts[i]);
    free(tokens);
  }
  request = text_request(PROMPT, 1, 8);
  int32_t *other = paint(model, &request);
  check(!same_tokens(model, five, other, 1), "another seed gives other tokens");
  free(other);
  free(again);
  free(five);
}

static void test_threads(const char *name) {
  const JanusRequest request = text_request(PROMPT, 3, 21);
  check_threads(name, &request);
}

// --- looking on the way --------------------------------------------------------------------------

typedef struct Watch {
  JanusSession *session;
  JanusModel *model;
  uint8_t *rgb;
  int stop_after; // calls; -1 = never
  int n_calls, n_last;
  bool is_monotonic;
} Watch;

static bool watch(const JanusProgress *progress, void *user_data) {
  Watch *w = user_data;
  const int at = (progress->phase == JANUS_PHASE_DECODE ? 100000 : 0) + progress->n_done;
  w->is_monotonic = w->is_monotonic && at > w->n_last && progress->n_done <= progress->n_total;
  w->n_last = at;
  if (w->rgb && w->n_calls % 3 == 0)
    janus_session_preview(w->session, 0, w->rgb);
  if (w->rgb && w->n_calls % 5 == 0)
    janus_session_decode(w->session, 1, w->rgb, NULL);
  return w->n_calls++ != w->stop_after;
}

static void test_looking(JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const JanusRequest request = text_request(PROMPT, 2, 5);
  int32_t *expected = paint(model, &request);
  JanusSession *session = new_session(model, &request);
  Watch w = {.session = session, .model = model, .stop_after = -1, .is_monotonic = true};
  w.rgb = malloc((size_t)info->image_size_px * (size_t)info->image_size_px * 3);
  int n = 0;
  const bool ok = janus_session_run(session, watch, &w, NULL);
  const int32_t *found = janus_session_get_tokens(session, 0, &n);
  check(ok && same_tokens(model, expected, found, 2),
        "previews and decodes on the way change nothing");
  check(w.is_monotonic && w.n_last == 100000 + info->n_image_tokens && w.n_calls > n,
        "progress grows to the last token, %d calls", w.n_calls);
  janus_session_free(session);
  free(w.rgb);
  free(expected);
}

// --- stopping ------------------------------------------------------------------------------------

static void test_stopping(JanusModel *model) {
  const JanusRequest request = text_request(PROMPT, 2, 9);
  int32_t *expected = paint(model, &request);
  const uint32_t n_tokens = (uint32_t)janus_model_get_info(model)->n_image_tokens;
  uint64_t random = 12;
  bool are_prefixes = true, are_cancelled = true, are_resumed = true;
  for (int round = 0; round < 20; round++) {
    JanusSession *session = new_session(model, &request);
    Watch w = {.stop_after = (int)(next_random(&random) % n_tokens), .is_monotonic = true};
    JanusError error = {0};
    int n = 0;
    const bool ended = janus_session_run(session, watch, &w, &error);
    are_cancelled = are_cancelled && !ended && error.code == JANUS_ERROR_CANCELLED;
    const int32_t *found = janus_session_get_tokens(session, 0, &n);
    are_prefixes = are_prefixes && memcmp(found, expected, (size_t)n * sizeof *found) == 0;
    are_resumed = are_resumed && janus_session_run(session, NULL, NULL, &error) &&
                  same_tokens(model, expected, janus_session_get_tokens(session, 0, &n), 2);
    janus_session_free(session);
  }
  check(are_cancelled, "a callback stops a run at any of 20 random places (seed 12)");
  check(are_prefixes, "the tokens until a stop are those of the whole run");
  check(are_resumed, "a run goes on where its callback stopped it");
  int32_t *again = paint(model, &request);
  check(same_tokens(model, expected, again, 2), "a fresh session is not touched by stopped ones");
  free(again);
  free(expected);
}

static void *cancel_soon(void *data) {
  JanusSession *session = data;
  const double until = now_ms() + 5;
  while (now_ms() < until)
    ;
  janus_session_cancel(session);
  return NULL;
}

static void test_cancel(JanusModel *model) {
  const JanusRequest request = text_request(PROMPT, 200, 9);
  JanusSession *session = new_session(model, &request);
  pthread_t thread;
  JanusError error = {0};
  pthread_create(&thread, NULL, cancel_soon, session);
  const double start = cpu_ms();
  const bool ended = janus_session_run(session, NULL, NULL, &error);
  const double took = cpu_ms() - start;
  pthread_join(thread, NULL);
  check(!ended && error.code == JANUS_ERROR_CANCELLED && took < 500,
        "another thread stops a run after 5 ms: computed %.0f ms (bound 500)", took);
  error = (JanusError){0};
  check(!janus_session_run(session, NULL, NULL, &error) && error.code == JANUS_ERROR_CANCELLED,
        "a cancelled session stays cancelled");
  janus_session_free(session);
}

// --- sampling ------------------------------------------------------------------------------------

static void test_sampling(JanusModel *model) {
  JanusRequest request = text_request(PROMPT, 2, 3);
  request.temperature = 0;
  int32_t *greedy = paint(model, &request);
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  check(greedy && same_tokens(model, greedy, greedy + n, 1), "temperature 0: samples are equal");
  request.seed = 4;
  request.top_k = 7;
  request.top_p = 0.5;
  int32_t *other = paint(model, &request);
  check(same_tokens(model, greedy, other, 2), "temperature 0: seed, top-k and top-p are ignored");
  free(other);
  request = text_request(PROMPT, 2, 3);
  request.top_k = 1;
  other = paint(model, &request);
  check(same_tokens(model, greedy, other, 2), "top-k 1 is temperature 0");
  free(other);
  request = text_request(PROMPT, 2, 3);
  request.top_p = 1e-9;
  other = paint(model, &request);
  check(same_tokens(model, greedy, other, 2), "top-p near 0 is temperature 0");
  free(other);
  free(greedy);
}

static void test_guidance(JanusModel *model) {
  JanusRequest request = text_request(PROMPT, 2, 3);
  int32_t *guided = paint(model, &request);
  request.cfg = 1;
  int32_t *plain = paint(model, &request);
  // close enough to 1 that both rows run, far enough that guidance hardly moves a logit
  request.cfg = 1 + 1e-9;
  int32_t *both_rows = paint(model, &request);
  check(!same_tokens(model, guided, plain, 2), "guidance has an effect");
  check(same_tokens(model, plain, both_rows, 2), "cfg 1 gives the same with one row and with both");
  free(both_rows);
  free(plain);
  free(guided);
}

// --- passes --------------------------------------------------------------------------------------

// Hidden states behind the prompt and behind three more tokens, with passes of other sizes.
static void hidden_after(JanusModel *model, int chunk_rows, const char *text, float *hidden) {
  static const int32_t tokens[] = {3, 141, 59};
  const JanusRequest request = text_request(text, 1, 0);
  GenerationPlan plan = generation_plan(1, false, 5, 0);
  Generation g;
  JanusPrompt prompt = {0};
  JanusError error = {0};
  plan.chunk_rows = chunk_rows;
  // The unconditional row's cache outlives a run: start without.
  pad_prefix_release(model->pads, model->device);
  model->pads = NULL;
  if (!check(janus_request_prompt(model, &request, &prompt, &error) &&
                 generation_init(&g, model, &plan, &prompt, NULL, &error),
             "chunks of %d rows%s", chunk_rows, error.message))
    return;
  while (generation_prefill_done(&g) < generation_prefill_total(&g))
    generation_prefill(&g, NULL);
  const size_t n_bytes = 2 * (size_t)model->config.dim * sizeof(float);
  for (int slot = 0; slot <= 3; slot++) {
    generation_feed(&g, 0, 1, slot > 0 ? tokens + slot - 1 : NULL, slot, NULL);
    if (slot == 0 || slot == 3)
      model->device->download(model->device, hidden + (slot > 0 ? 2 * model->config.dim : 0),
                              g.hidden, n_bytes);
  }
  generation_clear(&g);
}

static void test_chunks(JanusModel *model) {
  static const int chunks[] = {32, 1, 2, 7, 31, 33, 48, 1000};
  const size_t n_floats = 4 * (size_t)model->config.dim;
  char prompt[600];
  for (size_t i = 0; i < sizeof prompt; i++)
    prompt[i] = i + 1 < sizeof prompt ? "many words "[i % 11] : '\0';
  float *expected = calloc(n_floats, sizeof *expected), *found = calloc(n_floats, sizeof *found);
  for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
    hidden_after(model, chunks[i], prompt, i == 0 ? expected : found);
    if (i > 0)
      check(memcmp(expected, found, n_floats * sizeof *found) == 0,
            "prompt chunks of %d rows give the bits of 32", chunks[i]);
  }
  check(isfinite(expected[0]) && memcmp(expected, expected + n_floats / 2, 64) != 0,
        "states move with the tokens");
  free(found);
  free(expected);
}

// --- two at once ---------------------------------------------------------------------------------

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

static void test_two_at_once(JanusModel *model) {
  Painter painters[2] = {{model, text_request(PROMPT, 2, 31), NULL},
                         {model, text_request("", 3, 32), NULL}};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    pthread_create(&threads[i], NULL, paint_on_thread, &painters[i]);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    int32_t *alone = paint(model, &painters[i].request);
    check(same_tokens(model, alone, painters[i].tokens, painters[i].request.n_samples),
          "session %d of two at once gives what it gives alone", i + 1);
    free(alone);
    free(painters[i].tokens);
  }
}

// --- requests ------------------------------------------------------------------------------------

static void refuse(JanusModel *model, JanusRequest request, const char *expected) {
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, &request, &error);
  check(!session && error.code == JANUS_ERROR_REQUEST && strstr(error.message, expected) != NULL,
        "refused: %s", error.message);
  janus_session_free(session);
}

static void test_requests(JanusModel *model) {
  const JanusRequest good = text_request("x", 1, (UINT64_C(1) << 53) - 1);
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, &good, &error);
  check(session != NULL, "the largest seed is granted%s", error.message);
  janus_session_free(session);
#define WITH(field, value, expected)                                                               \
  do {                                                                                             \
    JanusRequest request = good;                                                                   \
    request.field = value;                                                                         \
    refuse(model, request, expected);                                                              \
  } while (0)
  WITH(prompt, NULL, "needs a prompt");
  WITH(n_samples, 0, "samples must be 1 to 4096, found 0");
  WITH(n_samples, 4097, "found 4097");
  WITH(seed, UINT64_C(1) << 53, "found 9007199254740992");
  WITH(cfg, NAN, "cfg");
  WITH(cfg, INFINITY, "cfg must be a finite number, found inf");
  WITH(temperature, -0.5, "temperature must be a finite number of at least 0, found -0.5");
  WITH(temperature, NAN, "temperature");
  WITH(top_k, -1, "top-k must be at least 0, found -1");
  WITH(top_p, 0, "top-p must be above 0 and at most 1, found 0");
  WITH(top_p, 1.5, "found 1.5");
  WITH(top_p, NAN, "top-p");
#undef WITH
  static char prompt[20000];
  memset(prompt, 'q', sizeof prompt - 1);
  JanusRequest request = good;
  request.prompt = prompt;
  refuse(model, request, "prompt too long");
}

static void test_memory(JanusModel *model) {
  const JanusMemory needed = {.weights_bytes = 14000000000,
                              .kv_bytes = 3000000000,
                              .activation_bytes = 500000000,
                              .total_bytes = 17500000000};
  JanusError error = {0};
  check(janus_memory_check(&needed, &(MemoryRoom){.total_bytes = 17500000000}, &error),
        "memory that just suffices is enough");
  check(!janus_memory_check(&needed, &(MemoryRoom){.total_bytes = 16000000000}, &error) &&
            error.code == JANUS_ERROR_MEMORY && strstr(error.message, "17.5 GB needed") &&
            strstr(error.message, "has 16.0 GB"),
        "refused: %s", error.message);
  static const int counts[] = {1, 3, 100};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    const GenerationPlan plan = generation_plan(counts[i], false, 5, 0);
    const double kv = (double)generation_kv_bytes(model, &plan, 40);
    const double activations = (double)generation_activation_bytes(model, &plan);
    const JanusMemory estimate = janus_estimate_memory(model, counts[i], 40, false);
    check(fabs((double)estimate.kv_bytes - kv) <= 0.05 * kv,
          "%d samples: caches estimated %.0f bytes, taken %.0f (bound 5 %%)", counts[i],
          (double)estimate.kv_bytes, kv);
    check((double)estimate.activation_bytes >= activations,
          "%d samples: activations estimated %.0f bytes, taken without the decoder %.0f", counts[i],
          (double)estimate.activation_bytes, activations);
  }
}

int main(int argc, char **argv) {
  static const char *const names[] = {"tiny-f32", "tiny-gqa"};
  set_parity_folder(argc, argv);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    JanusModel *model = open_checkpoint(names[i], jk_cpu_best_isa(), 2);
    printf("# %s\n", names[i]);
    test_samples(model);
    test_looking(model);
    test_stopping(model);
    test_cancel(model);
    test_sampling(model);
    test_guidance(model);
    test_chunks(model);
    test_two_at_once(model);
    test_requests(model);
    test_memory(model);
    janus_model_free(model);
    test_threads(names[i]);
  }
  return finish();
}
