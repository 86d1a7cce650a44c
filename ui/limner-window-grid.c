// SPDX-License-Identifier: MIT
// The page of a grid over two settings, and the jobs that fill it.
#include "ui/limner-window-private.h"

static void show_page(LimnerWindow *self) {
  limner_window_set_navigatable(self, GTK_WIDGET(self->library_page), FALSE);
  limner_window_set_navigatable(self, self->tree_page, FALSE);
  adw_leaflet_set_visible_child(self->pages, GTK_WIDGET(self->grid));
}

static void show_grid(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerDropZone *zone = limner_controls_get_drop_zone(self->controls);
  limner_grid_set_is_change(self->grid, limner_drop_zone_get_input(zone) != NULL);
  double cfg = 0, temperature = 0;
  limner_controls_get_sliders(self->controls, &cfg, &temperature);
  limner_grid_suggest(self->grid, cfg, temperature);
  show_page(self);
  gtk_widget_grab_focus(GTK_WIDGET(self->grid));
}

// What the controls still lack is asked for there.
static void on_paint(LimnerWindow *self) {
  if (!limner_controls_check(self->controls)) {
    limner_window_go_to_main(self);
    adw_flap_set_reveal_flap(self->flap, TRUE);
    return;
  }
  g_autoptr(LimnerRequest) request = limner_controls_take_request(self->controls);
  g_autoptr(GPtrArray) requests = limner_grid_begin(self->grid, request);
  for (guint i = 0; i < requests->len; i++)
    limner_window_paint(self, requests->pdata[i]);
  show_page(self);
  gtk_widget_grab_focus(GTK_WIDGET(self->grid));
}

static void on_open(LimnerWindow *self, LimnerSample *sample) {
  limner_window_view_sample(self, sample, GTK_WIDGET(self->grid));
}

static void on_items_changed(LimnerWindow *self, guint position, guint n_removed, guint n_added,
                             GListModel *queue) {
  for (guint i = position; i < position + n_added; i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(queue, i);
    limner_grid_take_job(self->grid, job);
  }
}

void limner_window_init_grid(LimnerWindow *self) {
  g_signal_connect_object(self->grid, "paint", G_CALLBACK(on_paint), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->grid, "open", G_CALLBACK(on_open), self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->queue, "items-changed", G_CALLBACK(on_items_changed), self,
                          G_CONNECT_SWAPPED);
}

void limner_window_install_grid_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.grid", NULL, show_grid);
}
