// SPDX-License-Identifier: MIT
// What the widget tests share: waiting with a bound or for quiet, and children of templates.
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

// A cursor that blinks (for ten seconds after the last key) is never quiet.
static inline void still_cursor(void) {
  g_object_set(gtk_settings_get_default(), "gtk-cursor-blink", FALSE, NULL);
}

// Runs the main loop until nothing has happened for a tenth of a second.
static inline void settle(void) {
  gint64 quiet_us = g_get_monotonic_time() + 100000;
  while (g_get_monotonic_time() < quiet_us)
    if (g_main_context_iteration(NULL, FALSE))
      quiet_us = g_get_monotonic_time() + 100000;
    else
      g_usleep(1000);
}

static inline gpointer template_child(gpointer widget, GType type, const char *name) {
  GObject *child = gtk_widget_get_template_child(GTK_WIDGET(widget), type, name);
  g_assert_nonnull(child);
  return child;
}

#endif
