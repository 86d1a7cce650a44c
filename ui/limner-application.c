// SPDX-License-Identifier: MIT
// Starting, the command line, accelerators, the about window, and leaving.
#include "ui/limner-application.h"

#include "app/job-queue.h"
#include "config.h"
#include "ui/limner-settings.h"
#include "ui/limner-window.h"

#include <glib/gi18n.h>

struct _LimnerApplication {
  AdwApplication parent_instance;
  // Owned
  GSettings *settings; // NULL when the schema is not there
  LimnerJobQueue *queue;
  LimnerLibrary *library;
  char *model; // asked for on the command line and not opened yet
};

G_DEFINE_FINAL_TYPE(LimnerApplication, limner_application, ADW_TYPE_APPLICATION)

static const char *const accelerators[][3] = {
    {"win.generate", "<Control>Return", "<Control>KP_Enter"},
    {"win.new", "<Control>n"},
    {"win.open-picture", "<Control>o"},
    {"win.save", "<Control>s"},
    {"win.save-as", "<Control><Shift>s"},
    {"win.library", "<Control>l"},
    {"win.search", "<Control>f"},
    {"win.controls", "F9"},
    {"win.grid", "<Control>g"},
    {"win.history", "<Control>h"},
    {"app.quit", "<Control>q"},
};

static void show_about(GSimpleAction *action, GVariant *parameter, gpointer data) {
  GtkWindow *parent = gtk_application_get_active_window(GTK_APPLICATION(data));
  adw_show_about_window(parent, "application-name", "Limner", "application-icon",
                        "org.limner.Limner", "version", LIMNER_VERSION, "developer-name",
                        _("The Limner developers"), "license-type", GTK_LICENSE_MIT_X11, "comments",
                        _("Paints pictures from a sentence, on your own machine."), NULL);
}

// Dialogs are windows of their own here: what is open closes with the rest.
static void quit(GSimpleAction *action, GVariant *parameter, gpointer data) {
  g_autolist(GtkWindow) windows = g_list_copy(gtk_application_get_windows(GTK_APPLICATION(data)));
  for (GList *item = windows; item; item = item->next)
    g_object_ref(item->data);
  for (GList *item = windows; item; item = item->next)
    gtk_window_close(item->data);
}

// The one main window; a dialog may be the active one. NULL = there is none yet.
static LimnerWindow *find_window(LimnerApplication *self) {
  for (GList *item = gtk_application_get_windows(GTK_APPLICATION(self)); item; item = item->next)
    if (LIMNER_IS_WINDOW(item->data))
      return item->data;
  return NULL;
}

static void open_wanted_model(LimnerApplication *self, LimnerWindow *window) {
  g_autofree char *wanted = g_steal_pointer(&self->model);
  const gboolean is_first = limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_NONE;
  if (!wanted && is_first)
    wanted = limner_settings_dup_string(self->settings, "model-folder", "demo");
  if (wanted)
    limner_window_set_model(window, wanted);
}

static void limner_application_activate(GApplication *application) {
  LimnerApplication *self = LIMNER_APPLICATION(application);
  LimnerWindow *window = find_window(self);
  if (!window) {
    window = limner_window_new(GTK_APPLICATION(self), self->queue, self->settings);
    limner_window_set_library(window, self->library);
  }
  gtk_window_present(GTK_WINDOW(window));
  open_wanted_model(self, window);
}

// Also what the desktop asks for over its bus.
static void limner_application_open(GApplication *application, GFile **files, int n_files,
                                    const char *hint) {
  g_application_activate(application);
  limner_window_open(find_window(LIMNER_APPLICATION(application)), files, (guint)n_files);
}

static void open_arguments(GApplication *application, GApplicationCommandLine *command_line,
                           const char *const *names) {
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_object_unref);
  for (; *names; names++)
    g_ptr_array_add(files, g_application_command_line_create_file_for_arg(command_line, *names));
  g_application_open(application, (GFile **)files->pdata, (int)files->len, "");
}

static int limner_application_command_line(GApplication *application,
                                           GApplicationCommandLine *command_line) {
  LimnerApplication *self = LIMNER_APPLICATION(application);
  GVariantDict *options = g_application_command_line_get_options_dict(command_line);
  const char *model = NULL;
  if (g_variant_dict_lookup(options, "model", "^&ay", &model)) {
    g_autoptr(GFile) file = g_application_command_line_create_file_for_arg(command_line, model);
    g_free(self->model);
    self->model = strcmp(model, "demo") == 0 ? g_strdup(model) : g_file_get_path(file);
  }
  g_autofree const char **names = NULL;
  if (g_variant_dict_lookup(options, G_OPTION_REMAINING, "^a&ay", &names) && names[0])
    open_arguments(application, command_line, names);
  else
    g_application_activate(application);
  return 0;
}

static int limner_application_handle_local_options(GApplication *application,
                                                   GVariantDict *options) {
  if (!g_variant_dict_contains(options, "version"))
    return -1;
  g_print("limner %s\n", LIMNER_VERSION);
  return 0;
}

static void limner_application_startup(GApplication *application) {
  LimnerApplication *self = LIMNER_APPLICATION(application);
  const GActionEntry entries[] = {{"about", show_about}, {"quit", quit}};
  G_APPLICATION_CLASS(limner_application_parent_class)->startup(application);
  g_action_map_add_action_entries(G_ACTION_MAP(self), entries, G_N_ELEMENTS(entries), self);
  for (gsize i = 0; i < G_N_ELEMENTS(accelerators); i++) {
    const char *const keys[] = {accelerators[i][1], accelerators[i][2], NULL};
    gtk_application_set_accels_for_action(GTK_APPLICATION(self), accelerators[i][0], keys);
  }
  gtk_window_set_default_icon_name("org.limner.Limner");
  self->settings = limner_settings_new();
  self->queue = limner_job_queue_new();
  g_autofree char *folder = limner_library_dup_default_folder();
  self->library = limner_library_open(folder, NULL);
  limner_library_rescan_async(self->library, NULL, NULL, NULL);
}

static void limner_application_shutdown(GApplication *application) {
  LimnerApplication *self = LIMNER_APPLICATION(application);
  limner_job_queue_shutdown(self->queue);
  g_clear_object(&self->library);
  G_APPLICATION_CLASS(limner_application_parent_class)->shutdown(application);
}

static void limner_application_finalize(GObject *object) {
  LimnerApplication *self = LIMNER_APPLICATION(object);
  g_clear_object(&self->queue);
  g_clear_object(&self->settings);
  g_free(self->model);
  G_OBJECT_CLASS(limner_application_parent_class)->finalize(object);
}

static void limner_application_class_init(LimnerApplicationClass *klass) {
  GApplicationClass *application_class = G_APPLICATION_CLASS(klass);
  G_OBJECT_CLASS(klass)->finalize = limner_application_finalize;
  application_class->startup = limner_application_startup;
  application_class->activate = limner_application_activate;
  application_class->shutdown = limner_application_shutdown;
  application_class->open = limner_application_open;
  application_class->command_line = limner_application_command_line;
  application_class->handle_local_options = limner_application_handle_local_options;
}

static void limner_application_init(LimnerApplication *self) {
  const GOptionEntry options[] = {
      {"model", 'm', 0, G_OPTION_ARG_FILENAME, NULL, N_("Open this model folder"), N_("DIR|demo")},
      {"version", 0, 0, G_OPTION_ARG_NONE, NULL, N_("Print the version"), NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, NULL, NULL, N_("[PICTURE…]")},
      {NULL},
  };
  g_application_add_main_option_entries(G_APPLICATION(self), options);
}

LimnerApplication *limner_application_new(void) {
  return g_object_new(LIMNER_TYPE_APPLICATION, "application-id", "org.limner.Limner", "flags",
                      G_APPLICATION_HANDLES_COMMAND_LINE | G_APPLICATION_HANDLES_OPEN, NULL);
}
