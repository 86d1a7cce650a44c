// SPDX-License-Identifier: MIT
// Files that are opened from outside, or dropped beside the zone for pictures to change: what one
// says of how it was made is taken over; one that says nothing is the picture to change.
#include "ui/limner-pick.h"
#include "ui/limner-window-private.h"

#include <glib/gi18n.h>

static void take(LimnerWindow *self, LimnerInput *input, guint n_files) {
  if (self->library && limner_input_get_recipe(input)) {
    limner_window_use_recipe(self, input, n_files);
    return;
  }
  limner_window_change(self, input);
  if (n_files > 1) {
    g_autofree char *words = limner_window_dup_first_of(n_files);
    limner_window_say(self, words);
  }
}

static void on_picked(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  guint n_files = 0;
  g_autoptr(LimnerInput) input = limner_pick_finish(result, &n_files, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (input)
    take(self, input, n_files);
  else
    limner_window_say(self, error->message);
}

char *limner_window_dup_first_of(guint n_files) {
  return g_strdup_printf(ngettext("The first of %u picture", "The first of %u pictures", n_files),
                         n_files);
}

void limner_window_open(LimnerWindow *self, GFile **files, guint n_files) {
  g_return_if_fail(n_files > 0);
  limner_pick_files_async(files, n_files, limner_window_begin_opening(self), on_picked,
                          g_object_ref(self));
}

// --- dropping ------------------------------------------------------------------------------------

// Not of a card that is dropped where it was taken; and text is for the prompt.
static gboolean on_accept(LimnerWindow *self, GdkDrop *drop) {
  return !gdk_drop_get_drag(drop) && limner_pick_has_picture(gdk_drop_get_formats(drop));
}

static gboolean on_drop(LimnerWindow *self, GdkDrop *drop) {
  limner_pick_drop_async(drop, limner_window_begin_opening(self), on_picked, g_object_ref(self));
  return TRUE;
}

void limner_window_init_opening(LimnerWindow *self) {
  GtkDropTargetAsync *target =
      gtk_drop_target_async_new(limner_pick_dup_formats(), GDK_ACTION_COPY);
  g_signal_connect_swapped(target, "accept", G_CALLBACK(on_accept), self);
  g_signal_connect_swapped(target, "drop", G_CALLBACK(on_drop), self);
  gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(target));
}
