// SPDX-License-Identifier: MIT
// What the engine's tests on the parity checkpoints share.
#include "tests/engine/parity.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int n_checks, n_failed;
static const char *parity_folder = "tests/parity";

bool check(bool is_ok, const char *format, ...) {
  va_list args;
  va_start(args, format);
  printf("%sok %d - ", is_ok ? "" : "not ", ++n_checks);
  vprintf(format, args);
  va_end(args);
  printf("\n");
  fflush(stdout);
  n_failed += !is_ok;
  return is_ok;
}

int finish(void) {
  printf("1..%d\n", n_checks);
  return n_failed > 0;
}

void set_parity_folder(int argc, char **argv) {
  if (argc > 1)
    parity_folder = argv[1];
}

const char *parity_path(const char *format, ...) {
  static char paths[4][1024];
  static int turn;
  char *path = paths[turn++ % 4];
  int n = snprintf(path, sizeof paths[0], "%s/", parity_folder);
  va_list args;
  va_start(args, format);
  vsnprintf(path + n, sizeof paths[0] - (size_t)n, format, args);
  va_end(args);
  return path;
}

static void give_up(const char *what, const JanusError *error) {
  check(false, "%s: %s", what, error->message);
  finish();
  exit(1);
}

JanusModel *open_checkpoint(const char *name, jk_isa isa, int n_threads) {
  static const char *const words[] = {
      [JK_ISA_GENERIC] = "generic", [JK_ISA_AVX2] = "avx2", [JK_ISA_AVX512] = "avx512"};
  JanusError error = {0};
  setenv("LIMNER_CPU_ISA", words[isa], 1);
  const JanusModelOptions options = {.folder = parity_path("%s", name),
                                     .device = "cpu",
                                     .weights = JANUS_WEIGHTS_F32,
                                     .n_threads = n_threads};
  JanusModel *model = janus_model_open(&options, &error);
  if (!model)
    give_up("the checkpoint opens", &error);
  return model;
}

JanusRequest text_request(const char *prompt, int n_samples, uint64_t seed) {
  return (JanusRequest){.prompt = prompt,
                        .n_samples = n_samples,
                        .seed = seed,
                        .cfg = 5,
                        .temperature = 1,
                        .top_p = 1};
}

JanusImage load_picture(const char *name) {
  const int n_stem = (int)strcspn(name, ".");
  FILE *file = fopen(parity_path("inputs/%.*s.ppm", n_stem, name), "rb");
  JanusImage image = {.fit = JANUS_FIT_PAD};
  if (file && fscanf(file, "P6 %d %d 255", &image.width_px, &image.height_px) == 2 &&
      fgetc(file) == '\n') {
    const size_t n_bytes = (size_t)image.width_px * (size_t)image.height_px * 3;
    uint8_t *rgb = malloc(n_bytes);
    image.rgb = rgb;
    if (rgb && fread(rgb, 1, n_bytes, file) == n_bytes) {
      fclose(file);
      return image;
    }
  }
  printf("Bail out! no picture %s\n", name);
  exit(1);
}

JanusSession *new_session(JanusModel *model, const JanusRequest *request) {
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, request, &error);
  if (!session)
    give_up("the request is granted", &error);
  return session;
}

int32_t *paint(JanusModel *model, const JanusRequest *request) {
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  JanusSession *session = new_session(model, request);
  JanusError error = {0};
  int32_t *tokens = calloc((size_t)request->n_samples * n, sizeof *tokens);
  bool ok = janus_session_run(session, NULL, NULL, &error);
  for (int i = 0; i < request->n_samples; i++) {
    int n_found = 0;
    const int32_t *found = janus_session_get_tokens(session, i, &n_found);
    ok = ok && n_found == (int)n;
    memcpy(tokens + (size_t)i * n, found, n * sizeof *tokens);
  }
  janus_session_free(session);
  if (ok)
    return tokens;
  free(tokens);
  return NULL;
}

bool same_tokens(const JanusModel *model, const int32_t *a, const int32_t *b, int n_samples) {
  const size_t n = (size_t)janus_model_get_info(model)->n_image_tokens;
  return a && b && memcmp(a, b, (size_t)n_samples * n * sizeof *a) == 0;
}

uint32_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(*state >> 33);
}

double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

double cpu_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void check_threads(const char *checkpoint, const JanusRequest *request) {
  int32_t *first = NULL;
  for (int n_threads = 1; n_threads <= 3; n_threads++) {
    JanusModel *model = open_checkpoint(checkpoint, jk_cpu_best_isa(), n_threads);
    int32_t *tokens = paint(model, request);
    check(same_tokens(model, first ? first : tokens, tokens, request->n_samples),
          "%s: %d threads give 1 thread's tokens", checkpoint, n_threads);
    janus_model_free(model);
    if (first)
      free(tokens);
    else
      first = tokens;
  }
  free(first);
}
