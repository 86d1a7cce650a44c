// SPDX-License-Identifier: MIT
// Measuring a model's runs: sessions like any other, with the stream measured between their steps.
#include "engine/bench.h"

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/session.h"
#include "engine/synthetic.h"
#include "engine/vision.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct JanusBench {
  JanusModel *model; // borrowed
  void *stream;      // device memory
  JanusBenchLimits limits;
};

// --- limits -------------------------------------------------------------------------------------

enum { STREAM_BYTES = 1 << 30, LEAST_STREAM_BYTES = 1 << 26, STREAM_PASSES = 2 };

static jk_format format_of(JanusWeights weights) {
  switch (weights) {
  case JANUS_WEIGHTS_BF16:
    return JK_FORMAT_BF16;
  case JANUS_WEIGHTS_Q8:
    return JK_FORMAT_Q8;
  case JANUS_WEIGHTS_Q4:
    return JK_FORMAT_Q4;
  case JANUS_WEIGHTS_FP8:
    return JK_FORMAT_FP8;
  case JANUS_WEIGHTS_AUTO:
  case JANUS_WEIGHTS_F32:
    break;
  }
  return JK_FORMAT_F32;
}

// A quarter of what is free, so that a small machine keeps room for the model.
static size_t choose_stream_bytes(void) {
  const MemoryRoom room = janus_memory_room();
  const uint64_t quarter = room.free_bytes / 4 / 64 * 64;
  const uint64_t n_bytes = quarter < STREAM_BYTES ? quarter : STREAM_BYTES;
  return (size_t)(n_bytes > LEAST_STREAM_BYTES ? n_bytes : LEAST_STREAM_BYTES);
}

// Random data in device memory, a piece at a time.
static bool fill_stream(jk_device *dev, void *stream, size_t n_bytes) {
  enum { PIECE_BYTES = 1 << 24 };
  char *piece = malloc(PIECE_BYTES);
  bool ok = piece != NULL;
  for (size_t at = 0; ok && at < n_bytes; at += PIECE_BYTES) {
    const size_t n = n_bytes - at < PIECE_BYTES ? n_bytes - at : PIECE_BYTES;
    synthetic_fill((uint16_t *)(void *)piece, n / sizeof(uint16_t), 1 + at, 0, 1);
    ok = dev->upload(dev, (char *)stream + at, piece, n) == JK_OK;
  }
  free(piece);
  return ok;
}

// The best so far: on a busy machine one try may find half of it.
static void measure_peak(JanusBench *bench) {
  jk_device *dev = bench->model->device;
  pthread_mutex_lock(&bench->model->lock);
  const double found = dev->measure_peak(dev, format_of(bench->model->info.weights));
  pthread_mutex_unlock(&bench->model->lock);
  bench->limits.peak_flops = fmax(bench->limits.peak_flops, found);
}

JanusBench *janus_bench_new(JanusModel *model, JanusError *error) {
  jk_device *dev = model->device;
  if (!janus_model_prepare(model, NULL, NULL, error))
    return NULL;
  JanusBench *bench = calloc(1, sizeof *bench);
  const size_t n_bytes = choose_stream_bytes();
  if (!bench || dev->alloc(dev, n_bytes, "the stream", &bench->stream) != JK_OK ||
      !fill_stream(dev, bench->stream, n_bytes)) {
    char text[BYTES_TEXT];
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %s of random data",
               janus_bytes_text(n_bytes, text));
    if (bench)
      dev->free(dev, bench->stream);
    free(bench);
    return NULL;
  }
  bench->model = model;
  bench->limits.stream_bytes = n_bytes;
  measure_peak(bench);
  janus_bench_stream(bench); // the first pass is slower
  return bench;
}

void janus_bench_free(JanusBench *bench) {
  if (!bench)
    return;
  bench->model->device->free(bench->model->device, bench->stream);
  free(bench);
}

const JanusBenchLimits *janus_bench_get_limits(const JanusBench *bench) {
  return &bench->limits;
}

double janus_bench_stream(JanusBench *bench) {
  jk_device *dev = bench->model->device;
  const size_t n_bytes = bench->limits.stream_bytes;
  double best_s = INFINITY;
  pthread_mutex_lock(&bench->model->lock);
  for (int i = 0; i < STREAM_PASSES; i++) {
    const double begin = bench_now_s();
    dev->read_all(dev, bench->stream, n_bytes);
    best_s = fmin(best_s, bench_now_s() - begin);
  }
  pthread_mutex_unlock(&bench->model->lock);
  return (double)n_bytes / best_s;
}

// --- steps --------------------------------------------------------------------------------------

enum { MAX_REPETITIONS = 64 };

// Neighbouring steps, and the stream before and after them.
typedef struct Repetition {
  int first, n;            // in the list of steps
  double before, after;    // bytes a second
  double step_s, fraction; // filled at the end
} Repetition;

typedef struct Run {
  JanusBench *bench;
  const JanusBenchPlan *plan;
  const BenchCounts *counts;
  double *steps_s; // [n_image_tokens], by number of the measured step
  int n_steps;
  int n_known;
  Repetition repetitions[MAX_REPETITIONS];
  int n_repetitions; // the last one is under way
  double begin_s, decode_begin_s, last_s;
  double look_end_s, prefill_end_s;
  int n_prompt_positions; // that progress counts in front of known tokens
  BenchObserver observer;
  int n_observed; // steps; 0 = not yet
  double observed_s;
  bool is_observing;
} Run;

static double drift(const Repetition *r) {
  return fabs(r->before - r->after) / fmax(r->before, r->after);
}

static int steps_per_repetition(const Run *run) {
  const int n = run->plan->n_steps / JANUS_BENCH_REPETITIONS;
  return n > 0 ? n : 1;
}

static int count_steady(const Run *run) {
  int n = 0;
  for (int i = 0; i < run->n_repetitions; i++)
    n += drift(&run->repetitions[i]) <= JANUS_BENCH_STEADY;
  return n;
}

static int wanted_repetitions(const Run *run) {
  return run->plan->n_steps < JANUS_BENCH_REPETITIONS ? run->plan->n_steps
                                                      : JANUS_BENCH_REPETITIONS;
}

// Whether the steps that were asked for are there, and the stream was steady or has had its time.
static bool is_enough(const Run *run) {
  const int n_left = run->bench->model->config.n_image_tokens - run->n_known - 1 - run->n_steps;
  const bool has_time = bench_now_s() - run->decode_begin_s < run->plan->patience_s;
  if (run->n_steps < run->plan->n_steps)
    return false;
  return count_steady(run) >= wanted_repetitions(run) || !has_time ||
         run->n_repetitions == MAX_REPETITIONS || n_left < steps_per_repetition(run);
}

static void begin_repetition(Run *run, double stream) {
  run->repetitions[run->n_repetitions++] = (Repetition){.first = run->n_steps, .before = stream};
}

// After the last repetition some steps are taken apart.
enum { N_OBSERVED = 4 };

static bool observe(Run *run) {
  jk_device *dev = run->bench->model->device;
  if (!run->is_observing) {
    bench_observer_begin(&run->observer, dev);
    run->is_observing = true;
    return true;
  }
  run->n_observed++;
  run->observed_s += bench_now_s() - run->last_s;
  if (run->n_observed < N_OBSERVED)
    return true;
  bench_observer_end(&run->observer, dev);
  run->is_observing = false;
  return false;
}

// How many steps this repetition gets; the last one takes what is left over.
static int repetition_size(const Run *run) {
  const int n = steps_per_repetition(run);
  const int left = run->plan->n_steps - run->repetitions[run->n_repetitions - 1].first;
  return left > n && left < 2 * n ? left : n;
}

static bool after_step(Run *run, int n_tokens) {
  const double step_s = bench_now_s() - run->last_s;
  if (run->is_observing)
    return observe(run);
  if (n_tokens == run->n_known + 1) { // a first one is not measured
    run->decode_begin_s = bench_now_s();
    begin_repetition(run, janus_bench_stream(run->bench));
    return true;
  }
  Repetition *r = &run->repetitions[run->n_repetitions - 1];
  run->steps_s[run->n_steps++] = step_s;
  if (++r->n < repetition_size(run))
    return true;
  r->after = janus_bench_stream(run->bench);
  if (is_enough(run))
    return n_tokens < run->bench->model->config.n_image_tokens && observe(run);
  begin_repetition(run, r->after);
  return true;
}

static bool on_progress(const JanusProgress *progress, void *user_data) {
  Run *run = user_data;
  bool goes_on = true;
  switch (progress->phase) {
  case JANUS_PHASE_LOOK:
    run->look_end_s = bench_now_s();
    break;
  case JANUS_PHASE_PREFILL:
    if (progress->n_done <= progress->n_total - run->counts->n_rows * run->n_known)
      run->prefill_end_s = bench_now_s();
    break;
  case JANUS_PHASE_DECODE:
    goes_on = after_step(run, progress->n_done);
    break;
  }
  run->last_s = bench_now_s();
  return goes_on;
}

// --- results ------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Sorts the values.
static double median(double *values, int n) {
  qsort(values, (size_t)n, sizeof *values, by_size);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int by_drift(const void *a, const void *b) {
  const double x = drift(a), y = drift(b);
  return (x > y) - (x < y);
}

// Of the repetition whose steps are known: the picture's step number in its middle.
static int middle_step(const Run *run, const Repetition *r) {
  return run->n_known + 1 + r->first + r->n / 2;
}

static size_t step_bytes(const Run *run, int step) {
  const JanusModel *model = run->bench->model;
  return run->counts->weights_bytes + bench_kv_bytes(model, run->counts, step) +
         bench_kv_new_bytes(model, run->counts);
}

static void weigh(const Run *run, Repetition *r, double *scratch) {
  memcpy(scratch, run->steps_s + r->first, (size_t)r->n * sizeof *scratch);
  r->step_s = median(scratch, r->n);
  r->fraction =
      (double)step_bytes(run, middle_step(run, r)) / (r->step_s * fmax(r->before, r->after));
}

// The steadiest repetitions, their steps and streams.
static void fill_steps(Run *run, JanusBenchResult *result, double *scratch) {
  double fractions[MAX_REPETITIONS], streams[MAX_REPETITIONS];
  int n = wanted_repetitions(run), n_steps = 0, middle = 0;
  qsort(run->repetitions, (size_t)run->n_repetitions, sizeof *run->repetitions, by_drift);
  n = n < run->n_repetitions ? n : run->n_repetitions;
  for (int i = 0; i < n; i++) {
    Repetition *r = &run->repetitions[i];
    weigh(run, r, scratch);
    fractions[i] = r->fraction;
    streams[i] = fmax(r->before, r->after);
    middle += middle_step(run, r);
  }
  for (int i = 0; i < n; i++) {
    const Repetition *r = &run->repetitions[i];
    memcpy(scratch + n_steps, run->steps_s + r->first, (size_t)r->n * sizeof *scratch);
    n_steps += r->n;
  }
  middle /= n;
  result->n_steps = n_steps;
  result->step_s = median(scratch, n_steps);
  result->step_min_s = scratch[0];
  result->step_max_s = scratch[n_steps - 1];
  result->fraction = median(fractions, n);
  result->fraction_min = fractions[0];
  result->fraction_max = fractions[n - 1];
  result->stream = median(streams, n);
  result->spread = (streams[n - 1] - streams[0]) / streams[n - 1];
  result->n_context = run->counts->n_prompt + middle;
  result->weights_bytes = run->counts->weights_bytes;
  result->kv_bytes = bench_kv_bytes(run->bench->model, run->counts, middle);
  result->kv_new_bytes = bench_kv_new_bytes(run->bench->model, run->counts);
  result->bytes = step_bytes(run, middle);
}

static void fill_result(Run *run, int n_prefilled, JanusBenchResult *result, double *scratch) {
  const BenchCounts *counts = run->counts;
  const double peak = run->bench->limits.peak_flops;
  *result = (JanusBenchResult){.n_rows = counts->n_rows, .n_prefilled = n_prefilled};
  fill_steps(run, result, scratch);
  result->flops = counts->n_rows * (counts->row_flops + result->n_context * counts->context_flops);
  result->peak_share = peak > 0 ? result->flops / (result->step_s * peak) : 0;
  const int n = run->n_observed;
  if (n > 0)
    result->parts = (JanusBenchParts){
        run->observer.linear_s / n, run->observer.attention_s / n,
        (run->observed_s - run->observer.linear_s - run->observer.attention_s) / n};
  result->look_s = run->look_end_s > 0 ? run->look_end_s - run->begin_s : 0;
  const double looked_s = run->look_end_s > 0 ? run->look_end_s : run->begin_s;
  result->prefill_s = run->prefill_end_s > 0 ? run->prefill_end_s - looked_s : 0;
  if (peak > 0 && result->prefill_s > 0)
    result->prefill_share = n_prefilled * counts->prompt_flops / (result->prefill_s * peak);
}

// --- a run --------------------------------------------------------------------------------------

static bool check_plan(const JanusBench *bench, const JanusBenchPlan *plan, JanusError *error) {
  const int n_tokens = bench->model->config.n_image_tokens;
  const int n_known = plan->request->known_tokens ? plan->request->n_known : 0;
  if (plan->n_steps >= 1 && plan->n_steps <= n_tokens - n_known - 1)
    return true;
  return janus_fail(error, JANUS_ERROR_REQUEST,
                    "steps: expected 1 to %d behind the first of a picture of %d tokens, %d of "
                    "them known, found %d",
                    n_tokens - n_known - 1, n_tokens, n_known, plan->n_steps);
}

static bool run_session(Run *run, JanusSession *session, JanusError *error) {
  JanusError stop = {0};
  run->begin_s = run->last_s = bench_now_s();
  const bool ok = janus_session_run(session, on_progress, run, &stop);
  if (run->is_observing)
    bench_observer_end(&run->observer, run->bench->model->device);
  run->is_observing = false;
  if (ok || (stop.code == JANUS_ERROR_CANCELLED && run->n_steps >= run->plan->n_steps))
    return true;
  return janus_fail(error, stop.code, "%s", stop.message);
}

static void copy_tokens(const JanusSession *session, const JanusModel *model, int n_samples,
                        int32_t *tokens, int *n_tokens) {
  for (int i = 0; tokens && i < n_samples; i++) {
    const int32_t *from = janus_session_get_tokens(session, i, n_tokens);
    memcpy(tokens + (size_t)i * (size_t)model->config.n_image_tokens, from,
           (size_t)*n_tokens * sizeof *tokens);
  }
}

bool janus_bench_decode(JanusBench *bench, const JanusBenchPlan *plan, JanusBenchResult *result,
                        int32_t *tokens, int *n_tokens, JanusError *error) {
  JanusModel *model = bench->model;
  const JanusRequest *request = plan->request;
  BenchCounts counts;
  if (!check_plan(bench, plan, error) || !bench_count(model, request, &counts, error))
    return false;
  const size_t n = (size_t)model->config.n_image_tokens;
  Run run = {.bench = bench,
             .plan = plan,
             .counts = &counts,
             .n_known = request->known_tokens ? request->n_known : 0,
             .steps_s = calloc(2 * n, sizeof(double))};
  if (!run.steps_s)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the times of %zu steps", n);
  JanusSession *session = janus_session_new(model, request, error);
  const bool ok = session && run_session(&run, session, error);
  if (ok) {
    measure_peak(bench);
    fill_result(&run, session_count_prefilled(session), result, run.steps_s + n);
    copy_tokens(session, model, request->n_samples, tokens, n_tokens);
  }
  janus_session_free(session);
  free(run.steps_s);
  return ok;
}

// --- phases -------------------------------------------------------------------------------------

enum { N_TIMES = 3 };

// What a phase works on.
typedef struct PhaseInput {
  JanusModel *model;
  JanusImage image;
  int32_t *tokens;
  uint8_t *rgb;
} PhaseInput;

typedef bool (*PhaseFunc)(PhaseInput *input, JanusError *error);

static bool decode_once(PhaseInput *input, JanusError *error) {
  const int n = input->model->config.n_image_tokens;
  return janus_model_decode(input->model, input->tokens, n, input->rgb, error);
}

static bool encode_once(PhaseInput *input, JanusError *error) {
  return janus_model_encode(input->model, &input->image, input->tokens, error);
}

static bool look_once(PhaseInput *input, JanusError *error) {
  Vision v;
  if (!vision_init_features(&v, input->model, &input->image, error))
    return false;
  bool ok = true;
  while (ok && !vision_is_done(&v))
    ok = vision_step(&v, input->model, NULL, error);
  vision_clear(&v, input->model);
  return ok;
}

static bool time_phase(PhaseFunc func, PhaseInput *input, double *seconds, JanusError *error) {
  double times_s[N_TIMES];
  for (int i = 0; i < N_TIMES; i++) {
    const double begin = bench_now_s();
    if (!func(input, error))
      return false;
    times_s[i] = bench_now_s() - begin;
  }
  *seconds = median(times_s, N_TIMES);
  return true;
}

bool janus_bench_phases(JanusBench *bench, bool has_encoders, JanusBenchPhases *phases,
                        JanusError *error) {
  JanusModel *model = bench->model;
  const int size = model->config.image_size_px, n_tokens = model->config.n_image_tokens;
  const size_t n_bytes = (size_t)size * (size_t)size * 3;
  PhaseInput input = {.model = model,
                      .tokens = calloc((size_t)n_tokens, sizeof *input.tokens),
                      .rgb = malloc(n_bytes)};
  *phases = (JanusBenchPhases){-1, -1, -1};
  bool ok = (input.tokens && input.rgb) ||
            janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a picture");
  input.image = (JanusImage){.rgb = input.rgb, .width_px = size, .height_px = size};
  for (int i = 0; ok && i < n_tokens; i++)
    input.tokens[i] = (int32_t)((uint32_t)i * 2654435761u % (uint32_t)model->config.n_codes);
  ok = ok && time_phase(decode_once, &input, &phases->vq_decode_s, error);
  if (ok && has_encoders)
    ok = time_phase(encode_once, &input, &phases->vq_encode_s, error) &&
         time_phase(look_once, &input, &phases->siglip_s, error);
  free(input.tokens);
  free(input.rgb);
  return ok;
}
