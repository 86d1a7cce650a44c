// SPDX-License-Identifier: MIT
// Looking at a picture, around the numbers (which test-parity covers): input values, threads, known
// tokens, stopping, memory.
#include "engine/safetensors.h"
#include "engine/vision.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What was seen, on the host.
typedef struct Seen {
  float *siglip, *aligned, *latent;
  int32_t *tokens;
  size_t n_siglip, n_aligned, n_latent, n_tokens; // values
} Seen;

static float *fetch(const JanusModel *model, const float *device, size_t n) {
  float *values = malloc(n * sizeof *values);
  model->device->download(model->device, values, device, n * sizeof *values);
  return values;
}

static void *copy(const void *data, size_t n_bytes) {
  return data ? memcpy(malloc(n_bytes), data, n_bytes) : NULL;
}

static Seen keep(const JanusModel *model, const Vision *v) {
  const size_t n = (size_t)model->config.n_image_tokens;
  Seen seen = {.n_siglip = n * (size_t)model->siglip.dim,
               .n_aligned = n * (size_t)model->config.dim,
               .n_latent = n * (size_t)model->config.code_dim,
               .n_tokens = n};
  seen.siglip = fetch(model, v->siglip, seen.n_siglip);
  seen.aligned = fetch(model, v->aligned, seen.n_aligned);
  seen.latent = copy(v->latent, seen.n_latent * sizeof *v->latent);
  seen.tokens = copy(v->tokens, n * sizeof *v->tokens);
  return seen;
}

static void seen_clear(Seen *seen) {
  free(seen->siglip);
  free(seen->aligned);
  free(seen->latent);
  free(seen->tokens);
}

static bool same_features(const Seen *a, const Seen *b) {
  return memcmp(a->siglip, b->siglip, a->n_siglip * sizeof *a->siglip) == 0 &&
         memcmp(a->aligned, b->aligned, a->n_aligned * sizeof *a->aligned) == 0;
}

static bool same_tokens_seen(const Seen *a, const Seen *b) {
  return memcmp(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens) == 0;
}

static bool same_seen(const Seen *a, const Seen *b) {
  return same_features(a, b) && same_tokens_seen(a, b) && a->latent && b->latent &&
         memcmp(a->latent, b->latent, a->n_latent * sizeof *a->latent) == 0;
}

static Seen look(JanusModel *model, const JanusImage *image, const int32_t *known) {
  Vision v;
  JanusError error = {0};
  bool ok = vision_init(&v, model, image, known, &error);
  while (ok && !vision_is_done(&v))
    ok = vision_step(&v, model, NULL, &error);
  if (!ok) {
    check(false, "a picture is looked at: %s", error.message);
    exit(finish());
  }
  Seen seen = keep(model, &v);
  vision_clear(&v, model);
  return seen;
}

static void test_threads(const char *name, jk_isa isa) {
  JanusImage image = load_picture("portrait.png");
  Seen seen[3];
  for (int i = 0; i < 3; i++) {
    JanusModel *model = open_checkpoint(name, isa, i + 1);
    seen[i] = look(model, &image, NULL);
    janus_model_free(model);
  }
  check(same_seen(&seen[0], &seen[1]) && same_seen(&seen[0], &seen[2]),
        "%s %s: 2 and 3 threads give 1 thread's bytes", name, jk_isa_text(isa));
  for (int i = 0; i < 3; i++)
    seen_clear(&seen[i]);
  free((void *)image.rgb);
}

static void test_known_tokens(JanusModel *model, const JanusImage *image) {
  int32_t *known = calloc((size_t)model->config.n_image_tokens, sizeof *known);
  for (int i = 0; i < model->config.n_image_tokens; i++)
    known[i] = i * 5 % model->config.n_codes;
  Seen whole = look(model, image, NULL), part = look(model, image, known);
  check(same_features(&whole, &part) && !part.latent &&
            memcmp(part.tokens, known, part.n_tokens * sizeof *known) == 0,
        "known tokens are taken as they are, the features stay the same");
  JanusError error = {0};
  check(janus_model_encode(model, image, known, &error) &&
            memcmp(known, whole.tokens, whole.n_tokens * sizeof *known) == 0,
        "encoding alone gives the same tokens%s", error.message);
  JanusImage other = *image;
  other.fit = JANUS_FIT_CROP;
  Seen cropped = look(model, &other, NULL);
  check(!same_features(&whole, &cropped) && !same_tokens_seen(&whole, &cropped),
        "its middle alone looks different");
  seen_clear(&whole);
  seen_clear(&part);
  seen_clear(&cropped);
  free(known);
}

// Stopped before every step of both encoders; then the whole again.
static void test_stop(JanusModel *model, const JanusImage *image) {
  Seen whole = look(model, image, NULL);
  const int n_steps = siglip_steps(model) + vq_encoder_steps(model);
  int n_right = 0;
  for (int at = 0; at < n_steps; at++) {
    Vision v;
    JanusError error = {0};
    atomic_bool cancel = false;
    bool ok = vision_init(&v, model, image, NULL, &error);
    while (ok && v.n_done < at)
      ok = vision_step(&v, model, &cancel, &error);
    atomic_store(&cancel, true);
    n_right += ok && !vision_step(&v, model, &cancel, &error) && v.n_done == at &&
               error.code == JANUS_ERROR_CANCELLED;
    vision_clear(&v, model);
  }
  check(n_right == n_steps, "stopped at %d of %d steps", n_right, n_steps);
  Seen again = look(model, image, NULL);
  check(same_seen(&whole, &again), "looking anew after stops gives the same");
  seen_clear(&whole);
  seen_clear(&again);
}

static void test_refused(JanusModel *model) {
  const uint8_t rgb[3] = {0};
  const JanusImage image = {rgb, 0, 1, JANUS_FIT_PAD};
  JanusError error = {0};
  Vision v;
  check(!vision_init(&v, model, &image, NULL, &error) && error.code == JANUS_ERROR_REQUEST &&
            !v.pixels && !v.tokens,
        "refused: %s", error.message);
}

// --- memory -------------------------------------------------------------------------------------

static size_t n_allocated, n_allowed; // bytes of the device so far, and after which it refuses
static jk_status (*real_alloc)(jk_device *dev, size_t n_bytes, const char *purpose, void **out);

static jk_status counting_alloc(jk_device *dev, size_t n_bytes, const char *purpose, void **out) {
  n_allocated += n_bytes;
  *out = NULL;
  return n_allocated > n_allowed ? JK_NO_MEMORY : real_alloc(dev, n_bytes, purpose, out);
}

static void test_memory(JanusModel *model, const JanusImage *image) {
  Vision v;
  JanusError error = {0};
  real_alloc = model->device->alloc;
  model->device->alloc = counting_alloc;
  n_allocated = 0;
  n_allowed = SIZE_MAX;
  check(vision_init(&v, model, image, NULL, &error), "a picture to count%s", error.message);
  vision_clear(&v, model);
  const size_t whole = n_allocated, said = vision_bytes(model);
  check(whole <= said && whole > said / 2, "%zu of %zu bytes lie on the device", whole, said);
  int n_wrong = 0;
  for (n_allowed = 0; n_allowed < whole; n_allowed += whole / 40) {
    n_allocated = 0;
    error = (JanusError){0};
    n_wrong += vision_init(&v, model, image, NULL, &error) || error.code != JANUS_ERROR_MEMORY ||
               v.siglip || v.pixels;
  }
  check(n_wrong == 0, "too little memory is told, nothing is left: %s", error.message);
  model->device->alloc = real_alloc;
}

// --- input values -------------------------------------------------------------------------------

// A square with every byte in every channel, looked at no further than its values.
static float *values_of_bytes(JanusModel *model) {
  const size_t size = (size_t)model->config.image_size_px, n = 3 * size * size;
  uint8_t *rgb = malloc(n);
  for (size_t i = 0; i < n; i++)
    rgb[i] = (uint8_t)(i / 3);
  const JanusImage image = {rgb, (int)size, (int)size, JANUS_FIT_PAD};
  Vision v;
  JanusError error = {0};
  float *values = NULL;
  if (check(vision_init(&v, model, &image, NULL, &error), "every byte%s", error.message))
    values = copy(v.pixels, n * sizeof *values);
  vision_clear(&v, model);
  free(rgb);
  return values;
}

static void test_values(JanusModel *model) {
  const size_t n = (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
  TensorSet *set = tensors_open_file(parity_path("golden/preprocess.safetensors"), NULL);
  const Tensor *table = set ? tensors_find(set, "normalized") : NULL;
  float *values = values_of_bytes(model);
  int n_wrong = 0;
  for (size_t i = 0; values && table && i < 3 * n; i++)
    n_wrong += memcmp(values + i, (const float *)table->data + i % n % 256, sizeof *values) != 0;
  check(values && table && n_wrong == 0, "every byte has the original's value, to the bit");
  free(values);
  tensors_free(set);
}

// The processor's other settings, which no published checkpoint has.
static void test_other_values(const char *json, const double mean[3], const double std[3],
                              const uint8_t background[3]) {
  static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json"};
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    copy_file(&folder, names[i], parity_path("tiny-f32/%s", names[i]));
  write_text(&folder, "preprocessor_config.json", json);
  JanusError error = {0};
  const JanusModelOptions options = {.folder = folder.path, .device = "cpu", .n_threads = 1};
  JanusModel *model = janus_model_open(&options, &error);
  if (check(model != NULL, "opens with %s%s", json, error.message)) {
    const size_t n = (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
    float *values = values_of_bytes(model);
    double worst = 0;
    for (size_t i = 0; values && i < 3 * n; i++) {
      const double x = (double)(i % n % 256) / 255, y = (x - mean[i / n]) / std[i / n];
      const double error_here =
          (double)values[i] > y ? (double)values[i] - y : y - (double)values[i];
      worst = error_here > worst ? error_here : worst;
    }
    check(values && worst < 1e-6, "values off by at most %.1e (bound 1e-6)", worst);
    check(memcmp(janus_model_get_info(model)->background, background, 3) == 0, "bars of %d %d %d",
          background[0], background[1], background[2]);
    free(values);
  }
  janus_model_free(model);
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++) {
    test_threads("tiny-f32", isa);
    test_threads("tiny-gqa", isa);
  }
  JanusImage image = load_picture("landscape.png");
  JanusModel *model = open_checkpoint("tiny-gqa", jk_cpu_best_isa(), 2);
  test_known_tokens(model, &image);
  test_stop(model, &image);
  test_refused(model);
  test_memory(model, &image);
  janus_model_free(model);
  model = open_checkpoint("tiny-f32", jk_cpu_best_isa(), 2);
  test_values(model);
  janus_model_free(model);
  test_other_values("{\"image_size\":96,\"do_normalize\":false,\"image_mean\":[0.25,0.5,1]}",
                    (double[]){0, 0, 0}, (double[]){1, 1, 1}, (uint8_t[]){63, 127, 255});
  test_other_values("{\"image_mean\":[0.25,0.5,0.75],\"image_std\":[0.5,0.25,1]}",
                    (double[]){0.25, 0.5, 0.75}, (double[]){0.5, 0.25, 1},
                    (uint8_t[]){63, 127, 191});
  free((void *)image.rgb);
  return finish();
}
