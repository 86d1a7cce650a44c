// SPDX-License-Identifier: MIT
// Stops at random moments of every phase, from another thread and by the callback: what was made
// until then is kept, and what is made afterwards with the same model is what it always was. A
// second argument: in other formats than f32, and of runs that go on.
#include "engine/model.h"
#include "engine/pad-prefix.h"
#include "tests/engine/parity.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// From the folder of parity checkpoints.
#define DEMO "../../data/demo-model"

enum {
  PHASE_PICTURE = JANUS_PHASE_DECODE + 1, // tokens to pixels
  N_PHASES,
  N_SAMPLES = 2,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  N_STOPS = 40, // in each phase
#else
  N_STOPS = 200,
#endif
};
static const char *const phase_names[N_PHASES] = {
    [JANUS_PHASE_LOOK] = "the encoders",
    [JANUS_PHASE_PREFILL] = "the prompt",
    [JANUS_PHASE_DECODE] = "the tokens",
    [PHASE_PICTURE] = "the picture decoder",
};

// What a request gives when nobody stops it.
typedef struct Work {
  JanusModel *model;
  JanusRequest request;
  size_t n_tokens, n_bytes;
  int32_t *tokens;           // [N_SAMPLES][n_tokens]
  uint8_t *rgb;              // [N_SAMPLES][n_bytes]
  int n_calls[N_PHASES];     // of the callback
  double phase_ms[N_PHASES]; // time taken
} Work;

// --- a stop --------------------------------------------------------------------------------------

// Who stops a session, and when: `delay_us` after call number `at_call` of a phase's callbacks, or
// at once by what the callback returns. Call 0 is the phase's beginning.
typedef struct Stop {
  Work *work;
  JanusSession *session;
  int phase, at_call;
  long delay_us;
  bool by_callback;
  bool looks; // previews and whole decodes on the way, as a window asks for them
  int n_calls[N_PHASES];
  uint8_t *preview; // [n_bytes]
  pthread_t thread;
  bool has_thread;
} Stop;

static void *cancel_later(void *data) {
  const Stop *stop = data;
  const struct timespec delay = {.tv_nsec = stop->delay_us * 1000};
  nanosleep(&delay, NULL);
  janus_session_cancel(stop->session);
  return NULL;
}

// Called where a phase begins and after each of its steps; false = stop now.
static bool reach(Stop *stop, int phase) {
  if (phase != stop->phase || stop->n_calls[phase] != stop->at_call || stop->has_thread)
    return true;
  if (stop->by_callback)
    return false;
  stop->has_thread = pthread_create(&stop->thread, NULL, cancel_later, stop) == 0;
  return true;
}

static bool on_progress(const JanusProgress *progress, void *user_data) {
  Stop *stop = user_data;
  const int phase = (int)progress->phase;
  const bool is_last = progress->n_done == progress->n_total;
  stop->n_calls[phase]++;
  if (stop->looks && phase == JANUS_PHASE_DECODE) {
    janus_session_preview(stop->session, 0, stop->preview);
    if (stop->n_calls[phase] % 16 == 0)
      janus_session_decode(stop->session, 1, stop->preview, NULL);
  }
  const bool goes_on = reach(stop, phase);
  return is_last && goes_on && phase < JANUS_PHASE_DECODE ? reach(stop, phase + 1) : goes_on;
}

static void join(Stop *stop) {
  if (stop->has_thread)
    pthread_join(stop->thread, NULL);
  stop->has_thread = false;
}

// --- whole runs ----------------------------------------------------------------------------------

static double lap(double *since_ms) {
  const double now = now_ms(), took = now - *since_ms;
  *since_ms = now;
  return took;
}

typedef struct Clock {
  Work *work;
  double since_ms;
} Clock;

static bool on_clock(const JanusProgress *progress, void *user_data) {
  Clock *clock = user_data;
  clock->work->n_calls[progress->phase]++;
  clock->work->phase_ms[progress->phase] += lap(&clock->since_ms);
  return true;
}

static bool decode_all(JanusSession *session, const Work *work, uint8_t *rgb) {
  bool ok = true;
  for (int i = 0; i < N_SAMPLES && ok; i++)
    ok = janus_session_decode(session, i, rgb + (size_t)i * work->n_bytes, NULL);
  return ok;
}

// The same request, on the model as stopped runs have left it; its pixels take most of the time.
static bool is_as_ever(Work *work, JanusSession *session, bool and_pixels) {
  uint8_t *rgb = calloc(N_SAMPLES, work->n_bytes);
  int n = 0;
  bool ok =
      janus_session_run(session, NULL, NULL, NULL) &&
      same_tokens(work->model, work->tokens, janus_session_get_tokens(session, 0, &n), N_SAMPLES);
  if (and_pixels)
    ok = ok && decode_all(session, work, rgb) &&
         memcmp(rgb, work->rgb, N_SAMPLES * work->n_bytes) == 0;
  free(rgb);
  return ok;
}

static void run_undisturbed(Work *work) {
  JanusSession *session = new_session(work->model, &work->request);
  Clock clock = {.work = work, .since_ms = now_ms()};
  int n = 0;
  bool ok = janus_session_run(session, on_clock, &clock, NULL);
  memcpy(work->tokens, janus_session_get_tokens(session, 0, &n),
         N_SAMPLES * work->n_tokens * sizeof *work->tokens);
  ok = ok && decode_all(session, work, work->rgb);
  work->phase_ms[PHASE_PICTURE] = lap(&clock.since_ms);
  check(ok && n == (int)work->n_tokens, "a run that nobody stops: %.0f + %.0f + %.0f + %.0f ms",
        work->phase_ms[0], work->phase_ms[1], work->phase_ms[2], work->phase_ms[3]);
  janus_session_free(session);
}

static Work work_new(JanusModel *model, const JanusRequest *request) {
  const JanusModelInfo *info = janus_model_get_info(model);
  Work work = {.model = model, .request = *request, .n_tokens = (size_t)info->n_image_tokens};
  work.n_bytes = (size_t)info->image_size_px * (size_t)info->image_size_px * 3;
  work.tokens = calloc(N_SAMPLES * work.n_tokens, sizeof *work.tokens);
  work.rgb = calloc(N_SAMPLES, work.n_bytes);
  run_undisturbed(&work);
  return work;
}

static void work_clear(Work *work) {
  free(work->tokens);
  free(work->rgb);
}

// --- stopped runs --------------------------------------------------------------------------------

typedef struct Count {
  int n_stopped; // before the end
  int n_wrong;   // other tokens or pixels than the run that nobody stopped
  int n_failed;  // other than by saying CANCELLED
} Count;

static bool are_prefixes(const Work *work, const JanusSession *session) {
  bool ok = true;
  for (int i = 0; i < N_SAMPLES; i++) {
    int n = 0;
    const int32_t *found = janus_session_get_tokens(session, i, &n);
    ok = ok &&
         memcmp(found, work->tokens + (size_t)i * work->n_tokens, (size_t)n * sizeof *found) == 0;
  }
  return ok;
}

// Runs until the stop. A picture whose decoder was stopped must not be shown: it is decoded again.
static void run_stopped(Stop *stop, Count *count) {
  Work *work = stop->work;
  uint8_t *rgb = calloc(N_SAMPLES, work->n_bytes);
  JanusError error = {0};
  bool ended = janus_session_run(stop->session, on_progress, stop, &error);
  if (ended && reach(stop, PHASE_PICTURE)) {
    for (int i = 0; i < N_SAMPLES && ended; i++)
      ended = janus_session_decode(stop->session, i, rgb + (size_t)i * work->n_bytes, &error);
    count->n_wrong += ended && memcmp(rgb, work->rgb, N_SAMPLES * work->n_bytes) != 0;
  }
  join(stop);
  count->n_stopped += !ended;
  count->n_failed += !ended && error.code != JANUS_ERROR_CANCELLED;
  count->n_wrong += !are_prefixes(work, stop->session);
  free(rgb);
}

static Stop plan_stop(Work *work, int phase, uint64_t *random) {
  Stop stop = {.work = work, .phase = phase};
  const int n_calls = phase == PHASE_PICTURE ? 1 : work->n_calls[phase];
  stop.at_call = (int)(next_random(random) % (uint32_t)n_calls);
  stop.by_callback = stop.at_call > 0 && next_random(random) % 4 == 0;
  stop.looks = next_random(random) % 2 == 0;
  // up to the length of a step
  const uint32_t step_us = (uint32_t)(work->phase_ms[phase] * 1000) / (uint32_t)n_calls;
  stop.delay_us = step_us ? next_random(random) % step_us : 0;
  return stop;
}

// The unconditional row's keys and values outlive a run: now and then the next one makes them anew.
static void forget_pads(JanusModel *model) {
  pad_prefix_release(model->pads, model->device);
  model->pads = NULL;
}

static void stop_once(Work *work, int phase, uint64_t *random, bool and_again, Count *count) {
  const bool and_pixels = phase == PHASE_PICTURE || next_random(random) % 4 == 0;
  Stop stop = plan_stop(work, phase, random);
  if (next_random(random) % 2)
    forget_pads(work->model);
  // So does what was computed of a picture, which leaves little to stop.
  if (phase <= JANUS_PHASE_PREFILL || next_random(random) % 2)
    janus_model_drop_kept(work->model);
  stop.session = new_session(work->model, &work->request);
  stop.preview = calloc(1, work->n_bytes);
  reach(&stop, work->request.image ? JANUS_PHASE_LOOK : JANUS_PHASE_PREFILL);
  run_stopped(&stop, count);
  if (stop.by_callback) // which does not end the session
    count->n_wrong += and_again && !is_as_ever(work, stop.session, and_pixels);
  janus_session_free(stop.session);
  free(stop.preview);
  if (!and_again || stop.by_callback)
    return;
  JanusSession *again = new_session(work->model, &work->request);
  count->n_wrong += !is_as_ever(work, again, and_pixels);
  janus_session_free(again);
}

// The work is often done before the stop comes, the more so on a busy machine (observed: 0 to 26 %
// of many, 73 % beside three other programs); more stops make up for those.
static void test_phase(Work *work, int phase, int n_stops, bool and_again, uint64_t *random) {
  const int n_wanted = n_stops < 50 ? 0 : n_stops / 3;
  Count count = {0};
  int n = 0;
  for (; n < n_stops || (count.n_stopped < n_wanted && n < 3 * n_stops); n++)
    stop_once(work, phase, random, and_again || (phase == PHASE_PICTURE && n == n_stops - 1),
              &count);
  check(count.n_wrong == 0 && count.n_failed == 0,
        "%d stops in %s: the same bytes before and after", n, phase_names[phase]);
  check(count.n_stopped >= n_wanted, "of which %d came in time", count.n_stopped);
}

// Each stop is followed by a whole run, or the last one alone.
static void test_phases(const char *what, JanusModel *model, const JanusRequest *request,
                        const int n_stops[N_PHASES], bool and_again) {
  const uint64_t seed = (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32);
  uint64_t random = seed;
  printf("# %s, seed %llu\n", what, (unsigned long long)seed);
  Work work = work_new(model, request);
  for (int phase = 0; phase < N_PHASES; phase++)
    if (n_stops[phase])
      test_phase(&work, phase, n_stops[phase], and_again, &random);
  work_clear(&work);
}

// --- models --------------------------------------------------------------------------------------

// Opens the small checkpoint in a format. Ends the test when it cannot.
static JanusModel *open_in(JanusWeights weights) {
  const JanusModelOptions options = {
      .folder = parity_path("tiny-f32"), .device = "cpu", .weights = weights, .n_threads = 2};
  JanusError error = {0};
  JanusModel *model = janus_model_open(&options, &error);
  if (!model) {
    printf("Bail out! %s\n", error.message);
    exit(1);
  }
  return model;
}

// The same in the formats that compute otherwise, which are packed when the first run needs them.
static void test_format(JanusWeights weights) {
  JanusModel *model = open_in(weights);
  JanusImage image = load_picture("portrait.png");
  JanusRequest request = text_request("A red fox, painted in ink.", N_SAMPLES, 9);
  char what[40];
  snprintf(what, sizeof what, "a text in %s", janus_weights_text(weights));
  test_phases(what, model, &request, (const int[N_PHASES]){0, N_STOPS, N_STOPS, N_STOPS}, true);
  request.image = &image;
  request.image_cfg = 5;
  snprintf(what, sizeof what, "an edit in %s", janus_weights_text(weights));
  test_phases(what, model, &request, (const int[N_PHASES]){N_STOPS, 0, 0, 0}, true);
  free((void *)image.rgb);
  janus_model_free(model);
}

// A run that goes on from tokens of an earlier one, which are part of its prompt.
static void test_continued(JanusWeights weights) {
  enum { N_KNOWN = 17 };
  JanusModel *model = open_in(weights);
  const JanusRequest request = text_request("A red fox, painted in ink.", N_SAMPLES, 9);
  const size_t n_tokens = (size_t)janus_model_get_info(model)->n_image_tokens;
  int32_t *all = paint(model, &request), known[N_SAMPLES * N_KNOWN];
  for (size_t i = 0; i < N_SAMPLES; i++)
    memcpy(known + i * N_KNOWN, all + i * n_tokens, N_KNOWN * sizeof *known);
  JanusRequest rest = request;
  rest.known_tokens = known;
  rest.n_known = N_KNOWN;
  char what[40];
  snprintf(what, sizeof what, "a continued text in %s", janus_weights_text(weights));
  test_phases(what, model, &rest, (const int[N_PHASES]){0, N_STOPS, N_STOPS / 4, 0}, true);
  Work work = work_new(model, &rest);
  check(same_tokens(model, work.tokens, all, N_SAMPLES), "which ends as the whole run does");
  work_clear(&work);
  free(all);
  janus_model_free(model);
}

static void test_small(void) {
  JanusModel *model = open_checkpoint("tiny-f32", jk_cpu_best_isa(), 2);
  JanusImage image = load_picture("portrait.png");
  JanusRequest request = text_request("A red fox, painted in ink.", N_SAMPLES, 9);
  test_phases("a text", model, &request, (const int[N_PHASES]){0, N_STOPS, N_STOPS, N_STOPS}, true);
  request.image = &image;
  request.image_cfg = 5;
  test_phases("an edit", model, &request,
              (const int[N_PHASES]){N_STOPS, N_STOPS / 5, N_STOPS / 10, N_STOPS / 10}, true);
  free((void *)image.rgb);
  janus_model_free(model);
}

// A model that takes seconds, where a stop comes in the middle of a block.
static void test_demo(void) {
  struct stat status;
  if (stat(parity_path(DEMO "/config.json"), &status) != 0) {
    check(true, "the demo model # SKIP it is not there");
    return;
  }
  JanusModel *model = open_checkpoint(DEMO, jk_cpu_best_isa(), 2);
  const JanusRequest request = text_request("A red fox, painted in ink.", N_SAMPLES, 9);
  test_phases("the demo model", model, &request, (const int[N_PHASES]){0, 1, 1, 1}, false);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  if (argc > 2) {
    test_format(JANUS_WEIGHTS_Q8);
    test_format(JANUS_WEIGHTS_Q4);
    test_continued(JANUS_WEIGHTS_F32);
    test_continued(JANUS_WEIGHTS_Q8);
  } else {
    test_small();
    test_demo();
  }
  return finish();
}
