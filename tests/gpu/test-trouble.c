// SPDX-License-Identifier: MIT
// What can go wrong with a card, on the emulated one: it is not there, too old, not in this build;
// any allocation is refused; it is lost in the middle of a run; it has little memory. Each is a
// sentence, leaves nothing behind and nothing broken. Argument: a small checkpoint.
#include "engine/engine.h"
#include "tests/kernels/check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOKENS = 2 };

static const char *folder;
static size_t (*bytes_in_use)(void);

static void set_number(const char *variable, long long n) {
  char text[32];
  snprintf(text, sizeof text, "%lld", n);
  if (n > 0)
    setenv(variable, text, 1);
  else
    unsetenv(variable);
}

static bool find_emulation(void) {
  const char *path = getenv("LIMNER_CUDA_MODULE");
  void *module = path ? dlopen(path, RTLD_NOW) : NULL;
  void *symbol = module ? dlsym(module, "emulated_bytes_in_use") : NULL;
  memcpy(&bytes_in_use, &symbol, sizeof symbol);
  return bytes_in_use != NULL;
}

// --- opening ------------------------------------------------------------------------------------

static void check_opening(const char *trouble, const char *device, const char *words) {
  JanusError error = {0};
  const JanusModelOptions options = {.folder = folder, .device = device};
  setenv("LIMNER_EMULATED_CARD", trouble, 1);
  const bool can_open = janus_device_can_open(device, NULL);
  JanusModel *model = janus_model_open(&options, &error);
  unsetenv("LIMNER_EMULATED_CARD");
  check(!can_open && !model && error.code == JANUS_ERROR_UNSUPPORTED &&
            strstr(error.message, words) && strstr(error.message, "--device cpu") &&
            bytes_in_use() == 0,
        "%s: %s", trouble, error.message);
  janus_model_free(model);
}

static void test_opening(void) {
  check_opening("none", "cuda", "no NVIDIA card was found");
  check_opening("old-driver", "cuda", "too old for this build");
  check_opening("old-card", "cuda", "7.5 or newer, found 6.0");
  check_opening("no-code", "cuda", "no code for compute capability 9.0");
  check_opening("two", "cuda:2", "cuda:0 to cuda:1, found cuda:2");
  setenv("LIMNER_EMULATED_CARD", "two", 1);
  check(janus_device_can_open("cuda:1", NULL), "two: the second can be opened");
  unsetenv("LIMNER_EMULATED_CARD");
}

// --- runs ---------------------------------------------------------------------------------------

static bool stop_early(const JanusProgress *progress, void *user_data) {
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done < N_TOKENS;
}

// The first tokens of a picture, and pixels made of them. False with the error.
static bool run(JanusModel *model, int32_t tokens[N_TOKENS], JanusError *error) {
  const JanusRequest request = {
      .prompt = "a red circle", .n_samples = 1, .seed = 5, .cfg = 5, .temperature = 1, .top_p = 1};
  JanusSession *session = janus_session_new(model, &request, error);
  bool ok = session != NULL;
  if (ok && !janus_session_run(session, stop_early, NULL, error))
    ok = error->code == JANUS_ERROR_CANCELLED;
  int n_found = 0;
  const int32_t *found = ok ? janus_session_get_tokens(session, 0, &n_found) : NULL;
  for (int i = 0; i < N_TOKENS; i++)
    tokens[i] = i < n_found ? found[i] : -1;
  if (ok)
    *error = (JanusError){0};
  janus_session_free(session);
  return ok;
}

static JanusModel *open_model(JanusWeights weights, JanusError *error) {
  return janus_model_open(
      &(JanusModelOptions){.folder = folder, .device = "cuda", .weights = weights}, error);
}

static bool is_told(const JanusError *error, JanusErrorCode code) {
  return error->code == code && strstr(error->message, "emulated card");
}

// --- allocations --------------------------------------------------------------------------------

// One allocation fails, of the opening or of the run; behind it the same model paints the same.
// False when there are fewer.
static bool refuse(long n, const int32_t expected[N_TOKENS], int *n_wrong) {
  JanusError error = {0};
  int32_t tokens[N_TOKENS];
  set_number("LIMNER_EMULATED_REFUSE", n);
  JanusModel *model = open_model(JANUS_WEIGHTS_BF16, &error);
  const bool ran = model && run(model, tokens, &error);
  const bool is_clear =
      ran || is_told(&error, JANUS_ERROR_MEMORY) || (!model && is_told(&error, JANUS_ERROR_DEVICE));
  if (!is_clear)
    printf("# allocation %ld: %d %s\n", n, (int)error.code, error.message);
  *n_wrong += !is_clear;
  error = (JanusError){0};
  if (model && !ran && (!run(model, tokens, &error) || memcmp(tokens, expected, sizeof tokens))) {
    printf("# behind allocation %ld: %s\n", n, error.message);
    ++*n_wrong;
  }
  janus_model_free(model);
  *n_wrong += bytes_in_use() != 0;
  set_number("LIMNER_EMULATED_REFUSE", 0);
  return !ran;
}

static void test_allocations(const int32_t expected[N_TOKENS]) {
  int n_wrong = 0, n_tried = 0;
  long n = 1;
  for (; refuse(n, expected, &n_wrong); n += n < 12 ? 1 : 9)
    n_tried++;
  check(n_wrong == 0 && n_tried > 15,
        "allocations: each of %d refused ones (up to %ld) is told, frees all and breaks nothing",
        n_tried, n);
}

// --- a card that is lost ------------------------------------------------------------------------

static bool lose(long n, int *n_wrong, int *n_told) {
  JanusError error = {0};
  int32_t tokens[N_TOKENS];
  set_number("LIMNER_EMULATED_LOSE", n);
  JanusModel *model = open_model(JANUS_WEIGHTS_FP8, &error);
  const bool ran = model && run(model, tokens, &error);
  const bool is_clear = ran || is_told(&error, JANUS_ERROR_DEVICE);
  if (!is_clear)
    printf("# launch %ld: %d %s\n", n, (int)error.code, error.message);
  *n_told += strstr(error.message, "is lost; --device cpu") != NULL;
  *n_wrong += !is_clear;
  janus_model_free(model);
  set_number("LIMNER_EMULATED_LOSE", 0);
  return !ran;
}

static void test_loss(const int32_t expected[N_TOKENS]) {
  int n_wrong = 0, n_tried = 0, n_told = 0;
  JanusError error = {0};
  int32_t tokens[N_TOKENS] = {0};
  for (long n = 1; lose(n, &n_wrong, &n_told); n += 37)
    n_tried++;
  check(n_wrong == 0 && n_tried > 3 && n_told > 0,
        "a card that is lost at %d places is told, in its own words at %d", n_tried, n_told);
  JanusModel *model = open_model(JANUS_WEIGHTS_BF16, &error);
  check(model && run(model, tokens, &error) && memcmp(tokens, expected, sizeof tokens) == 0,
        "and paints as before when it is opened again%s", error.message);
  janus_model_free(model);
}

// --- memory -------------------------------------------------------------------------------------

static JanusModel *open_7b(double gb, JanusWeights weights, JanusError *error) {
  set_number("LIMNER_EMULATED_BYTES", (long long)(gb * 1e9));
  return janus_model_open(&(JanusModelOptions){.synthetic = "janus-pro-7b",
                                               .device = "cuda",
                                               .weights = weights,
                                               .picture_cache_bytes = -1},
                          error);
}

static void check_choice(double gb, const char *expected) {
  JanusError error = {0};
  JanusModel *model = open_7b(gb, JANUS_WEIGHTS_AUTO, &error);
  const char *found =
      model ? janus_weights_text(janus_model_get_info(model)->weights) : error.message;
  check(model && strcmp(found, expected) == 0, "7B on a card of %.0f GB: %s", gb, found);
  janus_model_free(model);
}

// What edits of pictures leave behind takes half of what is free there beside weights and an edit.
static void check_budget(double gb, double least_gb, double most_gb) {
  JanusError error = {0};
  set_number("LIMNER_EMULATED_BYTES", (long long)(gb * 1e9));
  JanusModel *model =
      janus_model_open(&(JanusModelOptions){.synthetic = "janus-pro-7b", .device = "cuda"}, &error);
  const double found = model ? (double)janus_model_get_info(model)->picture_cache_bytes / 1e9 : -1;
  check(found >= least_gb && found <= most_gb, "a card of %.0f GB keeps %.2f GB of pictures%s", gb,
        found, error.message);
  janus_model_free(model);
}

static void check_too_large(double gb, JanusWeights weights, bool prepares) {
  JanusError error = {0};
  const JanusRequest request = {
      .prompt = "a red circle", .n_samples = 1, .cfg = 5, .temperature = 1, .top_p = 1};
  JanusModel *model = open_7b(gb, weights, &error);
  JanusSession *session = NULL;
  if (model && prepares)
    janus_model_prepare(model, NULL, NULL, &error);
  else if (model)
    session = janus_session_new(model, &request, &error);
  check(model && !session && error.code == JANUS_ERROR_MEMORY && strstr(error.message, "card"),
        "%s on %.0f GB: %s", janus_weights_text(weights), gb, error.message);
  janus_session_free(session);
  janus_model_free(model);
}

static void test_memory(void) {
  check_choice(80, "bf16");
  check_choice(24, "bf16");
  check_choice(12, "q8");
  check_choice(8, "q4");
  check_budget(24, 3.0, 3.8);
  check_budget(80, 28, 31);
  check_budget(8, 0, 0.01);
  check_too_large(12, JANUS_WEIGHTS_BF16, false);
  check_too_large(12, JANUS_WEIGHTS_BF16, true);
  check_too_large(7, JANUS_WEIGHTS_FP8, false);
  check_too_large(3, JANUS_WEIGHTS_AUTO, true);
  set_number("LIMNER_EMULATED_BYTES", 0);
  check(bytes_in_use() == 0, "and nothing stays allocated");
}

int main(int argc, char **argv) {
  JanusError error = {0};
  int32_t expected[N_TOKENS] = {0};
  folder = argc > 1 ? argv[1] : "";
  if (!find_emulation()) {
    printf("1..0 # SKIP no emulated card\n");
    return 77;
  }
  test_opening();
  JanusModel *model = open_model(JANUS_WEIGHTS_BF16, &error);
  check(model && run(model, expected, &error), "an undisturbed run%s", error.message);
  janus_model_free(model);
  check(bytes_in_use() == 0, "leaves nothing allocated");
  test_allocations(expected);
  test_loss(expected);
  test_memory();
  return check_done();
}
