// SPDX-License-Identifier: MIT
// What is remembered between runs: a settings.ini of the program's own, so no settings daemon is
// needed. Everything here takes NULL for settings that could not be found and then uses defaults.
#ifndef LIMNER_SETTINGS_H
#define LIMNER_SETTINGS_H

#include <gio/gio.h>

// Looks for the schema in $LIMNER_DATA_DIR/schemas, the build, the system. NULL when there is none.
GSettings *limner_settings_new(void);
void limner_settings_bind(GSettings *settings, const char *key, gpointer object,
                          const char *property);
// `fallback` without settings. Owned.
char *limner_settings_dup_string(GSettings *settings, const char *key, const char *fallback);
void limner_settings_set_string(GSettings *settings, const char *key, const char *value);

#endif
