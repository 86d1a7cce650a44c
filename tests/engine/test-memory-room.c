// SPDX-License-Identifier: MIT
// How much memory there is, from folders like /proc and /sys/fs/cgroup and under a limit of its
// own; and weights that must be copied, because they lie askew in their file.
#include "engine/error.h"
#include "engine/memory.h"
#include "engine/safetensors.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// --- what the system says -----------------------------------------------------------------------

// A file of folders inside a test's own, made on the way.
static void put(const TestFolder *folder, const char *name, const char *text) {
  char path[600];
  snprintf(path, sizeof path, "%s", test_path(folder, name));
  for (char *slash = strchr(path + strlen(folder->path) + 1, '/'); slash;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  write_text(folder, name, text);
}

static void check_room(const TestFolder *folder, uint64_t address_bytes, double total, double left,
                       const char *limit) {
  char proc[300], groups[300];
  snprintf(proc, sizeof proc, "%s/proc", folder->path);
  snprintf(groups, sizeof groups, "%s/groups", folder->path);
  const MemoryRoom room = janus_memory_room_in(proc, groups, address_bytes);
  check((double)room.total_bytes == total && (double)room.free_bytes == left &&
            strstr(room.limit, limit),
        "%.0f bytes of %.0f are free %s, expected %.0f of %.0f", (double)room.free_bytes,
        (double)room.total_bytes, room.limit, left, total);
}

static void remove_all(TestFolder *folder) {
  char command[600];
  snprintf(command, sizeof command, "rm -r '%s/proc' '%s/groups'", folder->path, folder->path);
  check(system(command) == 0, "the folders are removed");
  test_folder_free(folder);
}

static void test_room(void) {
  const double never = (double)UINT64_MAX;
  TestFolder folder = test_folder_new();
  check_room(&folder, UINT64_MAX, 0, never, "");
  put(&folder, "proc/meminfo", "MemTotal:  4000 kB\nMemFree: 10 kB\nMemAvailable:  3000 kB\n");
  put(&folder, "proc/self/statm", "100 50 25 1 0 40 0\n");
  put(&folder, "proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
  check_room(&folder, UINT64_MAX, 4096000, 3072000, "on this machine");
  put(&folder, "groups/a/b/memory.max", "max\n");
  put(&folder, "groups/a/b/memory.current", "5\n");
  check_room(&folder, UINT64_MAX, 4096000, 3072000, "on this machine");
  put(&folder, "groups/a/memory.max", "2000000\n");
  put(&folder, "groups/a/memory.current", "1500000\n");
  check_room(&folder, UINT64_MAX, 2000000, 500000, "control group");
  put(&folder, "groups/a/memory.stat", "anon 1\ninactive_file 300000\nactive_file 100000\n");
  check_room(&folder, UINT64_MAX, 2000000, 900000, "control group");
  put(&folder, "groups/a/b/memory.max", "4\n");
  check_room(&folder, UINT64_MAX, 4, 0, "control group");
  put(&folder, "groups/a/b/memory.max", "lots\n");
  const uint64_t taken = 100 * (uint64_t)sysconf(_SC_PAGESIZE);
  check_room(&folder, taken + 800000, 2000000, 800000, "ulimit -v");
  check_room(&folder, taken - 1, 2000000, 0, "ulimit -v");
  remove_all(&folder);
}

static void test_check(void) {
  const JanusMemory needed = {.weights_bytes = 14000000000,
                              .kv_bytes = 3000000000,
                              .activation_bytes = 500000,
                              .total_bytes = 17000500000};
  JanusError error = {0};
  MemoryRoom room = {.total_bytes = 18000000000, .free_bytes = 3000500000, .limit = "here"};
  check(janus_memory_check_room(&needed, &room, &error), "what just fits is let through");
  room.free_bytes--;
  check(!janus_memory_check_room(&needed, &room, &error) &&
            strstr(error.message, "activations 500.0 KB), 3.0 GB are free here"),
        "refused: %s", error.message);
  error = (JanusError){0};
  room = (MemoryRoom){.total_bytes = 17000000000, .free_bytes = UINT64_MAX, .limit = "here"};
  check(!janus_memory_check_room(&needed, &room, &error) && strstr(error.message, "has 17.0 GB"),
        "refused: %s", error.message);
  error = (JanusError){0};
  room = (MemoryRoom){.total_bytes = 8000000000, .limit = "on the card", .owner = "Some card"};
  check(!janus_memory_check_room(&needed, &room, &error) &&
            strstr(error.message, "Some card has 8.0 GB") && strstr(error.message, "--device cpu"),
        "refused: %s", error.message);
  error = (JanusError){0};
  room.total_bytes = 24000000000;
  check(!janus_memory_check_room(&needed, &room, &error) &&
            strstr(error.message, "beside loaded weights") &&
            strstr(error.message, "0 bytes are free on the card"),
        "refused: %s", error.message);
  char text[BYTES_TEXT];
  check(strcmp(janus_bytes_text(999, text), "999 bytes") == 0 &&
            strcmp(janus_bytes_text(1000, text), "1.0 KB") == 0 &&
            strcmp(janus_bytes_text(20000000, text), "20.0 MB") == 0 &&
            strcmp(janus_bytes_text(UINT64_MAX, text), "18446744073.7 GB") == 0,
        "sizes are written in their own unit");
}

// --- a limit of its own -------------------------------------------------------------------------

// Runs `body` where no more than spare_bytes beyond what is taken can be had.
static bool passes_with(size_t spare_bytes, bool (*body)(void *data), void *data) {
  const pid_t child = fork();
  if (child == 0) {
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    const bool ok = file && fscanf(file, "%lu", &pages) == 1;
    const size_t taken = pages * (size_t)sysconf(_SC_PAGESIZE);
    const struct rlimit limit = {taken + spare_bytes, taken + spare_bytes};
    _exit(ok && setrlimit(RLIMIT_AS, &limit) == 0 && body(data) ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool says(bool is_done, const JanusError *error, const char *words) {
  printf("# %s\n", error->message);
  fflush(stdout);
  return !is_done && error->code == JANUS_ERROR_MEMORY && strstr(error->message, words);
}

static bool is_session_refused(void *data) {
  const JanusRequest request = text_request("a red house", 500, 1);
  JanusError error = {0};
  return says(janus_session_new(data, &request, &error) != NULL, &error, "limit of ulimit -v");
}

static bool is_model_refused(void *data) {
  const TestFolder *folder = data;
  const JanusModelOptions options = {.folder = folder->path, .device = "cpu", .n_threads = 1};
  JanusError error = {0};
  return says(janus_model_open(&options, &error) != NULL, &error, "must be copied");
}

// --- weights that lie askew ---------------------------------------------------------------------

// The small checkpoint with a header one byte longer; returns its size.
static size_t write_askew(const TestFolder *folder) {
  static const char *const names[] = {"config.json", "preprocessor_config.json",
                                      "processor_config.json", "tokenizer.json"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    copy_file(folder, names[i], parity_path("tiny-f32/%s", names[i]));
  const size_t capacity = 1 << 24;
  unsigned char *file = malloc(capacity + 1);
  size_t n = read_bytes(parity_path("tiny-f32/model.safetensors"), file, capacity);
  uint64_t n_header = 0;
  memcpy(&n_header, file, sizeof n_header);
  memmove(file + 8 + n_header + 1, file + 8 + n_header, n - 8 - n_header);
  file[8 + n_header++] = ' ';
  memcpy(file, &n_header, sizeof n_header);
  write_bytes(folder, "model.safetensors", file, ++n);
  free(file);
  return n;
}

static void test_askew(JanusModel *model, const JanusRequest *request) {
  TestFolder folder = test_folder_new();
  const size_t n_bytes = write_askew(&folder);
  const JanusModelOptions options = {.folder = folder.path, .device = "cpu", .n_threads = 1};
  JanusError error = {0};
  JanusModel *askew = janus_model_open(&options, &error);
  if (check(askew != NULL, "weights that lie askew open%s", error.message)) {
    int32_t *expected = paint(model, request), *found = paint(askew, request);
    check(same_tokens(model, expected, found, request->n_samples), "and paint the same");
    free(expected);
    free(found);
  }
  janus_model_free(askew);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  skip("a sanitizer takes memory of its own");
#else
  check(passes_with(n_bytes + n_bytes / 2, is_model_refused, &folder),
        "they are refused where there is room for half of the %zu bytes", n_bytes);
  check(passes_with(1000000, is_session_refused, model), "so is a session of 500 samples");
#endif
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_room();
  test_check();
  JanusModel *model = open_checkpoint("tiny-f32", jk_cpu_best_isa(), 1);
  const JanusRequest request = text_request("a red house", 1, 3);
  test_askew(model, &request);
  janus_model_free(model);
  return finish();
}
