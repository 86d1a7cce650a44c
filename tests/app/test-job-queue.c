// SPDX-License-Identifier: MIT
// The queue: models opened and kept, jobs in order, cancelled together, finalised.
#include "config.h"

#include "tests/app/support.h"

#include <string.h>

enum { BOUND_MS = 1000 }; // of computing

static gboolean is_settled(gpointer queue) {
  const LimnerModelState state = limner_job_queue_get_model_state(queue);
  return state == LIMNER_MODEL_READY || state == LIMNER_MODEL_FAILED;
}

static gboolean is_empty(gpointer queue) {
  return limner_job_queue_get_n_active(queue) == 0;
}

static gboolean is_running(gpointer queue) {
  return limner_job_queue_get_running(queue) != NULL;
}

static LimnerJobQueue *new_queue(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  wait_until(is_settled, queue);
  g_assert_no_error((GError *)limner_job_queue_get_model_error(queue));
  return queue;
}

static LimnerJob *add_job(LimnerJobQueue *queue, int n_samples) {
  LimnerJob *job = new_job(n_samples);
  limner_job_queue_add(queue, job);
  return job;
}

static void test_model(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_NONE);
  g_assert_null(limner_job_queue_get_model(queue));
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_LOADING);
  wait_until(is_settled, queue);
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_READY);
  const LimnerModelSummary *model = limner_job_queue_get_model(queue);
  g_assert_cmpstr(model->folder, ==, TINY_FOLDER);
  g_assert_cmpstr(model->weights, ==, "f32");
  g_assert_cmpint(model->grid, ==, TINY_GRID);
  g_assert_cmpint(model->image_size_px, ==, TINY_SIZE_PX);
  g_assert_true(strstr(model->device_name, "CPU") != NULL);
  g_assert_false(model->is_demo);
  g_assert_finalize_object(queue);
}

typedef struct Order {
  GPtrArray *jobs; // in the order of their ends
  guint n_active_notifies;
} Order;

static void on_state(LimnerJob *job, GParamSpec *pspec, Order *order) {
  if (limner_job_is_over(job))
    g_ptr_array_add(order->jobs, job);
}

static void on_n_active(LimnerJobQueue *queue, GParamSpec *pspec, Order *order) {
  order->n_active_notifies++;
}

static void test_in_order(void) {
  LimnerJobQueue *queue = new_queue();
  Order order = {.jobs = g_ptr_array_new()};
  LimnerJob *jobs[3];
  g_signal_connect(queue, "notify::n-active", G_CALLBACK(on_n_active), &order);
  for (int i = 0; i < 3; i++) {
    jobs[i] = add_job(queue, i + 1);
    g_signal_connect(jobs[i], "notify::state", G_CALLBACK(on_state), &order);
  }
  g_assert_cmpuint(g_list_model_get_n_items(G_LIST_MODEL(queue)), ==, 3);
  g_assert_cmpuint(limner_job_queue_get_n_active(queue), ==, 3);
  wait_until(is_empty, queue);
  for (int i = 0; i < 3; i++) {
    g_assert_cmpint(limner_job_get_state(jobs[i]), ==, LIMNER_JOB_DONE);
    g_assert_true(g_ptr_array_index(order.jobs, i) == jobs[i]);
  }
  g_assert_cmpuint(order.n_active_notifies, ==, 6);
  g_assert_null(limner_job_queue_get_running(queue));
  g_assert_finalize_object(queue);
  for (int i = 0; i < 3; i++)
    g_assert_finalize_object(jobs[i]);
  g_ptr_array_unref(order.jobs);
}

static void test_cancel_all_and_again(void) {
  LimnerJobQueue *queue = new_queue();
  LimnerJob *jobs[3];
  for (int i = 0; i < 3; i++)
    jobs[i] = add_job(queue, MANY_SAMPLES);
  wait_until(is_running, queue);
  g_assert_true(limner_job_queue_get_running(queue) == jobs[0]);
  const double start_ms = cpu_ms();
  limner_job_queue_cancel_all(queue);
  LimnerJob *after = add_job(queue, 1);
  wait_until(is_empty, queue);
  const double ms = cpu_ms() - start_ms;
  g_test_message("three jobs stopped and one painted, computing for %.1f ms", ms);
  g_assert_cmpfloat(ms, <, BOUND_MS); // observed: 52
  for (int i = 0; i < 3; i++)
    g_assert_cmpint(limner_job_get_state(jobs[i]), ==, LIMNER_JOB_CANCELLED);
  g_assert_cmpint(limner_job_get_state(after), ==, LIMNER_JOB_DONE);
  g_assert_finalize_object(queue);
  for (int i = 0; i < 3; i++)
    g_assert_finalize_object(jobs[i]);
  g_assert_finalize_object(after);
}

// A waiting job ends at once when it is cancelled, however long the one before it takes.
static void test_cancel_waiting(void) {
  LimnerJobQueue *queue = new_queue();
  LimnerJob *first = add_job(queue, MANY_SAMPLES), *second = add_job(queue, 1);
  wait_until(is_running, queue);
  limner_job_cancel(second);
  wait_for_job(second);
  g_assert_cmpint(limner_job_get_state(second), ==, LIMNER_JOB_CANCELLED);
  g_assert_false(limner_job_is_over(first));
  g_assert_cmpuint(limner_job_queue_get_n_active(queue), ==, 1);
  limner_job_cancel(first);
  wait_until(is_empty, queue);
  g_assert_finalize_object(queue);
  g_assert_finalize_object(first);
  g_assert_finalize_object(second);
}

static void test_no_model(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  LimnerJob *job = add_job(queue, 1);
  wait_for_job(job);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_FAILED);
  g_assert_nonnull(strstr(limner_job_get_error(job)->message, "no model"));
  g_assert_finalize_object(queue);
  g_assert_finalize_object(job);
}

static void test_waits_for_model(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  LimnerJob *job = add_job(queue, 1);
  wait_for_job(job);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_DONE);
  g_assert_finalize_object(queue);
  g_assert_finalize_object(job);
}

static void test_broken_model(void) {
  char *folder = make_folder();
  LimnerJobQueue *queue = new_queue();
  LimnerJob *before = add_job(queue, 1);
  limner_job_queue_set_model(queue, folder, "cpu");
  LimnerJob *waiting = add_job(queue, 1);
  wait_until(is_settled, queue);
  wait_until(is_empty, queue);
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_FAILED);
  const GError *error = limner_job_queue_get_model_error(queue);
  g_assert_nonnull(strstr(error->message, folder));
  g_assert_cmpint(limner_job_get_state(before), ==, LIMNER_JOB_DONE);
  g_assert_cmpint(limner_job_get_state(waiting), ==, LIMNER_JOB_FAILED);
  g_assert_cmpstr(limner_job_get_error(waiting)->message, ==, error->message);
  // The model opened before stays in use.
  g_assert_cmpstr(limner_job_queue_get_model(queue)->folder, ==, TINY_FOLDER);
  LimnerJob *after = add_job(queue, 1);
  wait_for_job(after);
  g_assert_cmpint(limner_job_get_state(after), ==, LIMNER_JOB_DONE);
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  wait_until(is_settled, queue);
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_READY);
  g_assert_null(limner_job_queue_get_model_error(queue));
  g_assert_finalize_object(queue);
  g_assert_finalize_object(before);
  g_assert_finalize_object(waiting);
  g_assert_finalize_object(after);
  remove_folder(folder);
}

static void test_shutdown_while_running(void) {
  LimnerJobQueue *queue = new_queue();
  LimnerJob *running = add_job(queue, MANY_SAMPLES), *waiting = add_job(queue, MANY_SAMPLES);
  wait_until(is_running, queue);
  const double start_ms = cpu_ms();
  limner_job_queue_shutdown(queue);
  const double ms = cpu_ms() - start_ms;
  g_test_message("shut down, computing for %.1f ms", ms);
  g_assert_cmpfloat(ms, <, BOUND_MS); // observed: 31
  g_assert_cmpint(limner_job_get_state(running), ==, LIMNER_JOB_CANCELLED);
  g_assert_cmpint(limner_job_get_state(waiting), ==, LIMNER_JOB_CANCELLED);
  g_assert_cmpuint(limner_job_queue_get_n_active(queue), ==, 0);
  LimnerJob *late = add_job(queue, 1);
  wait_for_job(late);
  g_assert_cmpint(limner_job_get_state(late), ==, LIMNER_JOB_CANCELLED);
  limner_job_queue_shutdown(queue);
  g_assert_finalize_object(queue);
  g_assert_finalize_object(running);
  g_assert_finalize_object(waiting);
  g_assert_finalize_object(late);
}

// --- time left -----------------------------------------------------------------------------------

static gboolean knows_its_time(gpointer job) {
  return limner_job_is_over(job) ||
         (limner_job_get_state(job) == LIMNER_JOB_PAINTING && limner_job_get_seconds_left(job) > 0);
}

static void test_seconds_left(void) {
  LimnerJobQueue *queue = new_queue();
  g_assert_cmpfloat(limner_job_queue_get_seconds_left(queue), ==, 0);
  LimnerJob *first = add_job(queue, 4);
  g_assert_cmpfloat(limner_job_queue_get_seconds_left(queue), <, 0); // nothing was painted yet
  wait_for_job(first);
  g_assert_cmpfloat(limner_job_queue_get_seconds_left(queue), ==, 0);
  LimnerJob *running = add_job(queue, MANY_SAMPLES), *waiting = add_job(queue, 8);
  double a_sample = 0;
  for (int state = LIMNER_JOB_LOOKING; state <= LIMNER_JOB_FINISHING; state++)
    a_sample += limner_job_get_state_seconds(first, (LimnerJobState)state) / 4;
  const double waited_s = limner_job_queue_get_seconds_left(queue);
  g_assert_cmpfloat_with_epsilon(waited_s, a_sample * (MANY_SAMPLES + 8), 1e-9);
  wait_until(knows_its_time, running); // better than that
  g_assert_cmpfloat_with_epsilon(limner_job_queue_get_seconds_left(queue),
                                 limner_job_get_seconds_left(running) + a_sample * 8, 1e-9);
  limner_job_queue_cancel_all(queue);
  wait_until(is_empty, queue);
  g_assert_cmpfloat(limner_job_queue_get_seconds_left(queue), ==, 0);
  limner_job_queue_shutdown(queue);
  g_assert_finalize_object(queue);
  g_assert_finalize_object(first);
  g_assert_finalize_object(running);
  g_assert_finalize_object(waiting);
}

// --- calls ---------------------------------------------------------------------------------------

typedef struct Answer {
  GThread *thread; // that the call ran on
  int *size_px;
  GError *error;
  gboolean is_there;
} Answer;

static gpointer ask_size(JanusModel *model, gpointer data, GCancellable *cancellable,
                         GError **error) {
  ((Answer *)data)->thread = g_thread_self();
  return g_memdup2(&janus_model_get_info(model)->image_size_px, sizeof(int));
}

static void on_answer(GObject *source, GAsyncResult *result, gpointer data) {
  Answer *answer = data;
  answer->size_px = limner_job_queue_call_finish(result, &answer->error);
  answer->is_there = TRUE;
}

static gboolean is_answered(gpointer answer) {
  return ((Answer *)answer)->is_there;
}

static void answer_clear(Answer *answer) {
  g_free(answer->size_px);
  g_clear_error(&answer->error);
  *answer = (Answer){0};
}

static void test_calls(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  Answer answer = {0};
  limner_job_queue_call_async(queue, ask_size, &answer, NULL, g_free, on_answer, &answer);
  wait_until(is_answered, &answer);
  g_assert_error(answer.error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED);
  answer_clear(&answer);
  // Behind the opening and the job asked for before it.
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  LimnerJob *job = add_job(queue, 1);
  limner_job_queue_call_async(queue, ask_size, &answer, NULL, g_free, on_answer, &answer);
  wait_until(is_answered, &answer);
  g_assert_no_error(answer.error);
  g_assert_cmpint(*answer.size_px, ==, TINY_SIZE_PX);
  g_assert_true(answer.thread != g_thread_self());
  wait_for_job(job);
  answer_clear(&answer);
  // One that has not begun is cancelled, and its data freed.
  LimnerJob *running = add_job(queue, MANY_SAMPLES);
  wait_until(is_running, queue);
  limner_job_queue_call_async(queue, ask_size, g_new0(Answer, 1), g_free, g_free, on_answer,
                              &answer);
  limner_job_queue_shutdown(queue);
  wait_until(is_answered, &answer);
  g_assert_error(answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  answer_clear(&answer);
  limner_job_queue_call_async(queue, ask_size, &answer, NULL, g_free, on_answer, &answer);
  wait_until(is_answered, &answer);
  g_assert_error(answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  answer_clear(&answer);
  g_assert_finalize_object(queue);
  g_assert_finalize_object(job);
  g_assert_finalize_object(running);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/queue/model", test_model);
  g_test_add_func("/queue/in-order", test_in_order);
  g_test_add_func("/queue/cancel-all-and-again", test_cancel_all_and_again);
  g_test_add_func("/queue/cancel-waiting", test_cancel_waiting);
  g_test_add_func("/queue/no-model", test_no_model);
  g_test_add_func("/queue/waits-for-model", test_waits_for_model);
  g_test_add_func("/queue/broken-model", test_broken_model);
  g_test_add_func("/queue/shutdown-while-running", test_shutdown_while_running);
  g_test_add_func("/queue/seconds-left", test_seconds_left);
  g_test_add_func("/queue/calls", test_calls);
  return g_test_run();
}
