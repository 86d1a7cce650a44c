// SPDX-License-Identifier: MIT
// The queue in the window: ways to stop, asking once more, and news of what ended.
#include "ui/limner-window-private.h"

#include <glib/gi18n.h>

// --- news ----------------------------------------------------------------------------------------

// Where the window is not looked at, the desktop tells what came of it. News of a failure is not
// replaced by that of the next job.
static void notify(LimnerWindow *self, const char *id, const char *title, const char *words) {
  GApplication *application = G_APPLICATION(gtk_window_get_application(GTK_WINDOW(self)));
  if (!application || gtk_window_is_active(GTK_WINDOW(self)))
    return;
  g_autoptr(GNotification) news = g_notification_new(title);
  g_notification_set_body(news, words);
  g_application_send_notification(application, id, news);
}

static void on_job_state(LimnerWindow *self, GParamSpec *pspec, LimnerJob *job) {
  const LimnerJobState state = limner_job_get_state(job);
  if (state == LIMNER_JOB_DONE)
    notify(self, "done", _("The Pictures Are Ready"), limner_job_get_request(job)->prompt);
  const GError *error = limner_job_get_error(job);
  g_autofree char *sentence = error ? limner_engine_error_dup_sentence(error) : NULL;
  if (state == LIMNER_JOB_FAILED)
    notify(self, "failed", _("The Pictures Could Not Be Painted"), sentence);
}

// Looked at again, it needs no news.
static void on_active(LimnerWindow *self) {
  GApplication *application = G_APPLICATION(gtk_window_get_application(GTK_WINDOW(self)));
  if (!application || !gtk_window_is_active(GTK_WINDOW(self)))
    return;
  g_application_withdraw_notification(application, "done");
  g_application_withdraw_notification(application, "failed");
}

// Every job, for the one shown may be another one by then. Those that change places come again.
static void on_items_changed(LimnerWindow *self, guint position, guint n_removed, guint n_added,
                             GListModel *queue) {
  for (guint i = position; i < position + n_added; i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(queue, i);
    g_signal_handlers_disconnect_by_func(job, on_job_state, self);
    g_signal_connect_object(job, "notify::state", G_CALLBACK(on_job_state), self,
                            G_CONNECT_SWAPPED);
  }
}

// --- ways to stop --------------------------------------------------------------------------------

// What waits is offered to be continued, as what was stopped is.
static void cancel_waiting(LimnerWindow *self) {
  LimnerJob *running = limner_gallery_get_job(self->gallery);
  g_queue_clear_full(&self->requests, (GDestroyNotify)limner_request_free);
  g_autoptr(GPtrArray) jobs = g_ptr_array_new_with_free_func(g_object_unref);
  for (guint i = 0; i < limner_job_queue_get_n_active(self->queue); i++)
    g_ptr_array_add(jobs, g_list_model_get_item(G_LIST_MODEL(self->queue), i));
  for (guint i = 0; i < jobs->len; i++)
    if (jobs->pdata[i] != running)
      limner_job_cancel(jobs->pdata[i]);
}

static void stop_after(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  const gboolean has_more = job && limner_job_stop_after_batch(job);
  const gboolean has_waiting = limner_job_queue_get_n_active(self->queue) > 1;
  cancel_waiting(self);
  limner_window_say(self, has_more || has_waiting
                              ? _("Stops after these pictures")
                              : _("Nothing waits: it stops after these pictures anyway"));
}

static void stop_discard(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (!job || limner_job_is_over(job))
    return;
  g_set_object(&self->discarding, job);
  limner_job_cancel(job);
}

static void stop_all(GtkWidget *widget, const char *action, GVariant *parameter) {
  g_queue_clear_full(&LIMNER_WINDOW(widget)->requests, (GDestroyNotify)limner_request_free);
  limner_job_queue_cancel_all(LIMNER_WINDOW(widget)->queue);
}

// --- once more -----------------------------------------------------------------------------------

// The same seed would paint the same pictures.
static void on_repeat(LimnerWindow *self, LimnerJob *job) {
  g_autoptr(LimnerRequest) request = limner_request_copy(limner_job_get_request(job));
  request->seed = limner_random_seed();
  limner_window_paint(self, request);
}

void limner_window_watch_queue(LimnerWindow *self) {
  g_signal_connect_object(self->queue, "items-changed", G_CALLBACK(on_items_changed), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->queue_list, "repeat", G_CALLBACK(on_repeat), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect(self, "notify::is-active", G_CALLBACK(on_active), NULL);
}

void limner_window_install_queue_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.stop-after", NULL, stop_after);
  gtk_widget_class_install_action(widget_class, "win.stop-discard", NULL, stop_discard);
  gtk_widget_class_install_action(widget_class, "win.stop-all", NULL, stop_all);
}
