// SPDX-License-Identifier: MIT
// The library as an object: opening it, its signals, and calls from the main thread.
#include "app/library-private.h"

#include <string.h>

enum { SETTLE_MS = 700 }; // the folder is quiet for so long before it is looked at again

typedef struct Kept {
  LimnerJob *job;
  LimnerEntry *entry;
  guint index;
} Kept;

G_DEFINE_FINAL_TYPE(LimnerLibrary, limner_library, G_TYPE_OBJECT)

enum { SIGNAL_CHANGED, SIGNAL_KEPT, SIGNAL_PROBLEM, N_SIGNALS };
static guint signals[N_SIGNALS];

static void kept_free(gpointer data) {
  Kept *kept = data;
  g_object_unref(kept->job);
  g_object_unref(kept->entry);
  g_free(kept);
}

static void limner_library_dispose(GObject *object) {
  LimnerLibrary *self = LIMNER_LIBRARY(object);
  g_clear_object(&self->monitor);
  g_clear_handle_id(&self->settling, g_source_remove);
  G_OBJECT_CLASS(limner_library_parent_class)->dispose(object);
}

static void limner_library_finalize(GObject *object) {
  LimnerLibrary *self = LIMNER_LIBRARY(object);
  library_index_close(&self->index);
  g_free(self->folder);
  g_free(self->inputs);
  g_free(self->trash);
  g_free(self->state);
  g_free(self->drafts);
  g_free(self->problem);
  g_ptr_array_unref(self->kept);
  g_ptr_array_unref(self->problems);
  g_main_context_unref(self->context);
  g_mutex_clear(&self->lock);
  G_OBJECT_CLASS(limner_library_parent_class)->finalize(object);
}

static void limner_library_class_init(LimnerLibraryClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  object_class->dispose = limner_library_dispose;
  object_class->finalize = limner_library_finalize;
  signals[SIGNAL_CHANGED] = g_signal_new("changed", LIMNER_TYPE_LIBRARY, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 0);
  signals[SIGNAL_KEPT] =
      g_signal_new("kept", LIMNER_TYPE_LIBRARY, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE,
                   3, LIMNER_TYPE_JOB, G_TYPE_UINT, LIMNER_TYPE_ENTRY);
  signals[SIGNAL_PROBLEM] = g_signal_new("problem", LIMNER_TYPE_LIBRARY, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void limner_library_init(LimnerLibrary *self) {
  g_mutex_init(&self->lock);
  self->context = g_main_context_ref_thread_default();
  self->kept = g_ptr_array_new_with_free_func(kept_free);
  self->problems = g_ptr_array_new_with_free_func(g_free);
}

// --- telling -------------------------------------------------------------------------------------

static gboolean on_news(gpointer data) {
  LimnerLibrary *self = data;
  g_mutex_lock(&self->lock);
  g_autoptr(GPtrArray) kept = self->kept;
  g_autoptr(GPtrArray) problems = self->problems;
  const gboolean has_changed = self->has_changed;
  self->kept = g_ptr_array_new_with_free_func(kept_free);
  self->problems = g_ptr_array_new_with_free_func(g_free);
  self->has_changed = FALSE;
  g_clear_pointer(&self->news, g_source_unref);
  g_mutex_unlock(&self->lock);
  g_object_ref(self);
  for (guint i = 0; i < kept->len; i++) {
    const Kept *one = kept->pdata[i];
    g_signal_emit(self, signals[SIGNAL_KEPT], 0, one->job, one->index, one->entry);
  }
  for (guint i = 0; i < problems->len; i++)
    g_signal_emit(self, signals[SIGNAL_PROBLEM], 0, problems->pdata[i]);
  if (has_changed)
    g_signal_emit(self, signals[SIGNAL_CHANGED], 0);
  g_object_unref(self);
  return G_SOURCE_REMOVE;
}

// With the lock.
static void schedule(LimnerLibrary *self) {
  if (self->news)
    return;
  self->news = g_idle_source_new();
  g_source_set_priority(self->news, G_PRIORITY_DEFAULT);
  g_source_set_callback(self->news, on_news, g_object_ref(self), g_object_unref);
  g_source_attach(self->news, self->context);
}

void library_tell_changed(LimnerLibrary *self) {
  g_mutex_lock(&self->lock);
  self->has_changed = TRUE;
  schedule(self);
  g_mutex_unlock(&self->lock);
}

void library_tell_kept(LimnerLibrary *self, LimnerJob *job, guint index, LimnerEntry *entry) {
  const Kept kept = {g_object_ref(job), g_object_ref(entry), index};
  g_mutex_lock(&self->lock);
  g_ptr_array_add(self->kept, g_memdup2(&kept, sizeof kept));
  schedule(self);
  g_mutex_unlock(&self->lock);
}

void library_tell_problem(LimnerLibrary *self, const char *sentence) {
  g_mutex_lock(&self->lock);
  g_ptr_array_add(self->problems, g_strdup(sentence));
  schedule(self);
  g_mutex_unlock(&self->lock);
}

// --- what others do to the folder ----------------------------------------------------------------

static void on_rescanned(GObject *source, GAsyncResult *result, gpointer data) {
  LimnerLibrary *self = LIMNER_LIBRARY(source);
  self->is_rescanning = FALSE;
  limner_library_rescan_finish(self, result, NULL);
}

static gboolean on_settled(gpointer data) {
  LimnerLibrary *self = data;
  self->settling = 0;
  if (!self->is_rescanning) {
    self->is_rescanning = TRUE;
    limner_library_rescan_async(self, NULL, on_rescanned, NULL);
  }
  return G_SOURCE_REMOVE;
}

static void on_folder_event(GFileMonitor *monitor, GFile *file, GFile *other,
                            GFileMonitorEvent event, LimnerLibrary *self) {
  g_autofree char *name = g_file_get_basename(file);
  if (!g_str_has_suffix(name, ".png"))
    return;
  g_clear_handle_id(&self->settling, g_source_remove);
  self->settling = g_timeout_add(SETTLE_MS, on_settled, self);
}

static void watch(LimnerLibrary *self) {
  g_autoptr(GFile) folder = g_file_new_for_path(self->folder);
  self->monitor = g_file_monitor_directory(folder, G_FILE_MONITOR_NONE, NULL, NULL);
  if (self->monitor)
    g_signal_connect(self->monitor, "changed", G_CALLBACK(on_folder_event), self);
}

// --- opening -------------------------------------------------------------------------------------

char *limner_library_dup_default_folder(void) {
  const char *pictures = g_get_user_special_dir(G_USER_DIRECTORY_PICTURES);
  return pictures ? g_build_filename(pictures, "Limner", NULL)
                  : g_build_filename(g_get_home_dir(), "Pictures", "Limner", NULL);
}

// STATE/NAME of the folder: one state for one folder, whatever it is called through.
static char *dup_state(const char *folder, const char *state) {
  g_autofree char *usual =
      state ? g_strdup(state)
            : g_build_filename(g_get_user_data_dir(), "limner", "libraries", NULL);
  char *real = realpath(folder, NULL);
  g_autofree char *canonical = g_canonicalize_filename(real ? real : folder, NULL);
  free(real);
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, canonical, -1);
  sum[16] = 0;
  return g_build_filename(usual, sum, NULL);
}

LimnerLibrary *limner_library_open(const char *folder, const char *state) {
  LimnerLibrary *self = g_object_new(LIMNER_TYPE_LIBRARY, NULL);
  g_autoptr(GError) error = NULL;
  g_autofree char *problem = NULL;
  self->folder = g_canonicalize_filename(folder, NULL);
  self->inputs = g_build_filename(self->folder, "inputs", NULL);
  self->trash = g_build_filename(self->folder, ".trash", NULL);
  const gboolean has_folder = library_folder_make(self->folder, &error);
  self->state = dup_state(self->folder, state);
  self->drafts = g_build_filename(self->state, "drafts", NULL);
  library_folder_make(self->drafts, NULL);
  library_index_open(&self->index, self->state, &problem);
  self->problem = !has_folder ? g_strdup(error->message) : g_steal_pointer(&problem);
  watch(self);
  return self;
}

const char *limner_library_get_folder(LimnerLibrary *self) {
  return self->folder;
}

char *limner_library_dup_problem(LimnerLibrary *self) {
  return g_strdup(self->problem);
}

const char *library_folder_of(LimnerLibrary *self, gboolean is_deleted) {
  return is_deleted ? self->trash : self->folder;
}

char *limner_library_dup_path(LimnerLibrary *self, LimnerEntry *entry) {
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  return g_build_filename(library_folder_of(self, facts->is_deleted), facts->name, NULL);
}

// --- calls from the main thread ------------------------------------------------------------------

typedef struct Call {
  LimnerLibraryCall call;
  gpointer data;
  GDestroyNotify free_data, free_result;
} Call;

static void call_free(gpointer data) {
  Call *call = data;
  if (call->free_data)
    call->free_data(call->data);
  g_free(call);
}

static void on_call(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  const Call *call = data;
  GError *error = NULL;
  if (g_task_return_error_if_cancelled(task))
    return;
  gpointer result = call->call(source, call->data, cancellable, &error);
  if (error)
    g_task_return_error(task, error);
  else
    g_task_return_pointer(task, result, call->free_result);
}

void limner_library_call_async(LimnerLibrary *self, LimnerLibraryCall call, gpointer data,
                               GDestroyNotify free_data, GDestroyNotify free_result,
                               GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data) {
  const Call kept = {call, data, free_data, free_result};
  g_autoptr(GTask) task = g_task_new(self, cancellable, callback, user_data);
  g_task_set_task_data(task, g_memdup2(&kept, sizeof kept), call_free);
  g_task_run_in_thread(task, on_call);
}

gpointer limner_library_call_finish(LimnerLibrary *self, GAsyncResult *result, GError **error) {
  g_return_val_if_fail(g_task_is_valid(result, self), NULL);
  return g_task_propagate_pointer(G_TASK(result), error);
}

static gpointer call_thumbnail(LimnerLibrary *self, gpointer entry, GCancellable *cancellable,
                               GError **error) {
  return limner_library_load_thumbnail(self, entry, error);
}

void limner_library_load_thumbnail_async(LimnerLibrary *self, LimnerEntry *entry,
                                         GCancellable *cancellable, GAsyncReadyCallback callback,
                                         gpointer user_data) {
  limner_library_call_async(self, call_thumbnail, g_object_ref(entry), g_object_unref,
                            (GDestroyNotify)limner_picture_unref, cancellable, callback, user_data);
}

LimnerPicture *limner_library_load_thumbnail_finish(LimnerLibrary *self, GAsyncResult *result,
                                                    GError **error) {
  return limner_library_call_finish(self, result, error);
}

static gpointer call_rescan(LimnerLibrary *self, gpointer data, GCancellable *cancellable,
                            GError **error) {
  limner_library_rescan(self, cancellable, NULL, error);
  return NULL;
}

void limner_library_rescan_async(LimnerLibrary *self, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer user_data) {
  limner_library_call_async(self, call_rescan, NULL, NULL, NULL, cancellable, callback, user_data);
}

gboolean limner_library_rescan_finish(LimnerLibrary *self, GAsyncResult *result, GError **error) {
  g_autoptr(GError) reason = NULL;
  limner_library_call_finish(self, result, &reason);
  const gboolean ok = !reason;
  if (reason)
    g_propagate_error(error, g_steal_pointer(&reason));
  return ok;
}
