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
// five times what was ever observed: hidden 2.1e-6, logits 1.8e-6, guided 3.0e-6, pixels 5e-6;
// what the encoders see: siglip 1.4e-6, aligned 1.4e-6, latent 3.1e-6.
static const double HIDDEN_BOUND = 1e-5; // per row, RMS(a-b) / RMS(b)
static const double LOGITS_BOUND = 1e-5;
static const double GUIDED_BOUND = 1e-5;
static const double PIXEL_BOUND = 3e-5; // largest absolute difference
static const double VISION_BOUND = 1e-5;
static const double TIE = 1e-3; // a smaller gap of the two best may go either way

// Largest relative error of any row; infinity when shapes differ or a value is not finite.
static double worst_row(const Tensor *a, const Tensor *b) {
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

// RMS(a-b) / RMS(b) over everything.
static double relative(const Tensor *a, const Tensor *b) {
  if (!a || !b || a->n_bytes != b->n_bytes)
    return INFINITY;
  const float *x = a->data, *y = b->data;
  double error = 0, norm = 0;
  for (size_t i = 0; i < a->n_bytes / sizeof *x; i++) {
    error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    norm += (double)y[i] * (double)y[i];
  }
  const double ratio = sqrt(error / norm);
  return isfinite(ratio) ? ratio : INFINITY;
}

static double worst_absolute(const Tensor *a, const Tensor *b) {
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

static bool same_bytes(const Tensor *a, const Tensor *b) {
  return a && b && a->n_bytes == b->n_bytes && memcmp(a->data, b->data, a->n_bytes) == 0;
}

static void compare_rows(const TensorSet *ours, const TensorSet *golden, const char *name,
                         double bound, const char *title) {
  const double worst = worst_row(tensors_find(ours, name), tensors_find(golden, name));
  check(worst <= bound, "%s: %s within %.0e per row, found %.2e", title, name, bound, worst);
}

// What the encoders saw. The stored inputs keep well clear of ties between codes.
static void compare_vision(const TensorSet *ours, const TensorSet *golden, const char *title) {
  const Tensor *values = tensors_find(golden, "pixel_values");
  if (values) // left out where another checkpoint's are the same
    check(same_bytes(tensors_find(ours, "pixel_values"), values), "%s: pixel_values equal", title);
  compare_rows(ours, golden, "siglip", VISION_BOUND, title);
  compare_rows(ours, golden, "aligned", VISION_BOUND, title);
  const double latent =
      relative(tensors_find(ours, "vq_latent"), tensors_find(golden, "vq_latent"));
  check(latent <= VISION_BOUND, "%s: vq_latent within %.0e, found %.2e", title, VISION_BOUND,
        latent);
  check(same_bytes(tensors_find(ours, "vq_ids"), tensors_find(golden, "vq_ids")),
        "%s: vq_ids equal", title);
}

static void compare(const TensorSet *ours, const TensorSet *golden, const char *title) {
  static const char *const rows[] = {"hidden.cond", "hidden.full", "hidden.part", "hidden.uncond",
                                     "logits.cond", "logits.full", "logits.part", "logits.uncond"};
  check(same_bytes(tensors_find(ours, "input_ids"), tensors_find(golden, "input_ids")),
        "%s: input_ids equal", title);
  if (tensors_find(golden, "siglip"))
    compare_vision(ours, golden, title);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (tensors_find(golden, rows[i]))
      compare_rows(ours, golden, rows[i], rows[i][0] == 'h' ? HIDDEN_BOUND : LOGITS_BOUND, title);
  compare_rows(ours, golden, "guided", GUIDED_BOUND, title);
  const Tensor *pixels = tensors_find(golden, "pixels");
  if (pixels) {
    const double worst = worst_absolute(tensors_find(ours, "pixels"), pixels);
    check(worst <= PIXEL_BOUND, "%s: pixels within %.0e, found %.2e", title, PIXEL_BOUND, worst);
  } else {
    check(!tensors_find(ours, "pixels"), "%s: no pixels without a whole picture", title);
  }
}

// What a case asks for; release the picture's memory.
static JanusRequest request_of(const json_t *entry, int n_samples, JanusImage *image) {
  JanusRequest request =
      text_request(json_string_value(json_object_get(entry, "prompt")), n_samples, 1);
  const char *picture = json_string_value(json_object_get(entry, "image"));
  request.cfg = json_number_value(json_object_get(entry, "cfg"));
  *image = (JanusImage){0};
  if (picture) {
    *image = load_picture(picture);
    request.image = image;
    request.image_cfg = json_number_value(json_object_get(entry, "image_cfg"));
  }
  return request;
}

static void test_trace(JanusModel *model, const char *checkpoint, const json_t *entry,
                       const char *title) {
  const char *name = json_string_value(json_object_get(entry, "name"));
  JanusError error = {0};
  JanusImage image;
  const JanusRequest request = request_of(entry, 1, &image);
  char out[] = "/tmp/limner-parity-XXXXXX";
  const int fd = mkstemp(out);
  int32_t *tokens = NULL;
  int n_tokens = 0;
  const bool ok = fd >= 0 &&
                  janus_tokens_load(parity_path("golden/%s/%s.tokens.json", checkpoint, name), 0,
                                    &tokens, &n_tokens, &error) &&
                  janus_trace(model, &request, tokens, n_tokens, out, &error);
  TensorSet *ours = ok ? tensors_open_file(out, &error) : NULL;
  TensorSet *golden =
      tensors_open_file(parity_path("golden/%s/%s.safetensors", checkpoint, name), &error);
  if (check(ours && golden, "%s: traced %s", title, error.message))
    compare(ours, golden, title);
  tensors_free(ours);
  tensors_free(golden);
  free(tokens);
  free((void *)image.rgb);
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
  JanusImage image;
  JanusRequest request = request_of(entry, n_samples, &image);
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
  free((void *)image.rgb);
}

// Texts and edits; describing is another matter.
static bool is_painted(const json_t *entry) {
  const char *kind = json_string_value(json_object_get(entry, "kind"));
  return strcmp(kind, "text") == 0 || strcmp(kind, "edit") == 0;
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
    if (is_painted(entry) && strcmp(of, checkpoint) == 0)
      test_trace(model, checkpoint, entry, title);
  }
  json_array_foreach(json_object_get(greedy, "cases"), i, entry) {
    snprintf(title, sizeof title, "%s %s %s", checkpoint, jk_isa_text(isa),
             json_string_value(json_object_get(entry, "name")));
    if (is_painted(entry))
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
