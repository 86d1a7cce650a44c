// SPDX-License-Identifier: MIT
// Impatience: jobs stopped at random moments, a hundred at once, while the model opens, and the
// program left meanwhile. What is painted afterwards is what it always was.
#include "config.h"

#include "tests/app/support.h"

#include <string.h>

enum {
#ifdef __SANITIZE_ADDRESS__
  N_STOPS = 20,
  N_LOADS = 40,
#else
  N_STOPS = 100,
  N_LOADS = 200,
#endif
  N_JOBS = 100,
  N_SAMPLES = 4,
  BOUND_MS = 1000, // of computing
};

// --- what is painted when nobody stops -----------------------------------------------------------

static LimnerJobQueue *new_queue(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  return queue;
}

static LimnerJob *add_job(LimnerJobQueue *queue) {
  LimnerJob *job = new_job(N_SAMPLES);
  limner_job_queue_add(queue, job);
  return job;
}

// Tokens and pixels of a job's pictures one after the other.
static GBytes *dup_work(LimnerJob *job) {
  GByteArray *work = g_byte_array_new();
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_DONE);
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(job, i);
    g_autoptr(GBytes) tokens = dup_tokens(job, i);
    GBytes *pixels = limner_picture_get_bytes(limner_sample_get_picture(sample));
    g_assert_true(limner_sample_get_finished(sample));
    for (int part = 0; part < 2; part++) {
      gsize n_bytes = 0;
      const guint8 *bytes = g_bytes_get_data(part ? pixels : tokens, &n_bytes);
      g_byte_array_append(work, bytes, (guint)n_bytes);
    }
  }
  return g_byte_array_free_to_bytes(work);
}

// Paints it once more and to the end.
static GBytes *paint(LimnerJobQueue *queue) {
  g_autoptr(LimnerJob) job = add_job(queue);
  wait_for_job(job);
  return dup_work(job);
}

static gboolean is_empty(gpointer queue) {
  return limner_job_queue_get_n_active(queue) == 0;
}

static gboolean is_gone(gpointer pointer) {
  return *(gpointer *)pointer == NULL;
}

// The queue lets go of a job a moment after its end; nobody else holds it.
static void let_go(LimnerJob *job) {
  gpointer pointer = job;
  g_object_add_weak_pointer(G_OBJECT(job), &pointer);
  g_object_unref(job);
  wait_until(is_gone, &pointer);
}

// --- stops ---------------------------------------------------------------------------------------

// The main loop runs for that long.
static void spend(gint64 us) {
  const gint64 end_us = g_get_monotonic_time() + us;
  while (g_get_monotonic_time() < end_us)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(50);
}

// A job that was stopped has nothing finished that differs, and says nothing but that it stopped.
static void check_stopped(LimnerJob *job, GBytes *expected) {
  g_assert_null(limner_job_get_error(job));
  if (limner_job_get_state(job) == LIMNER_JOB_CANCELLED)
    return;
  g_autoptr(GBytes) found = dup_work(job);
  g_assert_true(g_bytes_equal(found, expected));
}

static void test_random_moments(void) {
  LimnerJobQueue *queue = new_queue();
  g_autoptr(GBytes) expected = paint(queue);
  const gint64 start_us = g_get_monotonic_time();
  g_bytes_unref(paint(queue));
  const gint64 whole_us = g_get_monotonic_time() - start_us;
  guint n_in[LIMNER_JOB_FAILED + 1] = {0};
  for (int i = 0; i < N_STOPS; i++) {
    LimnerJob *job = add_job(queue);
    spend(g_test_rand_int_range(0, (gint32)whole_us));
    n_in[limner_job_get_state(job)]++;
    limner_job_cancel(job);
    wait_for_job(job);
    check_stopped(job, expected);
    g_autoptr(GBytes) again = paint(queue);
    g_assert_true(g_bytes_equal(again, expected));
    let_go(job);
  }
  g_test_message("of %.1f ms; stopped %u waiting, %u reading, %u painting, %u finishing, %u late",
                 (double)whole_us * 1e-3, n_in[LIMNER_JOB_QUEUED], n_in[LIMNER_JOB_PREPARING],
                 n_in[LIMNER_JOB_PAINTING], n_in[LIMNER_JOB_FINISHING], n_in[LIMNER_JOB_DONE]);
  g_assert_finalize_object(queue);
}

// A hundred jobs wait; they are stopped one by one in any order, or all together.
static void stop_hundred(LimnerJobQueue *queue, GBytes *expected, gboolean one_by_one) {
  LimnerJob *jobs[N_JOBS];
  for (int i = 0; i < N_JOBS; i++)
    jobs[i] = add_job(queue);
  spend(g_test_rand_int_range(0, 20000));
  const double start_ms = cpu_ms();
  const int first = g_test_rand_int_range(0, N_JOBS);
  for (int i = 0; one_by_one && i < N_JOBS; i++)
    limner_job_cancel(jobs[(first + 37 * i) % N_JOBS]);
  if (!one_by_one)
    limner_job_queue_cancel_all(queue);
  wait_until(is_empty, queue);
  const double ms = cpu_ms() - start_ms;
  g_test_message("stopped, computing for %.1f ms", ms);
  g_assert_cmpfloat(ms, <, BOUND_MS); // observed: 1.2
  g_autoptr(GBytes) again = paint(queue);
  g_assert_true(g_bytes_equal(again, expected));
  for (int i = 0; i < N_JOBS; i++) {
    check_stopped(jobs[i], expected);
    let_go(jobs[i]);
  }
}

static void test_hundred(void) {
  LimnerJobQueue *queue = new_queue();
  g_autoptr(GBytes) expected = paint(queue);
  for (int i = 0; i < 4; i++)
    stop_hundred(queue, expected, i % 2);
  g_assert_finalize_object(queue);
}

// Jobs stopped while their model opens never run; those that are not stopped do.
static void test_while_loading(void) {
  g_autoptr(GBytes) expected = NULL;
  guint n_loading = 0;
  LimnerJobQueue *queue = limner_job_queue_new();
  for (int i = 0; i < N_LOADS; i++) {
    limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
    LimnerJob *stopped = add_job(queue), *kept = add_job(queue);
    spend(g_test_rand_int_range(0, 4000));
    n_loading += limner_job_queue_get_model_state(queue) == LIMNER_MODEL_LOADING;
    limner_job_cancel(stopped);
    wait_until(is_empty, queue);
    g_autoptr(GBytes) found = dup_work(kept);
    if (!expected)
      expected = g_bytes_ref(found);
    g_assert_true(g_bytes_equal(found, expected));
    check_stopped(stopped, expected);
    let_go(stopped);
    let_go(kept);
  }
  g_test_message("%u of %d stops came while the model was opening", n_loading, N_LOADS);
  g_assert_finalize_object(queue);
}

// The program is left at any moment: everything stops, and nothing is kept.
static void test_leaving(void) {
  double longest_ms = 0;
  for (int i = 0; i < N_STOPS; i++) {
    LimnerJobQueue *queue = new_queue();
    LimnerJob *jobs[] = {add_job(queue), add_job(queue), add_job(queue)};
    spend(g_test_rand_int_range(0, 30000));
    const double start_ms = cpu_ms();
    limner_job_queue_shutdown(queue);
    longest_ms = MAX(longest_ms, cpu_ms() - start_ms);
    g_assert_finalize_object(queue);
    for (guint j = 0; j < G_N_ELEMENTS(jobs); j++) {
      g_assert_true(limner_job_is_over(jobs[j]));
      g_assert_finalize_object(jobs[j]);
    }
  }
  g_test_message("left, computing for %.1f ms at most", longest_ms);
  g_assert_cmpfloat(longest_ms, <, BOUND_MS); // observed: 3
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/stopping/random-moments", test_random_moments);
  g_test_add_func("/stopping/hundred", test_hundred);
  g_test_add_func("/stopping/while-loading", test_while_loading);
  g_test_add_func("/stopping/leaving", test_leaving);
  return g_test_run();
}
