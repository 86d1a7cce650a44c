// SPDX-License-Identifier: MIT
// Hostile model folders, each refused with one line; weights that are no numbers; and files that
// change, shrink or vanish while they are mapped.
#include "engine/file.h"
#include "engine/model.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char weights_name[] = "model.safetensors";

static TestFolder copy_checkpoint(void) {
  static const char *const names[] = {"config.json", "preprocessor_config.json",
                                      "processor_config.json", "tokenizer.json",
                                      "model.safetensors"};
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    copy_file(&folder, names[i], parity_path("tiny-f32/%s", names[i]));
  return folder;
}

static JanusModel *open_folder(const TestFolder *folder, JanusError *error) {
  const JanusModelOptions options = {.folder = folder->path, .device = "cpu", .n_threads = 1};
  return janus_model_open(&options, error);
}

static void check_refused(const TestFolder *folder, const char *words) {
  JanusError error = {0};
  JanusModel *model = open_folder(folder, &error);
  check(!model && strstr(error.message, words) && !strchr(error.message, '\n'), "refused: %s",
        error.message);
  janus_model_free(model);
}

// --- JSON ---------------------------------------------------------------------------------------

static void test_config(void) {
  static const struct {
    const char *old, *new, *words;
  } cases[] = {
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":0", "num_hidden_layers: expected 1 to"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":-2", "found -2"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":1000000000", "found 1000000000"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":2e0", "found a number with a fraction"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":9223372036854775808", "too big integer"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":NaN", "config.json: not valid JSON"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":-Infinity", "not valid JSON"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":true", "found true or false"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":2,\"rms_norm_eps\":0", "rms_norm_eps"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":2,\"rope_theta\":1e999", "overflow"},
      {"\"num_hidden_layers\":2", "\"num_hidden_layers\":2,\"num_hidden_layers\":2", "duplicate"},
      {"\"num_attention_heads\":4", "\"num_attention_heads\":-4", "found -4"},
      {"\"num_attention_heads\":4", "\"num_attention_heads\":3", "expected a divisor of the width"},
      {"\"num_attention_heads\":4", "\"num_attention_heads\":128", "expected a divisor of the wid"},
      {"\"num_attention_heads\":4", "\"num_attention_heads\":65536,\"head_dim\":65536",
       "expected a product of at most 16777216, found 65536 times 65536"},
      {"\"max_position_embeddings\":4096", "\"max_position_embeddings\":0", "expected 1 to"},
      {"\"max_position_embeddings\":4096", "\"max_position_embeddings\":36", "found 36"},
      {"\"image_size\":96", "\"image_size\":90", "image_size"},
      {"\"image_size\":96", "\"image_size\":100000", "image_size: expected 1 to 8192"},
      {"\"image_size\":96", "\"image_size\":0", "image_size: expected 1 to"},
      {"\"vision_config\"", "\"vision_config\":[],\"x\"", "vision_config: expected an object"},
  };
  TestFolder folder = copy_checkpoint();
  json_t *root = load_json(test_path(&folder, "config.json"));
  char *good = json_dumps(root, JSON_COMPACT);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = replace_text(good, cases[i].old, cases[i].new);
    write_text(&folder, "config.json", text);
    check_refused(&folder, cases[i].words);
    free(text);
  }
  free(good);
  json_decref(root);
  test_folder_free(&folder);
}

static void test_json_files(void) {
  static const char *const names[] = {"config.json", "preprocessor_config.json",
                                      "processor_config.json", "generation_config.json"};
  char deep[8192];
  memset(deep, '[', sizeof deep - 1);
  deep[sizeof deep - 1] = '\0';
  memcpy(deep, "{\"a\":", 5);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    TestFolder folder = copy_checkpoint();
    write_text(&folder, names[i], deep);
    check_refused(&folder, "maximum parsing depth");
    write_text(&folder, names[i], "[]");
    check_refused(&folder, "expected a JSON object, found a list");
    write_text(&folder, names[i], "");
    check_refused(&folder, "the file is empty");
    remove_file(&folder, names[i]);
    check(mkfifo(test_path(&folder, names[i]), 0600) == 0, "a pipe is made");
    check_refused(&folder, "expected a regular file, found a pipe or a device");
    test_folder_free(&folder);
  }
}

// --- weights ------------------------------------------------------------------------------------

static off_t size_of(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_size : -1;
}

// Copies that broke off, some of them inside the header.
static void test_truncated(uint64_t seed) {
  TestFolder folder = copy_checkpoint();
  const char *path = test_path(&folder, weights_name);
  char kept[600];
  snprintf(kept, sizeof kept, "%s", path);
  off_t size = size_of(kept);
  for (int i = 0; i < 12 && size > 8; i++) {
    size = i == 0 ? size - 1 : (off_t)(8 + next_random(&seed) % (uint64_t)(size - 8));
    check(truncate(kept, size) == 0, "the weights are cut to %lld bytes", (long long)size);
    check_refused(&folder, "is the file complete?");
  }
  remove_file(&folder, weights_name);
  check(mkfifo(kept, 0600) == 0, "a pipe is made");
  check_refused(&folder, "expected a regular file, found a pipe or a device");
  test_folder_free(&folder);
}

// Overwrites a tensor's bytes with ones: NaN in every floating point type.
static void spoil(const char *path, const char *tensor_name) {
  TensorSet *set = tensors_open_file(path, NULL);
  const Tensor *tensor = set ? tensors_find(set, tensor_name) : NULL;
  unsigned char *data = malloc(1 << 24);
  const size_t n = read_bytes(path, data, 1 << 24);
  const unsigned char *first = tensor ? tensor->data : NULL;
  for (size_t at = 0; first && at + tensor->n_bytes <= n; at++)
    if (memcmp(data + at, first, tensor->n_bytes) == 0) {
      memset(data + at, 0xff, tensor->n_bytes);
      break;
    }
  tensors_free(set);
  FILE *file = fopen(path, "wb");
  check(file && fwrite(data, 1, n, file) == n && fclose(file) == 0, "%s is spoilt", tensor_name);
  free(data);
}

static void test_not_numbers(void) {
  static const char *const names[] = {"language_model.model.norm.weight",
                                      "gen_head.vision_head.bias", "gen_embed.weight"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    TestFolder folder = copy_checkpoint();
    char path[600];
    snprintf(path, sizeof path, "%s", test_path(&folder, weights_name));
    spoil(path, names[i]);
    JanusError error = {0};
    JanusModel *model = open_folder(&folder, &error);
    if (check(model != NULL, "opens with NaN in %s%s", names[i], error.message)) {
      const JanusRequest request = text_request("a red house", 1, 3);
      int32_t *tokens = paint(model, &request);
      const JanusModelInfo *info = janus_model_get_info(model);
      bool in_range = tokens != NULL;
      for (int t = 0; t < info->n_image_tokens && in_range; t++)
        in_range = tokens[t] >= 0 && tokens[t] < info->n_codes;
      check(in_range, "and paints tokens of the codebook");
      free(tokens);
    }
    janus_model_free(model);
    test_folder_free(&folder);
  }
}

// --- changes under a model ----------------------------------------------------------------------

static void check_changed(const JanusModel *model, const char *words) {
  JanusError error = {0};
  check(!janus_model_check_files(model, &error) && error.code == JANUS_ERROR_IO &&
            strstr(error.message, weights_name) && strstr(error.message, words),
        "noticed: %s", error.message);
}

static void test_changed_file(void) {
  TestFolder folder = copy_checkpoint();
  char path[600], other[600];
  snprintf(path, sizeof path, "%s", test_path(&folder, weights_name));
  snprintf(other, sizeof other, "%s", test_path(&folder, "other"));
  const off_t size = size_of(path);
  JanusError error = {0};
  JanusModel *model = open_folder(&folder, &error);
  if (!check(model != NULL, "the folder opens%s", error.message))
    return;
  check(janus_model_check_files(model, NULL), "what nobody touched is the same");
  check(chmod(path, 0600) == 0 && rename(path, other) == 0 && janus_model_check_files(model, NULL),
        "what was renamed is the same");
  check(truncate(other, size / 2) == 0, "it is cut in half");
  check_changed(model, "expected the");
  check(truncate(other, size) == 0, "it has its size again");
  check_changed(model, "found it changed since");
  janus_model_free(model);
  test_folder_free(&folder);
}

static void test_deleted_file(void) {
  TestFolder folder = copy_checkpoint();
  JanusModel *model = open_folder(&folder, NULL);
  const JanusRequest request = text_request("a red house", 1, 3);
  int32_t *before = model ? paint(model, &request) : NULL;
  remove_file(&folder, weights_name);
  int32_t *after = model ? paint(model, &request) : NULL;
  check(before && after && same_tokens(model, before, after, 1) &&
            janus_model_check_files(model, NULL),
        "a file that was deleted after opening stays what it was");
  free(before);
  free(after);
  janus_model_free(model);
  check_refused(&folder, "expected weights in");
  test_folder_free(&folder);
}

typedef struct Cut {
  const char *path;
  int n_steps;
} Cut;

// Cuts the weights off behind the header at the fifth token.
static bool cut(const JanusProgress *progress, void *user_data) {
  Cut *state = user_data;
  if (progress->phase == JANUS_PHASE_DECODE && ++state->n_steps == 5)
    check(truncate(state->path, 65536) == 0, "the weights are cut off");
  return true;
}

static void test_cut_run(void) {
  TestFolder folder = copy_checkpoint();
  char path[600];
  snprintf(path, sizeof path, "%s", test_path(&folder, weights_name));
  JanusError errors[3] = {0};
  JanusModel *model = open_folder(&folder, &errors[0]);
  if (!check(model != NULL, "the folder opens%s", errors[0].message))
    return;
  const JanusRequest request = text_request("a red house", 1, 3);
  JanusSession *session = new_session(model, &request);
  Cut state = {.path = path};
  const size_t size = (size_t)janus_model_get_info(model)->image_size_px;
  uint8_t *rgb = malloc(3 * size * size);
  int32_t tokens[36] = {0};
  check(!janus_session_run(session, cut, &state, &errors[0]) && state.n_steps == 5 &&
            errors[0].code == JANUS_ERROR_IO && strstr(errors[0].message, weights_name),
        "the run ends: %s", errors[0].message);
  check(!janus_session_decode(session, 0, rgb, &errors[1]) && errors[1].code == JANUS_ERROR_IO,
        "so does a decode: %s", errors[1].message);
  check(!janus_model_decode(model, tokens, 36, rgb, &errors[2]) && errors[2].code == JANUS_ERROR_IO,
        "and that of other tokens: %s", errors[2].message);
  free(rgb);
  janus_session_free(session);
  janus_model_free(model);
  test_folder_free(&folder);
}

// --- the guard ----------------------------------------------------------------------------------

enum { N_BYTES = 1 << 20 };

typedef struct Reading {
  const FileMap *map;
  size_t n_ones, n_zeros;
} Reading;

static void *read_map(void *user_data) {
  Reading *reading = user_data;
  const volatile unsigned char *data = reading->map->data;
  for (size_t i = 0; i < N_BYTES; i += 512) {
    const unsigned char value = data[i];
    reading->n_ones += value == 1;
    reading->n_zeros += value == 0;
  }
  return NULL;
}

static void write_ones(const TestFolder *folder) {
  unsigned char *ones = malloc(N_BYTES);
  memset(ones, 1, N_BYTES);
  write_bytes(folder, "ones", ones, N_BYTES);
  free(ones);
}

// The file loses its second half while three threads read it.
static void test_guard(void) {
  TestFolder folder = test_folder_new();
  char path[600];
  FileMap map;
  Reading readings[3];
  pthread_t threads[3];
  JanusError error = {0};
  snprintf(path, sizeof path, "%s", test_path(&folder, "ones"));
  write_ones(&folder);
  file_guard_install();
  check(file_map(path, &map, &error) && file_map_check(&map, path, &error), "a file is mapped%s",
        error.message);
  check(truncate(path, N_BYTES / 2) == 0, "half of it goes away");
  for (int i = 0; i < 3; i++) {
    readings[i] = (Reading){.map = &map};
    pthread_create(&threads[i], NULL, read_map, &readings[i]);
  }
  bool ok = true;
  for (int i = 0; i < 3; i++) {
    pthread_join(threads[i], NULL);
    ok = ok && readings[i].n_ones == N_BYTES / 1024 && readings[i].n_zeros == N_BYTES / 1024;
  }
  check(ok, "three threads read what is there, and zeros behind it");
  check(file_guard_is_hurt(map.guard) && !file_map_check(&map, path, &error), "noticed: %s",
        error.message);
  file_unmap(&map);
  test_folder_free(&folder);
}

// More mappings than are watched.
static void test_many_maps(void) {
  enum { N_MAPS = 300 };
  static FileMap maps[N_MAPS];
  TestFolder folder = test_folder_new();
  int n_mapped = 0, n_watched = 0;
  write_ones(&folder);
  for (int i = 0; i < N_MAPS; i++) {
    n_mapped += file_map(test_path(&folder, "ones"), &maps[i], NULL);
    n_watched += maps[i].guard != NULL;
  }
  check(n_mapped == N_MAPS && n_watched == 256, "%d of %d mappings are watched", n_watched,
        n_mapped);
  for (int i = 0; i < N_MAPS; i++)
    file_unmap(&maps[i]);
  check(file_map(test_path(&folder, "ones"), &maps[0], NULL) && maps[0].guard,
        "a place that was left is taken again");
  file_unmap(&maps[0]);
  test_folder_free(&folder);
}

// A SIGBUS that is none of ours still ends the process, as it did before.
static void test_other_bus_error(void) {
  TestFolder folder = test_folder_new();
  char path[600];
  snprintf(path, sizeof path, "%s", test_path(&folder, "ones"));
  write_ones(&folder);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    file_guard_install();
    const int fd = open(path, O_RDONLY);
    const volatile char *data = mmap(NULL, N_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    _exit(truncate(path, 0) == 0 && data[N_BYTES / 2] != 1 ? 0 : 7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  // A sanitizer's own handler reports it and leaves with a status.
  check(child > 0 && ((WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS) ||
                      (WIFEXITED(status) && WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 7)),
        "a bus error elsewhere is not hidden");
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  const uint64_t seed = 20260505;
  set_parity_folder(argc, argv);
  printf("# seed %llu\n", (unsigned long long)seed);
  test_config();
  test_json_files();
  test_truncated(seed);
  test_not_numbers();
  test_changed_file();
  test_deleted_file();
  test_cut_run();
  test_other_bus_error();
  test_guard();
  test_many_maps();
  return finish();
}
