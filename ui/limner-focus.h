// SPDX-License-Identifier: MIT
// Who has the keys when the widget with the focus goes.
#ifndef LIMNER_FOCUS_H
#define LIMNER_FOCUS_H

#include <gtk/gtk.h>

// GTK (4.8) leaves the focus with a cell of a list that is gone until the next frame, and what is
// typed before that reaches nobody, Ctrl+Z right after Delete least of all. To be called when cells
// of `grid` may have gone: gives the focus of such a cell to another one, else to the window.
void limner_focus_leave_gone(GtkWidget *grid);

#endif
