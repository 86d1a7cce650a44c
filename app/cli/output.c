// SPDX-License-Identifier: MIT
// FILE.png, FILE_0.png, or DIR/limner-SEED_0.png.
#include "app/cli/output.h"

#include "app/cli/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static const char png_suffix[] = ".png";

static gboolean ends_in_png(const char *path) {
  const gsize length = strlen(path), n = strlen(png_suffix);
  return length >= n && g_ascii_strcasecmp(path + length - n, png_suffix) == 0;
}

static gboolean check_folder(const char *folder) {
  if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
    cli_fail(CLI_FAILED,
             "--out: expected a name ending in .png or a folder that exists, found "
             "\"%s\"",
             folder);
  else if (g_access(folder, W_OK | X_OK) != 0)
    cli_fail(CLI_FAILED, "--out %s: expected a folder that can be written to, found %s", folder,
             g_strerror(errno));
  else
    return TRUE;
  return FALSE;
}

// The name for one of several pictures.
static char *dup_numbered(const char *file, int index) {
  g_autofree char *stem = g_strndup(file, strlen(file) - strlen(png_suffix));
  return g_strdup_printf("%s_%d%s", stem, index, png_suffix);
}

static char *dup_named(const CliOutput *output, int index) {
  return output->n_samples == 1 ? g_strdup(output->file) : dup_numbered(output->file, index);
}

static gboolean check_files(const CliOutput *output) {
  for (int i = 0; i < output->n_samples; i++) {
    g_autofree char *path = dup_named(output, i);
    if (!cli_can_write_picture("--out", path))
      return FALSE;
  }
  return TRUE;
}

gboolean cli_output_init(CliOutput *output, const char *out, int n_samples, guint64 seed) {
  *output = (CliOutput){.n_samples = n_samples, .seed = seed};
  const char *path = out ? out : ".";
  const gboolean is_file = ends_in_png(path) && !g_file_test(path, G_FILE_TEST_IS_DIR);
  *(is_file ? &output->file : &output->folder) = g_strdup(path);
  return is_file ? check_files(output) : check_folder(path);
}

void cli_output_clear(CliOutput *output) {
  g_clear_pointer(&output->folder, g_free);
  g_clear_pointer(&output->file, g_free);
}

// Takes a generated name that nobody has: an empty file that the picture then replaces.
static char *reserve(const CliOutput *output, int index, GError **error) {
  for (int attempt = 1;; attempt++) {
    g_autofree char *again = attempt > 1 ? g_strdup_printf("-%d", attempt) : g_strdup("");
    g_autofree char *name = g_strdup_printf("limner-%" G_GUINT64_FORMAT "_%d%s%s", output->seed,
                                            index, again, png_suffix);
    g_autofree char *path = strcmp(output->folder, ".") == 0
                                ? g_strdup(name)
                                : g_build_filename(output->folder, name, NULL);
    const int fd = g_open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0) {
      close(fd);
      return g_steal_pointer(&path);
    }
    if (errno != EEXIST) {
      g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(errno),
                  "%s: the picture cannot be written there: %s", path, g_strerror(errno));
      return NULL;
    }
  }
}

char *cli_output_save(const CliOutput *output, LimnerPicture *picture, int index, GError **error) {
  g_autofree char *path = output->file ? dup_named(output, index) : reserve(output, index, error);
  if (!path)
    return NULL;
  if (limner_picture_save_png(picture, path, error))
    return g_steal_pointer(&path);
  if (!output->file)
    g_unlink(path);
  return NULL;
}
