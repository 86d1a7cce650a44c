// SPDX-License-Identifier: MIT
// Answers stopped at random moments of every phase, from another thread and by the callback: what
// was said until then is the beginning of the whole answer, and the next one is as ever.
#include "engine/model.h"
#include "tests/engine/parity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
  N_PHASES = JANUS_PHASE_DECODE + 1,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  N_STOPS = 40, // in each phase
#else
  N_STOPS = 200,
#endif
};
static const char *const phase_names[N_PHASES] = {"the encoder", "the question", "the words"};

// What a question is answered with when nobody stops it.
typedef struct Work {
  JanusModel *model;
  JanusQuestion question;
  char *text;
  int n_tokens;
  int n_calls[N_PHASES];
  double phase_ms[N_PHASES], since_ms;
} Work;

static JanusAnswer *new_answer(const Work *work) {
  JanusError error = {0};
  JanusAnswer *answer = janus_answer_new(work->model, &work->question, &error);
  if (!answer) {
    printf("Bail out! %s\n", error.message);
    exit(1);
  }
  return answer;
}

static bool on_clock(const JanusProgress *progress, void *user_data) {
  Work *work = user_data;
  const double now = now_ms();
  work->n_calls[progress->phase]++;
  work->phase_ms[progress->phase] += now - work->since_ms;
  work->since_ms = now;
  return true;
}

static void run_undisturbed(Work *work) {
  JanusAnswer *answer = new_answer(work);
  size_t n_bytes = 0;
  work->since_ms = now_ms();
  const bool ok = janus_answer_run(answer, on_clock, work, NULL);
  work->text = strdup(janus_answer_get_text(answer, &n_bytes));
  janus_answer_get_tokens(answer, &work->n_tokens);
  check(ok && work->n_tokens > 0, "an answer of %d tokens: %.1f + %.1f + %.1f ms", work->n_tokens,
        work->phase_ms[0], work->phase_ms[1], work->phase_ms[2]);
  janus_answer_free(answer);
}

// --- a stop --------------------------------------------------------------------------------------

// `delay_us` after call number `at_call` of a phase, or at once by what the callback returns. Call
// 0 is the phase's beginning.
typedef struct Stop {
  JanusAnswer *answer;
  int phase, at_call;
  long delay_us;
  bool by_callback, has_thread;
  int n_calls[N_PHASES];
  pthread_t thread;
} Stop;

static void *cancel_later(void *data) {
  const Stop *stop = data;
  const struct timespec delay = {.tv_nsec = stop->delay_us * 1000};
  nanosleep(&delay, NULL);
  janus_answer_cancel(stop->answer);
  return NULL;
}

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
  stop->n_calls[phase]++;
  const bool goes_on = reach(stop, phase);
  const bool is_last = progress->n_done == progress->n_total && phase < JANUS_PHASE_DECODE;
  return is_last && goes_on ? reach(stop, phase + 1) : goes_on;
}

static Stop plan_stop(const Work *work, int phase, uint64_t *random) {
  Stop stop = {.phase = phase, .answer = new_answer(work)};
  const int n_calls = work->n_calls[phase];
  stop.at_call = (int)(next_random(random) % (uint32_t)n_calls);
  stop.by_callback = stop.at_call > 0 && next_random(random) % 4 == 0;
  const uint32_t step_us = (uint32_t)(work->phase_ms[phase] * 1000) / (uint32_t)n_calls;
  stop.delay_us = step_us ? next_random(random) % step_us : 0;
  return stop;
}

// Whether what is said so far is the beginning of the whole answer.
static bool is_beginning(const Work *work, const JanusAnswer *answer) {
  size_t n_bytes = 0;
  int n_tokens = 0;
  const char *text = janus_answer_get_text(answer, &n_bytes);
  janus_answer_get_tokens(answer, &n_tokens);
  return n_tokens <= work->n_tokens && strlen(text) == n_bytes &&
         strncmp(text, work->text, n_bytes) == 0;
}

static bool is_as_ever(const Work *work, JanusAnswer *answer) {
  size_t n_bytes = 0;
  int n_tokens = 0;
  const bool ok = janus_answer_run(answer, NULL, NULL, NULL);
  janus_answer_get_tokens(answer, &n_tokens);
  return ok && n_tokens == work->n_tokens &&
         strcmp(janus_answer_get_text(answer, &n_bytes), work->text) == 0;
}

typedef struct Count {
  int n_stopped, n_wrong;
} Count;

static void stop_once(const Work *work, int phase, uint64_t *random, Count *count) {
  Stop stop = plan_stop(work, phase, random);
  JanusError error = {0};
  if (phase == JANUS_PHASE_LOOK) // what is kept of a picture leaves nothing to stop
    janus_model_drop_kept(work->model);
  reach(&stop, JANUS_PHASE_LOOK);
  const bool ended = janus_answer_run(stop.answer, on_progress, &stop, &error);
  if (stop.has_thread)
    pthread_join(stop.thread, NULL);
  count->n_stopped += !ended;
  count->n_wrong += !ended && error.code != JANUS_ERROR_CANCELLED;
  count->n_wrong += !is_beginning(work, stop.answer);
  if (stop.by_callback && !ended) // which does not end the answer
    count->n_wrong += !is_as_ever(work, stop.answer);
  janus_answer_free(stop.answer);
  JanusAnswer *again = new_answer(work);
  count->n_wrong += !is_as_ever(work, again);
  janus_answer_free(again);
}

static void test_format(JanusWeights weights, const JanusImage *image) {
  const JanusModelOptions options = {
      .folder = parity_path("tiny-f32"), .device = "cpu", .weights = weights, .n_threads = 2};
  Work work = {.model = janus_model_open(&options, NULL),
               .question = {.image = image,
                            .text = "What is it?",
                            .seed = 42,
                            .temperature = 1,
                            .top_k = 50,
                            .top_p = 1,
                            .max_tokens = 40}};
  const uint64_t seed = (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32);
  uint64_t random = seed;
  printf("# %s, seed %llu\n", janus_weights_text(weights), (unsigned long long)seed);
  if (!check(work.model != NULL, "the model opens"))
    return;
  run_undisturbed(&work);
  for (int phase = 0; phase < N_PHASES; phase++) {
    Count count = {0};
    for (int i = 0; i < N_STOPS; i++)
      stop_once(&work, phase, &random, &count);
    check(count.n_wrong == 0, "%d stops in %s, in %s: the same words before and after", N_STOPS,
          phase_names[phase], janus_weights_text(weights));
    check(count.n_stopped >= N_STOPS / 3, "of which %d came in time", count.n_stopped);
  }
  free(work.text);
  janus_model_free(work.model);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  JanusImage image = load_picture("portrait.png");
  test_format(JANUS_WEIGHTS_F32, &image);
  test_format(JANUS_WEIGHTS_Q8, &image);
  test_format(JANUS_WEIGHTS_Q4, &image);
  free((void *)image.rgb);
  return finish();
}
