// SPDX-License-Identifier: MIT
// That a picture goes on from its tokens as if it had never been stopped: by a fresh session, text
// or edit, any number of samples, any place, and that some of a request's samples are the
// request's.
#include "engine/engine.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "A red fox, painted in ink on white paper.";

typedef struct Watch {
  int stop_at; // tokens; -1 = never
  int n_last, n_prefills;
  bool is_monotonic;
} Watch;

static bool watch(const JanusProgress *progress, void *user_data) {
  Watch *w = user_data;
  const int at = progress->phase * 100000 + progress->n_done;
  w->is_monotonic = w->is_monotonic && at > w->n_last && progress->n_done <= progress->n_total;
  w->n_last = at;
  w->n_prefills += progress->phase == JANUS_PHASE_PREFILL;
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done != w->stop_at;
}

// The tokens [n_samples][*n_known] of a run that is stopped after some; malloc'd.
static int32_t *paint_until(JanusModel *model, const JanusRequest *request, int stop_at,
                            int *n_known) {
  JanusSession *session = new_session(model, request);
  Watch w = {.stop_at = stop_at, .n_last = -1, .is_monotonic = true};
  janus_session_run(session, watch, &w, NULL);
  int32_t *tokens = NULL;
  for (int i = 0; i < request->n_samples; i++) {
    const int32_t *found = janus_session_get_tokens(session, i, n_known);
    const size_t n = (size_t)*n_known;
    tokens = tokens ? tokens : calloc((size_t)request->n_samples * n + 1, sizeof *tokens);
    memcpy(tokens + (size_t)i * n, found, n * sizeof *tokens);
  }
  janus_session_free(session);
  return tokens;
}

static uint8_t *decode_last(JanusModel *model, JanusSession *session, int sample) {
  const size_t size = (size_t)janus_model_get_info(model)->image_size_px;
  uint8_t *rgb = calloc(size * size, 3);
  if (!janus_session_decode(session, sample, rgb, NULL)) {
    free(rgb);
    return NULL;
  }
  return rgb;
}

// Whether going on behind `known` gives the tokens and the pixels of the whole run.
static bool ends_alike(JanusModel *model, const JanusRequest *request, const int32_t *known,
                       int n_known, Watch *w) {
  JanusRequest continued = *request;
  continued.known_tokens = known;
  continued.n_known = n_known;
  JanusSession *whole = new_session(model, request);
  JanusSession *session = new_session(model, &continued);
  const int last = request->n_samples - 1;
  const size_t size = (size_t)janus_model_get_info(model)->image_size_px;
  int n = 0;
  const bool ran = janus_session_run(whole, NULL, NULL, NULL) &&
                   janus_session_get_tokens(session, 0, &n) && n == n_known &&
                   janus_session_run(session, watch, w, NULL);
  uint8_t *expected = decode_last(model, whole, last), *found = decode_last(model, session, last);
  const bool same = ran && expected && found && memcmp(expected, found, size * size * 3) == 0 &&
                    same_tokens(model, janus_session_get_tokens(whole, 0, &n),
                                janus_session_get_tokens(session, 0, &n), request->n_samples);
  free(expected);
  free(found);
  janus_session_free(session);
  janus_session_free(whole);
  return same;
}

static void test_continuing(JanusModel *model, const JanusRequest *request, const char *what) {
  const int n_tokens = janus_model_get_info(model)->n_image_tokens;
  const int edges[] = {0, 1, 2, n_tokens - 1, n_tokens};
  uint64_t random = 31;
  bool is_same = true, is_monotonic = true;
  for (int round = 0; round < 12; round++) {
    const int stop_at =
        round < 5 ? edges[round] : 1 + (int)(next_random(&random) % (uint32_t)(n_tokens - 1));
    int n_known = 0;
    int32_t *known = paint_until(model, request, stop_at, &n_known);
    Watch w = {.stop_at = -1, .n_last = -1, .is_monotonic = true};
    if (stop_at == 0)
      n_known = 0;
    is_same = is_same && n_known == stop_at && ends_alike(model, request, known, n_known, &w);
    is_monotonic = is_monotonic && w.is_monotonic;
    free(known);
  }
  check(is_same, "%s, %d samples: 12 stops, each continued to the same tokens and pixels (seed 31)",
        what, request->n_samples);
  check(is_monotonic, "%s, %d samples: progress grows while continuing", what, request->n_samples);
}

// Stopped while the known tokens are read again, the run still knows them and can go on.
static void test_stopped_again(JanusModel *model) {
  const JanusRequest request = text_request(PROMPT, 3, 17);
  const int n_tokens = janus_model_get_info(model)->n_image_tokens;
  int n_known = 0, n = 0;
  int32_t *known = paint_until(model, &request, n_tokens - 3, &n_known);
  int32_t *expected = paint(model, &request);
  JanusRequest continued = request;
  continued.known_tokens = known;
  continued.n_known = n_known;
  JanusSession *session = new_session(model, &continued);
  janus_session_cancel(session);
  JanusError error = {0};
  check(!janus_session_run(session, NULL, NULL, &error) && error.code == JANUS_ERROR_CANCELLED,
        "a continued run can be stopped before anything was read");
  const int32_t *found = janus_session_get_tokens(session, 2, &n);
  check(n == n_known && memcmp(found, known + 2 * n_known, (size_t)n * sizeof *found) == 0,
        "and keeps the tokens it was given");
  janus_session_free(session);
  int32_t *again = paint(model, &continued);
  check(same_tokens(model, expected, again, 3), "so that it can be continued");
  free(again);
  free(expected);
  free(known);
}

static void test_first_sample(JanusModel *model) {
  JanusRequest request = text_request(PROMPT, 5, 7);
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  int32_t *five = paint(model, &request);
  request.first_sample = 3;
  request.n_samples = 2;
  int32_t *two = paint(model, &request);
  check(five && two && memcmp(five + 3 * n, two, 2 * n * sizeof *two) == 0,
        "samples 3 and 4 alone are those of five");
  request.known_tokens = five + 4 * n;
  request.n_known = (int)n / 2;
  request.first_sample = 4;
  request.n_samples = 1;
  int32_t *one = paint(model, &request);
  check(five && one && memcmp(five + 4 * n, one, n * sizeof *one) == 0,
        "one of five is continued alone");
  free(one);
  free(two);
  free(five);
}

static void refuse(JanusModel *model, const JanusRequest *request, const char *word) {
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, request, &error);
  check(!session && error.code == JANUS_ERROR_REQUEST && strstr(error.message, word), "refused: %s",
        error.message);
}

static void test_refused(JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  int32_t *tokens = calloc((size_t)info->n_image_tokens * 2 + 2, sizeof *tokens);
  JanusRequest request = text_request(PROMPT, 2, 1);
  request.known_tokens = tokens;
  request.n_known = info->n_image_tokens + 1;
  refuse(model, &request, "to continue");
  request.n_known = -1;
  refuse(model, &request, "to continue");
  request.n_known = 4;
  tokens[7] = info->n_codes;
  refuse(model, &request, "to continue");
  tokens[7] = -1;
  refuse(model, &request, "to continue");
  request = text_request(PROMPT, 2, 1);
  request.first_sample = -1;
  refuse(model, &request, "first of 2 samples");
  request.first_sample = 4095;
  refuse(model, &request, "first of 2 samples");
  free(tokens);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"tiny-f32", "tiny-gqa"};
  set_parity_folder(argc, argv);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    JanusModel *model = open_checkpoint(names[i], jk_cpu_best_isa(), 1);
    const JanusImage image = load_picture("portrait.png");
    JanusRequest text = text_request(PROMPT, 1, 9), edit = text;
    edit.image = &image;
    edit.image_cfg = 5;
    test_continuing(model, &text, "text");
    text.n_samples = edit.n_samples = 3;
    test_continuing(model, &text, "text");
    test_continuing(model, &edit, "edit");
    text.cfg = 1; // conditional rows alone
    test_continuing(model, &text, "text, cfg 1");
    test_stopped_again(model);
    test_first_sample(model);
    if (i == 0)
      test_refused(model);
    free((uint8_t *)image.rgb);
    janus_model_free(model);
  }
  return finish();
}
