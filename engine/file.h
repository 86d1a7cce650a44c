// SPDX-License-Identifier: MIT
// Inside the engine: mapping a file, reading a small one, writing one beside its place.
#ifndef JANUS_FILE_H
#define JANUS_FILE_H

#include "engine/engine.h"

#include <stdio.h>

// A file mapped read-only.
typedef struct FileMap {
  const unsigned char *data;
  size_t n_bytes;
} FileMap;

// Maps a regular file that is not empty. On failure *map is empty.
bool file_map(const char *path, FileMap *map, JanusError *error);
void file_unmap(FileMap *map); // an empty one is allowed
// Tells the system that these bytes of a mapping are not needed soon; they stay readable.
void file_drop_pages(const void *data, size_t n_bytes);

// Reads a whole file or pipe of at most max_bytes. *data is malloc'd and ends with a NUL that is
// not counted.
bool file_read(const char *path, size_t max_bytes, char **data, size_t *n_bytes, JanusError *error);

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
