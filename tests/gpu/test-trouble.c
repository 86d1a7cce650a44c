// SPDX-License-Identifier: MIT
// What can go wrong with a card, on the emulated one: it is not there, too old, not in this build;
// any allocation is refused; it is lost in the middle of a run; it has little memory; it errs. Each
// is a sentence, leaves nothing behind and nothing broken, and "auto" goes on with the CPU.
// Argument: a small checkpoint.
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

// --- what "auto" takes --------------------------------------------------------------------------

// `expected` with a reason that holds `words`, or with none.
static void check_auto(const char *trouble, const char *expected, const char *words) {
  JanusError error = {0};
  const JanusModelOptions options = {.folder = folder, .device = "auto", .n_threads = 1};
  setenv("LIMNER_EMULATED_CARD", trouble, 1);
  JanusModel *model = janus_model_open(&options, &error);
  const JanusModelInfo *info = model ? janus_model_get_info(model) : NULL;
  const char *why = info ? info->fallback : NULL;
  check(info && strcmp(info->device, expected) == 0 &&
            (words ? why && strstr(why, words) && !strstr(why, "--") : !why),
        "auto, %s: %s %s%s", *trouble ? trouble : "a card", info ? info->device : "",
        why ? why : "", error.message);
  janus_model_free(model);
  unsetenv("LIMNER_EMULATED_CARD");
  check(bytes_in_use() == 0, "and what was tried leaves nothing allocated");
}

static void test_auto(void) {
  check_auto("", "cuda:0", NULL);
  check_auto("none", "cpu", NULL);
  check_auto("no-driver", "cpu", NULL);
  check_auto("old-driver", "cpu", "12.8, is too old for this build");
  check_auto("old-card", "cpu", "7.5 or newer, found 6.0");
  check_auto("no-code", "cpu", "no code for compute capability 9.0");
  check_auto("wrong", "cpu", "computes other products of matrices than the CPU");
  check_auto("two", "cuda:0", NULL);
  check_auto("first-old", "cuda:1", "cuda:0 cannot be used");
}

static void check_devices(const char *trouble, int expected, uint64_t n_bytes) {
  JanusDevice devices[8];
  JanusError why = {0};
  setenv("LIMNER_EMULATED_CARD", trouble, 1);
  const int n = janus_devices_list(devices, 8, &why);
  unsetenv("LIMNER_EMULATED_CARD");
  const JanusDevice *last = &devices[n > 0 ? n - 1 : 0];
  check(n == expected && strcmp(devices[0].name, "cpu") == 0 && devices[0].total_bytes > 0 &&
            (expected == 1 || (strstr(last->label, "emulated card") &&
                               last->name[5] == '0' + n - 2 && last->total_bytes == n_bytes)) &&
            (expected == 1) == (why.code != JANUS_ERROR_NONE),
        "%s: %d devices, %s %s of %.1f GB%s", trouble, n, last->name, last->label,
        (double)last->total_bytes / 1e9, why.message);
}

static void test_devices(void) {
  JanusDevice one;
  check_devices("none", 1, 0);
  check_devices("old-driver", 1, 0);
  check_devices("", 2, (uint64_t)8 << 30);
  check_devices("two", 3, (uint64_t)8 << 30);
  check_devices("first-old", 3, (uint64_t)8 << 30);
  check(janus_devices_list(&one, 1, NULL) == 1 && janus_devices_list(NULL, 0, NULL) == 0,
        "no more than there is room for");
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

// --- what "auto" does when a card fails while the weights go there ------------------------------

// False when nothing failed.
static bool settle(const char *variable, long n, int *n_wrong) {
  JanusError error = {0};
  int32_t tokens[N_TOKENS];
  const JanusModelOptions options = {
      .folder = folder, .device = "auto", .n_threads = 1, .weights = JANUS_WEIGHTS_BF16};
  set_number(variable, n);
  JanusModel *model = janus_model_open(&options, &error);
  const bool is_settled = model && janus_model_settle(&model, &options, NULL, NULL, &error);
  const JanusModelInfo *info = is_settled ? janus_model_get_info(model) : NULL;
  const bool is_on_card = info && strcmp(info->device, "cuda:0") == 0;
  const bool is_right =
      info && (is_on_card ? !info->fallback
                          : info->fallback && strstr(info->fallback, "emulated card") &&
                                !strstr(info->fallback, "--") && bytes_in_use() == 0 &&
                                run(model, tokens, &error));
  if (!is_right)
    printf("# %s %ld: %s %s\n", variable, n, error.message,
           info && info->fallback ? info->fallback : "");
  *n_wrong += !is_right;
  janus_model_free(model);
  set_number(variable, 0);
  return !is_on_card;
}

static void test_settling(void) {
  int n_wrong = 0, n_refused = 0, n_lost = 0;
  for (long n = 1; settle("LIMNER_EMULATED_REFUSE", n, &n_wrong); n += n < 12 ? 1 : 9)
    n_refused++;
  for (long n = 1; settle("LIMNER_EMULATED_LOSE", n, &n_wrong); n += 7)
    n_lost++;
  check(n_wrong == 0 && n_refused > 10 && n_lost > 1,
        "auto paints on the CPU and says why: %d allocations refused, %d times lost", n_refused,
        n_lost);
  JanusError error = {0};
  const JanusModelOptions options = {.folder = folder, .device = "cuda"};
  JanusModel *model = NULL;
  for (long n = 40; !model && n < 1000; n += 3) { // the first behind opening
    error = (JanusError){0};
    set_number("LIMNER_EMULATED_REFUSE", n);
    model = janus_model_open(&options, &error);
  }
  check(model && !janus_model_settle(&model, &options, NULL, NULL, &error) && model &&
            is_told(&error, JANUS_ERROR_MEMORY),
        "a card that was asked for by name is kept to: %s", error.message);
  janus_model_free(model);
  set_number("LIMNER_EMULATED_REFUSE", 0);
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

static void check_choice(double gb, const char *expected, const char *larger) {
  JanusError error = {0};
  JanusModel *model = open_7b(gb, JANUS_WEIGHTS_AUTO, &error);
  const JanusModelInfo *info = model ? janus_model_get_info(model) : NULL;
  const char *found = info ? janus_weights_text(info->weights) : error.message;
  const char *why = info && info->weights_why ? info->weights_why : "";
  check(model && strcmp(found, expected) == 0 && strncmp(why, larger, strlen(larger)) == 0 &&
            (*larger != '\0') == (strstr(why, "of the card's") != NULL),
        "7B on a card of %.0f GB: %s%s%s", gb, found, *why ? ", for " : "", why);
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

// A card that is too small for any format is left alone.
static void check_too_small(double gb) {
  JanusError error = {0};
  set_number("LIMNER_EMULATED_BYTES", (long long)(gb * 1e9));
  JanusModel *model =
      janus_model_open(&(JanusModelOptions){.synthetic = "janus-pro-7b", .n_threads = 1}, &error);
  const JanusModelInfo *info = model ? janus_model_get_info(model) : NULL;
  check(info && strcmp(info->device, "cpu") == 0 && info->fallback &&
            strstr(info->fallback, "emulated card (cuda:0) has 3.0 GB"),
        "7B, auto, a card of %.0f GB: %s", gb, info && info->fallback ? info->fallback : "");
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
  check_choice(80, "bf16", "");
  check_choice(24, "bf16", "");
  check_choice(12, "q8", "bf16 would take 1");
  check_choice(8, "q4", "q8 would take ");
  check_budget(24, 3.0, 3.8);
  check_budget(80, 28, 31);
  check_budget(8, 0, 0.01);
  check_too_small(3);
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
  test_auto();
  test_devices();
  JanusModel *model = open_model(JANUS_WEIGHTS_BF16, &error);
  check(model && run(model, expected, &error), "an undisturbed run%s", error.message);
  janus_model_free(model);
  check(bytes_in_use() == 0, "leaves nothing allocated");
  test_allocations(expected);
  test_settling();
  test_loss(expected);
  test_memory();
  return check_done();
}
