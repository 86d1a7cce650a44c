// SPDX-License-Identifier: MIT
// What is done with pictures: save, copy, look at, and take one to change.
#include "ui/limner-drag.h"
#include "ui/limner-files.h"
#include "ui/limner-kept.h"
#include "ui/limner-window-private.h"

#include <glib/gi18n.h>

// --- file dialogs --------------------------------------------------------------------------------

GtkFileChooserNative *limner_window_new_chooser(LimnerWindow *self, const char *title,
                                                GtkFileChooserAction action, const char *accept) {
  g_clear_object(&self->chooser);
  // Not modal: GTK does not let a window be closed that a modal one is open over.
  self->chooser = gtk_file_chooser_native_new(title, GTK_WINDOW(self), action, accept, NULL);
  return self->chooser;
}

char *limner_window_end_chooser(LimnerWindow *self, int response) {
  g_autoptr(GtkFileChooserNative) chooser = g_steal_pointer(&self->chooser);
  g_autoptr(GFile) file = gtk_file_chooser_get_file(GTK_FILE_CHOOSER(chooser));
  return response == GTK_RESPONSE_ACCEPT && file ? g_file_get_path(file) : NULL;
}

// --- pictures that were painted ------------------------------------------------------------------

// The sample an action is about when it can be used; else says why not. Borrowed.
static LimnerSample *usable_sample(LimnerWindow *self) {
  LimnerSample *sample = limner_window_is_large(self)
                             ? limner_large_view_get_sample(self->large_view)
                             : limner_gallery_get_chosen(self->gallery);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  guint position = 0;
  if (!sample || !limner_sample_get_picture(sample)) {
    limner_window_say(self, _("There is no picture here yet"));
    return NULL;
  }
  const gboolean is_growing =
      job && !limner_job_is_over(job) &&
      g_list_store_find(G_LIST_STORE(limner_job_get_samples(job)), sample, &position);
  if (is_growing && !limner_sample_get_finished(sample)) {
    limner_window_say(self, _("This picture is still being painted"));
    return NULL;
  }
  return sample;
}

void limner_window_use_sample(LimnerWindow *self, LimnerSampleUse use) {
  if (limner_window_is_library(self) || limner_window_is_tree(self)) {
    g_autoptr(GPtrArray) chosen = limner_window_dup_chosen(self);
    if (chosen)
      limner_window_use_entry(self, chosen->pdata[0], use);
    return;
  }
  LimnerSample *sample = usable_sample(self);
  if (sample)
    use(self, sample);
}

// --- keeping and saving --------------------------------------------------------------------------

char *limner_window_dup_short_path(const char *path) {
  const char *home = g_get_home_dir();
  const size_t n = strlen(home);
  const gboolean is_inside = strncmp(path, home, n) == 0 && path[n] == G_DIR_SEPARATOR;
  return g_filename_display_name(is_inside ? path + n + 1 : path);
}

static void say_saved(LimnerWindow *self, const char *path, const GError *error) {
  g_application_release(g_application_get_default());
  if (!path) {
    limner_window_say_problem(self, error->message);
    return;
  }
  g_autofree char *where = limner_window_dup_short_path(path);
  g_autofree char *words = g_strdup_printf(_("Saved to %s"), where);
  limner_window_say_with_file(self, words, path);
}

static void on_saved(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = limner_files_save_finish(result, &error);
  say_saved(self, path, error);
}

// In the library already, unless its file is gone: the path. Owned.
static gpointer keep_again(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                           GError **error) {
  LimnerSample *sample = data;
  g_autoptr(LimnerEntry) entry = limner_library_keep(
      library, limner_sample_get_picture(sample), limner_sample_get_request(sample)->input, error);
  return entry ? limner_library_dup_path(library, entry) : NULL;
}

static void on_kept_again(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  say_saved(self, path, error);
}

// Pictures that were stopped say nothing of how they were made: those are files and no more.
static void save_sample(LimnerWindow *self, LimnerSample *sample) {
  // A window closed meanwhile does not end the program before the file is whole.
  g_application_hold(g_application_get_default());
  if (self->library && limner_picture_get_recipe(limner_sample_get_picture(sample))) {
    limner_library_call_async(self->library, keep_again, g_object_ref(sample), g_object_unref,
                              g_free, NULL, on_kept_again, g_object_ref(self));
    return;
  }
  g_autofree char *folder = limner_files_dup_folder();
  g_autofree char *name = limner_sample_dup_file_name(sample);
  limner_files_save_new_async(limner_sample_get_picture(sample), folder, name, on_saved,
                              g_object_ref(self));
}

static void save(GtkWidget *widget, const char *action, GVariant *parameter) {
  if (!limner_window_save_several(LIMNER_WINDOW(widget)))
    limner_window_use_sample(LIMNER_WINDOW(widget), save_sample);
}

static void on_save_chosen(LimnerWindow *self, int response) {
  g_autofree char *path = limner_window_end_chooser(self, response);
  g_autoptr(LimnerPicture) picture = g_steal_pointer(&self->saving_as);
  g_autoptr(LimnerInput) shape = g_steal_pointer(&self->saving_shape);
  if (!path)
    return;
  g_application_hold(g_application_get_default());
  limner_files_save_as_async(picture, shape, path, on_saved, g_object_ref(self));
}

static void save_sample_as(LimnerWindow *self, LimnerSample *sample) {
  g_clear_pointer(&self->saving_as, limner_picture_unref);
  self->saving_as = limner_picture_ref(limner_sample_get_picture(sample));
  g_clear_pointer(&self->saving_shape, limner_input_unref);
  LimnerInput *input = limner_sample_get_request(sample)->input;
  self->saving_shape = input ? limner_input_ref(input) : NULL;
  GtkFileChooserNative *chooser = limner_window_new_chooser(
      self, _("Save Picture (.png, .jpg or .webp)"), GTK_FILE_CHOOSER_ACTION_SAVE, _("_Save"));
  g_autofree char *name = limner_sample_dup_file_name(sample);
  gtk_file_chooser_set_current_name(GTK_FILE_CHOOSER(chooser), name);
  g_signal_connect_object(chooser, "response", G_CALLBACK(on_save_chosen), self, G_CONNECT_SWAPPED);
  gtk_native_dialog_show(GTK_NATIVE_DIALOG(chooser));
}

static void save_as(GtkWidget *widget, const char *action, GVariant *parameter) {
  if (!limner_window_export_several(LIMNER_WINDOW(widget)))
    limner_window_use_sample(LIMNER_WINDOW(widget), save_sample_as);
}

static void show_file(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_files_show(g_variant_get_bytestring(parameter));
}

static void copy_sample(LimnerWindow *self, LimnerSample *sample) {
  g_autoptr(LimnerInput) input = limner_input_new_from_sample(sample);
  g_autoptr(GdkContentProvider) content = limner_content_provider_new(input);
  gdk_clipboard_set_content(gtk_widget_get_clipboard(GTK_WIDGET(self)), content);
  limner_window_say(self, _("Picture copied"));
}

static void copy(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_use_sample(LIMNER_WINDOW(widget), copy_sample);
}

// --- looking at one ------------------------------------------------------------------------------

// Swiping back leads where Back does.
void limner_window_set_navigatable(LimnerWindow *self, GtkWidget *page, gboolean can_navigate) {
  adw_leaflet_page_set_navigatable(adw_leaflet_get_page(self->pages, page), can_navigate);
}

void limner_window_view_sample(LimnerWindow *self, LimnerSample *sample, GtkWidget *from) {
  const gboolean was_large = limner_window_is_large(self);
  if (!was_large && limner_large_view_is_comparing(self->large_view))
    limner_large_view_end_comparing(self->large_view);
  limner_large_view_set_sample(self->large_view, sample);
  if (was_large)
    return;
  self->came_from = from;
  limner_window_set_navigatable(self, GTK_WIDGET(self->library_page),
                                from == GTK_WIDGET(self->library_page));
  limner_window_set_navigatable(self, self->tree_page, from == self->tree_page);
  limner_window_set_navigatable(self, GTK_WIDGET(self->grid), from == GTK_WIDGET(self->grid));
  adw_leaflet_set_visible_child(self->pages, GTK_WIDGET(self->large_view));
  gtk_widget_grab_focus(GTK_WIDGET(self->large_view));
}

static void view(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerSample *sample = limner_gallery_get_chosen(self->gallery);
  if (sample)
    limner_window_view_sample(self, sample, self->main_page);
}

void limner_window_go_to_main(LimnerWindow *self) {
  adw_leaflet_set_visible_child(self->pages, self->main_page);
}

void limner_window_go_back(LimnerWindow *self) {
  GtkWidget *to = limner_window_is_large(self)  ? self->came_from
                  : limner_window_is_tree(self) ? self->tree_from
                                                : self->main_page;
  limner_window_set_navigatable(self, GTK_WIDGET(self->library_page), TRUE);
  adw_leaflet_set_visible_child(self->pages, to ? to : self->main_page);
  if (to == GTK_WIDGET(self->library_page))
    limner_library_page_focus_grid(self->library_page);
  if (to == self->tree_page)
    gtk_widget_grab_focus(GTK_WIDGET(self->tree));
  if (to == GTK_WIDGET(self->grid))
    gtk_widget_grab_focus(to);
}

static void back(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_go_back(LIMNER_WINDOW(widget));
}

static void step(GtkWidget *widget, int by) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerSample *sample = limner_large_view_get_sample(self->large_view);
  LimnerEntry *entry = sample ? limner_sample_get_entry(sample) : NULL;
  if (entry && self->came_from != self->main_page) {
    limner_window_step_entry(self, entry, by);
    return;
  }
  LimnerSample *neighbour = sample ? limner_gallery_get_neighbour(self->gallery, sample, by) : NULL;
  if (neighbour)
    limner_large_view_set_sample(self->large_view, neighbour);
}

static void previous(GtkWidget *widget, const char *action, GVariant *parameter) {
  step(widget, -1);
}

static void next(GtkWidget *widget, const char *action, GVariant *parameter) {
  step(widget, 1);
}

// --- pictures to change --------------------------------------------------------------------------

// Makes it the input and waits for words, wherever the person came from.
void limner_window_change(LimnerWindow *self, LimnerInput *input) {
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_controls_change(self->controls, input);
}

static void edit_sample(LimnerWindow *self, LimnerSample *sample) {
  g_autoptr(LimnerInput) input = limner_input_new_from_sample(sample);
  limner_window_change(self, input);
}

static void edit(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_use_sample(LIMNER_WINDOW(widget), edit_sample);
}

static void edit_origin(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (job && limner_job_get_request(job)->input)
    limner_window_change(self, limner_job_get_request(job)->input);
}

static void on_picture_chosen(LimnerWindow *self, int response) {
  g_autofree char *path = limner_window_end_chooser(self, response);
  if (!path)
    return;
  g_autoptr(GFile) file = g_file_new_for_path(path);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_drop_zone_load(limner_controls_get_drop_zone(self->controls), file);
  limner_controls_focus_prompt(self->controls);
}

static void open_picture(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  GtkFileChooserNative *chooser = limner_window_new_chooser(
      self, _("Choose a Picture"), GTK_FILE_CHOOSER_ACTION_OPEN, _("_Open"));
  g_autoptr(GtkFileFilter) filter = gtk_file_filter_new();
  gtk_file_filter_set_name(filter, _("Pictures"));
  gtk_file_filter_add_pixbuf_formats(filter);
  gtk_file_chooser_add_filter(GTK_FILE_CHOOSER(chooser), filter);
  g_signal_connect_object(chooser, "response", G_CALLBACK(on_picture_chosen), self,
                          G_CONNECT_SWAPPED);
  gtk_native_dialog_show(GTK_NATIVE_DIALOG(chooser));
}

static void paste_picture(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_drop_zone_paste(limner_controls_get_drop_zone(self->controls));
}

// --- the actions ---------------------------------------------------------------------------------

void limner_window_install_picture_actions(GtkWidgetClass *widget_class) {
  static const struct {
    const char *name;
    GtkWidgetActionActivateFunc activate;
  } actions[] = {
      {"win.save", save},
      {"win.save-as", save_as},
      {"win.copy", copy},
      {"win.view", view},
      {"win.back", back},
      {"win.previous", previous},
      {"win.next", next},
      {"win.edit", edit},
      {"win.edit-origin", edit_origin},
      {"win.open-picture", open_picture},
      {"win.paste-picture", paste_picture},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(actions); i++)
    gtk_widget_class_install_action(widget_class, actions[i].name, NULL, actions[i].activate);
  gtk_widget_class_install_action(widget_class, "win.show-file", "ay", show_file);
}
