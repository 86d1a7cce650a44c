// SPDX-License-Identifier: MIT
// The worker thread, the opened model, and the jobs that wait for it or run: a GListModel of
// LimnerJob, oldest first, which a job leaves when it is over. All functions on the main thread;
// none but shutdown blocks.
#ifndef LIMNER_JOB_QUEUE_H
#define LIMNER_JOB_QUEUE_H

#include "app/job.h"
#include "app/model-summary.h"

typedef enum {
  LIMNER_MODEL_NONE,
  LIMNER_MODEL_LOADING,
  LIMNER_MODEL_READY,
  LIMNER_MODEL_FAILED,
} LimnerModelState;

#define LIMNER_TYPE_MODEL_STATE (limner_model_state_get_type())
GType limner_model_state_get_type(void);

// Properties (notify on the main thread):
//   "model-state"  LimnerModelState
//   "loaded"       double: how much of the model being opened is loaded, 0..1; notified also when
//                  there is a plan
//   "n-active"     guint: jobs queued or running
#define LIMNER_TYPE_JOB_QUEUE (limner_job_queue_get_type())
G_DECLARE_FINAL_TYPE(LimnerJobQueue, limner_job_queue, LIMNER, JOB_QUEUE, GObject)

LimnerJobQueue *limner_job_queue_new(void);
// Opens `folder` ("demo" or a path) on `device` ("auto", "cpu", ...) on the worker thread, after
// the jobs queued before it; jobs added later wait for it and fail with its error when it cannot be
// opened. The model opened before stays in use when the new one fails, but where memory has no room
// for both.
// When a card is lost, the job that runs fails, the model is FAILED with the same error, and the
// jobs behind it wait for the next opening.
void limner_job_queue_set_model(LimnerJobQueue *self, const char *folder, const char *device);
LimnerModelState limner_job_queue_get_model_state(LimnerJobQueue *self);
const LimnerModelSummary *limner_job_queue_get_model(LimnerJobQueue *self); // NULL until READY once
const GError *limner_job_queue_get_model_error(LimnerJobQueue *self);       // set when FAILED
// What is being opened, on which device and what it needs: known before its weights are loaded.
// NULL = not known yet, or nothing is being opened.
const LimnerModelSummary *limner_job_queue_get_plan(LimnerJobQueue *self);
double limner_job_queue_get_loaded(LimnerJobQueue *self);
// Takes a reference. The job must be new.
void limner_job_queue_add(LimnerJobQueue *self, LimnerJob *job);
// Moves a job that waits to before (-1) or behind (1) the one beside it. FALSE = one of the two
// runs already, or there is none there.
gboolean limner_job_queue_move(LimnerJobQueue *self, LimnerJob *job, int by);
void limner_job_queue_cancel_all(LimnerJobQueue *self);
guint limner_job_queue_get_n_active(LimnerJobQueue *self);
// How long until all of them are done, by what the running one says and by what a picture, or an
// edit, took on the whole with this model; negative = not known yet.
double limner_job_queue_get_seconds_left(LimnerJobQueue *self);
// The running job, or NULL; borrowed.
LimnerJob *limner_job_queue_get_running(LimnerJobQueue *self);
// What runs on the worker thread with the opened model. A result of NULL without an error is a
// success too.
typedef gpointer (*LimnerModelCall)(JanusModel *model, gpointer data, GCancellable *cancellable,
                                    GError **error);
// Behind the jobs and openings asked for before it; fails where no model is open then, and is
// cancelled by shutdown, which waits for it. `data` is the call's alone until `free_data` (NULL is
// allowed), which may run on either thread; `free_result` for a result nobody takes.
void limner_job_queue_call_async(LimnerJobQueue *self, LimnerModelCall call, gpointer data,
                                 GDestroyNotify free_data, GDestroyNotify free_result,
                                 GAsyncReadyCallback callback, gpointer user_data);
gpointer limner_job_queue_call_finish(GAsyncResult *result, GError **error);
// Cancels everything and waits for the worker (at most one engine step). For quitting.
void limner_job_queue_shutdown(LimnerJobQueue *self);

#endif
