// SPDX-License-Identifier: MIT
// Inside the engine: mapping a file, reading a small one, writing one beside its place.
#ifndef JANUS_FILE_H
#define JANUS_FILE_H

#include "engine/engine.h"

#include <stdio.h>
#include <time.h>

// A file mapped read-only. Its descriptor stays open to notice what becomes of the file.
typedef struct FileMap {
  const unsigned char *data;
  size_t n_bytes;
  int fd;
  struct timespec modified;
  struct FileGuard *guard; // NULL = not guarded
} FileMap;

// Maps a regular file that is not empty. On failure *map is empty.
bool file_map(const char *path, FileMap *map, JanusError *error);
void file_unmap(FileMap *map); // an empty one is allowed
// Whether the file still is what was mapped: same size, not written to, no byte found missing.
// False, and what was found. (One that was renamed, replaced or deleted stays what it was.)
bool file_map_check(const FileMap *map, const char *path, JanusError *error);

// A mapped file that someone shortens, or whose disk goes away, raises SIGBUS at the next access.
// From this call on, such an access to what file_map() mapped reads zeros instead, and
// file_map_check() says so. Any thread, any number of times. Other causes of SIGBUS go to the
// handler that was there before.
void file_guard_install(void);
// For file_map(): watches a mapping; NULL when there is no room for one more, which only means that
// it is not watched.
struct FileGuard *file_guard_add(const void *data, size_t n_bytes);
void file_guard_remove(struct FileGuard *guard); // NULL is allowed
bool file_guard_is_hurt(const struct FileGuard *guard);

// Tells the system that these bytes of a mapping are not needed soon; they stay readable.
void file_drop_pages(const void *data, size_t n_bytes);

// Reads a whole file or pipe of at most max_bytes. *data is malloc'd and ends with a NUL that is
// not counted. Waits for a pipe; file_read_regular() refuses pipes and devices instead.
bool file_read(const char *path, size_t max_bytes, char **data, size_t *n_bytes, JanusError *error);
bool file_read_regular(const char *path, size_t max_bytes, char **data, size_t *n_bytes,
                       JanusError *error);

// FOLDER/NAME; NULL for want of memory.
char *file_join(const char *folder, const char *name);

bool file_exists(const char *path);

// Writes beside `path` and renames at the end, so that a reader sees the old or the new file and
// never half of one. A pipe or a device is written directly.
typedef struct FileWriter {
  FILE *stream; // write here
  char *path;
  char *temporary; // NULL when writing directly
} FileWriter;

// On failure *writer is empty.
bool file_writer_open(FileWriter *writer, const char *path, JanusError *error);
// Flushes and renames; the writer is empty afterwards. False, and nothing left behind, when any
// write had failed.
bool file_writer_close(FileWriter *writer, JanusError *error);

#endif
