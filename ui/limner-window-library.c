// SPDX-License-Identifier: MIT
// The library in the window: jobs that keep their pictures, the page of all of them, and what is
// done with those.
#include "ui/limner-window-private.h"

#include "app/draft.h"
#include "ui/limner-drag.h"
#include "ui/limner-files.h"
#include "ui/limner-kept.h"
#include "ui/limner-settings.h"

#include <glib/gi18n.h>

// --- painting ------------------------------------------------------------------------------------

typedef struct Start {
  LimnerRequest *request;
  char *model_folder;
} Start;

static void start_free(gpointer data) {
  Start *start = data;
  limner_request_free(start->request);
  g_free(start->model_folder);
  g_free(start);
}

static gpointer write_draft(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                            GError **error) {
  const Start *start = data;
  return limner_library_new_draft(library, start->request, start->model_folder);
}

static void start_next(LimnerWindow *self);

static void on_draft(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(LimnerDraft) draft = limner_library_call_finish(LIMNER_LIBRARY(source), result, NULL);
  self->is_starting = FALSE;
  if (!self->queue || !draft) // closed meanwhile: it is offered at the next start
    return;
  g_autoptr(LimnerJob) job = limner_draft_new_job(g_steal_pointer(&draft));
  limner_job_queue_add(self->queue, job);
  start_next(self);
}

// One at a time: jobs run in the order in which they were asked for.
static void start_next(LimnerWindow *self) {
  if (self->is_starting || g_queue_is_empty(&self->requests))
    return;
  const LimnerModelSummary *model = limner_job_queue_get_model(self->queue);
  Start *start = g_new0(Start, 1);
  start->request = g_queue_pop_head(&self->requests);
  start->model_folder = model ? g_strdup(model->folder)
                              : limner_settings_dup_string(self->settings, "model-folder", "demo");
  self->is_starting = TRUE;
  limner_library_call_async(self->library, write_draft, start, start_free,
                            (GDestroyNotify)limner_draft_free, NULL, on_draft, g_object_ref(self));
}

void limner_window_paint(LimnerWindow *self, const LimnerRequest *request) {
  if (self->library) {
    g_queue_push_tail(&self->requests, limner_request_copy(request));
    start_next(self);
  } else {
    g_autoptr(LimnerJob) job = limner_job_new(request);
    limner_job_queue_add(self->queue, job);
  }
  limner_window_go_to_main(self);
  if (adw_flap_get_folded(self->flap))
    adw_flap_set_reveal_flap(self->flap, FALSE);
}

// --- pictures of the library as samples ----------------------------------------------------------

typedef struct Use {
  LimnerWindow *window;
  LimnerEntry *entry;
  LimnerSampleUse use;
} Use;

static void use_free(Use *use) {
  g_object_unref(use->window);
  g_object_unref(use->entry);
  g_free(use);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Use, use_free)

static gpointer load_sample(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                            GError **error) {
  return limner_library_load_sample(library, data, error);
}

static void on_sample(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(Use) use = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerSample) sample =
      limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED) || !use->window->library)
    return;
  if (!sample) {
    limner_window_say(use->window, error->message);
    return;
  }
  limner_sample_set_entry(sample, use->entry);
  use->use(use->window, sample);
}

GCancellable *limner_window_begin_opening(LimnerWindow *self) {
  if (self->opening)
    g_cancellable_cancel(self->opening);
  g_clear_object(&self->opening);
  return self->opening = g_cancellable_new();
}

// The newest wish wins.
void limner_window_use_entry(LimnerWindow *self, LimnerEntry *entry, LimnerSampleUse use) {
  Use *data = g_new0(Use, 1);
  data->window = g_object_ref(self);
  data->entry = g_object_ref(entry);
  data->use = use;
  limner_library_call_async(self->library, load_sample, g_object_ref(entry), g_object_unref,
                            g_object_unref, limner_window_begin_opening(self), on_sample, data);
}

static void view_sample(LimnerWindow *self, LimnerSample *sample) {
  limner_window_view_sample(self, sample, GTK_WIDGET(self->library_page));
}

static void on_open(LimnerWindow *self, LimnerEntry *entry) {
  limner_window_use_entry(self, entry, view_sample);
}

// The picture beside it; the page behind it follows.
void limner_window_step_entry(LimnerWindow *self, LimnerEntry *entry, int by) {
  g_autoptr(LimnerEntry) there = limner_library_page_dup_neighbour(self->library_page, entry, by);
  if (!there)
    return;
  limner_library_page_choose(self->library_page, there);
  on_open(self, there);
}

// --- several at once -----------------------------------------------------------------------------

static LimnerSample *shown_sample(LimnerWindow *self) {
  return limner_window_is_large(self) ? limner_large_view_get_sample(self->large_view)
                                      : limner_gallery_get_chosen(self->gallery);
}

// Of the large view or the gallery.
GPtrArray *limner_window_dup_samples(LimnerWindow *self) {
  if (!limner_window_is_large(self))
    return limner_gallery_dup_chosen(self->gallery);
  GPtrArray *samples = g_ptr_array_new_with_free_func(g_object_unref);
  LimnerSample *sample = limner_large_view_get_sample(self->large_view);
  if (sample)
    g_ptr_array_add(samples, g_object_ref(sample));
  return samples;
}

static void add_entry(GPtrArray *entries, LimnerEntry *entry) {
  if (entry)
    g_ptr_array_add(entries, g_object_ref(entry));
}

// Of the page that is shown. Owned, maybe empty.
static GPtrArray *dup_entries(LimnerWindow *self) {
  if (limner_window_is_library(self))
    return limner_library_page_dup_chosen(self->library_page);
  GPtrArray *entries = g_ptr_array_new_with_free_func(g_object_unref);
  if (limner_window_is_tree(self)) {
    add_entry(entries, limner_tree_get_chosen(self->tree));
    return entries;
  }
  g_autoptr(GPtrArray) samples = limner_window_dup_samples(self);
  for (guint i = 0; i < samples->len; i++)
    add_entry(entries, limner_sample_get_entry(samples->pdata[i]));
  return entries;
}

GPtrArray *limner_window_dup_chosen(LimnerWindow *self) {
  g_autoptr(GPtrArray) chosen = dup_entries(self);
  if (chosen->len > 0)
    return g_steal_pointer(&chosen);
  limner_window_say(self, limner_window_is_library(self) ? _("Choose a picture first")
                                                         : _("This picture is not in the library"));
  return NULL;
}

static void on_changed(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (error && self->library)
    limner_window_say_problem(self, error->message);
}

typedef struct Change {
  LimnerLibrary *library; // which the window lets go of when it is closed
  LimnerLibraryCall call;
  GPtrArray *entries;
  GAsyncReadyCallback callback;
} Change;

static void change_free(Change *change) {
  g_object_unref(change->library);
  g_ptr_array_unref(change->entries);
  g_free(change);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Change, change_free)

static void start_change(LimnerWindow *self);

static void on_change(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(Change) change = g_queue_pop_head(&self->changes);
  change->callback(source, result, g_object_ref(self));
  if (!g_queue_is_empty(&self->changes))
    start_change(self);
  if (g_application_get_default())
    g_application_release(g_application_get_default());
}

static void start_change(LimnerWindow *self) {
  const Change *change = g_queue_peek_head(&self->changes);
  limner_library_call_async(change->library, change->call, g_ptr_array_ref(change->entries),
                            (GDestroyNotify)g_ptr_array_unref, g_object_unref, NULL, on_change,
                            g_object_ref(self));
}

// In the order in which they were asked for, or Undo could come before what it undoes; and to the
// end, also when the window is closed meanwhile.
static void change_entries(LimnerWindow *self, LimnerLibraryCall call, GPtrArray *entries,
                           GAsyncReadyCallback callback) {
  const Change change = {g_object_ref(self->library), call, g_ptr_array_ref(entries), callback};
  if (g_application_get_default())
    g_application_hold(g_application_get_default());
  g_queue_push_tail(&self->changes, g_memdup2(&change, sizeof change));
  if (g_queue_get_length(&self->changes) == 1)
    start_change(self);
}

// --- favourites ----------------------------------------------------------------------------------

// All of them, or none when all are already. The first as it is now.
static gpointer mark(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                     GError **error) {
  GPtrArray *entries = data;
  gboolean are_all = TRUE;
  for (guint i = 0; i < entries->len; i++) {
    g_autoptr(LimnerEntry) now =
        limner_library_find(library, limner_entry_get_facts(entries->pdata[i])->sha256, NULL);
    are_all = are_all && now && limner_entry_get_facts(now)->is_favourite;
  }
  for (guint i = 0; i < entries->len; i++)
    if (!limner_library_set_favourite(library, entries->pdata[i], !are_all, error))
      return NULL;
  return limner_library_find(library, limner_entry_get_facts(entries->pdata[0])->sha256, error);
}

static gboolean is_entry(LimnerEntry *a, LimnerEntry *b) {
  return a && b && limner_entry_get_facts(a)->id == limner_entry_get_facts(b)->id;
}

static void on_marked(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerEntry) entry = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (!self->library)
    return;
  if (error)
    limner_window_say_problem(self, error->message);
  if (!entry)
    return;
  LimnerSample *sample = shown_sample(self);
  if (sample && is_entry(limner_sample_get_entry(sample), entry))
    limner_sample_set_entry(sample, entry);
  limner_large_view_update_entry(self->large_view);
  if (!limner_window_is_library(self))
    limner_window_say(self, limner_entry_get_facts(entry)->is_favourite
                                ? _("Now a favourite")
                                : _("No favourite any more"));
}

static void favourite(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autoptr(GPtrArray) entries = self->library ? limner_window_dup_chosen(self) : NULL;
  if (entries)
    change_entries(self, mark, entries, on_marked);
}

// --- the trash -----------------------------------------------------------------------------------

static gpointer restore(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                        GError **error) {
  GPtrArray *entries = data;
  for (guint i = 0; i < entries->len; i++)
    if (!limner_library_restore(library, entries->pdata[i], error))
      return NULL;
  return NULL;
}

static gpointer delete (LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                        GError **error) {
  GPtrArray *entries = data;
  for (guint i = 0; i < entries->len; i++)
    if (!limner_library_delete(library, entries->pdata[i], error))
      return NULL;
  return NULL;
}

static void say_deleted(LimnerWindow *self, guint n) {
  g_autofree char *words =
      g_strdup_printf(ngettext("%u picture deleted", "%u pictures deleted", n), n);
  limner_window_say_with_button(self, words, _("Undo"), "win.undo", NULL);
}

// What is deleted here already is put back.
static void delete_chosen(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autoptr(GPtrArray) entries = self->library ? limner_window_dup_chosen(self) : NULL;
  if (!entries)
    return;
  if (limner_entry_get_facts(entries->pdata[0])->is_deleted) {
    limner_gallery_set_hidden(self->gallery, entries, FALSE);
    change_entries(self, restore, entries, on_changed);
    limner_window_say(self, _("Put back"));
    return;
  }
  g_clear_pointer(&self->deleted, g_ptr_array_unref);
  self->deleted = g_ptr_array_ref(entries);
  if (limner_window_is_large(self))
    limner_window_go_back(self);
  limner_gallery_set_hidden(self->gallery, entries, TRUE);
  change_entries(self, delete, entries, on_changed);
  say_deleted(self, entries->len);
}

static void undo(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  if (!self->deleted)
    return;
  limner_gallery_set_hidden(self->gallery, self->deleted, FALSE);
  change_entries(self, restore, self->deleted, on_changed);
  g_clear_pointer(&self->deleted, g_ptr_array_unref);
  limner_window_say(self, _("Put back"));
}

// --- the page ------------------------------------------------------------------------------------

static void show_library(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  adw_leaflet_set_visible_child(self->pages, GTK_WIDGET(self->library_page));
  limner_library_page_focus_grid(self->library_page);
}

static void search(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  adw_leaflet_set_visible_child(self->pages, GTK_WIDGET(self->library_page));
  limner_library_page_search(self->library_page);
}

static void show_chosen(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autoptr(GPtrArray) entries = self->library ? limner_window_dup_chosen(self) : NULL;
  if (!entries)
    return;
  g_autofree char *path = limner_library_dup_path(self->library, entries->pdata[0]);
  limner_files_show(path);
}

// --- the library's own news ----------------------------------------------------------------------

static void on_kept(LimnerWindow *self, LimnerJob *job, guint index, LimnerEntry *entry) {
  g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), index);
  if (!sample)
    return;
  limner_sample_set_entry(sample, entry);
  limner_large_view_update_entry(self->large_view);
}

static void on_problem(LimnerWindow *self, const char *sentence) {
  limner_window_say_problem(self, sentence);
}

void limner_window_set_library(LimnerWindow *self, LimnerLibrary *library) {
  g_autofree char *problem = limner_library_dup_problem(library);
  self->library = g_object_ref(library);
  limner_library_page_set_library(self->library_page, library);
  g_signal_connect_object(library, "kept", G_CALLBACK(on_kept), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(library, "problem", G_CALLBACK(on_problem), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(library, "changed", G_CALLBACK(limner_window_update_drafts), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->library_page, "open", G_CALLBACK(on_open), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->library_page, "problem", G_CALLBACK(on_problem), self,
                          G_CONNECT_SWAPPED);
  if (problem)
    limner_window_say_problem(self, problem);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.library", TRUE);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.search", TRUE);
  limner_window_update_drafts(self);
}

void limner_window_init_library(LimnerWindow *self) {
  g_queue_init(&self->requests);
  g_queue_init(&self->changes);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.library", FALSE);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.search", FALSE);
}

void limner_window_dispose_library(LimnerWindow *self) {
  if (self->opening)
    g_cancellable_cancel(self->opening);
  g_clear_object(&self->opening);
  g_clear_object(&self->comparing);
  g_queue_clear_full(&self->requests, (GDestroyNotify)limner_request_free);
  g_clear_pointer(&self->deleted, g_ptr_array_unref);
  g_clear_pointer(&self->drafts, g_ptr_array_unref);
  g_clear_object(&self->library);
}

void limner_window_install_library_actions(GtkWidgetClass *widget_class) {
  static const struct {
    const char *name;
    GtkWidgetActionActivateFunc activate;
  } actions[] = {
      {"win.library", show_library}, {"win.search", search}, {"win.favourite", favourite},
      {"win.delete", delete_chosen}, {"win.undo", undo},     {"win.show-chosen", show_chosen},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(actions); i++)
    gtk_widget_class_install_action(widget_class, actions[i].name, NULL, actions[i].activate);
}
