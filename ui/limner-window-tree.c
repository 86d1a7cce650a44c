// SPDX-License-Identifier: MIT
// The page that shows how a picture came to be, and what else was made of it.
#include "ui/limner-window-private.h"

#include "ui/limner-kept.h"

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

void limner_window_init_tree(LimnerWindow *self) {
  g_signal_connect_object(self->tree, "open", G_CALLBACK(on_open), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->tree, "problem", G_CALLBACK(on_problem), self, G_CONNECT_SWAPPED);
}

void limner_window_install_tree_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.tree", NULL, show_tree);
}
