// SPDX-License-Identifier: MIT
// Token files: both shapes, pipes, what is refused; and names of weight formats.
#include "engine/engine.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_loaded(const char *path, int sample, const int32_t *expected, int n_expected,
                         const char *title) {
  int32_t *tokens = NULL;
  int n = -1;
  JanusError error = {0};
  const bool ok = janus_tokens_load(path, sample, &tokens, &n, &error);
  check(ok && n == n_expected && memcmp(tokens, expected, (size_t)n * sizeof *tokens) == 0, "%s%s",
        title, error.message);
  free(tokens);
}

static void test_round_trip(void) {
  TestFolder folder = test_folder_new();
  const int32_t a[] = {5, 0, INT32_MAX}, b[] = {1};
  const int32_t *lists[] = {a, b, NULL};
  const int lengths[] = {3, 1, 0};
  char path[600];
  JanusError error = {0};
  snprintf(path, sizeof path, "%s", test_path(&folder, "t.json"));
  check(janus_tokens_save(path, lists, lengths, 1, &error), "one list is written%s", error.message);
  json_t *root = load_json(path);
  check(json_is_array(json_object_get(root, "tokens")), "one list stands under tokens");
  json_decref(root);
  check_loaded(path, 0, a, 3, "one list is read back");
  check(janus_tokens_save(path, lists, lengths, 3, &error), "three are written%s", error.message);
  root = load_json(path);
  check(json_array_size(json_object_get(root, "samples")) == 3, "three stand under samples");
  json_decref(root);
  check_loaded(path, 0, a, 3, "the first is read back");
  check_loaded(path, 1, b, 1, "the second is read back");
  check_loaded(path, 2, a, 0, "the empty third is read back");
  check(count_files(&folder) == 1, "no half-written file is left");
  check(!janus_tokens_save(test_path(&folder, "no/t.json"), lists, lengths, 1, &error) &&
            error.code == JANUS_ERROR_IO,
        "refused: %s", error.message);
  test_folder_free(&folder);
}

static void test_pipe(void) {
  static const char text[] = "{\"tokens\": [3, 1, 2]}";
  const int32_t expected[] = {3, 1, 2};
  int ends[2];
  char path[64];
  if (pipe(ends) != 0 || write(ends[1], text, strlen(text)) != (ssize_t)strlen(text))
    return;
  close(ends[1]);
  snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
  check_loaded(path, 0, expected, 3, "a pipe is read");
  close(ends[0]);
}

static void test_refused(void) {
  static const struct {
    const char *text;
    int sample;
    const char *words;
  } cases[] = {
      {"", 0, "empty"},
      {"tokens", 0, "JSON"},
      {"[1,2]", 0, "a list"},
      {"{}", 0, "neither"},
      {"{\"tokens\":7}", 0, "a whole number"},
      {"{\"tokens\":[1,-1]}", 0, "token 1: expected 0 to 2147483647, found -1"},
      {"{\"tokens\":[2147483648]}", 0, "2147483648"},
      {"{\"tokens\":[1,2.5]}", 0, "token 1: expected a whole number"},
      {"{\"tokens\":[\"1\"]}", 0, "a string"},
      {"{\"tokens\":[1]}", 1, "sample 0 to 0, found 1"},
      {"{\"samples\":[[1],[2]]}", 2, "sample 0 to 1, found 2"},
      {"{\"samples\":[[1],[2]]}", -1, "found -1"},
      {"{\"samples\":[]}", 0, "empty"},
      {"{\"samples\":{}}", 0, "an object"},
      {"{\"samples\":[7]}", 0, "a whole number"},
      {"{\"tokens\":[99999999999999999999]}", 0, "JSON"},
  };
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    JanusError error = {0};
    int32_t *tokens = NULL;
    int n = 0;
    write_text(&folder, "t.json", cases[i].text);
    check(!janus_tokens_load(test_path(&folder, "t.json"), cases[i].sample, &tokens, &n, &error) &&
              !tokens && strstr(error.message, "t.json") && strstr(error.message, cases[i].words),
          "refused: %s", error.message);
  }
  JanusError error = {0};
  int32_t *tokens = NULL;
  int n = 0;
  check(!janus_tokens_load(folder.path, 0, &tokens, &n, &error) && error.code == JANUS_ERROR_IO,
        "refused: %s", error.message);
  test_folder_free(&folder);
}

static void test_weight_names(void) {
  bool ok = true;
  for (int i = JANUS_WEIGHTS_AUTO; i <= JANUS_WEIGHTS_FP8; i++) {
    JanusWeights weights = JANUS_WEIGHTS_AUTO;
    ok = ok && janus_weights_parse(janus_weights_text((JanusWeights)i), &weights) &&
         (int)weights == i;
  }
  JanusWeights weights = JANUS_WEIGHTS_Q8;
  check(ok && !janus_weights_parse("F32", &weights) && !janus_weights_parse("", &weights) &&
            weights == JANUS_WEIGHTS_Q8,
        "names of weight formats go both ways");
}

int main(void) {
  test_round_trip();
  test_pipe();
  test_refused();
  test_weight_names();
  return finish();
}
