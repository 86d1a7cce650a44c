// SPDX-License-Identifier: MIT
// Saving pictures in worker threads, under names that are free.
#include "ui/limner-files.h"

#include "ui/limner-outgoing.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <unistd.h>

typedef struct Saving {
  LimnerPicture *picture;
  LimnerInput *shape; // NULL = as it is
  char *folder;       // NULL when `name` is a whole path that may be overwritten
  char *name;
} Saving;

static void saving_free(Saving *saving) {
  limner_picture_unref(saving->picture);
  g_clear_pointer(&saving->shape, limner_input_unref);
  g_free(saving->folder);
  g_free(saving->name);
  g_free(saving);
}

char *limner_files_dup_folder(void) {
  const char *pictures = g_get_user_special_dir(G_USER_DIRECTORY_PICTURES);
  if (pictures)
    return g_build_filename(pictures, "Limner", NULL);
  return g_build_filename(g_get_home_dir(), "Pictures", "Limner", NULL);
}

// "limner-7_0.png" for try 1, "limner-7_0-2.png" for try 2. Owned.
static char *numbered(const Saving *saving, int number) {
  const char *dot = strrchr(saving->name, '.');
  const int stem = dot ? (int)(dot - saving->name) : (int)strlen(saving->name);
  g_autofree char *name =
      number == 1 ? g_strdup(saving->name)
                  : g_strdup_printf("%.*s-%d%s", stem, saving->name, number, dot ? dot : "");
  return g_build_filename(saving->folder, name, NULL);
}

// Takes the first free name by making an empty file of it; the picture then replaces that.
static char *reserve(const Saving *saving, GError **error) {
  if (g_mkdir_with_parents(saving->folder, 0755) != 0) {
    const int code = errno;
    g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code),
                _("The folder %s cannot be made: %s"), saving->folder, g_strerror(code));
    return NULL;
  }
  for (int number = 1;; number++) {
    g_autofree char *path = numbered(saving, number);
    const int file = g_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    const int code = errno;
    if (file >= 0) {
      close(file);
      return g_steal_pointer(&path);
    }
    if (code != EEXIST) {
      g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code),
                  _("%s cannot be written: %s"), path, g_strerror(code));
      return NULL;
    }
  }
}

// As it is into our own folder, else as the person wants it.
static gboolean save_as(const Saving *saving, const char *path, GError **error) {
  LimnerFormat format = LIMNER_FORMAT_PNG;
  limner_format_from_name(path, &format);
  const LimnerExportOptions as_it_is = {.format = format};
  const LimnerExportOptions options =
      saving->folder ? as_it_is : limner_outgoing_get_options(format, saving->shape);
  return limner_picture_export(saving->picture, path, &options, error);
}

static char *save_new(const Saving *saving, GError **error) {
  g_autofree char *path = reserve(saving, error);
  if (path && save_as(saving, path, error))
    return g_steal_pointer(&path);
  if (path)
    g_unlink(path);
  return NULL;
}

char *limner_files_save_new(LimnerPicture *picture, const char *folder, const char *name,
                            GError **error) {
  const Saving saving = {.picture = picture, .folder = (char *)folder, .name = (char *)name};
  return save_new(&saving, error);
}

static void save_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  const Saving *saving = data;
  GError *error = NULL;
  g_autofree char *path = saving->folder ? save_new(saving, &error) : g_strdup(saving->name);
  if (!saving->folder)
    save_as(saving, path, &error);
  if (error)
    g_task_return_error(task, error);
  else
    g_task_return_pointer(task, g_steal_pointer(&path), g_free);
}

static void save(LimnerPicture *picture, LimnerInput *shape, const char *folder, const char *name,
                 GAsyncReadyCallback callback, gpointer user_data) {
  Saving *saving = g_new0(Saving, 1);
  saving->picture = limner_picture_ref(picture);
  saving->shape = shape ? limner_input_ref(shape) : NULL;
  saving->folder = g_strdup(folder);
  saving->name = g_strdup(name);
  g_autoptr(GTask) task = g_task_new(NULL, NULL, callback, user_data);
  g_task_set_source_tag(task, save);
  g_task_set_task_data(task, saving, (GDestroyNotify)saving_free);
  g_task_run_in_thread(task, save_in_thread);
}

void limner_files_save_new_async(LimnerPicture *picture, const char *folder, const char *name,
                                 GAsyncReadyCallback callback, gpointer user_data) {
  save(picture, NULL, folder, name, callback, user_data);
}

void limner_files_save_as_async(LimnerPicture *picture, LimnerInput *shape, const char *path,
                                GAsyncReadyCallback callback, gpointer user_data) {
  save(picture, shape, NULL, path, callback, user_data);
}

char *limner_files_save_finish(GAsyncResult *result, GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}

static void on_shown(GObject *source, GAsyncResult *result, gpointer data) {
  g_autofree char *uri = data;
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, NULL);
  if (reply)
    return;
  g_autoptr(GFile) file = g_file_new_for_uri(uri);
  g_autoptr(GFile) folder = g_file_get_parent(file);
  g_autofree char *folder_uri = g_file_get_uri(folder);
  g_app_info_launch_default_for_uri_async(folder_uri, NULL, NULL, NULL, NULL);
}

static void on_bus(GObject *source, GAsyncResult *result, gpointer data) {
  g_autofree char *uri = data;
  g_autoptr(GDBusConnection) bus = g_bus_get_finish(result, NULL);
  if (!bus)
    return;
  const char *uris[] = {uri, NULL};
  g_dbus_connection_call(bus, "org.freedesktop.FileManager1", "/org/freedesktop/FileManager1",
                         "org.freedesktop.FileManager1", "ShowItems",
                         g_variant_new("(^ass)", uris, ""), NULL, G_DBUS_CALL_FLAGS_NONE, 3000,
                         NULL, on_shown, g_strdup(uri));
}

void limner_files_show(const char *path) {
  char *uri = g_filename_to_uri(path, NULL, NULL);
  if (uri)
    g_bus_get(G_BUS_TYPE_SESSION, NULL, on_bus, uri);
}
