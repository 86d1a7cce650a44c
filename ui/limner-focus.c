// SPDX-License-Identifier: MIT
// Takes the focus from cells that are gone.
#include "ui/limner-focus.h"

void limner_focus_leave_gone(GtkWidget *grid) {
  GtkRoot *root = gtk_widget_get_root(grid);
  GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
  if (focus && !gtk_widget_get_root(focus) && !gtk_widget_grab_focus(grid))
    gtk_root_set_focus(root, NULL);
}
