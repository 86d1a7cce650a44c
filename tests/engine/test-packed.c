// SPDX-License-Identifier: MIT
// Packed copies of weights on disk: written once, used afterwards, and never used when anything
// about them is not as expected; runs paint the same in every case.
#include "engine/engine.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
  check(paints_alike(place, model) && count_in(place->packed) == 1, "and it is written afterwards");
  janus_model_free(model);
  model = open_with(place, JANUS_WEIGHTS_Q8, NULL);
  error = (JanusError){0};
  check(!janus_model_prepare(model, stop_soon, NULL, &error) &&
            error.code == JANUS_ERROR_CANCELLED && paints_alike(place, model),
        "packing in memory stops and goes on too");
  janus_model_free(model);
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
  test_stopped(&place);
  test_nowhere(&place);
  size_t n_bytes = 0;
  char *path = copy_path(&place, &n_bytes);
  test_full(&place, path);
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
