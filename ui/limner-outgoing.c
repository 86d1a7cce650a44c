// SPDX-License-Identifier: MIT
// The settings as atomic numbers, for the threads that write files.
#include "ui/limner-outgoing.h"

static gint is_bare, is_doubled, keeps_shape; // atomic

static const struct {
  const char *key;
  gint *value;
} settings_values[] = {
    {"leave-out-metadata", &is_bare},
    {"save-doubled", &is_doubled},
    {"save-shaped", &keeps_shape},
};

static void on_changed(GSettings *settings) {
  for (guint i = 0; i < G_N_ELEMENTS(settings_values); i++)
    g_atomic_int_set(settings_values[i].value,
                     g_settings_get_boolean(settings, settings_values[i].key));
}

void limner_outgoing_follow(GSettings *settings) {
  if (!settings)
    return;
  g_signal_connect(settings, "changed", G_CALLBACK(on_changed), NULL);
  on_changed(settings);
}

gboolean limner_outgoing_is_bare(void) {
  return g_atomic_int_get(&is_bare);
}

LimnerExportOptions limner_outgoing_get_options(LimnerFormat format, LimnerInput *shape) {
  return (LimnerExportOptions){.format = format,
                               .without_metadata = limner_outgoing_is_bare(),
                               .is_doubled = g_atomic_int_get(&is_doubled),
                               .shape = g_atomic_int_get(&keeps_shape) ? shape : NULL};
}
