// SPDX-License-Identifier: MIT
// A job's properties, and the one lock and one source through which a worker changes them: reports
// are written into plain fields, and at most one pending source brings them to the job's thread,
// about thirty times a second, however fast tokens come.
#include "app/job-private.h"

#include <string.h>

#define UPDATE_INTERVAL_US (G_USEC_PER_SEC / 30)

// What a worker has reported and the properties do not show yet.
typedef struct Pending {
  LimnerJobState state;
  guint n_done, n_total;
  double tokens_per_second, seconds_left;
  GError *error;
  SampleUpdate *samples; // [n_samples]
} Pending;

struct _LimnerJob {
  GObject parent_instance;
  // Owned
  LimnerRequest *request;
  GListStore *samples;
  GCancellable *cancellable;
  GMainContext *context;
  GError *error;
  // Borrowed
  GThread *thread;
  // Set before the run
  gboolean shows_growth;
  LimnerJobRecorder recorder;
  gpointer recorder_data; // owned when recorder.free is set
  char *known_identity;   // owned
  GBytes *known_tokens;   // owned
  guint n_known_samples;
  // What the properties show; the job's thread alone
  LimnerJobState state;
  guint n_done, n_total;
  double tokens_per_second, seconds_left;
  gint64 last_update_us;
  // Under the lock
  GMutex lock;
  Pending pending;
  GSource *source; // the pending update, or NULL
  gboolean claimed, over;
  gboolean has_more_batches, stops_after_batch;
  double decode_seconds;
  gint64 state_start_us;
  double state_seconds[LIMNER_JOB_FAILED + 1];
};

G_DEFINE_FINAL_TYPE(LimnerJob, limner_job, G_TYPE_OBJECT)

G_DEFINE_ENUM_TYPE(LimnerJobState, limner_job_state,
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_QUEUED, "queued"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_LOADING, "loading"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_LOOKING, "looking"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_PREPARING, "preparing"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_PAINTING, "painting"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_FINISHING, "finishing"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_DONE, "done"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_CANCELLED, "cancelled"),
                   G_DEFINE_ENUM_VALUE(LIMNER_JOB_FAILED, "failed"))

enum {
  PROP_0,
  PROP_STATE,
  PROP_N_DONE,
  PROP_N_TOTAL,
  PROP_TOKENS_PER_SECOND,
  PROP_SECONDS_LEFT,
  N_PROPS
};
static GParamSpec *properties[N_PROPS];

// --- the object ----------------------------------------------------------------------------------

static void limner_job_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec) {
  LimnerJob *self = LIMNER_JOB(object);
  switch (id) {
  case PROP_STATE:
    g_value_set_enum(value, self->state);
    break;
  case PROP_N_DONE:
    g_value_set_uint(value, self->n_done);
    break;
  case PROP_N_TOTAL:
    g_value_set_uint(value, self->n_total);
    break;
  case PROP_TOKENS_PER_SECOND:
    g_value_set_double(value, self->tokens_per_second);
    break;
  case PROP_SECONDS_LEFT:
    g_value_set_double(value, self->seconds_left);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static guint n_samples(LimnerJob *self) {
  return g_list_model_get_n_items(G_LIST_MODEL(self->samples));
}

static void limner_job_finalize(GObject *object) {
  LimnerJob *self = LIMNER_JOB(object);
  for (guint i = 0; i < n_samples(self); i++)
    limner_sample_update_clear(&self->pending.samples[i]);
  g_free(self->pending.samples);
  g_clear_error(&self->pending.error);
  g_clear_error(&self->error);
  g_clear_object(&self->samples);
  g_clear_object(&self->cancellable);
  g_clear_pointer(&self->context, g_main_context_unref);
  limner_request_free(self->request);
  if (self->recorder.free)
    self->recorder.free(self->recorder_data);
  g_free(self->known_identity);
  g_clear_pointer(&self->known_tokens, g_bytes_unref);
  g_mutex_clear(&self->lock);
  G_OBJECT_CLASS(limner_job_parent_class)->finalize(object);
}

static void limner_job_class_init(LimnerJobClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  object_class->get_property = limner_job_get_property;
  object_class->finalize = limner_job_finalize;
  properties[PROP_STATE] =
      g_param_spec_enum("state", NULL, NULL, LIMNER_TYPE_JOB_STATE, LIMNER_JOB_QUEUED, flags);
  properties[PROP_N_DONE] = g_param_spec_uint("n-done", NULL, NULL, 0, G_MAXUINT, 0, flags);
  properties[PROP_N_TOTAL] = g_param_spec_uint("n-total", NULL, NULL, 0, G_MAXUINT, 0, flags);
  properties[PROP_TOKENS_PER_SECOND] =
      g_param_spec_double("tokens-per-second", NULL, NULL, 0, G_MAXDOUBLE, 0, flags);
  properties[PROP_SECONDS_LEFT] =
      g_param_spec_double("seconds-left", NULL, NULL, -1, G_MAXDOUBLE, -1, flags);
  g_object_class_install_properties(object_class, N_PROPS, properties);
}

static void limner_job_init(LimnerJob *self) {
  g_mutex_init(&self->lock);
  self->samples = g_list_store_new(LIMNER_TYPE_SAMPLE);
  self->cancellable = g_cancellable_new();
  self->context = g_main_context_ref_thread_default();
  self->thread = g_thread_self();
  self->shows_growth = TRUE;
  self->seconds_left = self->pending.seconds_left = -1;
  self->state_start_us = g_get_monotonic_time();
}

LimnerJob *limner_job_new(const LimnerRequest *request) {
  LimnerJob *self = g_object_new(LIMNER_TYPE_JOB, NULL);
  self->request = limner_request_copy(request);
  const guint n = (guint)MAX(request->n_samples, 0);
  for (guint i = 0; i < n; i++) {
    g_autoptr(LimnerSample) sample = limner_sample_new(request, (guint)request->first_sample + i);
    g_list_store_append(self->samples, sample);
  }
  self->pending.samples = g_new0(SampleUpdate, n);
  return self;
}

// --- delivery, on the job's thread ---------------------------------------------------------------

static void set_uint(LimnerJob *self, guint *field, guint value, guint property) {
  if (*field == value)
    return;
  *field = value;
  g_object_notify_by_pspec(G_OBJECT(self), properties[property]);
}

static void set_double(LimnerJob *self, double *field, double value, guint property) {
  if (*field == value)
    return;
  *field = value;
  g_object_notify_by_pspec(G_OBJECT(self), properties[property]);
}

// Moves everything pending out from under the lock. The arrays are as long as the samples.
static Pending take_pending(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  Pending taken = self->pending;
  self->pending.error = NULL;
  self->pending.samples = g_new0(SampleUpdate, n_samples(self));
  g_clear_pointer(&self->source, g_source_unref);
  self->last_update_us = g_get_monotonic_time();
  g_mutex_unlock(&self->lock);
  return taken;
}

// Samples first and the state last: whoever sees DONE sees finished pictures.
static void deliver(LimnerJob *self) {
  if (limner_job_is_over(self))
    return;
  Pending taken = take_pending(self);
  for (guint i = 0; i < n_samples(self); i++) {
    g_autoptr(LimnerSample) sample = g_list_model_get_item(G_LIST_MODEL(self->samples), i);
    limner_sample_apply(sample, &taken.samples[i]);
  }
  g_free(taken.samples);
  if (taken.error) {
    g_clear_error(&self->error);
    self->error = taken.error;
  }
  g_object_freeze_notify(G_OBJECT(self));
  set_uint(self, &self->n_total, taken.n_total, PROP_N_TOTAL);
  set_uint(self, &self->n_done, taken.n_done, PROP_N_DONE);
  set_double(self, &self->tokens_per_second, taken.tokens_per_second, PROP_TOKENS_PER_SECOND);
  set_double(self, &self->seconds_left, taken.seconds_left, PROP_SECONDS_LEFT);
  if (self->state != taken.state) {
    self->state = taken.state;
    g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_STATE]);
  }
  g_object_thaw_notify(G_OBJECT(self));
}

static gboolean on_update(gpointer data) {
  deliver(data);
  return G_SOURCE_REMOVE;
}

void limner_job_flush(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  GSource *source = g_steal_pointer(&self->source);
  g_mutex_unlock(&self->lock);
  g_object_ref(self);
  if (source) {
    g_source_destroy(source);
    g_source_unref(source);
    deliver(self);
  }
  g_object_unref(self);
}

gboolean limner_job_is_own_thread(LimnerJob *self) {
  return self->thread == g_thread_self();
}

// --- reports, from any thread --------------------------------------------------------------------

// With the lock held: sees to it that an update comes, no later than asked for.
static void schedule(LimnerJob *self, gboolean at_once) {
  const gint64 due = at_once ? 0 : self->last_update_us + UPDATE_INTERVAL_US;
  if (self->source) {
    if (at_once)
      g_source_set_ready_time(self->source, 0);
    return;
  }
  // A timeout source only for its dispatch function: the ready time says when.
  self->source = g_timeout_source_new(0);
  g_source_set_callback(self->source, on_update, g_object_ref(self), g_object_unref);
  g_source_set_ready_time(self->source, due);
  g_source_attach(self->source, self->context);
}

// With the lock held.
static void enter_state(LimnerJob *self, LimnerJobState state) {
  const gint64 now = g_get_monotonic_time();
  self->state_seconds[self->pending.state] += (double)(now - self->state_start_us) * 1e-6;
  self->state_start_us = now;
  self->pending.state = state;
}

// With the lock held.
static void end(LimnerJob *self, const GError *error) {
  if (self->over)
    return;
  self->over = TRUE;
  const gboolean cancelled = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  enter_state(self, !error      ? LIMNER_JOB_DONE
                    : cancelled ? LIMNER_JOB_CANCELLED
                                : LIMNER_JOB_FAILED);
  if (error && !cancelled)
    self->pending.error = g_error_copy(error);
  self->pending.seconds_left = error ? -1 : 0;
  schedule(self, TRUE);
}

static void end_cancelled(LimnerJob *self) {
  g_autoptr(GError) error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
  end(self, error);
}

gboolean limner_job_claim(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  if (g_cancellable_is_cancelled(self->cancellable))
    end_cancelled(self);
  const gboolean is_mine = !self->over && !self->claimed;
  self->claimed |= is_mine;
  g_mutex_unlock(&self->lock);
  return is_mine;
}

void limner_job_report_waiting(LimnerJob *self, LimnerJobState state) {
  g_mutex_lock(&self->lock);
  if (!self->claimed && !self->over && self->pending.state != state) {
    enter_state(self, state);
    schedule(self, TRUE);
  }
  g_mutex_unlock(&self->lock);
}

void limner_job_report_state(LimnerJob *self, LimnerJobState state) {
  g_mutex_lock(&self->lock);
  if (!self->over && self->pending.state != state) {
    enter_state(self, state);
    schedule(self, TRUE);
  }
  g_mutex_unlock(&self->lock);
}

void limner_job_report_progress(LimnerJob *self, guint n_done, guint n_total,
                                double tokens_per_second, double seconds_left) {
  g_mutex_lock(&self->lock);
  if (!self->over) {
    self->pending.n_done = n_done;
    self->pending.n_total = n_total;
    self->pending.tokens_per_second = tokens_per_second;
    self->pending.seconds_left = seconds_left;
    schedule(self, FALSE);
  }
  g_mutex_unlock(&self->lock);
}

void limner_job_report_sample(LimnerJob *self, guint index, SampleUpdate *update) {
  g_mutex_lock(&self->lock);
  if (!self->over && index < n_samples(self)) {
    SampleUpdate *pending = &self->pending.samples[index];
    if (update->picture) {
      g_clear_pointer(&pending->picture, limner_picture_unref);
      pending->picture = g_steal_pointer(&update->picture);
    }
    if (update->tokens) {
      g_clear_pointer(&pending->tokens, g_bytes_unref);
      pending->tokens = g_steal_pointer(&update->tokens);
    }
    pending->n_rows = MAX(pending->n_rows, update->n_rows);
    pending->grid = MAX(pending->grid, update->grid);
    pending->finished |= update->finished;
    schedule(self, FALSE);
  }
  g_mutex_unlock(&self->lock);
  limner_sample_update_clear(update);
}

void limner_job_report_over(LimnerJob *self, const GError *error) {
  g_mutex_lock(&self->lock);
  end(self, error);
  g_mutex_unlock(&self->lock);
}

void limner_job_cancel(LimnerJob *self) {
  g_cancellable_cancel(self->cancellable);
  g_mutex_lock(&self->lock);
  if (!self->claimed)
    end_cancelled(self);
  g_mutex_unlock(&self->lock);
}

void limner_job_report_batch(LimnerJob *self, gboolean is_last) {
  g_mutex_lock(&self->lock);
  self->has_more_batches = !is_last;
  g_mutex_unlock(&self->lock);
}

gboolean limner_job_stop_after_batch(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  self->stops_after_batch = TRUE;
  const gboolean has_more = self->has_more_batches && !self->over;
  g_mutex_unlock(&self->lock);
  return has_more;
}

gboolean limner_job_stops_after_batch(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  const gboolean stops = self->stops_after_batch;
  g_mutex_unlock(&self->lock);
  return stops;
}

double limner_job_get_decode_seconds(LimnerJob *self) {
  g_mutex_lock(&self->lock);
  const double seconds = self->decode_seconds;
  g_mutex_unlock(&self->lock);
  return seconds;
}

void limner_job_set_decode_seconds(LimnerJob *self, double seconds) {
  g_mutex_lock(&self->lock);
  self->decode_seconds = seconds;
  g_mutex_unlock(&self->lock);
}

void limner_job_set_shows_growth(LimnerJob *self, gboolean shows_growth) {
  self->shows_growth = shows_growth;
}

gboolean limner_job_get_shows_growth(LimnerJob *self) {
  return self->shows_growth;
}

// --- getters -------------------------------------------------------------------------------------

const LimnerRequest *limner_job_get_request(LimnerJob *self) {
  return self->request;
}

LimnerJobState limner_job_get_state(LimnerJob *self) {
  return self->state;
}

gboolean limner_job_is_over(LimnerJob *self) {
  return self->state >= LIMNER_JOB_DONE;
}

GListModel *limner_job_get_samples(LimnerJob *self) {
  return G_LIST_MODEL(self->samples);
}

guint limner_job_get_n_done(LimnerJob *self) {
  return self->n_done;
}

guint limner_job_get_n_total(LimnerJob *self) {
  return self->n_total;
}

double limner_job_get_tokens_per_second(LimnerJob *self) {
  return self->tokens_per_second;
}

double limner_job_get_seconds_left(LimnerJob *self) {
  return self->seconds_left;
}

double limner_job_get_state_seconds(LimnerJob *self, LimnerJobState state) {
  g_return_val_if_fail(state <= LIMNER_JOB_FAILED, 0);
  g_mutex_lock(&self->lock);
  double seconds = self->state_seconds[state];
  if (state == self->pending.state && !self->over)
    seconds += (double)(g_get_monotonic_time() - self->state_start_us) * 1e-6;
  g_mutex_unlock(&self->lock);
  return seconds;
}

const GError *limner_job_get_error(LimnerJob *self) {
  return self->error;
}

GCancellable *limner_job_get_cancellable(LimnerJob *self) {
  return self->cancellable;
}

// --- what outlives a job
// --------------------------------------------------------------------------

void limner_job_set_recorder(LimnerJob *self, const LimnerJobRecorder *recorder, gpointer data) {
  g_return_if_fail(!self->recorder_data);
  self->recorder = *recorder;
  self->recorder_data = data;
}

const LimnerJobRecorder *limner_job_get_recorder(LimnerJob *self, gpointer *data) {
  *data = self->recorder_data;
  return &self->recorder;
}

void limner_job_set_known_tokens(LimnerJob *self, const char *identity, GBytes *tokens,
                                 guint n_samples) {
  g_free(self->known_identity);
  g_clear_pointer(&self->known_tokens, g_bytes_unref);
  self->known_identity = g_strdup(identity);
  self->known_tokens = g_bytes_ref(tokens);
  self->n_known_samples = n_samples;
}

GBytes *limner_job_get_known_tokens(LimnerJob *self, const JanusModelInfo *info, guint *n_samples) {
  *n_samples = self->n_known_samples;
  g_autofree char *identity = limner_model_dup_identity(info);
  return g_strcmp0(identity, self->known_identity) == 0 ? self->known_tokens : NULL;
}

char *limner_model_dup_identity(const JanusModelInfo *info) {
  g_autofree char *name = g_utf8_make_valid(info->name, -1);
  g_strdelimit(name, "\n\r", ' ');
  // "CPU (AVX-512), 2 threads": tokens do not depend on the threads.
  const int n_device = (int)strcspn(info->device_name, ",");
  return g_strdup_printf("%s; %s; %s; %.*s", name, janus_weights_text(info->weights), info->device,
                         n_device, info->device_name);
}
