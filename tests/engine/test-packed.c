// SPDX-License-Identifier: MIT
// Packed copies of weights on disk: written once, used afterwards, and never used when anything
// about them is not as expected; runs paint the same in every case.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // unshare()
#endif

#include "engine/model.h"
#include "engine/packed-cache.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct Place {
  TestFolder checkpoint;
  char packed[300]; // the folder of copies
  JanusRequest request;
  int32_t *tokens; // as painted without a copy
} Place;

static JanusModel *open_with(const Place *place, JanusWeights weights, const char *packed) {
  const JanusModelOptions options = {.folder = place->checkpoint.path,
                                     .device = "cpu",
                                     .weights = weights,
                                     .n_threads = 1,
                                     .packed_folder = packed};
  JanusError error = {0};
  JanusModel *model = janus_model_open(&options, &error);
  if (!model) {
    printf("Bail out! %s\n", error.message);
    exit(1);
  }
  return model;
}

static bool paints_alike(const Place *place, JanusModel *model) {
  int32_t *tokens = paint(model, &place->request);
  const bool ok = same_tokens(model, place->tokens, tokens, place->request.n_samples);
  free(tokens);
  return ok;
}

static char *copy_path(const Place *place, size_t *n_bytes) {
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  JanusPackedCopy copy = {0};
  char *path = janus_model_find_packed(model, &copy) ? strdup(copy.path) : NULL;
  *n_bytes = copy.n_bytes;
  janus_model_free(model);
  return path;
}

static int count_in(const char *folder) {
  int n = 0;
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    n += entry->d_name[0] != '.';
  if (dir)
    closedir(dir);
  return n;
}

static off_t size_of(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_size : -1;
}

static ino_t inode_of(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

// Opens, runs, and says what became of the file.
static void check_run(const Place *place, const char *what, const char *path, size_t n_bytes) {
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  check(paints_alike(place, model), "%s: paints the same", what);
  check(size_of(path) == (off_t)n_bytes && count_in(place->packed) == 1,
        "%s: one copy of %zu bytes is there", what, n_bytes);
  janus_model_free(model);
}

static void put_byte(const char *path, long offset, unsigned char byte) {
  FILE *file = fopen(path, "r+b");
  fseek(file, offset, SEEK_SET);
  fputc(byte, file);
  fclose(file);
}

static void test_used(const Place *place) {
  size_t n_bytes = 0;
  char *path = copy_path(place, &n_bytes);
  check(path && size_of(path) < 0, "nothing is written before it is needed");
  check_run(place, "a first run", path, n_bytes);
  const ino_t first = inode_of(path);
  check_run(place, "a second run", path, n_bytes);
  check(inode_of(path) == first, "the copy is used again");
  put_byte(path, (long)n_bytes - 4096, 77); // in the last section: not looked at
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  janus_model_prepare(model, NULL, NULL, NULL);
  check(inode_of(path) == first, "what its sections hold is not looked at");
  janus_model_free(model);
  unlink(path);
  free(path);
}

static void test_refused(const Place *place) {
  size_t n_bytes = 0;
  char *path = copy_path(place, &n_bytes);
  check_run(place, "without a copy", path, n_bytes);
  check(truncate(path, (off_t)n_bytes - 1) == 0, "the copy is cut off");
  check_run(place, "a copy cut off", path, n_bytes);
  check(truncate(path, 0) == 0, "the copy is emptied");
  check_run(place, "an empty copy", path, n_bytes);
  const long places[] = {0, 16, 24, 40, 48, 60, 64};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    const ino_t before = inode_of(path);
    put_byte(path, places[i], 0xa5);
    check_run(place, "a foreign copy", path, n_bytes);
    check(inode_of(path) != before, "with another byte %ld it is written again", places[i]);
  }
  unlink(path);
  free(path);
}

static void test_under_a_run(const Place *place) {
  size_t n_bytes = 0;
  char *path = copy_path(place, &n_bytes);
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  check(janus_model_prepare(model, NULL, NULL, NULL) && unlink(path) == 0, "deleted while mapped");
  check(paints_alike(place, model), "a model whose copy is deleted paints the same");
  janus_model_free(model);
  model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  check(janus_model_prepare(model, NULL, NULL, NULL) && truncate(path, 4096) == 0,
        "cut off while mapped");
  JanusSession *session = new_session(model, &place->request);
  JanusError error = {0};
  check(!janus_session_run(session, NULL, NULL, &error) && error.code == JANUS_ERROR_IO,
        "a model whose copy is cut off says so: %s", error.message);
  janus_session_free(session);
  janus_model_free(model);
  unlink(path);
  free(path);
}

// Sections of ones (no numbers at all) and of anything: values, and no more than that.
static void test_garbage(const Place *place, JanusWeights weights) {
  uint64_t random = 5;
  for (int round = 0; round < 4; round++) {
    JanusModel *model = open_with(place, weights, place->packed);
    JanusPackedCopy copy = {0};
    check(janus_model_prepare(model, NULL, NULL, NULL) && janus_model_find_packed(model, &copy) &&
              copy.is_there,
          "a copy in %s is there", janus_weights_text(weights));
    char *path = strdup(copy.path);
    FILE *file = fopen(path, "r+b");
    fseek(file, 4096, SEEK_SET);
    for (size_t i = 4096; i < copy.n_bytes; i++)
      fputc(round == 0 ? 0xff : (int)(next_random(&random) & 0xff), file);
    fclose(file);
    janus_model_free(model);
    model = open_with(place, weights, place->packed);
    int32_t *tokens = paint(model, &place->request);
    const JanusModelInfo *info = janus_model_get_info(model);
    bool in_range = tokens != NULL;
    for (int i = 0; in_range && i < place->request.n_samples * info->n_image_tokens; i++)
      in_range = tokens[i] >= 0 && tokens[i] < info->n_codes;
    check(in_range, "with anything in it, a model in %s paints tokens of the codebook",
          janus_weights_text(weights));
    free(tokens);
    janus_model_free(model);
    unlink(path);
    free(path);
  }
}

// Cuts the weights off while the first half of them is packed.
static bool cut_weights(size_t n_done, size_t n_total, void *data) {
  return truncate(data, 65536) == 0;
}

// Of weights that are cut off meanwhile no copy is kept: they may come back with their old date.
static void test_cut_while_packing(const Place *place) {
  char path[400];
  snprintf(path, sizeof path, "%s", test_path(&place->checkpoint, "model.safetensors"));
  struct stat before;
  JanusError error = {0};
  check(stat(path, &before) == 0, "the weights are there");
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  check(!janus_model_prepare(model, cut_weights, path, &error) && error.code == JANUS_ERROR_IO &&
            count_in(place->packed) == 0,
        "weights cut off while they are packed leave no copy: %s", error.message);
  janus_model_free(model);
  copy_file(&place->checkpoint, "model.safetensors", parity_path("tiny-f32/model.safetensors"));
  const struct timespec times[] = {before.st_atim, before.st_mtim};
  check(utimensat(AT_FDCWD, path, times, 0) == 0, "they come back");
  model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  check(paints_alike(place, model), "and paint the same");
  JanusPackedCopy copy = {0};
  check(janus_model_find_packed(model, &copy) && unlink(copy.path) == 0, "from a copy of theirs");
  janus_model_free(model);
}

// --- where none can be kept ---------------------------------------------------------------------

static bool stop_soon(size_t n_done, size_t n_total, void *data) {
  return n_done < n_total / 2;
}

static void test_stopped(const Place *place) {
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
  JanusError error = {0};
  check(!janus_model_prepare(model, stop_soon, NULL, &error) &&
            error.code == JANUS_ERROR_CANCELLED && count_in(place->packed) == 0,
        "nothing is left of a copy that was stopped");
  JanusPackedCopy copy = {0};
  check(paints_alike(place, model) && count_in(place->packed) == 1, "and it is written afterwards");
  check(janus_model_find_packed(model, &copy) && unlink(copy.path) == 0, "and deleted");
  janus_model_free(model);
  model = open_with(place, JANUS_WEIGHTS_Q8, NULL);
  error = (JanusError){0};
  check(!janus_model_prepare(model, stop_soon, NULL, &error) &&
            error.code == JANUS_ERROR_CANCELLED && paints_alike(place, model),
        "packing in memory stops and goes on too");
  janus_model_free(model);
}

// Stops before the number of calls that a whole preparation makes.
typedef struct Moment {
  int n_calls, stop_at; // 0 = never
} Moment;

static bool stop_there(size_t n_done, size_t n_total, void *data) {
  Moment *moment = data;
  return ++moment->n_calls != moment->stop_at;
}

// 200 moments of packing, in each format, with a copy on disk and without.
static void test_stopped_anywhere(const Place *place, JanusWeights weights) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  enum { N_STOPS = 40 };
#else
  enum { N_STOPS = 200 };
#endif
  uint64_t random = 7;
  Moment whole = {0};
  JanusModel *model = open_with(place, weights, NULL);
  bool ok = janus_model_prepare(model, stop_there, &whole, NULL);
  int32_t *expected = paint(model, &place->request);
  janus_model_free(model);
  int n_wrong = !ok, n_late = 0;
  for (int i = 0; i < N_STOPS; i++) {
    Moment moment = {0};
    model = open_with(place, weights, i % 2 ? place->packed : NULL);
    moment.stop_at = 1 + (int)(next_random(&random) % (uint32_t)whole.n_calls);
    JanusError error = {0};
    const bool ended = janus_model_prepare(model, stop_there, &moment, &error);
    n_wrong += !ended && (error.code != JANUS_ERROR_CANCELLED || moment.n_calls != moment.stop_at);
    n_wrong += count_in(place->packed) > 1;
    int32_t *tokens = paint(model, &place->request);
    n_wrong += !same_tokens(model, expected, tokens, place->request.n_samples);
    free(tokens);
    JanusPackedCopy copy = {0};
    if (i % 2 && janus_model_find_packed(model, &copy))
      n_wrong += unlink(copy.path) != 0;
    janus_model_free(model);
  }
  check(n_wrong == 0 && n_late == 0 && count_in(place->packed) == 0,
        "%d moments of packing in %s: stopped, nothing is left, and it paints as ever", N_STOPS,
        janus_weights_text(weights));
  free(expected);
}

static void test_nowhere(const Place *place) {
  char under_a_file[400];
  snprintf(under_a_file, sizeof under_a_file, "%s/x", test_path(&place->checkpoint, "config.json"));
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, under_a_file);
  check(paints_alike(place, model), "a folder that cannot be made means no copy");
  JanusPackedCopy copy;
  check(!janus_model_find_packed(model, &copy), "and none is promised");
  janus_model_free(model);
}

// A child process, so that its limit and its signals are its own.
static bool child_paints(const Place *place, rlim_t most_bytes) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    const struct rlimit limit = {most_bytes, most_bytes};
    signal(SIGXFSZ, SIG_IGN);
    if (most_bytes != RLIM_INFINITY)
      setrlimit(RLIMIT_FSIZE, &limit);
    JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
    const bool ok = paints_alike(place, model);
    janus_model_free(model);
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

static void test_full(const Place *place, const char *path) {
  unlink(path);
  check(child_paints(place, 20000) && count_in(place->packed) == 0,
        "a file that cannot grow is no copy, and nothing is left of it");
}

// As somebody who may write nowhere. The child's own exit status: 0 = paints the same.
static bool nobody_paints(const Place *place, bool uses_copy) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
      _exit(3);
    JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
    const bool ok = paints_alike(place, model);
    const bool used = model->packed && packed_cache_is_open(model->packed);
    janus_model_free(model);
    _exit(ok && used == uses_copy ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0;
}

// A folder that this process may look into, and nobody but root may write to.
static void lock_folder(const Place *place, mode_t mode) {
  char path[300];
  snprintf(path, sizeof path, "%s", place->packed);
  chmod(place->checkpoint.path, 0755);
  for (int i = 0; i < 3; i++) { // ROOT/a/b
    chmod(path, i == 0 ? mode : 0755);
    *strrchr(path, '/') = '\0';
  }
}

static void test_read_only(const Place *place, const char *path, size_t n_bytes) {
  check_run(place, "before the folder is read-only", path, n_bytes);
  lock_folder(place, 0555);
  check(chmod(path, 0444) == 0 && nobody_paints(place, true), "a copy that is read-only is used");
  check(chmod(path, 0) == 0 && nobody_paints(place, false),
        "one that cannot be read, where none can be written, is not");
  lock_folder(place, 0755);
  unlink(path);
  lock_folder(place, 0555);
  check(nobody_paints(place, false) && count_in(place->packed) == 0,
        "a folder that is read-only has no copy");
  lock_folder(place, 0755);
}

// A file system of so many bytes at the folder of copies, seen by this process alone.
static bool mount_small(const Place *place, size_t n_bytes) {
  char options[60];
  snprintf(options, sizeof options, "size=%zu", n_bytes);
  if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0)
    return false;
  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
  return mount("tmpfs", place->packed, "tmpfs", 0, options) == 0;
}

// Takes all the room that is left, at the first section.
static bool fill_disk(size_t n_done, size_t n_total, void *data) {
  static char block[4096];
  const Place *place = data;
  char path[400];
  snprintf(path, sizeof path, "%s/filler", place->packed);
  const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  while (fd >= 0 && write(fd, block, sizeof block) > 0)
    ;
  close(fd);
  return true;
}

// The child's exit status: the number of copies and other files that are there, 100 = it paints
// otherwise, 101 = no file system can be made here.
static int run_on_disk(const Place *place, size_t n_bytes, bool fills) {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (!mount_small(place, n_bytes))
      _exit(101);
    JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
    JanusError error = {0};
    bool ok = janus_model_prepare(model, fills ? fill_disk : NULL, (void *)place, &error);
    ok = ok && paints_alike(place, model);
    janus_model_free(model);
    _exit(ok ? count_in(place->packed) : 100);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_disks(const Place *place, size_t n_bytes) {
  const int n_roomy = run_on_disk(place, 3 * n_bytes, false);
  if (n_roomy == 101) {
    skip("no file system can be made here");
    return;
  }
  check(n_roomy == 1, "a disk with room keeps a copy");
  check(run_on_disk(place, n_bytes + n_bytes / 2, false) == 0,
        "one that would be left with less than the copy's size keeps none");
  check(run_on_disk(place, 3 * n_bytes, true) == 1, // the filler
        "one that fills up meanwhile keeps none, and the model is packed in memory");
}

static void test_two_processes(const Place *place, const char *path, size_t n_bytes) {
  pid_t children[3];
  fflush(stdout);
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      JanusModel *model = open_with(place, JANUS_WEIGHTS_Q8, place->packed);
      const bool ok = paints_alike(place, model);
      janus_model_free(model);
      _exit(ok ? 0 : 1);
    }
  }
  int n_wrong = 0;
  for (int i = 0; i < 3; i++) {
    int status = -1;
    waitpid(children[i], &status, 0);
    n_wrong += status != 0;
  }
  check(n_wrong == 0, "three processes at once paint the same");
  check_run(place, "after them", path, n_bytes);
}

// --- other checkpoints --------------------------------------------------------------------------

static void test_changed(const Place *place, const char *path) {
  size_t n_bytes = 0;
  copy_file(&place->checkpoint, "model.safetensors", parity_path("tiny-f32/model.safetensors"));
  char *now = copy_path(place, &n_bytes);
  check(strcmp(now, path) != 0, "files that were written again have another copy");
  check_run(place, "weights written again", now, n_bytes);
  check(size_of(path) < 0, "the older copy is gone");
  JanusModel *model = open_with(place, JANUS_WEIGHTS_Q4, place->packed);
  check(janus_model_prepare(model, NULL, NULL, NULL) && count_in(place->packed) == 2,
        "another format has a copy of its own");
  janus_model_free(model);
  free(now);
}

int main(int argc, char **argv) {
  static const char *const names[] = {"config.json", "preprocessor_config.json",
                                      "processor_config.json", "tokenizer.json",
                                      "model.safetensors"};
  set_parity_folder(argc, argv);
  Place place = {.checkpoint = test_folder_new(), .request = text_request("a red house", 2, 3)};
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    copy_file(&place.checkpoint, names[i], parity_path("tiny-f32/%s", names[i]));
  snprintf(place.packed, sizeof place.packed, "%s/a/b", folder.path);
  JanusModel *model = open_with(&place, JANUS_WEIGHTS_Q8, NULL);
  place.tokens = paint(model, &place.request);
  janus_model_free(model);
  test_used(&place);
  test_refused(&place);
  test_under_a_run(&place);
  test_cut_while_packing(&place);
  test_stopped(&place);
  for (JanusWeights weights = JANUS_WEIGHTS_BF16; weights <= JANUS_WEIGHTS_Q4; weights++) {
    test_stopped_anywhere(&place, weights);
    test_garbage(&place, weights);
  }
  test_nowhere(&place);
  size_t n_bytes = 0;
  char *path = copy_path(&place, &n_bytes);
  test_full(&place, path);
  test_read_only(&place, path, n_bytes);
  test_disks(&place, n_bytes);
  test_two_processes(&place, path, n_bytes);
  test_changed(&place, path);
  free(path);
  free(place.tokens);
  char command[700];
  snprintf(command, sizeof command, "rm -r '%s/a'", folder.path);
  check(system(command) == 0, "the copies are removed");
  test_folder_free(&folder);
  test_folder_free(&place.checkpoint);
  return finish();
}
