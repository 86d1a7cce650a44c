// SPDX-License-Identifier: MIT
// Writing a packed copy: a file without a name until it is whole.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE // O_TMPFILE, sync_file_range()
#endif

#include "engine/packed-file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// Makes a folder and those it is inside of, as XDG's cache is: for the user alone.
static void make_folders(const char *folder) {
  char *path = strdup(folder);
  for (char *slash = path ? strchr(path + 1, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    mkdir(path, 0700);
    *slash = '/';
  }
  mkdir(folder, 0700);
  free(path);
}

static bool has_disk_room(const PackedCache *cache) {
  struct statvfs disk;
  return statvfs(cache->folder, &disk) == 0 &&
         (uint64_t)disk.f_bavail * disk.f_frsize >= 2 * (uint64_t)cache->n_bytes;
}

static bool write_at(int fd, const void *data, size_t n_bytes, size_t offset) {
  const char *bytes = data;
  for (size_t n = 0; n < n_bytes;) {
    const ssize_t n_now = pwrite(fd, bytes + n, n_bytes - n, (off_t)(offset + n));
    if (n_now < 0 && errno == EINTR)
      continue;
    if (n_now <= 0)
      return false;
    n += (size_t)n_now;
  }
  return true;
}

bool packed_writer_begin(PackedWriter *writer, PackedCache *cache) {
  *writer = (PackedWriter){.cache = cache, .fd = -1};
  make_folders(cache->folder);
  if (has_disk_room(cache))
    writer->fd = open(cache->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return writer->fd >= 0 && ftruncate(writer->fd, (off_t)cache->n_bytes) == 0 &&
         write_at(writer->fd, cache->head, cache->n_head, 0);
}

bool packed_writer_add(PackedWriter *writer, const void *data) {
  const size_t i = writer->n_written;
  const size_t n_bytes = packed_section_bytes(writer->cache, i);
  const size_t offset = packed_section_offset(writer->cache, i);
  if (!data || !write_at(writer->fd, data, n_bytes, offset))
    return false;
  // Begins to write, so that little is left to wait for at the end.
  sync_file_range(writer->fd, (off_t)offset, (off_t)n_bytes, SYNC_FILE_RANGE_WRITE);
  writer->n_written++;
  return true;
}

// Copies of what the source was before, and what lies where this one goes.
static void remove_older(const PackedCache *cache) {
  const char *name = strrchr(cache->path, '/') + 1;
  DIR *dir = opendir(cache->folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));) {
    const size_t n = strlen(entry->d_name);
    if (strncmp(entry->d_name, name, cache->n_shared_name) == 0 && n == strlen(name) &&
        strcmp(entry->d_name + n - strlen(".packed"), ".packed") == 0)
      unlinkat(dirfd(dir), entry->d_name, 0);
  }
  if (dir)
    closedir(dir);
}

void packed_writer_end(PackedWriter *writer, bool keep) {
  char unnamed[64];
  if (writer->fd < 0)
    return;
  snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", writer->fd);
  if (keep && writer->n_written == writer->cache->n_sections && fdatasync(writer->fd) == 0) {
    remove_older(writer->cache);
    // Where another process was faster, its copy is as good.
    (void)!linkat(AT_FDCWD, unnamed, AT_FDCWD, writer->cache->path, AT_SYMLINK_FOLLOW);
  }
  close(writer->fd);
  writer->fd = -1;
}
