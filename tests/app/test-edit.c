// SPDX-License-Identifier: MIT
// A picture to change on its way: what the model sees of it, the job, the samples, the recipe.
#include "config.h"

#include "app/recipe.h"
#include "engine/model.h"
#include "tests/app/support.h"

#include <string.h>

#define INPUTS LIMNER_SOURCE_DATA_DIR "/../tests/app/inputs/"
enum { ORIGINAL_PX = 384 };

static LimnerInput *load(const char *file) {
  g_autofree char *path = g_strconcat(INPUTS, file, NULL);
  g_autoptr(GError) error = NULL;
  LimnerInput *input = limner_input_load(path, &error);
  g_assert_no_error(error);
  return input;
}

static LimnerInput *new_plain(int width_px, int height_px, guint8 level) {
  const gsize n_bytes = (gsize)width_px * (gsize)height_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  memset(rgb, level, n_bytes);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  g_autoptr(LimnerPicture) picture = limner_picture_new(bytes, width_px, height_px);
  return limner_input_new_from_picture(picture, "plain", NULL);
}

static LimnerJob *new_edit(LimnerInput *input, int n_samples, JanusFit fit, double image_cfg) {
  const LimnerRequest request = {.prompt = (char *)"make the house blue",
                                 .input = input,
                                 .fit = fit,
                                 .n_samples = n_samples,
                                 .seed = 7,
                                 .cfg = 5,
                                 .image_cfg = image_cfg,
                                 .temperature = 1,
                                 .top_p = 1};
  return limner_job_new(&request);
}

static void run(LimnerJob *job, JanusModel *model) {
  g_autoptr(GError) error = NULL;
  g_assert_true(limner_job_run(job, model, &error));
  g_assert_no_error(error);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_DONE);
}

// --- what the model sees -------------------------------------------------------------------------

static guint8 level_at(LimnerPicture *picture, int x, int y) {
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  return rgb[((gsize)y * (gsize)limner_picture_get_width(picture) + (gsize)x) * 3];
}

// The level in the middle of the upper and left edges, and of the picture.
static void assert_seen(int width_px, int height_px, JanusFit fit, guint8 top, guint8 left) {
  g_autoptr(LimnerInput) input = new_plain(width_px, height_px, 200);
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerPicture) seen = limner_input_dup_seen(input, fit, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpint(limner_picture_get_width(seen), ==, ORIGINAL_PX);
  g_assert_cmpint(limner_picture_get_height(seen), ==, ORIGINAL_PX);
  g_assert_cmpint(level_at(seen, ORIGINAL_PX / 2, ORIGINAL_PX / 2), ==, 200);
  g_assert_cmpint(level_at(seen, ORIGINAL_PX / 2, 0), ==, top);
  g_assert_cmpint(level_at(seen, 0, ORIGINAL_PX / 2), ==, left);
}

static void test_seen(void) {
  const guint8 bar = 127;
  assert_seen(1, 1, JANUS_FIT_PAD, 200, 200);
  assert_seen(100, 100, JANUS_FIT_PAD, 200, 200);
  assert_seen(300, 200, JANUS_FIT_PAD, bar, 200);
  assert_seen(200, 300, JANUS_FIT_PAD, 200, bar);
  assert_seen(3000, 20, JANUS_FIT_PAD, bar, 200);
  assert_seen(1, 500, JANUS_FIT_PAD, 200, bar);
  assert_seen(300, 200, JANUS_FIT_CROP, 200, 200);
  assert_seen(3000, 20, JANUS_FIT_CROP, 200, 200);
  assert_seen(1, 500, JANUS_FIT_CROP, 200, 200);
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("turned-6.jpg");
  g_autoptr(LimnerPicture) seen =
      limner_input_dup_seen(input, JANUS_FIT_PAD, janus_model_get_info(model), NULL);
  g_assert_cmpint(limner_picture_get_width(seen), ==, TINY_SIZE_PX);
  janus_model_free(model);
}

// --- jobs ----------------------------------------------------------------------------------------

static void test_request(void) {
  g_autoptr(LimnerInput) input = load("one.png");
  LimnerJob *job = new_edit(input, 2, JANUS_FIT_CROP, 3);
  LimnerRequest *copy = limner_request_copy(limner_job_get_request(job));
  g_assert_finalize_object(job);
  g_assert_true(copy->input == input);
  g_assert_true(copy->fit == JANUS_FIT_CROP);
  g_assert_true(copy->image_cfg == 3);
  limner_request_free(copy);
}

static void assert_recipe(LimnerSample *sample, LimnerInput *input) {
  LimnerPicture *picture = limner_sample_get_picture(sample);
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(limner_picture_get_recipe(picture), &error);
  g_assert_no_error(error);
  g_assert_cmpstr(limner_recipe_get_kind(recipe), ==, "edit");
  g_assert_cmpstr(recipe->input_sha256, ==, limner_input_get_sha256(input));
  g_assert_true(recipe->request.image_cfg == 2);
  g_assert_cmpuint(recipe->sample, ==, limner_sample_get_index(sample));
}

static void test_job(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("turned-6.jpg");
  LimnerJob *three = new_edit(input, 3, JANUS_FIT_PAD, 2);
  LimnerJob *one = new_edit(input, 1, JANUS_FIT_PAD, 2);
  run(three, model);
  run(one, model);
  g_assert_cmpfloat(limner_job_get_state_seconds(three, LIMNER_JOB_LOOKING), >, 0);
  g_assert_cmpfloat(limner_job_get_state_seconds(three, LIMNER_JOB_PAINTING), >, 0);
  for (guint i = 0; i < 3; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(three, i);
    g_assert_true(limner_sample_get_finished(sample));
    g_assert_true(limner_sample_get_request(sample)->input == input);
    assert_recipe(sample, input);
  }
  g_autoptr(GBytes) first = dup_tokens(three, 0), alone = dup_tokens(one, 0);
  g_assert_true(g_bytes_equal(first, alone));
  g_assert_finalize_object(three);
  g_assert_finalize_object(one);
  janus_model_free(model);
}

// SigLIP's blocks are what has layer norms: each looks at a picture through two.
static int n_norms;
static void (*layer_norm)(jk_device *, float *, const float *, const float *, const float *, int,
                          int, float);

static void count_norm(jk_device *dev, float *y, const float *x, const float *weight,
                       const float *bias, int n_rows, int dim, float eps) {
  n_norms++;
  layer_norm(dev, y, x, weight, bias, n_rows, dim, eps);
}

static int run_counting(JanusModel *model, LimnerInput *input, const char *prompt, JanusFit fit) {
  LimnerRequest request = {.prompt = (char *)prompt,
                           .input = input,
                           .fit = fit,
                           .n_samples = 1,
                           .seed = 7,
                           .cfg = 5,
                           .image_cfg = 5,
                           .temperature = 1,
                           .top_p = 1};
  g_autoptr(LimnerJob) job = limner_job_new(&request);
  n_norms = 0;
  run(job, model);
  return n_norms;
}

// As the window runs them one after another: edits of one picture, which may have been dropped
// twice, another fit of it in between.
static void test_looks_once(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("turned-6.jpg"), again = load("turned-6.jpg");
  layer_norm = model->device->layer_norm;
  model->device->layer_norm = count_norm;
  const int n_looking = run_counting(model, input, "make it blue", JANUS_FIT_PAD);
  g_assert_cmpint(n_looking, ==, 2 * model->siglip.n_blocks + 1);
  g_assert_cmpint(run_counting(model, input, "open the door", JANUS_FIT_PAD), ==, 0);
  g_assert_cmpint(run_counting(model, again, "add a cat", JANUS_FIT_PAD), ==, 0);
  g_assert_cmpint(run_counting(model, input, "make it blue", JANUS_FIT_CROP), ==, n_looking);
  g_assert_cmpint(run_counting(model, input, "and a dog", JANUS_FIT_PAD), ==, 0);
  janus_model_drop_kept(model);
  g_assert_cmpint(run_counting(model, input, "make it blue", JANUS_FIT_PAD), ==, n_looking);
  janus_model_free(model);
}

// The convolutions of the VQ model, which checks a picture's own tokens by decoding them.
static int n_convs;
static void (*conv)(jk_device *, float *, const jk_conv *, const float *, const float *, int, int,
                    jk_conv_mode);

static void count_conv(jk_device *dev, float *y, const jk_conv *layer, const float *x,
                       const float *residual, int height, int width, jk_conv_mode mode) {
  n_convs++;
  conv(dev, y, layer, x, residual, height, width, mode);
}

static int run_own_tokens(JanusModel *model, LimnerInput *input, const char *prompt) {
  const LimnerRequest request = {.prompt = (char *)prompt,
                                 .input = input,
                                 .uses_input_tokens = TRUE,
                                 .n_samples = 1,
                                 .seed = 7,
                                 .cfg = 5,
                                 .image_cfg = 5,
                                 .temperature = 1,
                                 .top_p = 1};
  g_autoptr(LimnerJob) job = limner_job_new(&request);
  n_convs = 0;
  run(job, model);
  g_autoptr(LimnerSample) sample = dup_sample(job, 0);
  LimnerPicture *picture = limner_sample_get_picture(sample);
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(limner_picture_get_recipe(picture), NULL);
  g_assert_true(recipe->request.uses_input_tokens);
  return n_convs;
}

// An own picture's tokens are decoded to be checked, by the first edit of it alone.
static void test_checks_once(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) photo = load("turned-6.jpg");
  g_autoptr(LimnerJob) job = new_edit(photo, 1, JANUS_FIT_PAD, 2);
  run(job, model);
  g_autoptr(LimnerSample) sample = dup_sample(job, 0);
  g_autoptr(LimnerInput) own =
      limner_input_new_from_picture(limner_sample_get_picture(sample), "own", NULL);
  conv = model->device->conv;
  model->device->conv = count_conv;
  const int n_both = run_own_tokens(model, own, "make it blue");
  const int n_result = run_own_tokens(model, own, "open the door");
  g_assert_cmpint(n_result, >, 0);
  g_assert_cmpint(n_both, ==, 2 * n_result);
  janus_model_drop_kept(model);
  g_assert_cmpint(run_own_tokens(model, own, "add a cat"), ==, n_both);
  janus_model_free(model);
}

// Each of the picture, its fit and its guidance makes a difference.
static void test_it_matters(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("turned-6.jpg"), other = new_plain(9, 5, 255);
  const struct {
    LimnerInput *input;
    JanusFit fit;
    double image_cfg;
  } cases[] = {{input, JANUS_FIT_PAD, 5},
               {input, JANUS_FIT_CROP, 5},
               {input, JANUS_FIT_PAD, 0},
               {other, JANUS_FIT_PAD, 5},
               {NULL, JANUS_FIT_PAD, 5}};
  GBytes *tokens[G_N_ELEMENTS(cases)];
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(LimnerJob) job = new_edit(cases[i].input, 1, cases[i].fit, cases[i].image_cfg);
    run(job, model);
    tokens[i] = dup_tokens(job, 0);
    for (gsize k = 0; k < i; k++)
      g_assert_false(g_bytes_equal(tokens[i], tokens[k]));
  }
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
    g_bytes_unref(tokens[i]);
  janus_model_free(model);
}

// A sample becomes the input of the next edit, ten times; the name of its file is its own hash.
static void test_chain(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("one.png");
  for (int i = 0; i < 10; i++) {
    g_autoptr(LimnerJob) job = new_edit(input, 1, JANUS_FIT_PAD, 2);
    run(job, model);
    g_autoptr(LimnerSample) sample = dup_sample(job, 0);
    assert_recipe(sample, input);
    LimnerPicture *picture = limner_sample_get_picture(sample);
    g_clear_pointer(&input, limner_input_unref);
    input = limner_input_new_from_picture(picture, "sample", NULL);
    g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
    g_autoptr(LimnerInput) saved = limner_input_new_from_bytes(png, "saved", NULL);
    g_assert_cmpstr(limner_input_get_sha256(saved), ==, limner_input_get_sha256(input));
    g_assert_true(g_bytes_equal(limner_picture_get_bytes(limner_input_get_picture(saved)),
                                limner_picture_get_bytes(picture)));
  }
  janus_model_free(model);
}

static void test_blank_prompt(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("one.png");
  const LimnerRequest request = {.prompt = (char *)"",
                                 .input = input,
                                 .n_samples = 1,
                                 .cfg = 5,
                                 .image_cfg = 5,
                                 .temperature = 1,
                                 .top_p = 1};
  LimnerJob *job = limner_job_new(&request);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_job_run(job, model, &error));
  g_assert_error(error, LIMNER_ENGINE_ERROR, (int)JANUS_ERROR_REQUEST);
  g_test_message("%s", error->message);
  g_assert_finalize_object(job);
  janus_model_free(model);
}

static gpointer run_in_thread(gpointer data) {
  gpointer *both = data;
  limner_job_run(both[0], both[1], NULL);
  return NULL;
}

static gboolean is_looking(gpointer job) {
  return limner_job_get_state(job) >= LIMNER_JOB_LOOKING;
}

// States come in order; a stop while looking is a stop.
static void test_cancel_while_looking(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load("turned-6.jpg");
  LimnerJob *job = new_edit(input, MANY_SAMPLES, JANUS_FIT_PAD, 2);
  gpointer both[2] = {job, model};
  GThread *thread = g_thread_new("edit", run_in_thread, both);
  wait_until(is_looking, job);
  limner_job_cancel(job);
  wait_for_job(job);
  g_thread_join(thread);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_CANCELLED);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  g_assert_finalize_object(job);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/edit/seen", test_seen);
  g_test_add_func("/edit/request", test_request);
  g_test_add_func("/edit/job", test_job);
  g_test_add_func("/edit/looks-once", test_looks_once);
  g_test_add_func("/edit/checks-once", test_checks_once);
  g_test_add_func("/edit/it-matters", test_it_matters);
  g_test_add_func("/edit/chain", test_chain);
  g_test_add_func("/edit/blank-prompt", test_blank_prompt);
  g_test_add_func("/edit/cancel-while-looking", test_cancel_while_looking);
  return g_test_run();
}
