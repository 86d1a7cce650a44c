// SPDX-License-Identifier: MIT
// Any bytes as changes to a packed copy of a model's weights on disk: what is not the file expected
// by its size, header and list of sections is never used; anything may stand in the sections.
// Four bytes are the size the file is cut to (0 = none), each five behind them an offset and a
// byte.
#include "engine/engine.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N_STEPS = 3, N_HEAD_BYTES = 4096 };

static unsigned char *pristine; // [n_pristine] the copy as it is written
static size_t n_pristine;
static char path[600];
static int32_t expected[N_STEPS];

static JanusModel *open_model(void) {
  const JanusModelOptions options = {.folder = LIMNER_FUZZ_CHECKPOINT,
                                     .device = "cpu",
                                     .weights = JANUS_WEIGHTS_Q8,
                                     .n_threads = 1,
                                     .packed_folder = fuzz_folder()};
  JanusModel *model = janus_model_open(&options, NULL);
  if (!model)
    exit(99);
  return model;
}

static bool stop_soon(const JanusProgress *progress, void *user_data) {
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done < N_STEPS;
}

static void paint(JanusModel *model, int32_t *tokens) {
  const JanusRequest request = {
      .prompt = "a red house", .n_samples = 1, .seed = 3, .cfg = 5, .temperature = 1, .top_p = 1};
  JanusSession *session = janus_session_new(model, &request, NULL);
  if (!session)
    exit(99);
  janus_session_run(session, stop_soon, NULL, NULL);
  int n = 0;
  const int32_t *found = janus_session_get_tokens(session, 0, &n);
  if (n != N_STEPS)
    abort();
  memcpy(tokens, found, N_STEPS * sizeof *tokens);
  janus_session_free(session);
}

static void read_pristine(void) {
  JanusModel *model = open_model();
  JanusPackedCopy copy = {0};
  if (!janus_model_prepare(model, NULL, NULL, NULL) || !janus_model_find_packed(model, &copy) ||
      !copy.is_there)
    exit(99);
  snprintf(path, sizeof path, "%s", copy.path);
  pristine = malloc(copy.n_bytes);
  FILE *file = fopen(path, "rb");
  n_pristine = file && pristine ? fread(pristine, 1, copy.n_bytes, file) : 0;
  if (n_pristine != copy.n_bytes)
    exit(99);
  fclose(file);
  paint(model, expected);
  janus_model_free(model);
}

static size_t number(const uint8_t *data) {
  return (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
}

// Writes the changed copy; whether it must not be used.
static bool write_changed(const uint8_t *data, size_t n_bytes) {
  unsigned char *bytes = malloc(n_pristine);
  if (!bytes)
    exit(99);
  memcpy(bytes, pristine, n_pristine);
  size_t n = n_pristine;
  if (n_bytes >= 4 && number(data) > 0)
    n = number(data) % n_pristine;
  for (size_t i = 4; i + 5 <= n_bytes; i += 5)
    bytes[number(data + i) % n_pristine] = data[i + 4];
  unlink(path);
  fuzz_write(strrchr(path, '/') + 1, bytes, n);
  const bool is_foreign = n != n_pristine || memcmp(bytes, pristine, N_HEAD_BYTES) != 0;
  free(bytes);
  return is_foreign;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  int32_t tokens[N_STEPS];
  if (!pristine)
    read_pristine();
  const bool is_foreign = write_changed(data, n_bytes);
  JanusModel *model = open_model();
  paint(model, tokens);
  for (int i = 0; i < N_STEPS; i++)
    if (tokens[i] < 0 || tokens[i] >= janus_model_get_info(model)->n_codes)
      abort();
  if (is_foreign && memcmp(tokens, expected, sizeof tokens) != 0)
    abort();
  janus_model_free(model);
  return 0;
}
