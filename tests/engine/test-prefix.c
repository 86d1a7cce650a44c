// SPDX-License-Identifier: MIT
// What a model keeps of pictures to change: a further edit computes its words alone, and no token
// tells what was kept, dropped, half done or somebody else's.
#include "engine/model.h"
#include "engine/session.h"
#include "tests/engine/parity.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PROMPT[] = "Turn the image into a nighttime scene.";
static const char OTHER[] = "Paint the door green";
enum { WORDS = 500 };

// n - 1 characters of words.
static const char *fill(char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    text[i] = i + 1 < n ? "many words "[i % 11] : '\0';
  return text;
}

static JanusRequest edit_request(const JanusImage *image, const char *prompt) {
  JanusRequest request = text_request(prompt, 2, 7);
  request.image = image;
  request.image_cfg = 5;
  return request;
}

// --- watching ------------------------------------------------------------------------------------

typedef struct Watch {
  int stop_after; // calls; -1 = never
  int n_calls, n_looks;
} Watch;

static bool watch(const JanusProgress *progress, void *user_data) {
  Watch *w = user_data;
  w->n_looks += progress->phase == JANUS_PHASE_LOOK;
  return w->n_calls++ != w->stop_after;
}

// What a run did.
typedef struct Outcome {
  int32_t *tokens; // malloc'd; NULL of a run that was stopped
  int n_looks;     // blocks of the encoders
  int n_prefilled; // prompt positions
  int n_calls;
} Outcome;

static Outcome run(JanusModel *model, const JanusRequest *request, int stop_after) {
  const size_t n = (size_t)request->n_samples * (size_t)model->config.n_image_tokens;
  JanusSession *session = new_session(model, request);
  Watch w = {.stop_after = stop_after};
  const bool ok = janus_session_run(session, watch, &w, NULL);
  Outcome outcome = {
      .n_looks = w.n_looks, .n_prefilled = session_count_prefilled(session), .n_calls = w.n_calls};
  if (ok) {
    int n_tokens = 0;
    outcome.tokens = malloc(n * sizeof *outcome.tokens);
    memcpy(outcome.tokens, janus_session_get_tokens(session, 0, &n_tokens),
           n * sizeof *outcome.tokens);
  }
  janus_session_free(session);
  return outcome;
}

static JanusModel *open_keeping(const char *name) {
  JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
  check(model->pictures_budget_bytes == janus_model_get_info(model)->picture_cache_bytes &&
            model->pictures_budget_bytes > 100000000,
        "%s: the budget is %zu MB of this machine's memory", name,
        model->pictures_budget_bytes / 1000000);
  return model;
}

// The request on a model that has seen nothing.
static Outcome run_cold(const char *name, const JanusRequest *request) {
  JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
  const Outcome outcome = run(model, request, -1);
  janus_model_free(model);
  return outcome;
}

static int prompt_length(const JanusModel *model, const JanusRequest *request, int *n_common) {
  JanusPrompt prompt = {0};
  janus_request_prompt(model, request, &prompt, NULL);
  const int n = prompt.n_ids;
  *n_common = prompt.codes_at;
  janus_prompt_clear(&prompt);
  return n;
}

static int count_kept(const JanusModel *model) {
  int n = 0;
  for (const PicturePrefix *prefix = model->pictures; prefix; prefix = prefix->next)
    n++;
  return n;
}

// --- what is saved -------------------------------------------------------------------------------

static void test_first(const char *name, const JanusImage *image) {
  JanusModel *model = open_keeping(name);
  const JanusRequest request = edit_request(image, PROMPT);
  int n_common = 0;
  const int n_prefix = prompt_length(model, &request, &n_common) - 1;
  const Outcome first = run(model, &request, -1), again = run(model, &request, -1);
  check(first.n_looks == siglip_steps(model) + vq_encoder_steps(model) &&
            first.n_prefilled == 3 * n_prefix - n_common,
        "the first edit looks, and computes %d positions: %d of three rows' %d are common to two",
        first.n_prefilled, n_common, 3 * n_prefix);
  const int n_words = n_prefix - n_common - picture_prefix_own(&model->config);
  check(again.n_looks == 0 && again.n_prefilled == 2 * n_words && n_words > 0,
        "the second looks at nothing, and computes %d: %d words in two rows", again.n_prefilled,
        n_words);
  check(again.n_calls == model->config.n_image_tokens + (2 * n_words + 31) / 32,
        "and says so: %d calls", again.n_calls);
  check(same_tokens(model, first.tokens, again.tokens, 2), "it paints the same");
  check(count_kept(model) == 1 &&
            janus_model_get_kept_bytes(model) == picture_prefix_held_bytes(model->pictures, model),
        "one picture is kept, %zu bytes", janus_model_get_kept_bytes(model));
  janus_model_drop_kept(model);
  check(janus_model_get_kept_bytes(model) == 0, "and dropped when asked");
  const Outcome cold = run(model, &request, -1);
  check(cold.n_looks == first.n_looks && same_tokens(model, first.tokens, cold.tokens, 2),
        "then all is done again, with the same tokens");
  free(cold.tokens);
  free(again.tokens);
  free(first.tokens);
  janus_model_free(model);
}

// --- after anything ------------------------------------------------------------------------------

enum { N_REQUESTS = 9 };

typedef struct Requests {
  JanusRequest list[N_REQUESTS];
  const char *titles[N_REQUESTS];
  char words[WORDS];
  int32_t tokens[64 * 64];
} Requests;

static void make_requests(Requests *r, const JanusModel *model, const JanusImage *a,
                          const JanusImage *b) {
  static const char *const titles[N_REQUESTS] = {"an edit",
                                                 "other words",
                                                 "many words",
                                                 "without a part row",
                                                 "without guidance",
                                                 "given tokens",
                                                 "another picture",
                                                 "the middle of it",
                                                 "a text"};
  memcpy(r->titles, titles, sizeof titles);
  for (int i = 0; i < N_REQUESTS; i++)
    r->list[i] = edit_request(a, PROMPT);
  for (int i = 0; i < model->config.n_image_tokens; i++)
    r->tokens[i] = (i * 7) % model->config.n_codes;
  r->list[1].prompt = OTHER;
  r->list[1].n_samples = 3;
  r->list[2].prompt = fill(r->words, sizeof r->words);
  r->list[3].image_cfg = 0;
  r->list[4].cfg = 1;
  r->list[5].image_tokens = r->tokens;
  r->list[6].image = b;
  r->list[8] = text_request(PROMPT, 2, 7);
}

// Each after each other, and after a run that was stopped anywhere in it.
static void test_after(const char *name, const Requests *r, const Outcome *cold, uint64_t *random) {
  int n_stopped = 0; // not those that found the unconditional prompt and ended sooner
  JanusModel *model = open_keeping(name);
  for (int i = 0; i < N_REQUESTS * N_REQUESTS; i++) {
    const JanusRequest *before = &r->list[i / N_REQUESTS], *after = &r->list[i % N_REQUESTS];
    const int stop = (int)(next_random(random) % (uint32_t)(cold[i / N_REQUESTS].n_calls - 1));
    janus_model_drop_kept(model);
    const Outcome stopped = run(model, before, stop), found = run(model, after, -1);
    n_stopped += stopped.tokens == NULL;
    const int n = after->n_samples;
    check(same_tokens(model, cold[i % N_REQUESTS].tokens, found.tokens, n),
          "%s after %s, stopped at call %d of %d", r->titles[i % N_REQUESTS],
          r->titles[i / N_REQUESTS], stop, cold[i / N_REQUESTS].n_calls);
    free(stopped.tokens);
    free(found.tokens);
  }
  check(n_stopped > N_REQUESTS * N_REQUESTS / 2, "%d of %d were stopped", n_stopped,
        N_REQUESTS * N_REQUESTS);
  janus_model_free(model);
}

// One model, many runs, whole and stopped, with budgets that come and go.
static void test_long_life(const char *name, const Requests *r, const Outcome *cold,
                           uint64_t *random) {
  enum { N_RUNS = 80 };
  JanusModel *model = open_keeping(name);
  const size_t budget = model->pictures_budget_bytes;
  int n_wrong = 0, n_over = 0, n_seen = 0, n_edits = 0;
  for (int i = 0; i < N_RUNS; i++) {
    const int k = (int)(next_random(random) % N_REQUESTS);
    const bool stops = next_random(random) % 3 == 0;
    const int stop = stops ? (int)(next_random(random) % (uint32_t)(cold[k].n_calls - 1)) : -1;
    if (next_random(random) % 8 == 0)
      model->pictures_budget_bytes = next_random(random) % 2 ? budget : budget / 3000;
    const Outcome found = run(model, &r->list[k], stop);
    n_wrong +=
        found.tokens && !same_tokens(model, cold[k].tokens, found.tokens, r->list[k].n_samples);
    n_edits += r->list[k].image != NULL;
    n_seen += r->list[k].image && found.n_looks == 0;
    n_over += janus_model_get_kept_bytes(model) > model->pictures_budget_bytes;
    free(found.tokens);
  }
  check(n_wrong == 0 && n_seen > N_RUNS / 10, "%d runs, %d of %d edits without looking: %d wrong",
        N_RUNS, n_seen, n_edits, n_wrong);
  check(n_over == 0, "and never is more kept than the budget of the moment");
  janus_model_free(model);
}

static void test_any_order(const char *name, const JanusImage *a, const JanusImage *b) {
  static const uint64_t seed = 5;
  Requests *r = calloc(1, sizeof *r);
  Outcome cold[N_REQUESTS];
  uint64_t random = seed;
  JanusImage middle = *a;
  JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 2);
  middle.fit = JANUS_FIT_CROP;
  make_requests(r, model, a, b);
  r->list[7].image = &middle;
  janus_model_free(model);
  printf("# seed %llu\n", (unsigned long long)seed);
  for (int i = 0; i < N_REQUESTS; i++)
    cold[i] = run_cold(name, &r->list[i]);
  test_after(name, r, cold, &random);
  test_long_life(name, r, cold, &random);
  for (int i = 0; i < N_REQUESTS; i++)
    free(cold[i].tokens);
  free(r);
}

// --- stopping -----------------------------------------------------------------------------------

// Stopped at every place of it, the run that follows does what was left.
static void test_continued(const char *name, const JanusImage *image) {
  JanusModel *model = open_keeping(name);
  const JanusRequest request = edit_request(image, PROMPT);
  const Outcome whole = run(model, &request, -1);
  const int n_look = siglip_steps(model) + vq_encoder_steps(model);
  int n_common = 0;
  const int n_prefix = prompt_length(model, &request, &n_common) - 1, n_rows = 32;
  bool are_same = true, are_few = true;
  for (int stop = 0; stop < n_look + 6; stop++) {
    janus_model_drop_kept(model);
    const Outcome stopped = run(model, &request, stop), next = run(model, &request, -1);
    const bool is_seen = stop >= n_look - 1;
    const int n_kept = is_seen ? (stop - n_look + 1) * n_rows : 0;
    const int n_left = 2 * n_prefix - n_common - n_kept;
    are_same = are_same && same_tokens(model, whole.tokens, next.tokens, 2);
    are_few = are_few && next.n_looks == (is_seen ? 0 : n_look) && next.n_prefilled >= n_left &&
              next.n_prefilled <= (n_left > 0 ? n_left : 0) + 2 * n_prefix - 2 * n_common;
    free(next.tokens);
    free(stopped.tokens);
  }
  check(are_same, "stopped anywhere before its first token, the next run paints the same");
  check(are_few, "and looks only when looking was stopped, and reads what was not read");
  free(whole.tokens);
  janus_model_free(model);
}

// --- more than one -------------------------------------------------------------------------------

typedef struct Painter {
  JanusModel *model;
  JanusRequest request;
  Outcome outcome;
} Painter;

static void *paint_on_thread(void *data) {
  Painter *painter = data;
  painter->outcome = run(painter->model, &painter->request, -1);
  return NULL;
}

// Sessions of one picture, one after the other and step by step beside each other.
static void test_at_once(const char *name, const JanusImage *image) {
  char words[WORDS];
  JanusModel *model = open_keeping(name);
  Painter painters[] = {{model, edit_request(image, PROMPT), {0}},
                        {model, edit_request(image, OTHER), {0}},
                        {model, edit_request(image, fill(words, sizeof words)), {0}}};
  enum { N = sizeof painters / sizeof *painters };
  pthread_t threads[N];
  Outcome alone[N];
  for (int i = 0; i < N; i++)
    alone[i] = run_cold(name, &painters[i].request);
  for (int round = 0; round < 3; round++) {
    bool are_same = true;
    for (int i = 0; i < N; i++)
      pthread_create(&threads[i], NULL, paint_on_thread, &painters[i]);
    for (int i = 0; i < N; i++) {
      pthread_join(threads[i], NULL);
      are_same = same_tokens(model, alone[i].tokens, painters[i].outcome.tokens, 2) && are_same;
      free(painters[i].outcome.tokens);
    }
    check(are_same, "three edits of one picture at once give what each gives alone");
    check(count_kept(model) == 1, "of which one is kept");
  }
  for (int i = 0; i < N; i++)
    free(alone[i].tokens);
  janus_model_free(model);
}

// A session that waits while others of its picture come and go, and the model's last to go.
static void test_alive(const char *name, const JanusImage *image) {
  JanusModel *model = open_keeping(name);
  const JanusRequest first = edit_request(image, PROMPT), second = edit_request(image, OTHER);
  const Outcome cold = run_cold(name, &first), cold_second = run_cold(name, &second);
  JanusSession *session = new_session(model, &first);
  Watch w = {.stop_after = cold.n_calls - 10};
  check(!janus_session_run(session, watch, &w, NULL), "an edit waits in the middle");
  for (int i = 0; i < 2; i++) {
    const Outcome other = run(model, &second, -1);
    check(same_tokens(model, cold_second.tokens, other.tokens, 2) &&
              (other.n_looks == 0) == (i > 0),
          "beside it another of its picture %s", i > 0 ? "finds the one before" : "computes all");
    free(other.tokens);
  }
  janus_model_drop_kept(model);
  int n = 0;
  check(janus_session_run(session, NULL, NULL, NULL) &&
            same_tokens(model, cold.tokens, janus_session_get_tokens(session, 0, &n), 2),
        "it goes on as if it had been alone");
  janus_session_free(session);
  check(count_kept(model) == 1, "and what it computed is kept");
  free(cold_second.tokens);
  free(cold.tokens);
  janus_model_free(model);
}

// --- memory -------------------------------------------------------------------------------------

static void test_budget(const char *name, const JanusImage *a, const JanusImage *b) {
  JanusModel *model = open_keeping(name);
  const JanusRequest first = edit_request(a, PROMPT), second = edit_request(b, PROMPT);
  const Outcome cold = run(model, &first, -1);
  const size_t one_bytes = janus_model_get_kept_bytes(model);
  model->pictures_budget_bytes = one_bytes - 1;
  for (int i = 0; i < 2; i++) {
    janus_model_drop_kept(model);
    const Outcome again = run(model, &first, -1);
    check(again.n_looks == cold.n_looks && same_tokens(model, cold.tokens, again.tokens, 2) &&
              janus_model_get_kept_bytes(model) == 0,
          "a budget of a byte too few keeps nothing");
    free(again.tokens);
  }
  for (int n_kept = 1; n_kept <= 2; n_kept++) {
    model->pictures_budget_bytes = (size_t)n_kept * one_bytes;
    free(run(model, &first, -1).tokens);
    free(run(model, &second, -1).tokens);
    check(count_kept(model) == n_kept, "a budget for %d keeps %d of two pictures", n_kept, n_kept);
    const Outcome again = run(model, &first, -1);
    check((again.n_looks == 0) == (n_kept == 2) && same_tokens(model, cold.tokens, again.tokens, 2),
          "and the older one is %s", n_kept == 2 ? "found" : "looked at again");
    free(again.tokens);
  }
  free(cold.tokens);
  janus_model_free(model);
}

// Options, and room for what does not fit beside what is kept.
static void test_room(const char *name, const JanusImage *image) {
  JanusError error = {0};
  const JanusModelOptions options = {
      .folder = parity_path("%s", name), .n_threads = 1, .picture_cache_bytes = -1};
  JanusModel *model = janus_model_open(&options, &error);
  const JanusRequest request = edit_request(image, PROMPT);
  free(run(model, &request, -1).tokens);
  check(janus_model_get_info(model)->picture_cache_bytes == 0 &&
            janus_model_get_kept_bytes(model) == 0,
        "a model asked to keep nothing keeps nothing");
  model->pictures_budget_bytes = SIZE_MAX;
  free(run(model, &request, -1).tokens);
  const size_t n_kept = janus_model_get_kept_bytes(model);
  JanusMemory needed = janus_estimate_memory(model, 1, 20, true);
  check(picture_prefixes_make_room(model, &needed, 0, &error) &&
            janus_model_get_kept_bytes(model) == n_kept,
        "what fits beside what is kept leaves it");
  const MemoryRoom room = janus_memory_room();
  needed = (JanusMemory){.kv_bytes = (size_t)room.free_bytes + ((size_t)1 << 30)};
  needed.total_bytes = (size_t)room.total_bytes + 1;
  check(!picture_prefixes_make_room(model, &needed, 0, &error) &&
            error.code == JANUS_ERROR_MEMORY && janus_model_get_kept_bytes(model) == n_kept,
        "so does what would never fit: %s", error.message);
  needed.total_bytes = needed.kv_bytes;
  error = (JanusError){0};
  if (room.free_bytes < room.total_bytes && needed.total_bytes <= room.total_bytes)
    check(!picture_prefixes_make_room(model, &needed, 0, &error) && model->pictures == NULL,
          "what does not fit now drops it: %s", error.message);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"tiny-f32", "tiny-gqa"};
  set_parity_folder(argc, argv);
  const JanusImage image = load_picture("portrait.png"), other = load_picture("landscape.png");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    printf("# %s\n", names[i]);
    test_first(names[i], &image);
    test_any_order(names[i], &image, &other);
    test_continued(names[i], &image);
    test_at_once(names[i], &image);
    test_alive(names[i], &image);
    test_budget(names[i], &image, &other);
    test_room(names[i], &image);
  }
  free((void *)other.rgb);
  free((void *)image.rgb);
  return finish();
}
