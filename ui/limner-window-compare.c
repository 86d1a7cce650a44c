// SPDX-License-Identifier: MIT
// What the picture in the large view is compared with.
#include "ui/limner-window-private.h"

#include "ui/limner-kept.h"

#include <glib/gi18n.h>

// --- another picture -----------------------------------------------------------------------------

// Its words; where those are the same, its number and seed. Owned.
static char *dup_name(LimnerSample *sample, LimnerSample *beside) {
  const LimnerRequest *request = limner_sample_get_request(sample);
  if (*request->prompt && strcmp(request->prompt, limner_sample_get_request(beside)->prompt) != 0)
    return g_strdup(request->prompt);
  g_autofree char *seed = g_strdup_printf("%" G_GUINT64_FORMAT, request->seed);
  return g_strdup_printf(_("Sample %u, seed %s"), limner_sample_get_index(sample) + 1, seed);
}

static void compare_with(LimnerWindow *self, LimnerSample *other) {
  LimnerSample *sample = limner_large_view_get_sample(self->large_view);
  if (!sample || !limner_window_is_large(self))
    return;
  if (other == sample || !limner_sample_get_picture(other)) {
    limner_window_say(self, _("There is no other picture here"));
    return;
  }
  g_autofree char *name = dup_name(other, sample);
  limner_large_view_compare(self->large_view, limner_sample_get_picture(other), name);
}

static void compare_with_neighbour(LimnerWindow *self, int by) {
  LimnerSample *sample = limner_large_view_get_sample(self->large_view);
  LimnerEntry *entry = limner_sample_get_entry(sample);
  if (entry && self->came_from != self->main_page) {
    g_autoptr(LimnerEntry) there = limner_library_page_dup_neighbour(self->library_page, entry, by);
    if (there)
      limner_window_use_entry(self, there, compare_with);
    else
      limner_window_say(self, _("There is no other picture here"));
    return;
  }
  LimnerSample *there = limner_gallery_get_neighbour(self->gallery, sample, by);
  compare_with(self, there ? there : sample);
}

// --- the first of its chain ----------------------------------------------------------------------

// The picture from outside that the chain began with, else the first that was painted.
static gpointer load_first(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                           GError **error) {
  g_autoptr(GPtrArray) before = limner_library_ancestors(library, data, error);
  if (!before)
    return NULL;
  g_autoptr(LimnerSample) first =
      limner_library_load_sample(library, before->len > 0 ? before->pdata[0] : data, error);
  if (!first)
    return NULL;
  const LimnerRequest *request = limner_sample_get_request(first);
  return request->input ? limner_input_dup_seen(request->input, request->fit, NULL, error)
                        : limner_picture_ref(limner_sample_get_picture(first));
}

static void on_first(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerPicture) first =
      limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (!self->library)
    return;
  if (first && limner_window_is_large(self))
    limner_large_view_compare(self->large_view, first, _("The First"));
  else if (error)
    limner_window_say(self, error->message);
}

static void compare_with_first(LimnerWindow *self) {
  LimnerEntry *entry = limner_sample_get_entry(limner_large_view_get_sample(self->large_view));
  if (self->library && entry)
    limner_library_call_async(self->library, load_first, g_object_ref(entry), g_object_unref,
                              (GDestroyNotify)limner_picture_unref, NULL, on_first,
                              g_object_ref(self));
  else
    limner_window_say(self, _("This picture is not in the library"));
}

// --- two that were chosen ------------------------------------------------------------------------

static GtkWidget *get_page(LimnerWindow *self) {
  return limner_window_is_library(self) ? GTK_WIDGET(self->library_page)
         : limner_window_is_tree(self)  ? self->tree_page
                                        : self->main_page;
}

// With what it was made from, else with the next one.
static void compare_shown(LimnerWindow *self) {
  if (limner_large_view_compare_origin(self->large_view))
    return;
  LimnerSample *sample = limner_large_view_get_sample(self->large_view);
  LimnerEntry *entry = sample ? limner_sample_get_entry(sample) : NULL;
  const gboolean is_kept = entry && self->came_from != self->main_page;
  g_autoptr(LimnerEntry) next =
      is_kept ? limner_library_page_dup_neighbour(self->library_page, entry, 1) : NULL;
  const gboolean has_next =
      next || (!is_kept && sample && limner_gallery_get_neighbour(self->gallery, sample, 1));
  if (sample)
    compare_with_neighbour(self, has_next ? 1 : -1);
}

static void view_first(LimnerWindow *self, LimnerSample *sample) {
  limner_window_view_sample(self, sample, get_page(self));
  g_autoptr(LimnerEntry) other = g_steal_pointer(&self->comparing);
  if (other)
    limner_window_use_entry(self, other, compare_with);
  else
    compare_shown(self);
}

static void compare_entries(LimnerWindow *self, LimnerEntry *entry, LimnerEntry *other) {
  g_clear_object(&self->comparing);
  self->comparing = other ? g_object_ref(other) : NULL;
  limner_window_use_entry(self, entry, view_first);
}

// In the tree: the one with the focus with the one that the tree is about.
static void compare_nodes(LimnerWindow *self) {
  LimnerEntry *chosen = limner_tree_get_chosen(self->tree);
  LimnerEntry *shown = limner_tree_get_shown(self->tree);
  if (chosen)
    compare_entries(self, chosen, shown != chosen ? shown : NULL);
}

static void compare_samples(LimnerWindow *self) {
  g_autoptr(GPtrArray) chosen = limner_gallery_dup_chosen(self->gallery);
  if (chosen->len == 0 || !limner_sample_get_picture(chosen->pdata[0])) {
    limner_window_say(self, _("There is no picture here yet"));
    return;
  }
  limner_window_view_sample(self, chosen->pdata[0], self->main_page);
  if (chosen->len > 1)
    compare_with(self, chosen->pdata[1]);
  else
    compare_shown(self);
}

static void compare_chosen(LimnerWindow *self) {
  g_autoptr(GPtrArray) chosen = limner_window_dup_chosen(self);
  if (chosen)
    compare_entries(self, chosen->pdata[0], chosen->len > 1 ? chosen->pdata[1] : NULL);
}

// --- the actions ---------------------------------------------------------------------------------

static void compare(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  if (limner_window_is_large(self) && limner_large_view_is_comparing(self->large_view))
    limner_large_view_end_comparing(self->large_view);
  else if (limner_window_is_large(self))
    compare_shown(self);
  else if (limner_window_is_tree(self))
    compare_nodes(self);
  else if (limner_window_is_library(self))
    compare_chosen(self);
  else
    compare_samples(self);
}

static void compare_with_named(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  const char *name = g_variant_get_string(parameter, NULL);
  if (!limner_window_is_large(self) || !limner_large_view_get_sample(self->large_view))
    return;
  if (strcmp(name, "origin") == 0)
    limner_large_view_compare_origin(self->large_view);
  else if (strcmp(name, "first") == 0)
    compare_with_first(self);
  else
    compare_with_neighbour(self, strcmp(name, "next") == 0 ? 1 : -1);
}

void limner_window_install_compare_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.compare", NULL, compare);
  gtk_widget_class_install_action(widget_class, "win.compare-with", "s", compare_with_named);
}
