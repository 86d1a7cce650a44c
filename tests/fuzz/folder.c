// SPDX-License-Identifier: MIT
// Files of a fuzz target's own.
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[256];

static void remove_folder(void) {
  DIR *dir = opendir(folder);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.')
      unlink(fuzz_path(entry->d_name));
  if (dir)
    closedir(dir);
  rmdir(folder);
}

const char *fuzz_folder(void) {
  const char *tmp = getenv("TMPDIR");
  if (folder[0])
    return folder;
  snprintf(folder, sizeof folder, "%s/limner-fuzz-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(folder)) {
    perror(folder);
    exit(99);
  }
  atexit(remove_folder);
  return folder;
}

const char *fuzz_path(const char *name) {
  static char paths[4][640];
  static int turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder(), name);
  return path;
}

void fuzz_write(const char *name, const void *data, size_t n_bytes) {
  FILE *file = fopen(fuzz_path(name), "wb");
  if (!file || (n_bytes && fwrite(data, 1, n_bytes, file) != n_bytes) || fclose(file) != 0) {
    perror(name);
    exit(99);
  }
}
