// SPDX-License-Identifier: MIT
// Mapping a file, reading a small one, writing one beside its place.
#include "engine/file.h"

#include "engine/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail_errno(JanusError *error, const char *path, const char *what) {
  const int number = errno;
  return janus_fail(error, JANUS_ERROR_IO, "%s: %s: %s", path, what, strerror(number));
}

// An open descriptor of something that is not a folder, or -1. `flags`: O_NONBLOCK returns at once
// from a pipe that nobody writes to.
static int open_readable(const char *path, int flags, struct stat *info, JanusError *error) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) {
    fail_errno(error, path, "cannot be opened");
    return -1;
  }
  if (fstat(fd, info) != 0)
    fail_errno(error, path, "cannot be examined");
  else if (S_ISDIR(info->st_mode))
    janus_fail(error, JANUS_ERROR_IO, "%s: expected a file, found a folder", path);
  else
    return fd;
  close(fd);
  return -1;
}

// The same for a file on a disk; what is something else is refused without waiting for it.
static int open_regular(const char *path, struct stat *info, JanusError *error) {
  const int fd = open_readable(path, O_NONBLOCK, info, error);
  if (fd < 0 || S_ISREG(info->st_mode))
    return fd;
  janus_fail(error, JANUS_ERROR_IO, "%s: expected a regular file, found a pipe or a device", path);
  close(fd);
  return -1;
}

// --- reading ------------------------------------------------------------------------------------

bool file_map(const char *path, FileMap *map, JanusError *error) {
  *map = (FileMap){.fd = -1};
  struct stat info;
  const int fd = open_regular(path, &info, error);
  if (fd < 0)
    return false;
  void *data = MAP_FAILED;
  if (info.st_size == 0)
    janus_fail(error, JANUS_ERROR_FORMAT, "%s: the file is empty", path);
  else if ((data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
    fail_errno(error, path, "cannot be mapped");
  if (data == MAP_FAILED) {
    close(fd);
    return false;
  }
  *map = (FileMap){.data = data,
                   .n_bytes = (size_t)info.st_size,
                   .fd = fd,
                   .modified = info.st_mtim,
                   .guard = file_guard_add(data, (size_t)info.st_size)};
  return true;
}

void file_unmap(FileMap *map) {
  file_guard_remove(map->guard);
  if (map->data) {
    munmap((void *)map->data, map->n_bytes);
    close(map->fd);
  }
  *map = (FileMap){.fd = -1};
}

bool file_map_check(const FileMap *map, const char *path, JanusError *error) {
  struct stat info;
  if (fstat(map->fd, &info) != 0)
    return fail_errno(error, path, "can no longer be examined");
  if ((uint64_t)info.st_size != map->n_bytes)
    return janus_fail(error, JANUS_ERROR_IO,
                      "%s: expected the %zu bytes that were there when the model was opened, found "
                      "%lld: open the model again",
                      path, map->n_bytes, (long long)info.st_size);
  if (info.st_mtim.tv_sec != map->modified.tv_sec || info.st_mtim.tv_nsec != map->modified.tv_nsec)
    return janus_fail(error, JANUS_ERROR_IO,
                      "%s: expected the file as it was when the model was opened, found it changed "
                      "since: open the model again",
                      path);
  return !file_guard_is_hurt(map->guard) ||
         janus_fail(error, JANUS_ERROR_IO,
                    "%s: expected %zu bytes, found some that could not be read: open the model "
                    "again",
                    path, map->n_bytes);
}

void file_drop_pages(const void *data, size_t n_bytes) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t begin = ((uintptr_t)data + page - 1) / page * page;
  const uintptr_t end = ((uintptr_t)data + n_bytes) / page * page;
  if (begin < end)
    madvise((void *)begin, end - begin, MADV_DONTNEED);
}

// Reads to the end into *data, growing it. Returns false with errno, or EFBIG past max_bytes.
static bool read_all(int fd, size_t max_bytes, char **data, size_t *n_bytes) {
  size_t capacity = *n_bytes + 1, n = 0;
  for (;;) {
    char *grown = realloc(*data, capacity + 1);
    if (!grown)
      return false;
    *data = grown;
    const ssize_t n_read = read(fd, *data + n, capacity - n);
    if (n_read < 0 && errno == EINTR)
      continue;
    if (n_read <= 0) {
      (*data)[n] = '\0';
      *n_bytes = n;
      return n_read == 0;
    }
    n += (size_t)n_read;
    if (n > max_bytes) {
      errno = EFBIG;
      return false;
    }
    if (n == capacity)
      capacity *= 2;
  }
}

// Reads and closes an open file.
static bool read_and_close(int fd, const struct stat *info, const char *path, size_t max_bytes,
                           char **data, size_t *n_bytes, JanusError *error) {
  // The size is a guess: right for files, zero for pipes.
  *n_bytes = S_ISREG(info->st_mode) && info->st_size > 0 && (uint64_t)info->st_size <= max_bytes
                 ? (size_t)info->st_size
                 : 4096;
  const bool ok = read_all(fd, max_bytes, data, n_bytes);
  if (!ok) {
    if (errno == EFBIG)
      janus_fail(error, JANUS_ERROR_FORMAT, "%s: expected at most %zu bytes, found more", path,
                 max_bytes);
    else
      fail_errno(error, path, "cannot be read");
    free(*data);
    *data = NULL;
    *n_bytes = 0;
  }
  close(fd);
  return ok;
}

bool file_read(const char *path, size_t max_bytes, char **data, size_t *n_bytes,
               JanusError *error) {
  struct stat info;
  *data = NULL;
  *n_bytes = 0;
  const int fd = open_readable(path, 0, &info, error);
  return fd >= 0 && read_and_close(fd, &info, path, max_bytes, data, n_bytes, error);
}

bool file_read_regular(const char *path, size_t max_bytes, char **data, size_t *n_bytes,
                       JanusError *error) {
  struct stat info;
  *data = NULL;
  *n_bytes = 0;
  const int fd = open_regular(path, &info, error);
  return fd >= 0 && read_and_close(fd, &info, path, max_bytes, data, n_bytes, error);
}

char *file_join(const char *folder, const char *name) {
  const size_t n = strlen(folder);
  const char *slash = n > 0 && folder[n - 1] == '/' ? "" : "/";
  const size_t n_bytes = n + strlen(name) + 2;
  char *path = malloc(n_bytes);
  if (path)
    snprintf(path, n_bytes, "%s%s%s", folder, slash, name);
  return path;
}

bool file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

// --- writing ------------------------------------------------------------------------------------

static void release(FileWriter *writer) {
  free(writer->path);
  free(writer->temporary);
  *writer = (FileWriter){0};
}

// A new file beside `path`, with the permissions that the umask gives.
static int create_beside(FileWriter *writer) {
  const size_t n_bytes = strlen(writer->path) + 32;
  writer->temporary = malloc(n_bytes);
  if (!writer->temporary)
    return -1;
  for (int i = 0; i < 100; i++) {
    snprintf(writer->temporary, n_bytes, "%s.%ld-%d.part", writer->path, (long)getpid(), i);
    const int fd = open(writer->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST)
      return fd;
  }
  return -1;
}

bool file_writer_open(FileWriter *writer, const char *path, JanusError *error) {
  *writer = (FileWriter){.path = strdup(path)};
  if (!writer->path)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", path);
  struct stat info;
  const bool exists = stat(path, &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    release(writer);
    return janus_fail(error, JANUS_ERROR_IO, "%s: expected a file, found a folder", path);
  }
  const bool is_direct = exists && !S_ISREG(info.st_mode);
  const int fd = is_direct ? open(path, O_WRONLY | O_CLOEXEC) : create_beside(writer);
  writer->stream = fd >= 0 ? fdopen(fd, "wb") : NULL;
  if (writer->stream)
    return true;
  fail_errno(error, path, "cannot be written");
  if (fd >= 0) {
    close(fd);
    if (writer->temporary)
      unlink(writer->temporary);
  }
  release(writer);
  return false;
}

bool file_writer_close(FileWriter *writer, JanusError *error) {
  bool ok = !ferror(writer->stream);
  ok = fclose(writer->stream) == 0 && ok;
  if (ok && writer->temporary)
    ok = rename(writer->temporary, writer->path) == 0;
  if (!ok) {
    fail_errno(error, writer->path, "cannot be written");
    if (writer->temporary)
      unlink(writer->temporary);
  }
  release(writer);
  return ok;
}
