// SPDX-License-Identifier: MIT
// One job: run here and now, run on a thread under a main loop, stopped at many points.
#include "config.h"

#include "tests/app/support.h"

#include <string.h>

static void assert_finished(LimnerJob *job, guint index) {
  g_autoptr(LimnerSample) sample = dup_sample(job, index);
  int n_tokens = 0;
  g_assert_nonnull(limner_sample_get_tokens(sample, &n_tokens));
  g_assert_cmpint(n_tokens, ==, TINY_TOKENS);
  g_assert_true(limner_sample_get_finished(sample));
  g_assert_cmpuint(limner_sample_get_index(sample), ==, index);
  g_assert_cmpuint(limner_sample_get_grid(sample), ==, TINY_GRID);
  g_assert_cmpuint(limner_sample_get_n_rows(sample), ==, TINY_GRID);
  g_assert_cmpint(limner_picture_get_width(limner_sample_get_picture(sample)), ==, TINY_SIZE_PX);
  g_assert_cmpint(limner_picture_get_height(limner_sample_get_picture(sample)), ==, TINY_SIZE_PX);
}

static void assert_same(LimnerJob *one, LimnerJob *two, guint index) {
  g_autoptr(GBytes) tokens1 = dup_tokens(one, index);
  g_autoptr(GBytes) tokens2 = dup_tokens(two, index);
  g_assert_true(g_bytes_equal(tokens1, tokens2));
  g_autoptr(LimnerSample) sample1 = dup_sample(one, index);
  g_autoptr(LimnerSample) sample2 = dup_sample(two, index);
  g_assert_true(g_bytes_equal(limner_picture_get_bytes(limner_sample_get_picture(sample1)),
                              limner_picture_get_bytes(limner_sample_get_picture(sample2))));
}

static void test_here_and_now(void) {
  JanusModel *model = open_tiny();
  LimnerJob *two = new_job(2), *five = new_job(5);
  g_autoptr(GError) error = NULL;
  g_assert_cmpint(limner_job_get_state(two), ==, LIMNER_JOB_QUEUED);
  g_assert_true(limner_job_run(two, model, &error));
  g_assert_no_error(error);
  g_assert_cmpint(limner_job_get_state(two), ==, LIMNER_JOB_DONE);
  g_assert_cmpuint(limner_job_get_n_done(two), ==, TINY_TOKENS);
  g_assert_cmpuint(limner_job_get_n_total(two), ==, TINY_TOKENS);
  g_assert_cmpfloat(limner_job_get_tokens_per_second(two), >, 0);
  g_assert_cmpfloat(limner_job_get_seconds_left(two), ==, 0);
  g_assert_cmpfloat(limner_job_get_state_seconds(two, LIMNER_JOB_PAINTING), >, 0);
  g_assert_null(limner_job_get_error(two));
  assert_finished(two, 0);
  assert_finished(two, 1);
  g_assert_true(limner_job_run(five, model, &error));
  assert_same(two, five, 0);
  assert_same(two, five, 1);
  g_autoptr(LimnerSample) sample = dup_sample(five, 3);
  g_autofree char *name = limner_sample_dup_file_name(sample);
  g_assert_cmpstr(name, ==, "limner-7_3.png");
  g_assert_cmpstr(limner_sample_get_request(sample)->prompt, ==, "a red house");
  g_clear_object(&sample);
  g_assert_false(g_main_context_pending(NULL)); // everything was delivered
  g_assert_finalize_object(two);
  g_assert_finalize_object(five);
  janus_model_free(model);
}

static void test_growth_changes_nothing(void) {
  JanusModel *model = open_tiny();
  LimnerJob *seen = new_job(2), *unseen = new_job(2);
  limner_job_set_shows_growth(unseen, FALSE);
  g_assert_true(limner_job_run(seen, model, NULL));
  g_assert_true(limner_job_run(unseen, model, NULL));
  assert_finished(unseen, 1);
  assert_same(seen, unseen, 0);
  assert_same(seen, unseen, 1);
  g_assert_finalize_object(seen);
  g_assert_finalize_object(unseen);
  janus_model_free(model);
}

static void test_bad_request(void) {
  JanusModel *model = open_tiny();
  const LimnerRequest request = {
      .prompt = (char *)"x", .n_samples = 1, .cfg = 5, .temperature = -1, .top_p = 1};
  LimnerJob *job = limner_job_new(&request);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_job_run(job, model, &error));
  g_assert_error(error, LIMNER_ENGINE_ERROR, (int)JANUS_ERROR_REQUEST);
  g_assert_nonnull(strstr(error->message, "temperature"));
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_FAILED);
  g_assert_cmpstr(limner_job_get_error(job)->message, ==, error->message);
  g_assert_finalize_object(job);
  janus_model_free(model);
}

static void test_no_samples(void) {
  JanusModel *model = open_tiny();
  LimnerJob *job = new_job(0);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_job_run(job, model, &error));
  g_assert_error(error, LIMNER_ENGINE_ERROR, (int)JANUS_ERROR_REQUEST);
  g_assert_finalize_object(job);
  janus_model_free(model);
}

static void test_cancelled_before(void) {
  JanusModel *model = open_tiny();
  LimnerJob *job = new_job(1), *direct = new_job(1);
  g_autoptr(GError) error = NULL;
  limner_job_cancel(job);
  g_assert_false(limner_job_run(job, model, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_CANCELLED);
  g_assert_null(limner_job_get_error(job));
  g_clear_error(&error);
  g_cancellable_cancel(limner_job_get_cancellable(direct));
  g_assert_false(limner_job_run(direct, model, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint(limner_job_get_state(direct), ==, LIMNER_JOB_CANCELLED);
  g_assert_finalize_object(job);
  g_assert_finalize_object(direct);
  janus_model_free(model);
}

// --- on a thread ---------------------------------------------------------------------------------

typedef struct Watched {
  LimnerJob *job;
  JanusModel *model;
  GThread *thread;
  LimnerJobState last_state;
  guint last_done, last_rows, n_updates, n_pictures;
  gboolean was_over;
} Watched;

static void on_job_notify(LimnerJob *job, GParamSpec *pspec, Watched *watched) {
  const LimnerJobState state = limner_job_get_state(job);
  g_assert_false(watched->was_over && state != watched->last_state);
  g_assert_cmpint(state, >=, watched->last_state);
  if (state == LIMNER_JOB_PAINTING && watched->last_state == LIMNER_JOB_PAINTING)
    g_assert_cmpuint(limner_job_get_n_done(job), >=, watched->last_done);
  watched->last_state = state;
  watched->last_done = limner_job_get_n_done(job);
  watched->was_over = limner_job_is_over(job);
  watched->n_updates++;
}

static void on_sample_notify(LimnerSample *sample, GParamSpec *pspec, Watched *watched) {
  g_assert_false(watched->was_over);
  g_assert_cmpuint(limner_sample_get_n_rows(sample), >=, watched->last_rows);
  watched->last_rows = limner_sample_get_n_rows(sample);
  watched->n_pictures += strcmp(pspec->name, "picture") == 0;
}

static gpointer run_watched(gpointer data) {
  Watched *watched = data;
  limner_job_run(watched->job, watched->model, NULL);
  return NULL;
}

static void start(Watched *watched, JanusModel *model, int n_samples) {
  *watched = (Watched){.job = new_job(n_samples), .model = model};
  g_autoptr(LimnerSample) sample = dup_sample(watched->job, 0);
  g_signal_connect(watched->job, "notify", G_CALLBACK(on_job_notify), watched);
  g_signal_connect(sample, "notify", G_CALLBACK(on_sample_notify), watched);
  watched->thread = g_thread_new("test-job", run_watched, watched);
}

static void finish(Watched *watched) {
  wait_for_job(watched->job);
  g_thread_join(watched->thread);
  g_assert_false(g_main_context_pending(NULL)); // nothing comes after the end
  g_assert_finalize_object(watched->job);
}

static void test_on_a_thread(void) {
  JanusModel *model = open_tiny();
  Watched watched;
  start(&watched, model, 200);
  wait_for_job(watched.job);
  g_assert_cmpint(watched.last_state, ==, LIMNER_JOB_DONE);
  assert_finished(watched.job, 0);
  assert_finished(watched.job, 199);
  const double seconds = limner_job_get_state_seconds(watched.job, LIMNER_JOB_PAINTING) +
                         limner_job_get_state_seconds(watched.job, LIMNER_JOB_FINISHING);
  g_test_message("%u updates in %.2f s, %u pictures of sample 0", watched.n_updates, seconds,
                 watched.n_pictures);
  // At least one preview and the final picture; up to five properties in thirty updates a second.
  g_assert_cmpuint(watched.n_pictures, >=, 2);
  g_assert_cmpfloat(watched.n_updates, <=, 5 * (30 * seconds + 10));
  finish(&watched);
  janus_model_free(model);
}

static gboolean has_tokens(gpointer data) {
  return limner_job_get_state(data) >= LIMNER_JOB_PAINTING && limner_job_get_n_done(data) > 0;
}

static gboolean is_half_done(gpointer data) {
  return limner_job_get_n_done(data) * 2 >= TINY_TOKENS && has_tokens(data);
}

static gboolean is_finishing(gpointer data) {
  return limner_job_get_state(data) >= LIMNER_JOB_FINISHING;
}

static gboolean is_started(gpointer data) {
  return TRUE;
}

static void test_cancelled_in_between(void) {
  const Condition points[] = {is_started, has_tokens, is_half_done, is_finishing};
  JanusModel *model = open_tiny();
  for (gsize i = 0; i < G_N_ELEMENTS(points); i++) {
    Watched watched;
    const int n_samples = points[i] == is_finishing ? MANY_SAMPLES / 5 : MANY_SAMPLES;
    start(&watched, model, n_samples);
    wait_until(points[i], watched.job);
    const double start_ms = cpu_ms();
    limner_job_cancel(watched.job);
    wait_for_job(watched.job);
    const double ms = cpu_ms() - start_ms;
    g_test_message("point %zu: stopped, computing for %.1f ms", i, ms);
    g_assert_cmpint(watched.last_state, ==, LIMNER_JOB_CANCELLED);
    g_assert_cmpfloat(ms, <, 500); // observed: 42
    g_autoptr(GBytes) tokens = dup_tokens(watched.job, (guint)n_samples - 1);
    g_assert_cmpuint(g_bytes_get_size(tokens), <=, TINY_TOKENS * sizeof(gint32));
    finish(&watched);
  }
  janus_model_free(model);
}

// Stopping one job leaves no trace in the next.
static void test_again_after_cancel(void) {
  JanusModel *model = open_tiny();
  LimnerJob *before = new_job(2), *after = new_job(2);
  g_assert_true(limner_job_run(before, model, NULL));
  Watched watched;
  start(&watched, model, MANY_SAMPLES);
  wait_until(has_tokens, watched.job);
  limner_job_cancel(watched.job);
  finish(&watched);
  g_assert_true(limner_job_run(after, model, NULL));
  assert_same(before, after, 0);
  assert_same(before, after, 1);
  g_assert_finalize_object(before);
  g_assert_finalize_object(after);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/job/here-and-now", test_here_and_now);
  g_test_add_func("/job/growth-changes-nothing", test_growth_changes_nothing);
  g_test_add_func("/job/bad-request", test_bad_request);
  g_test_add_func("/job/no-samples", test_no_samples);
  g_test_add_func("/job/cancelled-before", test_cancelled_before);
  g_test_add_func("/job/on-a-thread", test_on_a_thread);
  g_test_add_func("/job/cancelled-in-between", test_cancelled_in_between);
  g_test_add_func("/job/again-after-cancel", test_again_after_cancel);
  return g_test_run();
}
