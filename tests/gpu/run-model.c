// SPDX-License-Identifier: MIT
// Whole models on a device beside the CPU, and their speed, with the kernels and the engine alone:
//   run-model compare FOLDER TOKENS [edit]   tokens, pixels and encoder of both
//   run-model invariant FOLDER TOKENS        samples alone and among up to 16
//   run-model quality FOLDER SCRATCH         how far guided logits in each format lie from f32's on
//                                            the CPU; SCRATCH is a file to write
//   run-model bench NAME LAYERS SAMPLES STEPS [FORMAT]  one line of JSON; NAME is a synthetic model
// The device is $LIMNER_TEST_DEVICE, else cuda:0; the weights $LIMNER_TEST_WEIGHTS, else f32. TAP
// but for bench; 77 when there is no device.
#include "engine/engine.h"
#include "engine/tensors.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SKIPPED = 77, SEED = 11, SIDE = 64 };

static int n_points, n_failed;

__attribute__((format(printf, 2, 3))) static bool check(bool ok, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  n_points++;
  n_failed += !ok;
  printf("%s %d - ", ok ? "ok" : "not ok", n_points);
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  va_end(arguments);
  return ok;
}

static const char *test_device(void) {
  const char *device = getenv("LIMNER_TEST_DEVICE");
  return device && *device ? device : "cuda:0";
}

// $LIMNER_TEST_WEIGHTS, else f32, in which devices differ in the order of sums alone.
static JanusWeights test_weights(void) {
  const char *text = getenv("LIMNER_TEST_WEIGHTS");
  JanusWeights weights = JANUS_WEIGHTS_F32;
  if (text && *text && !janus_weights_parse(text, &weights))
    printf("# LIMNER_TEST_WEIGHTS: %s is none\n", text);
  return weights;
}

// Rounded inputs make more of those differences.
static int most_flips(void) {
  return test_weights() == JANUS_WEIGHTS_F32 ? 3 : 30;
}

static JanusModel *open_model(const JanusModelOptions *options) {
  JanusError error = {0};
  JanusModel *model = janus_model_open(options, &error);
  if (model)
    return model;
  if (error.code == JANUS_ERROR_UNSUPPORTED)
    printf("1..0 # SKIP %s\n", error.message);
  else
    printf("Bail out! %s\n", error.message);
  exit(error.code == JANUS_ERROR_UNSUPPORTED ? SKIPPED : 1);
}

// --- runs ---------------------------------------------------------------------------------------

typedef struct Run {
  int n_samples, n_tokens;
  int32_t *tokens; // [n_samples][n_tokens]
} Run;

static bool stop_at(const JanusProgress *progress, void *user_data) {
  const int *n_tokens = user_data;
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done < *n_tokens;
}

static Run run_request(JanusModel *model, JanusRequest request, int n_tokens) {
  JanusError error = {0};
  Run run = {.n_samples = request.n_samples, .n_tokens = n_tokens};
  run.tokens = calloc((size_t)run.n_samples * (size_t)n_tokens, sizeof *run.tokens);
  JanusSession *session = janus_session_new(model, &request, &error);
  if (!session || (!janus_session_run(session, stop_at, &n_tokens, &error) &&
                   error.code != JANUS_ERROR_CANCELLED)) {
    printf("Bail out! %s: %s\n", janus_model_get_info(model)->device_name, error.message);
    exit(1);
  }
  for (int i = 0; i < run.n_samples; i++) {
    int n_found = 0;
    const int32_t *found = janus_session_get_tokens(session, i, &n_found);
    for (int j = 0; j < n_tokens; j++)
      run.tokens[i * n_tokens + j] = j < n_found ? found[j] : -1;
  }
  janus_session_free(session);
  return run;
}

static JanusRequest plan_request(const JanusImage *image, int n_samples) {
  return (JanusRequest){.prompt = "a red circle on a blue ground",
                        .image = image,
                        .n_samples = n_samples,
                        .seed = SEED,
                        .cfg = 5,
                        .image_cfg = 5,
                        .temperature = 1,
                        .top_p = 1};
}

static const JanusImage *make_image(uint8_t rgb[SIDE * SIDE * 3], JanusImage *image) {
  for (int i = 0; i < SIDE * SIDE * 3; i++)
    rgb[i] = (uint8_t)(i % 3 == 0 ? i / 3 % SIDE * 4 : i % 3 == 1 ? i / 3 / SIDE * 4 : 90);
  *image = (JanusImage){rgb, SIDE, SIDE, JANUS_FIT_PAD};
  return image;
}

// --- the device beside the CPU ------------------------------------------------------------------

// Sums differ in their last bits, so two ids that tie almost may change places, and what follows is
// another picture. So after a difference the device goes on behind the CPU's tokens.
static int count_flips(JanusModel *model, const JanusImage *image, const Run *expected) {
  int n_flips = 0, n_known = 0;
  while (n_known < expected->n_tokens && n_flips <= most_flips()) {
    JanusRequest request = plan_request(image, 1);
    request.known_tokens = n_known > 0 ? expected->tokens : NULL;
    request.n_known = n_known;
    const Run found = run_request(model, request, expected->n_tokens);
    int at = n_known;
    while (at < expected->n_tokens && found.tokens[at] == expected->tokens[at])
      at++;
    n_flips += at < expected->n_tokens;
    n_known = at + 1;
    free(found.tokens);
  }
  return n_flips;
}

static void compare_pixels(JanusModel *a, JanusModel *b) {
  const JanusModelInfo *info = janus_model_get_info(a);
  const size_t n = 3 * (size_t)info->image_size_px * (size_t)info->image_size_px;
  uint8_t *x = malloc(n), *y = malloc(n);
  int32_t *tokens = malloc((size_t)info->n_image_tokens * sizeof *tokens);
  for (int i = 0; i < info->n_image_tokens; i++)
    tokens[i] = (int32_t)((uint32_t)i * 2654435761u % (uint32_t)info->n_codes);
  bool ok = janus_model_decode(a, tokens, info->n_image_tokens, x, NULL) &&
            janus_model_decode(b, tokens, info->n_image_tokens, y, NULL);
  int worst = 0;
  for (size_t i = 0; ok && i < n; i++)
    worst = abs(x[i] - y[i]) > worst ? abs(x[i] - y[i]) : worst;
  const int most = test_weights() == JANUS_WEIGHTS_F32 ? 2 : 16;
  check(ok && worst <= most, "pixels: at most %d of 255 apart, at most %d expected", worst, most);
  free(x);
  free(y);
  free(tokens);
}

static void compare_codes(JanusModel *a, JanusModel *b, const JanusImage *image) {
  const int n = janus_model_get_info(a)->n_image_tokens;
  int32_t *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
  const bool ok = janus_model_encode(a, image, x, NULL) && janus_model_encode(b, image, y, NULL);
  int n_same = 0;
  for (int i = 0; ok && i < n; i++)
    n_same += x[i] == y[i];
  check(ok && n_same >= n - n * most_flips() / 300 - 1, "encoder: %d of %d tokens agree", n_same,
        n);
  free(x);
  free(y);
}

static int compare(const char *folder, int n_tokens, bool is_edit) {
  uint8_t rgb[SIDE * SIDE * 3];
  JanusImage picture;
  const JanusImage *image = make_image(rgb, &picture);
  JanusModel *device = open_model(
      &(JanusModelOptions){.folder = folder, .device = test_device(), .weights = test_weights()});
  JanusModel *cpu = open_model(
      &(JanusModelOptions){.folder = folder, .device = "cpu", .weights = test_weights()});
  const int n_all = janus_model_get_info(cpu)->n_image_tokens;
  n_tokens = n_tokens < n_all ? n_tokens : n_all;
  printf("# %s beside %s, seed %d\n", janus_model_get_info(device)->device_name,
         janus_model_get_info(cpu)->device_name, SEED);
  Run expected = run_request(cpu, plan_request(NULL, 1), n_tokens);
  int n_flips = count_flips(device, NULL, &expected);
  check(n_flips <= most_flips(), "text: %d of %d tokens differ, at most %d expected", n_flips,
        n_tokens, most_flips());
  free(expected.tokens);
  if (is_edit) {
    expected = run_request(cpu, plan_request(image, 1), n_tokens);
    n_flips = count_flips(device, image, &expected);
    check(n_flips <= most_flips(), "edit: %d of %d tokens differ, at most %d expected", n_flips,
          n_tokens, most_flips());
    free(expected.tokens);
    compare_codes(cpu, device, image);
  }
  compare_pixels(cpu, device);
  janus_model_free(device);
  janus_model_free(cpu);
  return 0;
}

static int invariant(const char *folder, int n_tokens) {
  static const int counts[] = {1, 2, 3, 5, 8};
  JanusModel *model = open_model(
      &(JanusModelOptions){.folder = folder, .device = test_device(), .weights = test_weights()});
  const Run all = run_request(model, plan_request(NULL, 16), n_tokens);
  for (int i = 0; i < 5; i++) {
    const Run some = run_request(model, plan_request(NULL, counts[i]), n_tokens);
    const size_t n_bytes = (size_t)(counts[i] * n_tokens) * sizeof(int32_t);
    check(memcmp(some.tokens, all.tokens, n_bytes) == 0, "%d of 16 samples: the same alone",
          counts[i]);
    free(some.tokens);
  }
  free(all.tokens);
  janus_model_free(model);
  return 0;
}

// --- formats ------------------------------------------------------------------------------------

enum { N_TRACED = 4 };

// Guided logits behind some forced tokens; malloc'd, NULL when there are none.
static float *trace_guided(const char *folder, const char *device, JanusWeights weights,
                           const char *path, size_t *n) {
  static const int32_t tokens[N_TRACED] = {3, 1, 4, 1};
  JanusError error = {0};
  const JanusRequest request = plan_request(NULL, 1);
  JanusModel *model =
      open_model(&(JanusModelOptions){.folder = folder, .device = device, .weights = weights});
  TensorSet *set = janus_trace(model, &request, tokens, N_TRACED, path, &error)
                       ? tensors_open_file(path, &error)
                       : NULL;
  const Tensor *tensor = set ? tensors_find(set, "guided") : NULL;
  float *guided = tensor ? malloc(tensor->n_bytes) : NULL;
  *n = tensor ? tensor->n_bytes / sizeof *guided : 0;
  if (guided)
    memcpy(guided, tensor->data, tensor->n_bytes);
  else
    printf("# %s in %s: %s\n", device, janus_weights_text(weights), error.message);
  tensors_free(set);
  janus_model_free(model);
  remove(path);
  return guided;
}

// |a - b| / |b - mean of b|, but for what moves all together.
static double relative_error(const float *a, const float *b, size_t n) {
  double mean = 0, shift = 0, difference = 0, size = 0;
  for (size_t i = 0; i < n; i++) {
    mean += (double)b[i] / (double)n;
    shift += ((double)a[i] - (double)b[i]) / (double)n;
  }
  for (size_t i = 0; i < n; i++) {
    difference += pow((double)a[i] - (double)b[i] - shift, 2);
    size += pow((double)b[i] - mean, 2);
  }
  return sqrt(difference / size);
}

static void quality(const char *folder, const char *path) {
  static const struct {
    JanusWeights weights;
    double bound; // the demo model on the emulated card: 0.016, 0.036, 0.21, 0.082
  } formats[] = {{JANUS_WEIGHTS_F32, 1e-4},
                 {JANUS_WEIGHTS_BF16, 0.04},
                 {JANUS_WEIGHTS_Q8, 0.08},
                 {JANUS_WEIGHTS_Q4, 1},
                 {JANUS_WEIGHTS_FP8, 0.17}};
  size_t n = 0, n_found = 0;
  float *exact = trace_guided(folder, "cpu", JANUS_WEIGHTS_F32, path, &n);
  for (size_t i = 0; exact && i < sizeof formats / sizeof *formats; i++) {
    float *found = trace_guided(folder, test_device(), formats[i].weights, path, &n_found);
    const double error = found && n_found == n ? relative_error(found, exact, n) : INFINITY;
    check(error <= formats[i].bound, "%s: guided logits off by %.5f (bound %g)",
          janus_weights_text(formats[i].weights), error, formats[i].bound);
    free(found);
  }
  check(exact != NULL, "the CPU's are there");
  free(exact);
}

// --- speed --------------------------------------------------------------------------------------

// Whether launches may begin before those before them have ended, where a card can do that.
static bool overlaps(void) {
  const char *asked = getenv("LIMNER_CUDA_OVERLAP");
  return !asked || strcmp(asked, "0") != 0;
}

static bool bench_samples(JanusModel *model, JanusBench *measured, const char *name, int n_samples,
                          int n_steps) {
  JanusError error = {0};
  const JanusRequest request = plan_request(NULL, n_samples);
  const JanusBenchPlan plan = {&request, n_steps, 10};
  const JanusModelInfo *info = janus_model_get_info(model);
  JanusBenchResult result;
  JanusBenchPhases phases = {-1, -1, -1};
  bool ok = janus_bench_decode(measured, &plan, &result, NULL, NULL, &error);
  ok = ok && (n_samples > 1 || janus_bench_phases(measured, true, &phases, &error));
  if (ok)
    printf("{\"model\":\"%s\",\"layers\":%d,\"device\":\"%s\",\"weights\":\"%s\",\"samples\":%d,"
           "\"rows\":%d,\"step_ms\":%.4f,\"bytes\":%zu,\"stream\":%.4g,\"spread\":%.3f,"
           "\"fraction\":%.4f,\"prefill_s\":%.4f,\"vq_decode_s\":%.5f,\"vq_encode_s\":%.5f,"
           "\"siglip_s\":%.5f,\"overlap\":%s}\n",
           name, info->n_layers, info->device_name, janus_weights_text(info->weights), n_samples,
           result.n_rows, result.step_s * 1e3, result.bytes, result.stream, result.spread,
           result.fraction, result.prefill_s, phases.vq_decode_s, phases.vq_encode_s,
           phases.siglip_s, overlaps() ? "true" : "false");
  else
    printf("{\"error\":\"%s\"}\n", error.message);
  fflush(stdout);
  return ok;
}

// `samples` are numbers with commas between them.
static int bench(const char *name, int n_layers, const char *samples, int n_steps,
                 JanusWeights weights) {
  JanusError error = {0};
  JanusModel *model = open_model(&(JanusModelOptions){
      .device = test_device(), .weights = weights, .synthetic = name, .max_layers = n_layers});
  JanusBench *measured = janus_bench_new(model, &error);
  bool ok = measured != NULL;
  if (!ok)
    printf("{\"error\":\"%s\"}\n", error.message);
  for (const char *at = samples; at && measured; at = strchr(at, ','), at += at != NULL)
    ok = bench_samples(model, measured, name, atoi(at), n_steps) && ok;
  janus_bench_free(measured);
  janus_model_free(model);
  return ok ? 0 : 1;
}

int main(int argc, char **argv) {
  JanusWeights weights = JANUS_WEIGHTS_AUTO;
  if (argc >= 6 && strcmp(argv[1], "bench") == 0) {
    if (argc > 6 && !janus_weights_parse(argv[6], &weights))
      return 2;
    return bench(argv[2], atoi(argv[3]), argv[4], atoi(argv[5]), weights);
  }
  if (argc < 4)
    return 2;
  if (strcmp(argv[1], "compare") == 0)
    compare(argv[2], atoi(argv[3]), argc > 4);
  else if (strcmp(argv[1], "quality") == 0)
    quality(argv[2], argv[3]);
  else
    invariant(argv[2], atoi(argv[3]));
  printf("1..%d\n", n_points);
  return n_failed > 0;
}
