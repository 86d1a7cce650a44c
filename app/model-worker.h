// SPDX-License-Identifier: MIT
// Inside the job queue: the thread that opens models, runs jobs and makes calls, one thing at a
// time in the order asked for. All functions belong to the thread that made the worker.
#pragma once

#include "app/job-queue.h"

typedef struct ModelWorker ModelWorker;

// What the worker has to say. Owned.
typedef struct ModelNews {
  // How an opening ended: with a model, or an error. A summary may come with an error of a later
  // one: that model stays in use.
  guint opening; // its number; 0 = nothing to say
  LimnerModelSummary *summary;
  GError *error;
  // How far one is.
  guint loading; // its number; 0 = nothing to say
  double fraction;
  LimnerModelSummary *plan; // NULL = as told before
} ModelNews;

// On the main context that was the default of the thread where the worker was made. What is taken
// of the news is to be NULL afterwards.
typedef void (*ModelNewsFunc)(ModelNews *news, gpointer data);

// A call of the model: the data of its task.
typedef struct ModelCall {
  LimnerModelCall call;
  gpointer data;
  GDestroyNotify free_data, free_result;
} ModelCall;

ModelWorker *model_worker_new(ModelNewsFunc func, gpointer data);

// Stops what goes on, waits for it and releases everything; the context hears nothing more of it.
// Jobs that are running or wait must have been cancelled.
void model_worker_free(ModelWorker *self);

// Opens a model as number `opening`, ascending.
void model_worker_open(ModelWorker *self, guint opening, const char *folder, const char *device);

// Runs a job with the model that is then open; not when `opening` (0 = none) has failed.
void model_worker_run(ModelWorker *self, guint opening, LimnerJob *job);

// Makes the call that is the data of a task. Takes the task.
void model_worker_call(ModelWorker *self, GTask *task);
void model_call_free(gpointer call);

// Exchanges the turns of two jobs; false when one of them is not waiting. What else waits between
// them, a model to be opened, stays where it is.
gboolean model_worker_swap(ModelWorker *self, LimnerJob *a, LimnerJob *b);
