// SPDX-License-Identifier: MIT
// The page that shows how a picture came to be, and what else was made of it; chains into files and
// back.
#include "ui/limner-window-private.h"

#include "app/chain.h"
#include "ui/limner-kept.h"
#include "ui/limner-outgoing.h"

#include <glib/gi18n.h>

gboolean limner_window_is_tree(LimnerWindow *self) {
  return adw_leaflet_get_visible_child(self->pages) == self->tree_page;
}

static void view_sample(LimnerWindow *self, LimnerSample *sample) {
  limner_window_view_sample(self, sample, self->tree_page);
}

static void on_open(LimnerWindow *self, LimnerEntry *entry) {
  limner_window_use_entry(self, entry, view_sample);
}

static void on_problem(LimnerWindow *self, const char *sentence) {
  limner_window_say_problem(self, sentence);
}

static LimnerEntry *find_entry(LimnerWindow *self) {
  g_autoptr(GPtrArray) chosen = limner_window_dup_chosen(self);
  return chosen ? g_object_ref(chosen->pdata[0]) : NULL;
}

static void show_tree(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autoptr(LimnerEntry) entry = self->library ? find_entry(self) : NULL;
  if (!entry)
    return;
  if (limner_window_is_large(self))
    self->tree_from = self->came_from == self->tree_page ? self->tree_from : self->came_from;
  else
    self->tree_from =
        limner_window_is_library(self) ? GTK_WIDGET(self->library_page) : self->main_page;
  limner_tree_show(self->tree, self->library,
                   limner_library_page_get_thumbnails(self->library_page), entry);
  adw_leaflet_set_visible_child(self->pages, self->tree_page);
}

// --- a chain as a file ---------------------------------------------------------------------------

// What the menu calls a form, and what its file is suggested to be called.
static const struct {
  const char *name, *suffix, *title;
} forms[] = {
    [LIMNER_CHAIN_STRIP] = {"strip", "-strip.png", N_("Save Strip (.png, .jpg or .webp)")},
    [LIMNER_CHAIN_ANIMATION] = {"animation", "-steps.webp", N_("Save Animation (.webp)")},
    [LIMNER_CHAIN_FRAMES] = {"frames", "-frames", N_("Save Frames as a New Folder")},
    [LIMNER_CHAIN_FILE] = {"file", "-chain.png", N_("Save Picture With Its Chain (.png)")},
};

typedef struct Export {
  LimnerEntry *entry; // owned
  LimnerChainForm form;
  char *path; // owned
} Export;

static void export_free(gpointer data) {
  Export *export = data;
  g_object_unref(export->entry);
  g_free(export->path);
  g_free(export);
}

static gpointer write_chain(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                            GError **error) {
  const Export *export = data;
  const LimnerChainOptions options = {
      .form = export->form, .has_captions = TRUE, .without_metadata = limner_outgoing_is_bare()};
  g_autoptr(GPtrArray) chain = limner_chain_load(library, export->entry, error);
  return chain && limner_chain_export(chain, export->path, &options, error) ? g_strdup(export->path)
                                                                            : NULL;
}

static void on_written(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  g_application_release(g_application_get_default());
  if (!path) {
    limner_window_say_problem(self, error->message);
    return;
  }
  g_autofree char *where = limner_window_dup_short_path(path);
  g_autofree char *text = g_strdup_printf(_("Saved to %s"), where);
  limner_window_say_with_file(self, text, path);
}

static void on_place_chosen(LimnerWindow *self, int response, GtkFileChooserNative *chooser) {
  Export *export = g_object_steal_data(G_OBJECT(chooser), "limner-export");
  export->path = limner_window_end_chooser(self, response);
  if (!export->path || !self->library) {
    export_free(export);
    return;
  }
  // A window closed meanwhile does not end the program before the file is whole.
  g_application_hold(g_application_get_default());
  limner_library_call_async(self->library, write_chain, export, export_free, g_free, NULL,
                            on_written, g_object_ref(self));
}

// "limner-7_0" of "limner-7_0.png". Owned.
static char *dup_stem(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? g_strndup(name, (gsize)(dot - name)) : g_strdup(name);
}

static void export_chain(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autoptr(LimnerEntry) entry = self->library ? find_entry(self) : NULL;
  guint form = 0;
  while (form < G_N_ELEMENTS(forms) &&
         strcmp(forms[form].name, g_variant_get_string(parameter, NULL)) != 0)
    form++;
  if (!entry || form == G_N_ELEMENTS(forms))
    return;
  const Export export = {g_object_ref(entry), (LimnerChainForm)form, NULL};
  g_autofree char *stem = dup_stem(limner_entry_get_facts(entry)->name);
  g_autofree char *name = g_strconcat(stem, forms[form].suffix, NULL);
  GtkFileChooserNative *chooser = limner_window_new_chooser(
      self, _(forms[form].title), GTK_FILE_CHOOSER_ACTION_SAVE, _("_Save"));
  gtk_file_chooser_set_current_name(GTK_FILE_CHOOSER(chooser), name);
  g_object_set_data_full(G_OBJECT(chooser), "limner-export", g_memdup2(&export, sizeof export),
                         export_free);
  g_signal_connect_object(chooser, "response", G_CALLBACK(on_place_chosen), self,
                          G_CONNECT_SWAPPED);
  gtk_native_dialog_show(GTK_NATIVE_DIALOG(chooser));
}

// --- and back ------------------------------------------------------------------------------------

// All owned.
typedef struct Restore {
  LimnerWindow *window;
  LimnerLibrary *library;
  LimnerInput *file;
  LimnerRestored then;
} Restore;

static void restore_free(Restore *restore) {
  g_object_unref(restore->window);
  g_object_unref(restore->library);
  limner_input_unref(restore->file);
  g_free(restore);
}

static gpointer restore_chain(JanusModel *model, gpointer data, GCancellable *cancellable,
                              GError **error) {
  const Restore *restore = data;
  return limner_chain_restore(restore->library, restore->file, model, cancellable, error);
}

static void on_restored(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerEntry) entry = limner_job_queue_call_finish(result, &error);
  Restore *restore = data;
  LimnerWindow *self = restore->window;
  if (self->library && !g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    restore->then(self, restore->file, error);
  restore_free(restore);
}

void limner_window_restore_chain(LimnerWindow *self, LimnerInput *file, LimnerRestored then) {
  const Restore restore = {g_object_ref(self), g_object_ref(self->library), limner_input_ref(file),
                           then};
  Restore *data = g_memdup2(&restore, sizeof restore); // freed by on_restored(), which comes always
  limner_job_queue_call_async(self->queue, restore_chain, data, NULL, g_object_unref, on_restored,
                              data);
}

// --- the page ------------------------------------------------------------------------------------

void limner_window_init_tree(LimnerWindow *self) {
  g_signal_connect_object(self->tree, "open", G_CALLBACK(on_open), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->tree, "problem", G_CALLBACK(on_problem), self, G_CONNECT_SWAPPED);
}

void limner_window_install_tree_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.tree", NULL, show_tree);
  gtk_widget_class_install_action(widget_class, "win.export-chain", "s", export_chain);
}
