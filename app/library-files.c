// SPDX-License-Identifier: MIT
// The library's files: written so that no end of the process leaves half of one, moved so that none
// is replaced, read with suspicion.
#include "app/library-files.h"

#include "app/picture-load.h"
#include "app/recipe.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNFINISHED_PREFIX ".limner-unfinished-"
enum { UNFINISHED_S = 3600, MAX_ATTEMPTS = 100000 };

static gboolean fail(GError **error, const char *path, const char *what) {
  const int code = errno;
  g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code), "%s: %s: %s", path, what,
              g_strerror(code));
  return FALSE;
}

// --- writing -------------------------------------------------------------------------------------

static gboolean write_all(int fd, GBytes *file) {
  gsize n_left = 0;
  const char *at = g_bytes_get_data(file, &n_left);
  while (n_left > 0) {
    const ssize_t n = write(fd, at, n_left);
    if (n < 0 && errno != EINTR)
      return FALSE;
    at += MAX(n, 0);
    n_left -= (gsize)MAX(n, 0);
  }
  return fsync(fd) == 0;
}

static void sync_folder(const char *folder) {
  const int fd = g_open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY, 0);
  if (fd < 0)
    return;
  fsync(fd); // where folders cannot be synchronised there is nothing to do about it
  close(fd);
}

// Gives `path` the name `to` as well, unless somebody has it (errno EEXIST). File systems without
// links: an empty file takes the name and is then replaced.
static gboolean give_name(const char *path, const char *to) {
  if (link(path, to) == 0)
    return g_unlink(path) == 0 || TRUE;
  if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS && errno != EMLINK)
    return FALSE;
  const int fd = g_open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0)
    return FALSE;
  close(fd);
  return g_rename(path, to) == 0;
}

// Gives a file the first free name of `stem`.`extension`, `stem`-2.`extension`, ... in `folder`.
static char *name_freely(const char *path, const char *folder, const char *stem,
                         const char *extension, GError **error) {
  for (int attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
    g_autofree char *name = attempt > 1 ? g_strdup_printf("%s-%d.%s", stem, attempt, extension)
                                        : g_strdup_printf("%s.%s", stem, extension);
    g_autofree char *to = g_build_filename(folder, name, NULL);
    if (give_name(path, to))
      return g_steal_pointer(&name);
    if (errno != EEXIST) {
      fail(error, to, "the picture cannot be kept there");
      return NULL;
    }
  }
  errno = EEXIST;
  fail(error, folder, "there is no free name for the picture");
  return NULL;
}

char *library_file_add(const char *folder, const char *stem, const char *extension, GBytes *file,
                       GError **error) {
  g_autofree char *uuid = g_uuid_string_random();
  g_autofree char *path = g_strdup_printf("%s/" UNFINISHED_PREFIX "%s", folder, uuid);
  const int fd = g_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) {
    fail(error, folder, "the picture cannot be kept there");
    return NULL;
  }
  char *name = NULL;
  if (write_all(fd, file))
    name = name_freely(path, folder, stem, extension, error);
  else
    fail(error, folder, "the picture cannot be kept there");
  close(fd);
  if (name)
    sync_folder(folder);
  else
    g_unlink(path);
  return name;
}

char *library_file_move(const char *from_folder, const char *name, const char *to_folder,
                        GError **error) {
  g_autofree char *path = g_build_filename(from_folder, name, NULL);
  const char *dot = strrchr(name, '.');
  g_autofree char *stem = g_strndup(name, dot ? (gsize)(dot - name) : strlen(name));
  if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s: the picture is not there any more",
                path);
    return NULL;
  }
  if (!library_folder_make(to_folder, error))
    return NULL;
  char *moved = name_freely(path, to_folder, stem, dot ? dot + 1 : "png", error);
  sync_folder(to_folder);
  sync_folder(from_folder);
  return moved;
}

gboolean library_folder_make(const char *folder, GError **error) {
  if (g_mkdir_with_parents(folder, 0777) == 0)
    return TRUE;
  return fail(error, folder, "the folder cannot be made");
}

void library_folder_sweep(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const gint64 now_us = g_get_real_time();
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    EntryFile file;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (g_str_has_prefix(name, UNFINISHED_PREFIX) && library_file_stat(folder, name, &file) &&
        file.mtime_us < now_us - (gint64)UNFINISHED_S * G_USEC_PER_SEC)
      g_unlink(path);
  }
}

// --- reading -------------------------------------------------------------------------------------

gboolean library_file_stat(const char *folder, const char *name, EntryFile *file) {
  g_autofree char *path = g_build_filename(folder, name, NULL);
  struct stat found;
  if (lstat(path, &found) != 0 || !S_ISREG(found.st_mode))
    return FALSE;
  file->mtime_us = (gint64)found.st_mtim.tv_sec * G_USEC_PER_SEC + found.st_mtim.tv_nsec / 1000;
  file->size_bytes = (gint64)found.st_size;
  return TRUE;
}

void library_facts_take_recipe(LimnerEntryFacts *facts, const char *json) {
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, NULL) : NULL;
  if (!recipe)
    return;
  const char *prompt = recipe->request.prompt;
  facts->kind = !prompt                ? LIMNER_KIND_DECODED
                : recipe->input_sha256 ? LIMNER_KIND_EDITED
                                       : LIMNER_KIND_PAINTED;
  facts->prompt = g_strdup(prompt ? prompt : "");
  facts->model = g_strdup(recipe->model);
  facts->input_sha256 = g_strdup(recipe->input_sha256);
  facts->seed = recipe->request.seed;
  facts->sample = recipe->sample;
}

gboolean library_file_read(const char *path, LimnerEntryFacts *facts, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(path, error);
  g_autofree char *json = NULL;
  g_autofree char *parameters = NULL;
  gint64 width_px = 0, height_px = 0;
  *facts = (LimnerEntryFacts){0};
  if (!file || !limner_recipe_find_chunks(file, path, &json, &parameters, NULL) || !json ||
      !limner_file_is_whole(file) || !limner_file_find_size(file, &width_px, &height_px))
    return FALSE;
  library_facts_take_recipe(facts, json);
  if (!facts->kind || width_px > G_MAXINT || height_px > G_MAXINT) {
    library_facts_clear(facts);
    return FALSE;
  }
  facts->width_px = (int)width_px;
  facts->height_px = (int)height_px;
  facts->sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file);
  return TRUE;
}
