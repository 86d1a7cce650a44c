// SPDX-License-Identifier: MIT
// The queue and cards that fail, on the emulated one: what "auto" falls back to and says, what is
// known before the weights are loaded, a card lost in the middle of a job with others waiting.
#include "config.h"

#include "tests/app/support.h"

#include <string.h>

enum { LAUNCHES_INTO_PAINTING = 400 };

static gboolean is_settled(gpointer queue) {
  const LimnerModelState state = limner_job_queue_get_model_state(queue);
  return state == LIMNER_MODEL_READY || state == LIMNER_MODEL_FAILED;
}

static gboolean is_failed(gpointer queue) {
  return limner_job_queue_get_model_state(queue) == LIMNER_MODEL_FAILED;
}

static gboolean is_empty(gpointer queue) {
  return limner_job_queue_get_n_active(queue) == 0;
}

// Read by the worker, so before there is one.
static void set_trouble(const char *variable, const char *value) {
  g_unsetenv("LIMNER_EMULATED_CARD");
  g_unsetenv("LIMNER_EMULATED_LOSE");
  g_unsetenv("LIMNER_EMULATED_REFUSE");
  g_unsetenv("LIMNER_EMULATED_BYTES");
  if (variable)
    g_setenv(variable, value, TRUE);
}

static void open_on(LimnerJobQueue *queue, const char *device) {
  limner_job_queue_set_model(queue, TINY_FOLDER, device);
  wait_until(is_settled, queue);
}

static LimnerJob *add_job(LimnerJobQueue *queue) {
  LimnerJob *job = new_job(1);
  limner_job_queue_add(queue, job);
  return job;
}

static void check_opened(const char *variable, const char *value, const char *device,
                         const char *why) {
  set_trouble(variable, value);
  LimnerJobQueue *queue = limner_job_queue_new();
  open_on(queue, "auto");
  g_assert_no_error((GError *)limner_job_queue_get_model_error(queue));
  const LimnerModelSummary *model = limner_job_queue_get_model(queue);
  g_assert_cmpstr(model->device, ==, device);
  g_assert_cmpint(model->is_on_card, ==, !g_str_equal(device, "cpu"));
  if (why) {
    g_assert_nonnull(strstr(model->device_why, why));
    g_assert_null(strstr(model->device_why, "--"));
  } else {
    g_assert_null(model->device_why);
  }
  g_assert_finalize_object(queue);
}

static void test_auto(void) {
  check_opened(NULL, NULL, "cuda:0", NULL);
  check_opened("LIMNER_EMULATED_CARD", "none", "cpu", NULL);
  check_opened("LIMNER_EMULATED_CARD", "old-driver", "cpu", "too old for this build");
  check_opened("LIMNER_EMULATED_CARD", "first-old", "cuda:1", "cuda:0 cannot be used");
}

typedef struct Told {
  guint n;
  double last;
  gboolean has_plan, falls;
} Told;

static void on_loaded(LimnerJobQueue *queue, GParamSpec *pspec, Told *told) {
  const LimnerModelSummary *plan = limner_job_queue_get_plan(queue);
  const double loaded = limner_job_queue_get_loaded(queue);
  told->n++;
  told->falls |= loaded < told->last;
  told->last = loaded;
  told->has_plan |= plan && plan->is_on_card && plan->total_bytes == (guint64)8 << 30 &&
                    plan->free_bytes < plan->total_bytes &&
                    limner_model_summary_get_plan(plan)->edit_bytes > 1000000 &&
                    limner_job_queue_get_model_state(queue) == LIMNER_MODEL_LOADING;
}

// Told before the model is there; gone when it is.
static void test_plan(void) {
  set_trouble(NULL, NULL);
  LimnerJobQueue *queue = limner_job_queue_new();
  Told told = {0};
  g_signal_connect(queue, "notify::loaded", G_CALLBACK(on_loaded), &told);
  g_assert_null(limner_job_queue_get_plan(queue));
  open_on(queue, "cuda");
  g_assert_no_error((GError *)limner_job_queue_get_model_error(queue));
  g_assert_cmpuint(told.n, >, 0);
  g_assert_true(told.has_plan);
  g_assert_false(told.falls);
  g_assert_null(limner_job_queue_get_plan(queue));
  const LimnerModelSummary *model = limner_job_queue_get_model(queue);
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    g_assert_cmpuint(model->formats[i].edit_bytes, >, model->formats[i].paint_bytes);
  g_assert_finalize_object(queue);
}

// The job that ran fails, those behind it wait for another model, in whatever way it comes.
static void test_lost(void) {
  g_autofree char *launches = g_strdup_printf("%d", LAUNCHES_INTO_PAINTING);
  set_trouble("LIMNER_EMULATED_LOSE", launches);
  LimnerJobQueue *queue = limner_job_queue_new();
  open_on(queue, "auto");
  g_autoptr(LimnerJob) lost = add_job(queue);
  g_autoptr(LimnerJob) first = add_job(queue);
  g_autoptr(LimnerJob) stopped = add_job(queue);
  g_autoptr(LimnerJob) second = add_job(queue);
  wait_for_job(lost);
  wait_until(is_failed, queue);
  const GError *error = limner_job_get_error(lost);
  g_assert_true(g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_DEVICE));
  g_autofree char *sentence = limner_engine_error_dup_sentence(error);
  g_assert_true(g_str_has_suffix(sentence, "the emulated card is lost"));
  g_assert_cmpstr(limner_job_queue_get_model_error(queue)->message, ==, error->message);
  g_assert_cmpuint(limner_job_queue_get_n_active(queue), ==, 3);
  limner_job_cancel(stopped); // also while nothing takes it
  wait_for_job(stopped);
  g_autoptr(LimnerJob) third = add_job(queue);
  open_on(queue, "cpu");
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_READY);
  g_autoptr(LimnerJob) again = add_job(queue);
  wait_until(is_empty, queue);
  LimnerJob *const jobs[] = {first, second, third, again};
  for (guint i = 0; i < G_N_ELEMENTS(jobs); i++) {
    g_autoptr(GBytes) one = dup_tokens(jobs[i], 0), other = dup_tokens(again, 0);
    g_assert_cmpint(limner_job_get_state(jobs[i]), ==, LIMNER_JOB_DONE);
    g_assert_true(g_bytes_equal(one, other));
  }
  g_assert_finalize_object(queue);
}

// Nothing hangs where no other model ever comes.
static void test_lost_and_left(void) {
  g_autofree char *launches = g_strdup_printf("%d", LAUNCHES_INTO_PAINTING);
  set_trouble("LIMNER_EMULATED_LOSE", launches);
  LimnerJobQueue *queue = limner_job_queue_new();
  open_on(queue, "cuda");
  g_autoptr(LimnerJob) lost = add_job(queue);
  g_autoptr(LimnerJob) waiting = add_job(queue);
  wait_for_job(lost);
  limner_job_queue_shutdown(queue);
  g_assert_cmpint(limner_job_get_state(waiting), ==, LIMNER_JOB_CANCELLED);
  g_assert_finalize_object(queue);
}

// A card that has room for one model is given to the next one, not left for the CPU.
static void test_room_for_one(void) {
  set_trouble("LIMNER_EMULATED_BYTES", "9500000");
  LimnerJobQueue *queue = limner_job_queue_new();
  for (int i = 0; i < 2; i++) {
    open_on(queue, "auto");
    const LimnerModelSummary *model = limner_job_queue_get_model(queue);
    g_test_message("%s, %" G_GUINT64_FORMAT " bytes free, %s", model->device, model->free_bytes,
                   model->device_why ? model->device_why : "");
    g_assert_cmpstr(model->device, ==, "cuda:0");
  }
  limner_job_queue_set_model(queue, "/nowhere", "auto");
  wait_until(is_settled, queue);
  g_assert_cmpint(limner_job_queue_get_model_state(queue), ==, LIMNER_MODEL_FAILED);
  g_assert_cmpstr(limner_job_queue_get_model(queue)->device, ==, "cuda:0");
  g_assert_finalize_object(queue);
  set_trouble(NULL, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cards/auto", test_auto);
  g_test_add_func("/cards/plan", test_plan);
  g_test_add_func("/cards/lost", test_lost);
  g_test_add_func("/cards/lost-and-left", test_lost_and_left);
  g_test_add_func("/cards/room-for-one", test_room_for_one);
  return g_test_run();
}
