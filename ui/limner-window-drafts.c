// SPDX-License-Identifier: MIT
// Jobs that are not done: those that were stopped, and those that the end of the program left, are
// offered to be continued.
#include "ui/limner-window-private.h"

#include "app/draft.h"

#include <glib/gi18n.h>

enum { N_TRIES = 50, TRY_US = 20000 };

// --- what is offered -----------------------------------------------------------------------------

// "“a boat” is not finished: 12 of 576 tokens". Owned.
static char *dup_words(GPtrArray *drafts) {
  const guint n = drafts->len;
  if (n != 1)
    return g_strdup_printf(ngettext("%u job is not finished", "%u jobs are not finished", n), n);
  const LimnerDraftFacts *facts = drafts->pdata[0];
  if (facts->n_known == 0)
    return g_strdup_printf(_("“%s” is not painted yet"), facts->request.prompt);
  return g_strdup_printf(_("“%s” is not finished: %u of %u tokens"), facts->request.prompt,
                         facts->n_known, facts->n_total);
}

static void show_drafts(LimnerWindow *self) {
  const gboolean has_some = self->drafts && self->drafts->len > 0;
  if (has_some) {
    g_autofree char *words = dup_words(self->drafts);
    gtk_label_set_label(self->draft_label, words);
    gtk_widget_set_tooltip_text(GTK_WIDGET(self->draft_label), words);
  }
  gtk_widget_set_visible(self->draft_bar, has_some);
}

static gpointer list_drafts(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                            GError **error) {
  return limner_library_list_drafts(library, error);
}

static void on_listed(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GPtrArray) drafts = limner_library_call_finish(LIMNER_LIBRARY(source), result, NULL);
  self->is_listing = FALSE;
  if (!self->library || !drafts)
    return;
  g_clear_pointer(&self->drafts, g_ptr_array_unref);
  self->drafts = g_steal_pointer(&drafts);
  show_drafts(self);
  if (self->must_list)
    limner_window_update_drafts(self);
}

void limner_window_update_drafts(LimnerWindow *self) {
  if (!self->library)
    return;
  self->must_list = self->is_listing;
  if (self->is_listing)
    return;
  self->is_listing = TRUE;
  limner_library_call_async(self->library, list_drafts, NULL, NULL,
                            (GDestroyNotify)g_ptr_array_unref, NULL, on_listed, g_object_ref(self));
}

// --- which ones ----------------------------------------------------------------------------------

// The job shown, when it was stopped and can go on. As it holds its draft, it goes first. NULL =
// none; owned.
static GStrv take_shown(LimnerWindow *self) {
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  const char *id = job && limner_job_is_over(job) ? limner_job_get_draft_id(job) : NULL;
  if (!id || limner_job_get_state(job) == LIMNER_JOB_DONE)
    return NULL;
  const char *const ids[] = {id, NULL};
  GStrv taken = g_strdupv((char **)ids);
  limner_window_drop_job(self);
  return taken;
}

// Those offered above, oldest first. NULL = none; owned.
static GStrv take_offered(LimnerWindow *self) {
  const guint n = self->drafts ? self->drafts->len : 0;
  GStrv ids = n > 0 ? g_new0(char *, n + 1) : NULL;
  for (guint i = 0; i < n; i++) {
    const LimnerDraftFacts *facts = self->drafts->pdata[n - 1 - i];
    ids[i] = g_strdup(facts->id);
  }
  gtk_widget_set_visible(self->draft_bar, FALSE);
  return ids;
}

// --- going on ------------------------------------------------------------------------------------

// A job that was just let go of may hold its draft for another moment.
static gpointer load_draft(LimnerLibrary *library, gpointer id, GCancellable *cancellable,
                           GError **error) {
  for (int i = 0; i < N_TRIES; i++) {
    LimnerDraft *draft = limner_library_load_draft(library, id, NULL);
    if (draft)
      return draft;
    g_usleep(TRY_US);
  }
  return limner_library_load_draft(library, id, error);
}

// The model it was begun with paints it.
static void ensure_model(LimnerWindow *self, const char *folder) {
  const LimnerModelSummary *model = limner_job_queue_get_model(self->queue);
  const gboolean is_loading = limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_LOADING;
  if (folder && *folder && !is_loading && (!model || strcmp(model->folder, folder) != 0))
    limner_window_set_model(self, folder);
}

static void on_draft_loaded(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerDraft) draft = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (!self->queue)
    return;
  if (!draft) {
    limner_window_say_problem(self, error->message);
    return;
  }
  ensure_model(self, limner_draft_get_model_folder(draft));
  g_autoptr(LimnerJob) job = limner_draft_new_job(g_steal_pointer(&draft));
  limner_job_queue_add(self->queue, job);
  limner_window_update_drafts(self);
}

// Takes the ids.
static void go_on(LimnerWindow *self, GStrv taken) {
  g_auto(GStrv) ids = taken;
  for (char **id = ids; id && *id; id++)
    limner_library_call_async(self->library, load_draft, g_strdup(*id), g_free,
                              (GDestroyNotify)limner_draft_free, NULL, on_draft_loaded,
                              g_object_ref(self));
}

static void continue_shown(GtkWidget *widget, const char *action, GVariant *parameter) {
  go_on(LIMNER_WINDOW(widget), take_shown(LIMNER_WINDOW(widget)));
}

static void continue_offered(GtkWidget *widget, const char *action, GVariant *parameter) {
  go_on(LIMNER_WINDOW(widget), take_offered(LIMNER_WINDOW(widget)));
}

// --- or not --------------------------------------------------------------------------------------

static gpointer discard_drafts(LimnerLibrary *library, gpointer ids, GCancellable *cancellable,
                               GError **error) {
  for (char **id = ids; *id; id++)
    if (!limner_library_discard_draft(library, *id, error))
      return NULL;
  return NULL;
}

static void on_discarded(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  limner_window_update_drafts(self);
}

static void discard_ids(LimnerWindow *self, const char *const *ids) {
  limner_library_call_async(self->library, discard_drafts, g_strdupv((char **)ids),
                            (GDestroyNotify)g_strfreev, NULL, NULL, on_discarded,
                            g_object_ref(self));
}

static void discard_shown(GtkWidget *widget, const char *action, GVariant *parameter) {
  g_auto(GStrv) ids = take_shown(LIMNER_WINDOW(widget));
  if (ids)
    discard_ids(LIMNER_WINDOW(widget), (const char *const *)ids);
}

static void discard_offered(GtkWidget *widget, const char *action, GVariant *parameter) {
  g_auto(GStrv) ids = take_offered(LIMNER_WINDOW(widget));
  if (ids)
    discard_ids(LIMNER_WINDOW(widget), (const char *const *)ids);
}

// A job that was done before it could be stopped has its pictures in the library.
void limner_window_end_discarding(LimnerWindow *self) {
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (!job || job != self->discarding || !limner_job_is_over(job))
    return;
  const gboolean is_stopped = limner_job_get_state(job) == LIMNER_JOB_CANCELLED;
  g_autofree char *id = g_strdup(limner_job_get_draft_id(job));
  const char *const ids[] = {id, NULL};
  if (is_stopped)
    limner_window_drop_job(self);
  g_clear_object(&self->discarding);
  if (is_stopped && id && self->library)
    discard_ids(self, ids);
}

// What could not even be begun has nothing to be kept for.
void limner_window_forget_failed(LimnerWindow *self, LimnerJob *job) {
  const char *const ids[] = {limner_job_get_draft_id(job), NULL};
  if (self->library && ids[0] && limner_job_get_state_seconds(job, LIMNER_JOB_PAINTING) <= 0)
    discard_ids(self, ids);
}

void limner_window_install_draft_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.continue", NULL, continue_shown);
  gtk_widget_class_install_action(widget_class, "win.continue-all", NULL, continue_offered);
  gtk_widget_class_install_action(widget_class, "win.discard", NULL, discard_shown);
  gtk_widget_class_install_action(widget_class, "win.discard-all", NULL, discard_offered);
}
