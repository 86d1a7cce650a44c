// SPDX-License-Identifier: MIT
// Runs a fuzz target once over every file of a folder, where there is no libFuzzer. TAP.
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_visible(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

// The bytes of a file in memory of exactly their number, so that reading past them is seen.
static uint8_t *read_file(const char *path, size_t *n_bytes) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0)
    return NULL;
  *n_bytes = (size_t)ftell(file);
  rewind(file);
  uint8_t *data = malloc(*n_bytes ? *n_bytes : 1);
  if (data && fread(data, 1, *n_bytes, file) != *n_bytes) {
    free(data);
    data = NULL;
  }
  fclose(file);
  return data;
}

static int replay(const char *folder, const char *name) {
  char path[4096];
  size_t n_bytes = 0;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  uint8_t *data = read_file(path, &n_bytes);
  printf("# %s\n", name);
  fflush(stdout);
  if (data)
    LLVMFuzzerTestOneInput(data, n_bytes);
  free(data);
  return data != NULL;
}

int main(int argc, char **argv) {
  struct dirent **entries = NULL;
  const char *folder = argc > 1 ? argv[1] : ".";
  const int n = scandir(folder, &entries, is_visible, alphasort);
  int n_done = 0;
  LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  for (int i = 0; i < n; i++) {
    n_done += replay(folder, entries[i]->d_name);
    free(entries[i]);
  }
  free(entries);
  printf("%s 1 - %d of %d files replayed\n1..1\n", n > 0 && n_done == n ? "ok" : "not ok", n_done,
         n);
  return n > 0 && n_done == n ? 0 : 1;
}
