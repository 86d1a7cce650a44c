// SPDX-License-Identifier: MIT
// What the widget tests share: waiting with a bound, and children of templates.
#ifndef LIMNER_TESTS_UI_WAITING_H
#define LIMNER_TESTS_UI_WAITING_H

#include <gtk/gtk.h>

#ifndef WAIT_S
#define WAIT_S 20 // observed: 0.1
#endif

static inline gboolean on_late(gpointer data) {
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

// Runs the main loop until `condition` holds; fails the test when that takes too long.
#define wait_until(condition)                                                                      \
  do {                                                                                             \
    gboolean is_late = FALSE;                                                                      \
    const guint timer = g_timeout_add_seconds(WAIT_S, on_late, &is_late);                          \
    while (!(condition) && !is_late)                                                               \
      g_main_context_iteration(NULL, TRUE);                                                        \
    g_assert_false(is_late);                                                                       \
    g_source_remove(timer);                                                                        \
  } while (0)

static inline gpointer template_child(gpointer widget, GType type, const char *name) {
  GObject *child = gtk_widget_get_template_child(GTK_WIDGET(widget), type, name);
  g_assert_nonnull(child);
  return child;
}

#endif
