// SPDX-License-Identifier: MIT
// The thread that opens models and runs jobs.
#include "app/model-worker.h"

#include "app/job-private.h"
#include "app/model-folder.h"
#include "app/model-open.h"

#include <math.h>

// What is told of a loading model.
#define LOADED_STEP 0.01

typedef enum { COMMAND_OPEN, COMMAND_RUN, COMMAND_CALL, COMMAND_QUIT } CommandKind;

typedef struct Command {
  CommandKind kind;
  guint opening;  // OPEN: its number; RUN: the opening it waits for, 0 = none
  char *folder;   // OPEN
  char *device;   // OPEN
  LimnerJob *job; // RUN
  GTask *task;    // CALL
} Command;

struct ModelWorker {
  ModelNewsFunc func;
  gpointer data;
  GThread *thread;
  GAsyncQueue *commands; // of Command
  GMainContext *context;
  GCancellable *ending; // cancelled by the end
  // Under the lock
  GMutex lock;
  ModelNews news;   // what the main thread has not taken yet
  GPtrArray *spent; // jobs and tasks, whose last reference the main thread drops
  GSource *source;
  // The thread's own
  JanusModel *model;
  guint opening;      // the last one that was tried
  const char *folder; // of it while it is tried; borrowed
  double loaded;      // as told last
  gboolean is_lost;   // the card under it; jobs wait for the next opening
  GQueue aside;       // of Command: those
  GError *error;      // of the last opening that failed
  guint failed_opening;
  double decode_seconds; // measured with `model`; 0 = not yet
};

// --- plain values --------------------------------------------------------------------------------

static void command_free(Command *command) {
  g_free(command->folder);
  g_free(command->device);
  g_clear_object(&command->job);
  g_clear_object(&command->task);
  g_free(command);
}

void model_call_free(gpointer data) {
  ModelCall *call = data;
  if (call->free_data)
    call->free_data(call->data);
  g_free(call);
}

static void news_clear(ModelNews *news) {
  g_clear_pointer(&news->summary, limner_model_summary_free);
  g_clear_error(&news->error);
  g_clear_pointer(&news->plan, limner_model_summary_free);
}

// --- telling -------------------------------------------------------------------------------------

static gboolean on_news(gpointer data) {
  ModelWorker *self = data;
  g_mutex_lock(&self->lock);
  ModelNews news = self->news;
  self->news = (ModelNews){0};
  g_autoptr(GPtrArray) spent = self->spent;
  self->spent = g_ptr_array_new_with_free_func(g_object_unref);
  g_clear_pointer(&self->source, g_source_unref);
  g_mutex_unlock(&self->lock);
  self->func(&news, self->data); // which may end the worker
  news_clear(&news);
  return G_SOURCE_REMOVE;
}

// With the lock held.
static void schedule(ModelWorker *self) {
  if (self->source)
    return;
  self->source = g_idle_source_new();
  g_source_set_priority(self->source, G_PRIORITY_DEFAULT);
  // Borrowed: the worker destroys the source before it goes.
  g_source_set_callback(self->source, on_news, self, NULL);
  g_source_attach(self->source, self->context);
}

// How the opening ended; takes both. What was not taken of the one before is out of date, but for
// the model that stays in use when a later one fails.
static void tell(ModelWorker *self, LimnerModelSummary *summary, GError *error) {
  g_mutex_lock(&self->lock);
  self->news.opening = self->opening;
  if (summary) {
    g_clear_pointer(&self->news.summary, limner_model_summary_free);
    self->news.summary = summary;
  }
  g_clear_error(&self->news.error);
  self->news.error = error;
  schedule(self);
  g_mutex_unlock(&self->lock);
}

static void give_back(ModelWorker *self, gpointer object) {
  g_mutex_lock(&self->lock);
  g_ptr_array_add(self->spent, object);
  schedule(self);
  g_mutex_unlock(&self->lock);
}

// How far loading is; takes the plan, NULL = still the same.
static void tell_loading(ModelWorker *self, double fraction, LimnerModelSummary *plan) {
  self->loaded = fraction;
  g_mutex_lock(&self->lock);
  self->news.fraction = fraction;
  self->news.loading = self->opening;
  if (plan) {
    g_clear_pointer(&self->news.plan, limner_model_summary_free);
    self->news.plan = plan;
  }
  schedule(self);
  g_mutex_unlock(&self->lock);
}

// --- opening -------------------------------------------------------------------------------------

// Loading a large model's weights ends when the program does.
static bool on_preparing(size_t n_done, size_t n_total, void *user_data) {
  ModelWorker *self = user_data;
  const double fraction = n_total > 0 ? (double)n_done / (double)n_total : 1;
  if (fabs(fraction - self->loaded) >= LOADED_STEP)
    tell_loading(self, fraction, NULL);
  return !g_cancellable_is_cancelled(self->ending);
}

// What is found before the weights are loaded is told at once.
static void on_opened(const JanusModel *model, void *user_data) {
  ModelWorker *self = user_data;
  tell_loading(self, 0, limner_model_summary_new(self->folder, model));
}

static JanusModel *open_model(ModelWorker *self, const Command *command, GError **error) {
  g_autofree char *path = limner_model_folder_resolve(command->folder);
  g_autofree char *packed_folder = limner_packed_folder_dup();
  if (!limner_model_folder_check(path, error))
    return NULL;
  const LimnerModelOpening opening = {.options = {.folder = path,
                                                  .device = command->device,
                                                  .weights = JANUS_WEIGHTS_AUTO,
                                                  .packed_folder = packed_folder,
                                                  .packed_least_bytes = LIMNER_PACKED_LEAST_BYTES},
                                      .opened = on_opened,
                                      .progress = on_preparing,
                                      .user_data = self};
  JanusError engine_error = {0};
  JanusModel *model = limner_model_open(&opening, &self->model, &engine_error);
  if (!model)
    limner_propagate_engine_error(error, &engine_error);
  return model;
}

static void work_open(ModelWorker *self, const Command *command) {
  g_autoptr(GError) error = NULL;
  self->opening = command->opening;
  self->folder = command->folder;
  JanusModel *model = open_model(self, command, &error);
  self->folder = NULL;
  if (model) {
    janus_model_free(self->model);
    self->model = model;
    self->decode_seconds = 0;
    tell(self, limner_model_summary_new(command->folder, model), NULL);
    return;
  }
  self->failed_opening = command->opening;
  g_clear_error(&self->error);
  self->error = g_error_copy(error);
  tell(self, NULL, g_steal_pointer(&error));
}

// --- running -------------------------------------------------------------------------------------

// A card that failed does nothing more in this process.
static void lose_card(ModelWorker *self, const GError *error) {
  g_clear_pointer(&self->model, janus_model_free);
  g_clear_error(&self->error);
  self->error = g_error_copy(error);
  self->is_lost = TRUE;
  tell(self, NULL, g_error_copy(error));
}

static void work_run(ModelWorker *self, Command *command) {
  LimnerJob *job = command->job;
  const gboolean waited_in_vain = command->opening != 0 && command->opening == self->failed_opening;
  if (self->model && !waited_in_vain) {
    limner_job_set_decode_seconds(job, self->decode_seconds);
    g_autoptr(GError) error = NULL;
    limner_job_run(job, self->model, &error);
    self->decode_seconds = limner_job_get_decode_seconds(job);
    if (limner_model_is_on_card(self->model) &&
        g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_DEVICE))
      lose_card(self, error);
  } else if (limner_job_claim(job)) {
    g_autoptr(GError) none =
        g_error_new_literal(G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED, "no model is open");
    limner_job_report_over(job, self->error ? self->error : none);
  }
  give_back(self, g_steal_pointer(&command->job));
}

static void work_call(ModelWorker *self, Command *command) {
  const ModelCall *call = g_task_get_task_data(command->task);
  GError *error = NULL;
  gpointer result = NULL;
  if (g_cancellable_set_error_if_cancelled(self->ending, &error))
    result = NULL;
  else if (self->model)
    result = call->call(self->model, call->data, self->ending, &error);
  else if (self->error)
    error = g_error_copy(self->error);
  else
    g_set_error_literal(&error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED, "no model is open");
  if (error)
    g_task_return_error(command->task, error);
  else
    g_task_return_pointer(command->task, result, call->free_result);
  give_back(self, g_steal_pointer(&command->task));
}

// --- the thread ----------------------------------------------------------------------------------

// The next one, but for jobs that wait for another model because the card was lost.
static Command *next_command(ModelWorker *self) {
  Command *command = g_async_queue_pop(self->commands);
  while (self->is_lost && command->kind == COMMAND_RUN) {
    g_queue_push_tail(&self->aside, command);
    command = g_async_queue_pop(self->commands);
  }
  if (command->kind == COMMAND_CALL)
    return command;
  self->is_lost = FALSE;
  while (self->aside.length > 0)
    g_async_queue_push_front(self->commands, g_queue_pop_tail(&self->aside));
  return command;
}

static gpointer work(gpointer data) {
  ModelWorker *self = data;
  gboolean is_open = TRUE;
  while (is_open) {
    Command *command = next_command(self);
    if (command->kind == COMMAND_OPEN)
      work_open(self, command);
    else if (command->kind == COMMAND_RUN)
      work_run(self, command);
    else if (command->kind == COMMAND_CALL)
      work_call(self, command);
    is_open = command->kind != COMMAND_QUIT;
    command_free(command);
  }
  janus_model_free(self->model);
  g_clear_error(&self->error);
  return NULL;
}

// --- what it is asked ----------------------------------------------------------------------------

static void push(ModelWorker *self, Command command) {
  g_async_queue_push(self->commands, g_memdup2(&command, sizeof command));
}

void model_worker_open(ModelWorker *self, guint opening, const char *folder, const char *device) {
  push(self, (Command){.kind = COMMAND_OPEN,
                       .opening = opening,
                       .folder = g_strdup(folder),
                       .device = g_strdup(device)});
}

void model_worker_run(ModelWorker *self, guint opening, LimnerJob *job) {
  push(self, (Command){.kind = COMMAND_RUN, .opening = opening, .job = g_object_ref(job)});
}

void model_worker_call(ModelWorker *self, GTask *task) {
  push(self, (Command){.kind = COMMAND_CALL, .task = task});
}

gboolean model_worker_swap(ModelWorker *self, LimnerJob *a, LimnerJob *b) {
  GAsyncQueue *commands = self->commands;
  g_autoptr(GPtrArray) taken = g_ptr_array_new();
  Command *turns[2] = {NULL};
  g_async_queue_lock(commands);
  for (Command *command; (command = g_async_queue_try_pop_unlocked(commands));) {
    g_ptr_array_add(taken, command);
    if (command->job && (command->job == a || command->job == b))
      turns[command->job == b] = command;
  }
  const gboolean can_swap = turns[0] && turns[1];
  if (can_swap) {
    turns[0]->job = b;
    turns[1]->job = a;
  }
  for (guint i = 0; i < taken->len; i++)
    g_async_queue_push_unlocked(commands, taken->pdata[i]);
  g_async_queue_unlock(commands);
  return can_swap;
}

// --- its life ------------------------------------------------------------------------------------

ModelWorker *model_worker_new(ModelNewsFunc func, gpointer data) {
  ModelWorker *self = g_new0(ModelWorker, 1);
  self->func = func;
  self->data = data;
  g_mutex_init(&self->lock);
  self->commands = g_async_queue_new_full((GDestroyNotify)command_free);
  self->context = g_main_context_ref_thread_default();
  self->spent = g_ptr_array_new_with_free_func(g_object_unref);
  self->ending = g_cancellable_new();
  self->thread = g_thread_new("limner-worker", work, self);
  return self;
}

void model_worker_free(ModelWorker *self) {
  g_cancellable_cancel(self->ending);
  push(self, (Command){.kind = COMMAND_QUIT});
  g_thread_join(self->thread);
  if (self->source) {
    g_source_destroy(self->source);
    g_source_unref(self->source);
  }
  news_clear(&self->news);
  g_ptr_array_unref(self->spent);
  g_async_queue_unref(self->commands);
  g_main_context_unref(self->context);
  g_object_unref(self->ending);
  g_mutex_clear(&self->lock);
  g_free(self);
}
