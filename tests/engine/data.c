// SPDX-License-Identifier: MIT
// Files for the engine's tests.
#include "tests/engine/data.h"

#include "tests/engine/parity.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void give_up(const char *what) {
  perror(what);
  exit(99);
}

TestFolder test_folder_new(void) {
  TestFolder folder;
  const char *tmp = getenv("TMPDIR");
  snprintf(folder.path, sizeof folder.path, "%s/limner-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(folder.path))
    give_up(folder.path);
  return folder;
}

void test_folder_free(TestFolder *folder) {
  DIR *dir = opendir(folder->path);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.')
      unlink(test_path(folder, entry->d_name));
  if (dir)
    closedir(dir);
  rmdir(folder->path);
}

const char *test_path(const TestFolder *folder, const char *name) {
  static char paths[4][768];
  static int turn;
  char *path = paths[turn++ % 4];
  snprintf(path, sizeof paths[0], "%s/%s", folder->path, name);
  return path;
}

void write_bytes(const TestFolder *folder, const char *name, const void *data, size_t n_bytes) {
  FILE *file = fopen(test_path(folder, name), "wb");
  if (!file || fwrite(data, 1, n_bytes, file) != n_bytes || fclose(file) != 0)
    give_up(name);
}

void write_text(const TestFolder *folder, const char *name, const char *text) {
  write_bytes(folder, name, text, strlen(text));
}

void write_json(const TestFolder *folder, const char *name, const json_t *value) {
  if (json_dump_file(value, test_path(folder, name), JSON_COMPACT) != 0)
    give_up(name);
}

void copy_file(const TestFolder *folder, const char *name, const char *from) {
  FILE *file = fopen(from, "rb");
  if (!file)
    give_up(from);
  fseek(file, 0, SEEK_END);
  const size_t n = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(n + 1);
  if (!data || fread(data, 1, n, file) != n)
    give_up(from);
  fclose(file);
  write_bytes(folder, name, data, n);
  free(data);
}

void remove_file(const TestFolder *folder, const char *name) {
  if (unlink(test_path(folder, name)) != 0)
    give_up(name);
}

size_t read_bytes(const char *path, unsigned char *data, size_t capacity) {
  FILE *file = fopen(path, "rb");
  if (!file)
    give_up(path);
  const size_t n = fread(data, 1, capacity, file);
  fclose(file);
  return n;
}

int count_files(const TestFolder *folder) {
  int n = 0;
  DIR *dir = opendir(folder->path);
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    n += entry->d_name[0] != '.';
  if (dir)
    closedir(dir);
  return n;
}

json_t *load_json(const char *path) {
  return json_load_file(path, 0, NULL);
}

char *replace_text(const char *text, const char *old, const char *new) {
  const char *place = strstr(text, old);
  if (!place)
    give_up(old);
  const size_t n_before = (size_t)(place - text), n_new = strlen(new);
  char *result = malloc(strlen(text) + n_new + 1);
  if (!result)
    give_up(old);
  memcpy(result, text, n_before);
  memcpy(result + n_before, new, n_new);
  strcpy(result + n_before + n_new, place + strlen(old));
  return result;
}

const char *real_tokenizer_path(const char *name) {
  static char path[1024];
  const char *data = getenv("LIMNER_TEST_DATA");
  snprintf(path, sizeof path, "%s/tokenizer/%s",
           data && *data ? data : parity_path("../../../shared"), name);
  return path;
}

void skip(const char *why) {
  check(true, "nothing # SKIP %s", why);
}
