// SPDX-License-Identifier: MIT
// The engine against the original PyTorch code on the checkpoints of tests/parity, on every
// instruction set of this machine: prompt ids, states, logits, greedy tokens, pixels.
#include "engine/safetensors.h"
#include "tests/engine/parity.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The project's bounds are 1e-4 per row of the hidden states and 1e-3 for pixels. Ours are about
// five times what was ever observed: hidden 1.8e-6, logits 1.8e-6, guided 2.4e-6, pixels 5e-6.
static const double HIDDEN_BOUND = 1e-5; // per row, RMS(a-b) / RMS(b)
static const double LOGITS_BOUND = 1e-5;
static const double GUIDED_BOUND = 1e-5;
static const double PIXEL_BOUND = 3e-5; // largest absolute difference
static const double TIE = 1e-3;         // a smaller gap of the two best may go either way

// Largest relative error of any row; infinity when shapes differ or a value is not finite.
static double worst_row(const SafetensorsTensor *a, const SafetensorsTensor *b) {
  if (!a || !b || a->n_dims != 2 || a->n_dims != b->n_dims || a->dims[0] != b->dims[0] ||
      a->dims[1] != b->dims[1])
    return INFINITY;
  const float *x = a->data, *y = b->data;
  double worst = 0;
  for (int64_t row = 0; row < a->dims[0]; row++) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < a->dims[1]; i++, x++, y++) {
      const double d = (double)*x - (double)*y;
      error += d * d;
      norm += (double)*y * (double)*y;
    }
    const double ratio = sqrt(error / norm);
    worst = ratio <= worst ? worst : isfinite(ratio) ? ratio : INFINITY;
  }
  return worst;
}

static double worst_absolute(const SafetensorsTensor *a, const SafetensorsTensor *b) {
  if (!a || !b || a->n_bytes != b->n_bytes || a->n_dims != b->n_dims ||
      memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims) != 0)
    return INFINITY;
  const float *x = a->data, *y = b->data;
  double worst = 0;
  for (size_t i = 0; i < a->n_bytes / sizeof *x; i++) {
    const double d = fabs((double)x[i] - (double)y[i]);
    worst = d <= worst ? worst : isfinite(d) ? d : INFINITY;
  }
  return worst;
}

static bool same_bytes(const SafetensorsTensor *a, const SafetensorsTensor *b) {
  return a && b && a->n_bytes == b->n_bytes && memcmp(a->data, b->data, a->n_bytes) == 0;
}

static void compare(const SafetensorsSet *ours, const SafetensorsSet *golden, const char *title) {
  static const struct {
    const char *name;
    const double *bound;
  } rows[] = {{"hidden.cond", &HIDDEN_BOUND},
              {"hidden.uncond", &HIDDEN_BOUND},
              {"logits.cond", &LOGITS_BOUND},
              {"logits.uncond", &LOGITS_BOUND},
              {"guided", &GUIDED_BOUND}};
  check(same_bytes(safetensors_find(ours, "input_ids"), safetensors_find(golden, "input_ids")),
        "%s: input_ids equal", title);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const double worst =
        worst_row(safetensors_find(ours, rows[i].name), safetensors_find(golden, rows[i].name));
    check(worst <= *rows[i].bound, "%s: %s within %.0e per row, found %.2e", title, rows[i].name,
          *rows[i].bound, worst);
  }
  const SafetensorsTensor *pixels = safetensors_find(golden, "pixels");
  if (pixels) {
    const double worst = worst_absolute(safetensors_find(ours, "pixels"), pixels);
    check(worst <= PIXEL_BOUND, "%s: pixels within %.0e, found %.2e", title, PIXEL_BOUND, worst);
  } else {
    check(!safetensors_find(ours, "pixels"), "%s: no pixels without a whole picture", title);
  }
}

static void test_trace(JanusModel *model, const char *checkpoint, const json_t *entry,
                       const char *title) {
  const char *name = json_string_value(json_object_get(entry, "name"));
  JanusError error = {0};
  JanusRequest request = text_request(json_string_value(json_object_get(entry, "prompt")), 1, 0);
  request.cfg = json_number_value(json_object_get(entry, "cfg"));
  char out[] = "/tmp/limner-parity-XXXXXX";
  const int fd = mkstemp(out);
  int32_t *tokens = NULL;
  int n_tokens = 0;
  const bool ok = fd >= 0 &&
                  janus_tokens_load(parity_path("golden/%s/%s.tokens.json", checkpoint, name), 0,
                                    &tokens, &n_tokens, &error) &&
                  janus_trace(model, &request, tokens, n_tokens, out, &error);
  SafetensorsSet *ours = ok ? safetensors_open_file(out, &error) : NULL;
  SafetensorsSet *golden =
      safetensors_open_file(parity_path("golden/%s/%s.safetensors", checkpoint, name), &error);
  if (check(ours && golden, "%s: traced %s", title, error.message))
    compare(ours, golden, title);
  safetensors_free(ours);
  safetensors_free(golden);
  free(tokens);
  if (fd >= 0)
    close(fd);
  unlink(out);
}

// Equal tokens up to the first position whose two best are closer than TIE.
static bool greedy_equal(const int32_t *found, int n_found, const json_t *tokens,
                         const json_t *gaps, int *n_compared) {
  *n_compared = 0;
  if ((size_t)n_found != json_array_size(tokens))
    return false;
  for (int i = 0; i < n_found; i++) {
    if (json_number_value(json_array_get(gaps, (size_t)i)) < TIE)
      return true;
    if (found[i] != json_integer_value(json_array_get(tokens, (size_t)i)))
      return false;
    ++*n_compared;
  }
  return true;
}

static void test_greedy(JanusModel *model, const json_t *entry, const char *title) {
  const json_t *samples = json_object_get(entry, "samples");
  const int n_samples = (int)json_array_size(samples);
  JanusRequest request =
      text_request(json_string_value(json_object_get(entry, "prompt")), n_samples, 1);
  request.cfg = json_number_value(json_object_get(entry, "cfg"));
  request.temperature = 0;
  JanusSession *session = new_session(model, &request);
  JanusError error = {0};
  bool ok = janus_session_run(session, NULL, NULL, &error);
  int n_compared = 0, least = janus_model_get_info(model)->n_image_tokens;
  for (int i = 0; i < n_samples; i++) {
    int n_found = 0;
    const int32_t *found = janus_session_get_tokens(session, i, &n_found);
    ok = greedy_equal(found, n_found, json_array_get(samples, (size_t)i),
                      json_array_get(json_object_get(entry, "gaps"), (size_t)i), &n_compared) &&
         ok;
    least = n_compared < least ? n_compared : least;
  }
  check(ok && least > 0, "%s: greedy tokens of %d samples equal, %d compared%s", title, n_samples,
        least, error.message);
  janus_session_free(session);
}

static bool is_text(const json_t *entry) {
  return strcmp(json_string_value(json_object_get(entry, "kind")), "text") == 0;
}

static void test_checkpoint(const char *checkpoint, jk_isa isa, const json_t *cases) {
  JanusModel *model = open_checkpoint(checkpoint, isa, 2);
  json_t *greedy = json_load_file(parity_path("golden/%s/greedy.json", checkpoint), 0, NULL);
  char title[200];
  size_t i;
  const json_t *entry;
  check(strstr(janus_model_get_info(model)->device_name, jk_isa_text(isa)) != NULL,
        "%s runs on %s: %s", checkpoint, jk_isa_text(isa),
        janus_model_get_info(model)->device_name);
  json_array_foreach(cases, i, entry) {
    const char *of = json_string_value(json_object_get(entry, "checkpoint"));
    snprintf(title, sizeof title, "%s %s %s", checkpoint, jk_isa_text(isa),
             json_string_value(json_object_get(entry, "name")));
    if (is_text(entry) && strcmp(of, checkpoint) == 0)
      test_trace(model, checkpoint, entry, title);
  }
  json_array_foreach(json_object_get(greedy, "cases"), i, entry) {
    snprintf(title, sizeof title, "%s %s %s", checkpoint, jk_isa_text(isa),
             json_string_value(json_object_get(entry, "name")));
    if (is_text(entry))
      test_greedy(model, entry, title);
  }
  json_decref(greedy);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  static const char *const checkpoints[] = {"tiny-f32", "tiny-bf16", "tiny-gqa"};
  set_parity_folder(argc, argv);
  json_t *cases = json_load_file(parity_path("golden/cases.json"), 0, NULL);
  if (check(cases != NULL, "the list of cases is there"))
    for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++)
      for (size_t i = 0; i < sizeof checkpoints / sizeof *checkpoints; i++)
        test_checkpoint(checkpoints[i], isa, json_object_get(cases, "cases"));
  json_decref(cases);
  return finish();
}
