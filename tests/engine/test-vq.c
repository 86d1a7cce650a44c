// SPDX-License-Identifier: MIT
// The picture decoder around its numbers (which test-parity covers): filling up partial pictures,
// bytes, threads, stopping, wrong tokens.
#include "engine/model.h"
#include "engine/vq-decoder.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_complete_tokens(void) {
  static const struct {
    int n_known;
    int32_t expected[9];
  } cases[] = {
      {0, {-1, -1, -1, -1, -1, -1, -1, -1, -1}}, {1, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
      {2, {1, 2, 2, 1, 2, 2, 1, 2, 2}},          {3, {1, 2, 3, 1, 2, 3, 1, 2, 3}},
      {4, {1, 2, 3, 4, 2, 3, 4, 2, 3}},          {8, {1, 2, 3, 4, 5, 6, 7, 8, 6}},
      {9, {1, 2, 3, 4, 5, 6, 7, 8, 9}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int32_t tokens[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    vq_complete_tokens(tokens, 3, cases[i].n_known);
    check(memcmp(tokens, cases[i].expected, sizeof tokens) == 0,
          "%d of 9 known tokens are filled up from above", cases[i].n_known);
  }
}

static void test_bytes(void) {
  const float pixels[] = {-1,       1,      0,         -2,       7,        NAN,
                          INFINITY, -1e30f, 0.002980f, 0.99999f, 0.00298f, -0.9999f};
  const uint8_t expected[] = {0, 255, 127, 0, 255, 0, 255, 0, 127, 254, 127, 0};
  uint8_t bytes[sizeof expected];
  vq_pixels_to_bytes(bytes, pixels, sizeof bytes);
  check(memcmp(bytes, expected, sizeof bytes) == 0, "pixels are clipped and truncated");
}

static int32_t *some_tokens(const JanusModelInfo *info, uint64_t seed) {
  int32_t *tokens = malloc((size_t)info->n_image_tokens * sizeof *tokens);
  for (int i = 0; i < info->n_image_tokens; i++)
    tokens[i] = (int32_t)(next_random(&seed) % (uint32_t)info->n_codes);
  return tokens;
}

static size_t picture_bytes(const JanusModelInfo *info) {
  return (size_t)info->image_size_px * (size_t)info->image_size_px * 3;
}

static void test_threads(const char *name) {
  uint8_t *pictures[3] = {0};
  size_t n_bytes = 0;
  for (int i = 0; i < 3; i++) {
    JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), i + 1);
    const JanusModelInfo *info = janus_model_get_info(model);
    int32_t *tokens = some_tokens(info, 7);
    JanusError error = {0};
    n_bytes = picture_bytes(info);
    pictures[i] = calloc(1, n_bytes);
    check(janus_model_decode(model, tokens, info->n_image_tokens, pictures[i], &error),
          "%s decodes on %d threads%s", name, i + 1, error.message);
    free(tokens);
    janus_model_free(model);
  }
  for (int i = 1; i < 3; i++)
    check(memcmp(pictures[0], pictures[i], n_bytes) == 0, "%s: %d threads give 1 thread's bytes",
          name, i + 1);
  for (int i = 0; i < 3; i++)
    free(pictures[i]);
}

static void test_wrong_tokens(JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  int32_t *tokens = some_tokens(info, 8);
  uint8_t *rgb = malloc(picture_bytes(info));
  JanusError error = {0};
  check(!janus_model_decode(model, tokens, info->n_image_tokens - 1, rgb, &error) &&
            error.code == JANUS_ERROR_REQUEST,
        "too few tokens are refused: %s", error.message);
  const int32_t wrong[] = {-1, info->n_codes, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    error = (JanusError){0};
    tokens[3] = wrong[i];
    check(!janus_model_decode(model, tokens, info->n_image_tokens, rgb, &error) &&
              error.code == JANUS_ERROR_REQUEST && strstr(error.message, "token 3") != NULL,
          "token %d is refused: %s", (int)wrong[i], error.message);
  }
  free(rgb);
  free(tokens);
}

// A session's decode of a whole picture is the model's; of a part, of the tokens filled up.
typedef struct Looks {
  JanusSession *session;
  JanusModel *model;
  int n_looks, n_equal;
} Looks;

static bool look(const JanusProgress *progress, void *user_data) {
  Looks *looks = user_data;
  const JanusModelInfo *info = janus_model_get_info(looks->model);
  if (progress->phase != JANUS_PHASE_DECODE || progress->n_done % 7 != 1)
    return true;
  uint8_t *ours = malloc(picture_bytes(info)), *expected = malloc(picture_bytes(info));
  int32_t *tokens = calloc((size_t)info->n_image_tokens, sizeof *tokens);
  int n_known = 0;
  const int32_t *known = janus_session_get_tokens(looks->session, 1, &n_known);
  memcpy(tokens, known, (size_t)n_known * sizeof *tokens);
  vq_complete_tokens(tokens, info->grid, n_known);
  looks->n_looks++;
  looks->n_equal +=
      janus_session_decode(looks->session, 1, ours, NULL) &&
      janus_model_decode(looks->model, tokens, info->n_image_tokens, expected, NULL) &&
      memcmp(ours, expected, picture_bytes(info)) == 0;
  free(tokens);
  free(expected);
  free(ours);
  return true;
}

static void test_session_decode(JanusModel *model) {
  JanusRequest request = text_request("a boat", 2, 3);
  JanusSession *session = new_session(model, &request);
  const JanusModelInfo *info = janus_model_get_info(model);
  uint8_t *rgb = calloc(1, picture_bytes(info));
  JanusError error = {0};
  check(janus_session_decode(session, 0, rgb, &error), "a picture without tokens decodes%s",
        error.message);
  Looks looks = {.session = session, .model = model};
  check(janus_session_run(session, look, &looks, &error) && looks.n_looks > 3 &&
            looks.n_equal == looks.n_looks,
        "%d of %d decodes on the way are those of the tokens filled up", looks.n_equal,
        looks.n_looks);
  check(!janus_session_decode(session, 2, rgb, &error) && error.code == JANUS_ERROR_REQUEST,
        "a sample that is not there is refused: %s", error.message);
  janus_session_cancel(session);
  error = (JanusError){0};
  memset(rgb, 17, picture_bytes(info));
  check(!janus_session_decode(session, 0, rgb, &error) && error.code == JANUS_ERROR_CANCELLED &&
            rgb[0] == 17,
        "a stopped session's decode is CANCELLED");
  free(rgb);
  janus_session_free(session);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_complete_tokens();
  test_bytes();
  test_threads("tiny-f32");
  test_threads("tiny-gqa");
  JanusModel *model = open_checkpoint("tiny-f32", jk_cpu_best_isa(), 2);
  test_wrong_tokens(model);
  test_session_decode(model);
  janus_model_free(model);
  return finish();
}
