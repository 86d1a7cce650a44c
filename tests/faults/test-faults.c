// SPDX-License-Identifier: MIT
// What the engine and the kernels do when memory or threads run out: the nth call that takes any
// fails, or all from the nth on, for many n. Every run ends well or with one sentence, gives back
// all that it took, and the next run paints the same. The linker puts the functions below in the
// place of libc's (--wrap), for our own code alone.
#include "tests/engine/parity.h"
#include "tests/engine/weight-files.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { N_SLOTS = 1 << 17, N_TOKENS = 3, N_STEPS = 120 };
#ifdef __SANITIZE_THREAD__
enum { DEADLINE_S = 3000 }; // on a busy machine 500 did not do
#else
enum { DEADLINE_S = 500 };
#endif

// --- the calls that fail -------------------------------------------------------------------------

static struct {
  pthread_mutex_t lock;
  long n_calls, fail_at; // 0 = never
  bool fails_on;         // all later ones too
  void *slots[N_SLOTS];  // blocks that are taken; open addressing
  long n_taken;
} faults = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char gone; // where a block was

static bool is_failing(void) {
  pthread_mutex_lock(&faults.lock);
  const long call = ++faults.n_calls;
  const bool fails =
      faults.fail_at && (faults.fails_on ? call >= faults.fail_at : call == faults.fail_at);
  pthread_mutex_unlock(&faults.lock);
  return fails;
}

static size_t first_slot(const void *block) {
  return ((size_t)block >> 4) * 0x9e3779b97f4a7c15u >> 40 & (N_SLOTS - 1);
}

static void *take(void *block) {
  if (!block)
    return NULL;
  pthread_mutex_lock(&faults.lock);
  size_t at = first_slot(block);
  while (faults.slots[at] && faults.slots[at] != &gone)
    at = (at + 1) & (N_SLOTS - 1);
  faults.slots[at] = block;
  faults.n_taken++;
  pthread_mutex_unlock(&faults.lock);
  return block;
}

// Blocks that libc took for itself are not known here.
static void give_back(const void *block) {
  if (!block)
    return;
  pthread_mutex_lock(&faults.lock);
  size_t at = first_slot(block);
  while (faults.slots[at] && faults.slots[at] != block)
    at = (at + 1) & (N_SLOTS - 1);
  if (faults.slots[at] == block) {
    faults.slots[at] = &gone;
    faults.n_taken--;
  }
  pthread_mutex_unlock(&faults.lock);
}

void *__real_malloc(size_t n_bytes);
void *__real_calloc(size_t n, size_t n_bytes);
void *__real_realloc(void *block, size_t n_bytes);
void *__real_aligned_alloc(size_t alignment, size_t n_bytes);
char *__real_strdup(const char *text);
void __real_free(void *block);
void *__real_mmap(void *at, size_t n_bytes, int protection, int flags, int fd, off_t offset);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data);
void *__wrap_malloc(size_t n_bytes);
void *__wrap_calloc(size_t n, size_t n_bytes);
void *__wrap_realloc(void *block, size_t n_bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes);
char *__wrap_strdup(const char *text);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t n_bytes, int protection, int flags, int fd, off_t offset);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data);

void *__wrap_malloc(size_t n_bytes) {
  return is_failing() ? NULL : take(__real_malloc(n_bytes));
}

void *__wrap_calloc(size_t n, size_t n_bytes) {
  return is_failing() ? NULL : take(__real_calloc(n, n_bytes));
}

void *__wrap_realloc(void *block, size_t n_bytes) {
  if (is_failing())
    return NULL;
  give_back(block); // before another thread can be given the same place
  return take(__real_realloc(block, n_bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t n_bytes) {
  return is_failing() ? NULL : take(__real_aligned_alloc(alignment, n_bytes));
}

char *__wrap_strdup(const char *text) {
  return is_failing() ? NULL : take(__real_strdup(text));
}

void __wrap_free(void *block) {
  give_back(block);
  __real_free(block);
}

void *__wrap_mmap(void *at, size_t n_bytes, int protection, int flags, int fd, off_t offset) {
  return is_failing() ? MAP_FAILED : __real_mmap(at, n_bytes, protection, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *data) {
  return is_failing() ? EAGAIN : __real_pthread_create(thread, attributes, start, data);
}

// --- a run ---------------------------------------------------------------------------------------

static bool stop_after_some(const JanusProgress *progress, void *user_data) {
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done < N_TOKENS;
}

// PACKED: weights in 8 bits, which are packed into a copy on disk, or mapped from it.
typedef enum Kind { PICTURE, EDIT, ANSWER, TORCH, PACKED, N_KINDS } Kind;

static const char *const kind_names[N_KINDS] = {"a picture", "an edit", "an answer", "a .bin file",
                                                "a packed copy"};
static TestFolder copies; // of packed weights
static off_t copy_bytes;  // 0 = not known yet
static const uint8_t grey[4 * 4 * 3] = {128};
static const JanusImage image = {.rgb = grey, .width_px = 4, .height_px = 4};

static bool describe(JanusModel *model, int32_t *tokens, JanusError *error) {
  const JanusQuestion question = {
      .image = &image, .text = "what?", .temperature = 1, .top_p = 1, .max_tokens = N_TOKENS};
  JanusAnswer *answer = janus_answer_new(model, &question, error);
  int n_tokens = 0;
  const bool ok = answer && janus_answer_run(answer, NULL, NULL, error);
  const int32_t *found = ok ? janus_answer_get_tokens(answer, &n_tokens) : NULL;
  for (int i = 0; i < n_tokens; i++)
    tokens[i] = found[i];
  janus_answer_free(answer);
  return ok;
}

static bool paint_some(JanusModel *model, bool is_edit, int32_t *tokens, uint8_t *rgb,
                       JanusError *error) {
  const JanusRequest request = {.prompt = "a red house",
                                .image = is_edit ? &image : NULL,
                                .n_samples = 2,
                                .seed = 7,
                                .cfg = 5,
                                .image_cfg = 5,
                                .temperature = 1,
                                .top_p = 1};
  JanusSession *session = janus_session_new(model, &request, error);
  if (!session)
    return false;
  int n_tokens = 0;
  bool ok = janus_session_run(session, stop_after_some, NULL, error) ||
            error->code == JANUS_ERROR_CANCELLED;
  if (ok) {
    const int32_t *found = janus_session_get_tokens(session, 1, &n_tokens);
    for (int i = 0; i < N_TOKENS && i < n_tokens; i++)
      tokens[i] = found[i];
    *error = (JanusError){0};
    ok = janus_session_decode(session, 1, rgb, error);
  }
  janus_session_free(session);
  return ok;
}

// Loads, paints three tokens of two samples and decodes one; or answers with three tokens.
static bool run(const char *folder, Kind kind, int32_t *tokens, JanusError *error) {
  static uint8_t rgb[512 * 512 * 3];
  const JanusModelOptions options = {.folder = folder,
                                     .device = "cpu",
                                     .weights =
                                         kind == PACKED ? JANUS_WEIGHTS_Q8 : JANUS_WEIGHTS_F32,
                                     .n_threads = 2,
                                     .packed_folder = kind == PACKED ? copies.path : NULL};
  JanusModel *model = janus_model_open(&options, error);
  const bool ok = model && (kind == ANSWER ? describe(model, tokens, error)
                                           : paint_some(model, kind == EDIT, tokens, rgb, error));
  janus_model_free(model);
  return ok;
}

// --- what is left behind -------------------------------------------------------------------------

static int count_entries(const char *path) {
  DIR *dir = opendir(path);
  int n = 0;
  while (dir && readdir(dir))
    n++;
  if (dir)
    closedir(dir);
  return n;
}

// A copy is there whole or not at all; every other run begins without one.
static bool keeps_copies(bool are_gone) {
  bool ok = true;
  DIR *dir = opendir(copies.path);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    struct stat file;
    if (entry->d_name[0] == '.')
      continue;
    const char *path = test_path(&copies, entry->d_name);
    ok = ok && stat(path, &file) == 0 && (copy_bytes == 0 || file.st_size == copy_bytes);
    copy_bytes = file.st_size;
    if (are_gone)
      unlink(path);
  }
  if (dir)
    closedir(dir);
  return ok;
}

// The kernel takes a moment to forget a thread that was joined.
static bool has_entries(const char *path, int n) {
  for (int i = 0; i < 200 && count_entries(path) != n; i++)
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
  return count_entries(path) == n;
}

typedef struct Tally {
  int n_runs, n_errors, n_silent, n_lost, n_threads, n_files, n_halves;
} Tally;

static void fail_once(const char *folder, Kind kind, long fail_at, bool fails_on, Tally *tally) {
  const int n_threads = count_entries("/proc/self/task"), n_files = count_entries("/proc/self/fd");
  int32_t tokens[N_TOKENS];
  JanusError error = {0};
  faults.n_calls = 0;
  faults.fail_at = fail_at;
  faults.fails_on = fails_on;
  const bool ok = run(folder, kind, tokens, &error);
  faults.fail_at = 0;
  const bool is_silent =
      !ok && (error.code == JANUS_ERROR_NONE || !error.message[0] || strchr(error.message, '\n'));
  if (is_silent || faults.n_taken || tally->n_runs % 40 == 0)
    printf("# call %ld%s: %s, %ld blocks kept\n", fail_at, fails_on ? " and all later" : "",
           ok ? "no error" : error.message, faults.n_taken);
  tally->n_runs++;
  tally->n_errors += !ok;
  tally->n_silent += is_silent;
  tally->n_lost += faults.n_taken != 0;
  tally->n_threads += !has_entries("/proc/self/task", n_threads);
  tally->n_files += !has_entries("/proc/self/fd", n_files);
  tally->n_halves += !keeps_copies(tally->n_runs % 2);
  faults.n_taken = 0;
}

// The first calls one by one, for they are of all kinds, then evenly to the last.
static void test_faults(const char *folder, Kind kind) {
  const char *what = kind_names[kind];
  int32_t before[N_TOKENS] = {-1}, after[N_TOKENS] = {-2};
  JanusError error = {0};
  faults.n_calls = 0;
  bool ok = run(folder, kind, before, &error);
  const long n_calls = faults.n_calls;
  check(ok && faults.n_taken == 0, "%s: %ld calls, all is given back %s", what, n_calls,
        error.message);
  Tally tally = {0};
  const long step = n_calls / N_STEPS + 1;
  for (long at = 1; at <= n_calls; at += at < N_STEPS / 2 ? 1 : step)
    for (int fails_on = 0; fails_on < 2; fails_on++)
      fail_once(folder, kind, at, fails_on, &tally);
  for (long at = n_calls - N_STEPS / 2; at <= n_calls; at++)
    fail_once(folder, kind, at, false, &tally);
  check(tally.n_errors * 10 >= tally.n_runs * 9, "%s: %d of %d runs end with an error", what,
        tally.n_errors, tally.n_runs); // observed: 97 %
  check(tally.n_silent == 0, "%s: %d errors say nothing", what, tally.n_silent);
  check(tally.n_lost == 0, "%s: %d runs keep memory", what, tally.n_lost);
  check(tally.n_threads == 0, "%s: %d runs keep threads", what, tally.n_threads);
  check(tally.n_files == 0, "%s: %d runs keep files open", what, tally.n_files);
  check(tally.n_halves == 0, "%s: %d runs leave half a copy", what, tally.n_halves);
  ok = run(folder, kind, after, &error);
  check(ok && memcmp(before, after, sizeof before) == 0, "%s: the same afterwards", what);
}

// The checkpoint with its weights as PyTorch writes them.
static TestFolder write_torch_folder(const char *from) {
  static const char *const names[] = {"config.json", "preprocessor_config.json",
                                      "processor_config.json", "tokenizer.json"};
  TestFolder folder = test_folder_new();
  TensorList list = {0};
  TensorSet *set = tensors_open_folder(from, NULL);
  for (size_t i = 0; set && i < tensors_count(set); i++)
    add_to_list(&list, tensors_get(set, i)->name, tensors_get(set, i));
  write_torch(&folder, "pytorch_model.bin", list.tensors, list.n);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    copy_file(&folder, names[i], parity_path("tiny-f32/%s", names[i]));
  free_list(&list);
  tensors_free(set);
  return folder;
}

int main(int argc, char **argv) {
  char folder[1024];
  alarm(DEADLINE_S); // a lock that is never released
  set_parity_folder(argc, argv);
  snprintf(folder, sizeof folder, "%s", parity_path("tiny-f32"));
  TestFolder torch = write_torch_folder(folder);
  copies = test_folder_new();
  faults.n_taken = 0;
  for (Kind kind = PICTURE; kind < N_KINDS; kind++)
    test_faults(kind == TORCH ? torch.path : folder, kind);
  test_folder_free(&torch);
  test_folder_free(&copies);
  return finish();
}
