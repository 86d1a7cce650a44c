// SPDX-License-Identifier: MIT
// Opening the CUDA module where it is none, is missing, or belongs to another version: a reason in
// one line, and no device. Arguments: a library that is no module; the emulated card's module,
// where there is one.
#include "tests/kernels/check.h"

#include "kernels/cuda/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/limner-module-XXXXXX";

static const char *path_of(const char *name) {
  static char path[300];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_file(const char *name, const void *data, size_t n_bytes) {
  FILE *file = fopen(path_of(name), "wb");
  if (!file || fwrite(data, 1, n_bytes, file) != n_bytes || fclose(file) != 0)
    exit(99);
}

static void check_refused(const char *what, const char *module, const char *words) {
  jk_device *dev = (jk_device *)folder;
  char reason[200] = "";
  setenv("LIMNER_CUDA_MODULE", module, 1);
  const jk_status status = jk_cuda_open(0, &dev, reason, sizeof reason);
  check(status == JK_NO_DEVICE && !dev && strstr(reason, words) && !strchr(reason, '\n'), "%s: %s",
        what, reason);
  jk_card card = {.n_bytes = 1};
  check(jk_cuda_describe(0, &card, reason, sizeof reason) == JK_NO_DEVICE && card.n_bytes == 0 &&
            *reason,
        "%s: no card is described: %s", what, reason);
}

static void test_none(void) {
  check_refused("no module", "", "CUDA is not in this build");
  check_refused("a missing one", path_of("none.so"), "there is no CUDA module");
  check_refused("a folder", folder, "cannot be opened");
  write_file("text.so", "no library", 10);
  check_refused("a text", path_of("text.so"), "cannot be opened");
  write_file("empty.so", "", 0);
  check_refused("an empty file", path_of("empty.so"), "cannot be opened");
  if (mkfifo(path_of("pipe.so"), 0600) == 0)
    check_refused("a pipe", path_of("pipe.so"), "cannot be opened");
  check_refused("a name without a place", "libm.so.6", "there is no CUDA module");
}

// As it is after a copy that was broken off; mapped, such a file ends the program.
static void test_cut_short(const char *library) {
  static char data[1 << 20];
  FILE *file = library ? fopen(library, "rb") : NULL;
  const size_t n_bytes = file ? fread(data, 1, sizeof data, file) : 0;
  if (file)
    fclose(file);
  check(n_bytes > 1000 && n_bytes < sizeof data, "a library of %zu bytes", n_bytes);
  const size_t lengths[] = {20, 64, n_bytes / 4, n_bytes / 2, n_bytes - 1};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths && lengths[i] < n_bytes; i++) {
    char what[60];
    snprintf(what, sizeof what, "%zu bytes of it", lengths[i]);
    write_file("short.so", data, lengths[i]);
    check_refused(what, path_of("short.so"), "cut short");
  }
}

// Whose functions are others, or lie in other places.
static void test_other(const char *other_library, const char *module) {
  if (other_library)
    check_refused("another library", other_library, "it lacks jk_cuda_module_open");
  void *library = module ? dlopen(module, RTLD_NOW | RTLD_LOCAL) : NULL;
  void *symbol = library ? dlsym(library, JK_CUDA_MODULE_OPEN) : NULL;
  jk_cuda_module_open_fn open = NULL;
  memcpy(&open, &symbol, sizeof open);
  if (!open) {
    check(!module, "another version # SKIP no emulated card in this build");
    return;
  }
  for (int more = -8; more <= 8; more += 16) {
    jk_device *dev = (jk_device *)folder;
    jk_cuda_reason reason = {""};
    const jk_status status = open(sizeof *dev + (size_t)more, 0, &dev, &reason);
    check(status == JK_NO_DEVICE && !dev && strstr(reason.text, "another version"),
          "a module whose table is %d bytes off: %s", more, reason.text);
  }
}

// A card that is not there.
static void test_card(const char *module) {
  jk_device *dev = NULL;
  char reason[200] = "";
  if (!module)
    return;
  setenv("LIMNER_CUDA_MODULE", module, 1);
  const jk_status status = jk_cuda_open(63, &dev, reason, sizeof reason);
  check(status == JK_NO_DEVICE && !dev && strlen(reason) > 0, "a card that is not there: %s",
        reason);
}

int main(int argc, char **argv) {
  if (!mkdtemp(folder))
    return 99;
  test_none();
  test_cut_short(argc > 1 ? argv[1] : NULL);
  test_other(argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL);
  test_card(argc > 2 ? argv[2] : NULL);
  static const char *const names[] = {"text.so", "empty.so", "pipe.so", "short.so"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    unlink(path_of(names[i]));
  rmdir(folder);
  return check_done();
}
