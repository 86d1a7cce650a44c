// SPDX-License-Identifier: MIT
// Finding the schema, and a key file as the store behind it.
#define G_SETTINGS_ENABLE_BACKEND
#include "ui/limner-settings.h"

#include "config.h"

#include <gio/gsettingsbackend.h>

#define SCHEMA_ID "org.limner.Limner"
#define SCHEMA_PATH "/org/limner/Limner/"

// The schema in one folder; takes `folder`. NULL when it is not there.
static GSettingsSchema *look_in(char *folder) {
  g_autofree char *owned = folder;
  g_autoptr(GSettingsSchemaSource) source = g_settings_schema_source_new_from_directory(
      owned, g_settings_schema_source_get_default(), FALSE, NULL);
  return source ? g_settings_schema_source_lookup(source, SCHEMA_ID, FALSE) : NULL;
}

static GSettingsSchema *find_schema(void) {
  const char *chosen = g_getenv("LIMNER_DATA_DIR");
  GSettingsSchema *schema = NULL;
  if (chosen && *chosen)
    schema = look_in(g_build_filename(chosen, "schemas", NULL));
  if (!schema)
    schema = look_in(g_strdup(LIMNER_BUILD_DATA_DIR));
  if (!schema)
    schema = look_in(g_build_filename(LIMNER_INSTALL_DATA_DIR, "..", "glib-2.0", "schemas", NULL));
  if (!schema && g_settings_schema_source_get_default())
    schema =
        g_settings_schema_source_lookup(g_settings_schema_source_get_default(), SCHEMA_ID, TRUE);
  return schema;
}

GSettings *limner_settings_new(void) {
  g_autoptr(GSettingsSchema) schema = find_schema();
  if (!schema)
    return NULL;
  g_autofree char *path = g_build_filename(g_get_user_config_dir(), "limner", "settings.ini", NULL);
  g_autoptr(GSettingsBackend) backend = g_keyfile_settings_backend_new(path, SCHEMA_PATH, "limner");
  return g_settings_new_full(schema, backend, NULL);
}

void limner_settings_bind(GSettings *settings, const char *key, gpointer object,
                          const char *property) {
  if (settings)
    g_settings_bind(settings, key, object, property, G_SETTINGS_BIND_DEFAULT);
}

char *limner_settings_dup_string(GSettings *settings, const char *key, const char *fallback) {
  return settings ? g_settings_get_string(settings, key) : g_strdup(fallback);
}

void limner_settings_set_string(GSettings *settings, const char *key, const char *value) {
  if (settings)
    g_settings_set_string(settings, key, value);
}
