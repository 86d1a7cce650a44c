// SPDX-License-Identifier: MIT
// The worker thread that opens models and runs jobs, one thing at a time in the order asked for,
// and the list of the jobs that are not over.
#include "app/job-queue.h"

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

// The data of its task.
typedef struct Call {
  LimnerModelCall call;
  gpointer data;
  GDestroyNotify free_data, free_result;
} Call;

// What the worker has to say about an opening, until the main thread takes it.
typedef struct News {
  LimnerModelSummary *summary; // opened
  GError *error;               // or not
  guint opening;
} News;

// How far it is meanwhile, likewise.
typedef struct Loading {
  LimnerModelSummary *plan; // NULL = as told before
  double fraction;
  guint opening; // 0 = nothing to say
} Loading;

// What the worker thread alone touches.
typedef struct Worker {
  JanusModel *model;
  guint opening;      // the last one that was tried
  const char *folder; // of it while it is tried; borrowed
  double loaded;      // as told last
  gboolean is_lost;   // the card under it; jobs wait for the next opening
  GQueue aside;       // of Command: those
  GError *error;      // of the last opening that failed
  guint failed_opening;
  double decode_seconds; // measured with `model`; 0 = not yet
} Worker;

struct _LimnerJobQueue {
  GObject parent_instance;
  // Owned, main thread
  GListStore *jobs;
  GThread *thread; // NULL after shutdown
  GAsyncQueue *commands;
  GMainContext *context;
  LimnerModelSummary *model;
  GError *model_error;
  LimnerModelState model_state;
  LimnerModelSummary *plan; // of the model being opened
  double loaded;            // of it
  guint opening;            // number of the last one asked for
  double sample_seconds[2]; // what a sample painted and one edited took last; 0 = not known
  // Owned, under the lock
  GMutex lock;
  News news;
  Loading loading;
  GPtrArray
      *spent; // jobs and tasks the worker is done with, whose last reference the main thread drops
  GSource *source;
  GCancellable *ending; // cancelled by shutdown
  // Owned, worker thread
  Worker worker;
};

static void limner_job_queue_list_model_init(GListModelInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE(LimnerJobQueue, limner_job_queue, G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL,
                                                    limner_job_queue_list_model_init))

G_DEFINE_ENUM_TYPE(LimnerModelState, limner_model_state,
                   G_DEFINE_ENUM_VALUE(LIMNER_MODEL_NONE, "none"),
                   G_DEFINE_ENUM_VALUE(LIMNER_MODEL_LOADING, "loading"),
                   G_DEFINE_ENUM_VALUE(LIMNER_MODEL_READY, "ready"),
                   G_DEFINE_ENUM_VALUE(LIMNER_MODEL_FAILED, "failed"))

enum { PROP_0, PROP_MODEL_STATE, PROP_LOADED, PROP_N_ACTIVE, N_PROPS };
static GParamSpec *properties[N_PROPS];

// --- plain values --------------------------------------------------------------------------------

static void command_free(Command *command) {
  g_free(command->folder);
  g_free(command->device);
  g_clear_object(&command->job);
  g_clear_object(&command->task);
  g_free(command);
}

static void call_free(gpointer data) {
  Call *call = data;
  if (call->free_data)
    call->free_data(call->data);
  g_free(call);
}

static void news_clear(News *news) {
  g_clear_pointer(&news->summary, limner_model_summary_free);
  g_clear_error(&news->error);
}

// --- the worker ----------------------------------------------------------------------------------

static gboolean on_news(gpointer data);

// With the lock held.
static void schedule(LimnerJobQueue *self) {
  if (self->source)
    return;
  self->source = g_idle_source_new();
  g_source_set_priority(self->source, G_PRIORITY_DEFAULT);
  // Borrowed: the queue destroys the source before it goes.
  g_source_set_callback(self->source, on_news, self, NULL);
  g_source_attach(self->source, self->context);
}

// Hands news to the main thread. What it has not taken yet is out of date, but for the model that
// stays in use when a later one fails.
static void tell(LimnerJobQueue *self, News news) {
  g_mutex_lock(&self->lock);
  if (!news.summary)
    news.summary = g_steal_pointer(&self->news.summary);
  news_clear(&self->news);
  self->news = news;
  schedule(self);
  g_mutex_unlock(&self->lock);
}

static void give_back(LimnerJobQueue *self, gpointer object) {
  g_mutex_lock(&self->lock);
  g_ptr_array_add(self->spent, object);
  schedule(self);
  g_mutex_unlock(&self->lock);
}

// How far loading is; takes the plan, NULL = still the same.
static void tell_loading(LimnerJobQueue *self, double fraction, LimnerModelSummary *plan) {
  self->worker.loaded = fraction;
  g_mutex_lock(&self->lock);
  self->loading.fraction = fraction;
  self->loading.opening = self->worker.opening;
  if (plan) {
    limner_model_summary_free(self->loading.plan);
    self->loading.plan = plan;
  }
  schedule(self);
  g_mutex_unlock(&self->lock);
}

// Loading a large model's weights ends when the program does.
static bool on_preparing(size_t n_done, size_t n_total, void *user_data) {
  LimnerJobQueue *self = user_data;
  const double fraction = n_total > 0 ? (double)n_done / (double)n_total : 1;
  if (fabs(fraction - self->worker.loaded) >= LOADED_STEP)
    tell_loading(self, fraction, NULL);
  return !g_cancellable_is_cancelled(self->ending);
}

// What is found before the weights are loaded is told at once.
static void on_opened(const JanusModel *model, void *user_data) {
  LimnerJobQueue *self = user_data;
  tell_loading(self, 0, limner_model_summary_new(self->worker.folder, model));
}

static JanusModel *open_model(LimnerJobQueue *self, const Command *command, GError **error) {
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
  JanusModel *model = limner_model_open(&opening, &self->worker.model, &engine_error);
  if (!model)
    limner_propagate_engine_error(error, &engine_error);
  return model;
}

static void work_open(LimnerJobQueue *self, const Command *command) {
  Worker *worker = &self->worker;
  News news = {.opening = command->opening};
  worker->opening = command->opening;
  worker->folder = command->folder;
  JanusModel *model = open_model(self, command, &news.error);
  worker->folder = NULL;
  if (model) {
    janus_model_free(worker->model);
    worker->model = model;
    worker->decode_seconds = 0;
    news.summary = limner_model_summary_new(command->folder, model);
  } else {
    worker->failed_opening = command->opening;
    g_clear_error(&worker->error);
    worker->error = g_error_copy(news.error);
  }
  tell(self, news);
}

// A card that failed does nothing more in this process.
static void lose_card(LimnerJobQueue *self, const GError *error) {
  Worker *worker = &self->worker;
  g_clear_pointer(&worker->model, janus_model_free);
  g_clear_error(&worker->error);
  worker->error = g_error_copy(error);
  worker->is_lost = TRUE;
  tell(self, (News){.error = g_error_copy(error), .opening = worker->opening});
}

static void work_run(LimnerJobQueue *self, Command *command) {
  Worker *worker = &self->worker;
  LimnerJob *job = command->job;
  const gboolean waited_in_vain =
      command->opening != 0 && command->opening == worker->failed_opening;
  if (worker->model && !waited_in_vain) {
    limner_job_set_decode_seconds(job, worker->decode_seconds);
    g_autoptr(GError) error = NULL;
    limner_job_run(job, worker->model, &error);
    worker->decode_seconds = limner_job_get_decode_seconds(job);
    if (limner_model_is_on_card(worker->model) &&
        g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_DEVICE))
      lose_card(self, error);
  } else if (limner_job_claim(job)) {
    g_autoptr(GError) none =
        g_error_new_literal(G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED, "no model is open");
    limner_job_report_over(job, worker->error ? worker->error : none);
  }
  give_back(self, g_steal_pointer(&command->job));
}

static void work_call(LimnerJobQueue *self, Command *command) {
  const Call *call = g_task_get_task_data(command->task);
  const Worker *worker = &self->worker;
  GError *error = NULL;
  gpointer result = NULL;
  if (g_cancellable_set_error_if_cancelled(self->ending, &error))
    result = NULL;
  else if (worker->model)
    result = call->call(worker->model, call->data, self->ending, &error);
  else if (worker->error)
    error = g_error_copy(worker->error);
  else
    g_set_error_literal(&error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED, "no model is open");
  if (error)
    g_task_return_error(command->task, error);
  else
    g_task_return_pointer(command->task, result, call->free_result);
  give_back(self, g_steal_pointer(&command->task));
}

// The next one, but for jobs that wait for another model because the card was lost.
static Command *next_command(LimnerJobQueue *self) {
  Worker *worker = &self->worker;
  Command *command = g_async_queue_pop(self->commands);
  while (worker->is_lost && command->kind == COMMAND_RUN) {
    g_queue_push_tail(&worker->aside, command);
    command = g_async_queue_pop(self->commands);
  }
  if (command->kind == COMMAND_CALL)
    return command;
  worker->is_lost = FALSE;
  while (worker->aside.length > 0)
    g_async_queue_push_front(self->commands, g_queue_pop_tail(&worker->aside));
  return command;
}

static gpointer work(gpointer data) {
  LimnerJobQueue *self = data;
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
  janus_model_free(self->worker.model);
  g_clear_error(&self->worker.error);
  return NULL;
}

// --- the main thread's side of it ----------------------------------------------------------------

static void set_model_state(LimnerJobQueue *self, LimnerModelState state) {
  if (self->model_state == state)
    return;
  self->model_state = state;
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_MODEL_STATE]);
}

// Jobs that waited for the model wait for their turn now.
static void end_loading(LimnerJobQueue *self) {
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(self->jobs), i);
    limner_job_report_waiting(job, LIMNER_JOB_QUEUED);
  }
}

static void apply_loading(LimnerJobQueue *self, Loading *loading) {
  if (loading->opening != self->opening || self->model_state != LIMNER_MODEL_LOADING)
    return;
  if (loading->plan) {
    limner_model_summary_free(self->plan);
    self->plan = g_steal_pointer(&loading->plan);
  }
  self->loaded = loading->fraction;
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_LOADED]);
}

static void apply_news(LimnerJobQueue *self, News *news) {
  if (news->summary) {
    g_clear_pointer(&self->model, limner_model_summary_free);
    self->model = g_steal_pointer(&news->summary);
    self->sample_seconds[0] = self->sample_seconds[1] = 0;
  }
  if (news->opening != self->opening)
    return;
  const LimnerModelState state = news->error ? LIMNER_MODEL_FAILED : LIMNER_MODEL_READY;
  g_clear_error(&self->model_error);
  self->model_error = g_steal_pointer(&news->error);
  g_clear_pointer(&self->plan, limner_model_summary_free);
  end_loading(self);
  set_model_state(self, state);
}

static gboolean on_news(gpointer data) {
  LimnerJobQueue *self = data;
  g_mutex_lock(&self->lock);
  News news = self->news;
  self->news = (News){0};
  Loading loading = self->loading;
  self->loading = (Loading){0};
  g_autoptr(GPtrArray) spent = self->spent;
  self->spent = g_ptr_array_new_with_free_func(g_object_unref);
  g_clear_pointer(&self->source, g_source_unref);
  g_mutex_unlock(&self->lock);
  g_object_ref(self);
  if (loading.opening != 0)
    apply_loading(self, &loading);
  if (news.opening != 0)
    apply_news(self, &news);
  limner_model_summary_free(loading.plan);
  news_clear(&news);
  g_object_unref(self);
  return G_SOURCE_REMOVE;
}

static void on_items_changed(GListModel *jobs, guint position, guint removed, guint added,
                             LimnerJobQueue *self) {
  g_list_model_items_changed(G_LIST_MODEL(self), position, removed, added);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_N_ACTIVE]);
}

static gboolean is_edit(LimnerJob *job) {
  return limner_job_get_request(job)->input != NULL;
}

// What it took tells how long others will.
static void learn(LimnerJobQueue *self, LimnerJob *job) {
  const guint n = g_list_model_get_n_items(limner_job_get_samples(job));
  double seconds = 0;
  for (int state = LIMNER_JOB_LOOKING; state <= LIMNER_JOB_FINISHING; state++)
    seconds += limner_job_get_state_seconds(job, (LimnerJobState)state);
  if (limner_job_get_state(job) == LIMNER_JOB_DONE && n > 0)
    self->sample_seconds[is_edit(job)] = seconds / n;
}

static void on_job_state(LimnerJob *job, GParamSpec *pspec, LimnerJobQueue *self) {
  guint position = 0;
  if (!limner_job_is_over(job) || !g_list_store_find(self->jobs, job, &position))
    return;
  learn(self, job);
  g_signal_handlers_disconnect_by_data(job, self);
  g_list_store_remove(self->jobs, position);
}

static void push(LimnerJobQueue *self, Command command) {
  g_async_queue_push(self->commands, g_memdup2(&command, sizeof command));
}

void limner_job_queue_set_model(LimnerJobQueue *self, const char *folder, const char *device) {
  if (!self->thread)
    return;
  self->opening++;
  self->loaded = 0;
  g_clear_pointer(&self->plan, limner_model_summary_free);
  push(self, (Command){.kind = COMMAND_OPEN,
                       .opening = self->opening,
                       .folder = g_strdup(folder),
                       .device = g_strdup(device)});
  set_model_state(self, LIMNER_MODEL_LOADING);
}

void limner_job_queue_add(LimnerJobQueue *self, LimnerJob *job) {
  const gboolean is_loading = self->model_state == LIMNER_MODEL_LOADING;
  g_signal_connect(job, "notify::state", G_CALLBACK(on_job_state), self);
  g_list_store_append(self->jobs, job);
  if (!self->thread) {
    limner_job_cancel(job);
    return;
  }
  if (is_loading)
    limner_job_report_waiting(job, LIMNER_JOB_LOADING);
  push(self, (Command){.kind = COMMAND_RUN,
                       .opening = is_loading ? self->opening : 0,
                       .job = g_object_ref(job)});
}

void limner_job_queue_call_async(LimnerJobQueue *self, LimnerModelCall call, gpointer data,
                                 GDestroyNotify free_data, GDestroyNotify free_result,
                                 GAsyncReadyCallback callback, gpointer user_data) {
  const Call kept = {call, data, free_data, free_result};
  GTask *task = g_task_new(NULL, NULL, callback, user_data);
  g_task_set_task_data(task, g_memdup2(&kept, sizeof kept), call_free);
  if (self->thread) {
    push(self, (Command){.kind = COMMAND_CALL, .task = task});
    return;
  }
  g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
  g_object_unref(task);
}

gpointer limner_job_queue_call_finish(GAsyncResult *result, GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}

// Exchanges two jobs' turns. What else waits between them, a model to be opened, stays where it is.
static gboolean swap_turns(GAsyncQueue *commands, LimnerJob *a, LimnerJob *b) {
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

gboolean limner_job_queue_move(LimnerJobQueue *self, LimnerJob *job, int by) {
  guint position = 0;
  if (!g_list_store_find(self->jobs, job, &position) || (position == 0 && by < 0))
    return FALSE;
  const guint there = by < 0 ? position - 1 : position + 1;
  g_autoptr(LimnerJob) other = g_list_model_get_item(G_LIST_MODEL(self->jobs), there);
  if (!other || !swap_turns(self->commands, job, other))
    return FALSE;
  gpointer swapped[2] = {by < 0 ? job : other, by < 0 ? other : job};
  g_object_ref(job); // the list may hold the last reference
  g_list_store_splice(self->jobs, MIN(position, there), 2, swapped, 2);
  g_object_unref(job);
  return TRUE;
}

void limner_job_queue_cancel_all(LimnerJobQueue *self) {
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(self->jobs), i);
    limner_job_cancel(job);
  }
}

// Delivers what jobs have left to say, each of which leaves the list when it is over.
static void flush_jobs(LimnerJobQueue *self) {
  g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(g_object_unref);
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++)
    g_ptr_array_add(jobs, g_list_model_get_item(G_LIST_MODEL(self->jobs), i));
  for (guint i = 0; i < jobs->len; i++)
    limner_job_flush(jobs->pdata[i]);
}

void limner_job_queue_shutdown(LimnerJobQueue *self) {
  if (!self->thread)
    return;
  limner_job_queue_cancel_all(self);
  g_cancellable_cancel(self->ending);
  push(self, (Command){.kind = COMMAND_QUIT});
  g_thread_join(g_steal_pointer(&self->thread));
  if (self->source) {
    g_source_destroy(self->source);
    g_clear_pointer(&self->source, g_source_unref);
  }
  news_clear(&self->news);
  g_clear_pointer(&self->loading.plan, limner_model_summary_free);
  g_ptr_array_set_size(self->spent, 0);
  flush_jobs(self);
}

// --- getters -------------------------------------------------------------------------------------

LimnerModelState limner_job_queue_get_model_state(LimnerJobQueue *self) {
  return self->model_state;
}

const LimnerModelSummary *limner_job_queue_get_model(LimnerJobQueue *self) {
  return self->model;
}

const LimnerModelSummary *limner_job_queue_get_plan(LimnerJobQueue *self) {
  return self->plan;
}

double limner_job_queue_get_loaded(LimnerJobQueue *self) {
  return self->loaded;
}

const GError *limner_job_queue_get_model_error(LimnerJobQueue *self) {
  return self->model_error;
}

guint limner_job_queue_get_n_active(LimnerJobQueue *self) {
  return g_list_model_get_n_items(G_LIST_MODEL(self->jobs));
}

// -1 = not known.
static double seconds_of(LimnerJobQueue *self, LimnerJob *job) {
  const double a_sample = self->sample_seconds[is_edit(job)];
  const guint n = g_list_model_get_n_items(limner_job_get_samples(job));
  if (limner_job_get_state(job) >= LIMNER_JOB_PAINTING && limner_job_get_seconds_left(job) >= 0)
    return limner_job_get_seconds_left(job);
  return a_sample > 0 ? a_sample * n : -1;
}

double limner_job_queue_get_seconds_left(LimnerJobQueue *self) {
  double sum = 0;
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(self->jobs), i);
    const double seconds = seconds_of(self, job);
    if (seconds < 0)
      return -1;
    sum += seconds;
  }
  return sum;
}

LimnerJob *limner_job_queue_get_running(LimnerJobQueue *self) {
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(self->jobs), i);
    if (limner_job_get_state(job) >= LIMNER_JOB_PREPARING)
      return job; // the list holds it
  }
  return NULL;
}

// --- the object ----------------------------------------------------------------------------------

static GType get_item_type(GListModel *list) {
  return LIMNER_TYPE_JOB;
}

static guint get_n_items(GListModel *list) {
  return limner_job_queue_get_n_active(LIMNER_JOB_QUEUE(list));
}

static gpointer get_item(GListModel *list, guint position) {
  return g_list_model_get_item(G_LIST_MODEL(LIMNER_JOB_QUEUE(list)->jobs), position);
}

static void limner_job_queue_list_model_init(GListModelInterface *iface) {
  iface->get_item_type = get_item_type;
  iface->get_n_items = get_n_items;
  iface->get_item = get_item;
}

static void limner_job_queue_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
  LimnerJobQueue *self = LIMNER_JOB_QUEUE(object);
  switch (id) {
  case PROP_MODEL_STATE:
    g_value_set_enum(value, self->model_state);
    break;
  case PROP_LOADED:
    g_value_set_double(value, self->loaded);
    break;
  case PROP_N_ACTIVE:
    g_value_set_uint(value, limner_job_queue_get_n_active(self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void limner_job_queue_dispose(GObject *object) {
  limner_job_queue_shutdown(LIMNER_JOB_QUEUE(object));
  G_OBJECT_CLASS(limner_job_queue_parent_class)->dispose(object);
}

static void limner_job_queue_finalize(GObject *object) {
  LimnerJobQueue *self = LIMNER_JOB_QUEUE(object);
  for (guint i = 0; i < limner_job_queue_get_n_active(self); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(self->jobs), i);
    g_signal_handlers_disconnect_by_data(job, self);
  }
  g_signal_handlers_disconnect_by_data(self->jobs, self);
  g_clear_object(&self->jobs);
  g_clear_pointer(&self->commands, g_async_queue_unref);
  g_clear_pointer(&self->context, g_main_context_unref);
  g_clear_pointer(&self->model, limner_model_summary_free);
  g_clear_pointer(&self->plan, limner_model_summary_free);
  g_clear_error(&self->model_error);
  g_ptr_array_unref(self->spent);
  g_clear_object(&self->ending);
  g_mutex_clear(&self->lock);
  G_OBJECT_CLASS(limner_job_queue_parent_class)->finalize(object);
}

static void limner_job_queue_class_init(LimnerJobQueueClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  object_class->get_property = limner_job_queue_get_property;
  object_class->dispose = limner_job_queue_dispose;
  object_class->finalize = limner_job_queue_finalize;
  properties[PROP_MODEL_STATE] = g_param_spec_enum(
      "model-state", NULL, NULL, LIMNER_TYPE_MODEL_STATE, LIMNER_MODEL_NONE, flags);
  properties[PROP_LOADED] = g_param_spec_double("loaded", NULL, NULL, 0, 1, 0, flags);
  properties[PROP_N_ACTIVE] = g_param_spec_uint("n-active", NULL, NULL, 0, G_MAXUINT, 0, flags);
  g_object_class_install_properties(object_class, N_PROPS, properties);
}

static void limner_job_queue_init(LimnerJobQueue *self) {
  g_mutex_init(&self->lock);
  self->jobs = g_list_store_new(LIMNER_TYPE_JOB);
  g_signal_connect(self->jobs, "items-changed", G_CALLBACK(on_items_changed), self);
  self->commands = g_async_queue_new_full((GDestroyNotify)command_free);
  self->context = g_main_context_ref_thread_default();
  self->spent = g_ptr_array_new_with_free_func(g_object_unref);
  self->ending = g_cancellable_new();
  self->thread = g_thread_new("limner-worker", work, self);
}

LimnerJobQueue *limner_job_queue_new(void) {
  return g_object_new(LIMNER_TYPE_JOB_QUEUE, NULL);
}
