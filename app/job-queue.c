// SPDX-License-Identifier: MIT
// The list of the jobs that are not over, and what is known of the model that paints them.
#include "app/job-queue.h"

#include "app/job-private.h"
#include "app/model-worker.h"

struct _LimnerJobQueue {
  GObject parent_instance;
  ModelWorker *worker; // NULL after shutdown
  GListStore *jobs;
  LimnerModelSummary *model;
  GError *model_error;
  LimnerModelState model_state;
  LimnerModelSummary *plan; // of the model being opened
  double loaded;            // of it
  guint opening;            // number of the last one asked for
  double sample_seconds[2]; // what a sample painted and one edited took last; 0 = not known
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

// --- what the worker says ------------------------------------------------------------------------

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

static void apply_loading(LimnerJobQueue *self, ModelNews *news) {
  if (news->loading != self->opening || self->model_state != LIMNER_MODEL_LOADING)
    return;
  if (news->plan) {
    limner_model_summary_free(self->plan);
    self->plan = g_steal_pointer(&news->plan);
  }
  self->loaded = news->fraction;
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_LOADED]);
}

static void apply_opening(LimnerJobQueue *self, ModelNews *news) {
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

static void on_news(ModelNews *news, gpointer data) {
  LimnerJobQueue *self = data;
  g_object_ref(self);
  if (news->loading != 0)
    apply_loading(self, news);
  if (news->opening != 0)
    apply_opening(self, news);
  g_object_unref(self);
}

// --- jobs ----------------------------------------------------------------------------------------

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

void limner_job_queue_set_model(LimnerJobQueue *self, const char *folder, const char *device) {
  if (!self->worker)
    return;
  self->opening++;
  self->loaded = 0;
  g_clear_pointer(&self->plan, limner_model_summary_free);
  model_worker_open(self->worker, self->opening, folder, device);
  set_model_state(self, LIMNER_MODEL_LOADING);
}

void limner_job_queue_add(LimnerJobQueue *self, LimnerJob *job) {
  const gboolean is_loading = self->model_state == LIMNER_MODEL_LOADING;
  g_signal_connect(job, "notify::state", G_CALLBACK(on_job_state), self);
  g_list_store_append(self->jobs, job);
  if (!self->worker) {
    limner_job_cancel(job);
    return;
  }
  if (is_loading)
    limner_job_report_waiting(job, LIMNER_JOB_LOADING);
  model_worker_run(self->worker, is_loading ? self->opening : 0, job);
}

void limner_job_queue_call_async(LimnerJobQueue *self, LimnerModelCall call, gpointer data,
                                 GDestroyNotify free_data, GDestroyNotify free_result,
                                 GAsyncReadyCallback callback, gpointer user_data) {
  const ModelCall kept = {call, data, free_data, free_result};
  GTask *task = g_task_new(NULL, NULL, callback, user_data);
  g_task_set_task_data(task, g_memdup2(&kept, sizeof kept), model_call_free);
  if (self->worker) {
    model_worker_call(self->worker, task);
    return;
  }
  g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
  g_object_unref(task);
}

gpointer limner_job_queue_call_finish(GAsyncResult *result, GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}

gboolean limner_job_queue_move(LimnerJobQueue *self, LimnerJob *job, int by) {
  guint position = 0;
  if (!g_list_store_find(self->jobs, job, &position) || (position == 0 && by < 0))
    return FALSE;
  const guint there = by < 0 ? position - 1 : position + 1;
  g_autoptr(LimnerJob) other = g_list_model_get_item(G_LIST_MODEL(self->jobs), there);
  if (!other || !self->worker || !model_worker_swap(self->worker, job, other))
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
  if (!self->worker)
    return;
  limner_job_queue_cancel_all(self);
  g_clear_pointer(&self->worker, model_worker_free);
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
  g_clear_pointer(&self->model, limner_model_summary_free);
  g_clear_pointer(&self->plan, limner_model_summary_free);
  g_clear_error(&self->model_error);
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
  self->jobs = g_list_store_new(LIMNER_TYPE_JOB);
  g_signal_connect(self->jobs, "items-changed", G_CALLBACK(on_items_changed), self);
  self->worker = model_worker_new(on_news, self);
}

LimnerJobQueue *limner_job_queue_new(void) {
  return g_object_new(LIMNER_TYPE_JOB_QUEUE, NULL);
}
