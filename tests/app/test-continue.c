// SPDX-License-Identifier: MIT
// Jobs that go on: what a recorder hears of a run that is stopped is enough to end it in the same
// file, byte for byte; and edits that start from a picture's own tokens.
#include "config.h"

#include "app/recipe.h"
#include "tests/app/support.h"

#include <string.h>

enum { N_SAMPLES = 3 };

// What a recorder hears, kept in memory. Stops the job when it has heard `stop_at` tokens.
typedef struct Heard {
  LimnerJob *job; // borrowed
  char *identity;
  GArray *tokens; // gint32, [n][N_SAMPLES]
  guint stop_at, n_known, n_total, n_finished, n_over;
  gboolean ended_well, order_is_right;
} Heard;

static void on_started(gpointer data, const char *identity, guint first, guint n_samples,
                       guint n_known, guint n_total) {
  Heard *heard = data;
  heard->order_is_right &= first == 0 && n_samples == N_SAMPLES;
  heard->identity = g_strdup(identity);
  heard->n_known = n_known;
  heard->n_total = n_total;
}

static void on_token(gpointer data, guint position, const gint32 *tokens, guint n_samples) {
  Heard *heard = data;
  heard->order_is_right &= n_samples == N_SAMPLES &&
                           position == heard->n_known + heard->tokens->len / N_SAMPLES &&
                           heard->identity && heard->n_finished == 0;
  g_array_append_vals(heard->tokens, tokens, n_samples);
  if (position + 1 == heard->stop_at)
    limner_job_cancel(heard->job);
}

static void on_finished(gpointer data, guint index, LimnerPicture *picture) {
  Heard *heard = data;
  heard->order_is_right &= index == heard->n_finished && limner_picture_get_recipe(picture);
  heard->n_finished++;
}

static void on_over(gpointer data, const GError *error) {
  Heard *heard = data;
  heard->n_over++;
  heard->ended_well = error == NULL;
}

static const LimnerJobRecorder recorder = {
    .started = on_started, .token = on_token, .finished = on_finished, .over = on_over};

static Heard listen(LimnerJob *job) {
  return (Heard){
      .job = job, .tokens = g_array_new(FALSE, FALSE, sizeof(gint32)), .order_is_right = TRUE};
}

static void heard_clear(Heard *heard) {
  g_free(heard->identity);
  g_array_unref(heard->tokens);
}

// [n][N_SAMPLES] as [N_SAMPLES][n].
static GBytes *dup_by_sample(const Heard *heard) {
  const guint n = heard->tokens->len / N_SAMPLES;
  gint32 *tokens = g_new(gint32, (gsize)n * N_SAMPLES + 1);
  for (guint i = 0; i < n * N_SAMPLES; i++)
    tokens[i % N_SAMPLES * n + i / N_SAMPLES] = g_array_index(heard->tokens, gint32, i);
  return g_bytes_new_take(tokens, (gsize)n * N_SAMPLES * sizeof *tokens);
}

static GBytes *dup_file(LimnerJob *job, guint index) {
  g_autoptr(LimnerSample) sample = dup_sample(job, index);
  return limner_picture_dup_png(limner_sample_get_picture(sample), NULL);
}

static void assert_same_files(LimnerJob *one, LimnerJob *two) {
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(GBytes) file1 = dup_file(one, i);
    g_autoptr(GBytes) file2 = dup_file(two, i);
    g_assert_true(g_bytes_equal(file1, file2));
  }
}

static void stop_and_continue(JanusModel *model, const LimnerRequest *request, LimnerJob *whole,
                              guint stop_at) {
  LimnerJob *stopped = limner_job_new(request), *continued = limner_job_new(request);
  Heard first = listen(stopped), rest = listen(continued);
  first.stop_at = stop_at;
  limner_job_set_recorder(stopped, &recorder, &first);
  g_assert_cmpint(limner_job_run(stopped, model, NULL), ==, FALSE);
  g_assert_cmpuint(first.tokens->len, ==, stop_at * N_SAMPLES);
  g_assert_true(first.order_is_right && first.n_over == 1 && !first.ended_well);
  g_autoptr(GBytes) known = dup_by_sample(&first);
  limner_job_set_known_tokens(continued, first.identity, known, N_SAMPLES);
  limner_job_set_recorder(continued, &recorder, &rest);
  g_assert_true(limner_job_run(continued, model, NULL));
  g_assert_cmpuint(rest.n_known, ==, stop_at);
  g_assert_cmpuint(rest.n_total, ==, TINY_TOKENS);
  g_assert_cmpuint(rest.tokens->len, ==, (TINY_TOKENS - stop_at) * N_SAMPLES);
  g_assert_true(rest.order_is_right && rest.n_over == 1 && rest.ended_well);
  g_assert_cmpuint(rest.n_finished, ==, N_SAMPLES);
  assert_same_files(whole, continued);
  heard_clear(&first);
  heard_clear(&rest);
  g_assert_finalize_object(stopped);
  g_assert_finalize_object(continued);
}

static LimnerRequest request_for(LimnerInput *input) {
  return (LimnerRequest){.prompt = (char *)"a red house",
                         .input = input,
                         .n_samples = N_SAMPLES,
                         .seed = 7,
                         .cfg = 5,
                         .image_cfg = 5,
                         .temperature = 1,
                         .top_p = 1};
}

static LimnerInput *load_input(void) {
  g_autoptr(GError) error = NULL;
  LimnerInput *input =
      limner_input_load(LIMNER_SOURCE_DATA_DIR "/../tests/parity/inputs/portrait.png", &error);
  g_assert_no_error(error);
  return input;
}

static void test_continued(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load_input();
  for (int is_edit = 0; is_edit < 2; is_edit++) {
    const LimnerRequest request = request_for(is_edit ? input : NULL);
    LimnerJob *whole = limner_job_new(&request);
    g_assert_true(limner_job_run(whole, model, NULL));
    for (int i = 0; i < 8; i++)
      stop_and_continue(model, &request, whole, i ? g_test_rand_int_range(1, TINY_TOKENS) : 1);
    g_assert_finalize_object(whole);
  }
  janus_model_free(model);
}

// Everything was painted, and the program ended before the pictures were kept.
static void test_all_known(void) {
  JanusModel *model = open_tiny();
  const LimnerRequest request = request_for(NULL);
  LimnerJob *whole = limner_job_new(&request), *again = limner_job_new(&request);
  Heard heard = listen(whole), rest = listen(again);
  limner_job_set_recorder(whole, &recorder, &heard);
  g_assert_true(limner_job_run(whole, model, NULL));
  g_autoptr(GBytes) known = dup_by_sample(&heard);
  limner_job_set_known_tokens(again, heard.identity, known, N_SAMPLES);
  limner_job_set_recorder(again, &recorder, &rest);
  g_assert_true(limner_job_run(again, model, NULL));
  g_assert_cmpuint(rest.n_known, ==, TINY_TOKENS);
  g_assert_cmpuint(rest.tokens->len, ==, 0);
  assert_same_files(whole, again);
  heard_clear(&heard);
  heard_clear(&rest);
  g_assert_finalize_object(whole);
  g_assert_finalize_object(again);
  janus_model_free(model);
}

static void test_another_model(void) {
  JanusModel *model = open_tiny();
  const LimnerRequest request = request_for(NULL);
  LimnerJob *whole = limner_job_new(&request), *other = limner_job_new(&request);
  const gint32 tokens[N_SAMPLES * 2] = {1, 2, 3, 4, 5, 6};
  g_autoptr(GBytes) known = g_bytes_new_static(tokens, sizeof tokens);
  limner_job_set_known_tokens(other, "Another; f32; cpu; CPU", known, N_SAMPLES);
  g_assert_true(limner_job_run(whole, model, NULL));
  g_assert_true(limner_job_run(other, model, NULL));
  assert_same_files(whole, other);
  g_assert_finalize_object(whole);
  g_assert_finalize_object(other);
  janus_model_free(model);
}

static void test_some_samples(void) {
  JanusModel *model = open_tiny();
  LimnerRequest request = request_for(NULL);
  LimnerJob *whole = limner_job_new(&request);
  request.first_sample = 2;
  request.n_samples = 1;
  LimnerJob *last = limner_job_new(&request);
  g_assert_true(limner_job_run(whole, model, NULL));
  g_assert_true(limner_job_run(last, model, NULL));
  g_autoptr(GBytes) expected = dup_file(whole, 2);
  g_autoptr(GBytes) found = dup_file(last, 0);
  g_assert_true(g_bytes_equal(expected, found));
  g_autoptr(LimnerSample) sample = dup_sample(last, 0);
  g_autofree char *name = limner_sample_dup_file_name(sample);
  g_assert_cmpstr(name, ==, "limner-7_2.png");
  g_clear_object(&sample);
  g_assert_finalize_object(whole);
  g_assert_finalize_object(last);
  janus_model_free(model);
}

// --- own tokens ----------------------------------------------------------------------------------

static LimnerPicture *edit(JanusModel *model, LimnerInput *input, gboolean uses_input_tokens) {
  LimnerRequest request = request_for(input);
  request.n_samples = 1;
  request.temperature = 0;
  request.uses_input_tokens = uses_input_tokens;
  LimnerJob *job = limner_job_new(&request);
  g_autoptr(GError) error = NULL;
  limner_job_run(job, model, &error);
  g_assert_no_error(error);
  g_autoptr(LimnerSample) sample = dup_sample(job, 0);
  LimnerPicture *picture = limner_picture_ref(limner_sample_get_picture(sample));
  g_clear_object(&sample);
  g_assert_finalize_object(job);
  return picture;
}

static gboolean says_own(LimnerPicture *picture) {
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(limner_picture_get_recipe(picture), NULL);
  g_assert_nonnull(recipe);
  return recipe->request.uses_input_tokens;
}

// `input` with the lightness of its pixels turned over and its texts kept.
static LimnerInput *new_changed(LimnerPicture *picture) {
  gsize n = 0;
  guint8 *rgb = g_bytes_unref_to_data(g_bytes_ref(limner_picture_get_bytes(picture)), &n);
  for (gsize i = 0; i < n; i++)
    rgb[i] = (guint8)(255 - rgb[i]);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n);
  g_autoptr(LimnerPicture) changed = limner_picture_new_with_texts(
      bytes, TINY_SIZE_PX, TINY_SIZE_PX, limner_picture_get_parameters(picture),
      limner_picture_get_recipe(picture));
  return limner_input_new_from_picture(changed, "changed", NULL);
}

static void test_own_tokens(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) outside = load_input();
  g_autoptr(LimnerPicture) picture = edit(model, outside, TRUE); // which has no tokens
  g_assert_false(says_own(picture));
  g_autoptr(LimnerInput) shown = limner_input_new_from_picture(picture, "a sample", NULL);
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
  g_autoptr(LimnerInput) file = limner_input_new_from_bytes(png, "its file", NULL);
  g_assert_cmpstr(limner_input_get_sha256(shown), ==, limner_input_get_sha256(file));
  g_autoptr(GBytes) of_shown = limner_input_dup_file(shown);
  g_autoptr(GBytes) of_file = limner_input_dup_file(file);
  g_assert_true(g_bytes_equal(of_shown, png) && g_bytes_equal(of_file, png));
  g_autoptr(LimnerPicture) own = edit(model, shown, TRUE);
  g_autoptr(LimnerPicture) same = edit(model, file, TRUE);
  g_autoptr(LimnerPicture) encoded = edit(model, file, FALSE);
  g_assert_true(says_own(own) && !says_own(encoded));
  g_assert_true(g_bytes_equal(limner_picture_get_bytes(own), limner_picture_get_bytes(same)));
  g_assert_false(g_bytes_equal(limner_picture_get_bytes(own), limner_picture_get_bytes(encoded)));
  g_autoptr(LimnerInput) changed = new_changed(picture);
  g_autoptr(LimnerPicture) of_changed = edit(model, changed, TRUE);
  g_assert_false(says_own(of_changed)); // its tokens are not those of its pixels
  janus_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/continue/stopped", test_continued);
  g_test_add_func("/continue/all-known", test_all_known);
  g_test_add_func("/continue/another-model", test_another_model);
  g_test_add_func("/continue/some-samples", test_some_samples);
  g_test_add_func("/continue/own-tokens", test_own_tokens);
  return g_test_run();
}
