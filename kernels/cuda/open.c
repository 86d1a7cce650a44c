// SPDX-License-Identifier: MIT
// Finding the CUDA module, so that a program runs on machines without a card or its driver.
#include "kernels/cuda/module.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef JK_CUDA_MODULES
#define JK_CUDA_MODULES NULL // places where a build put it, each with a comma behind it
#endif

static const char module_name[] = "limner-cuda.so";

// Mapped, the missing end of a library would end the program. Linkers write the table of sections
// last. What is no library is left to dlopen().
static bool is_cut_short(const char *path, off_t n_bytes) {
  Elf64_Ehdr header;
  FILE *file = fopen(path, "rb");
  const size_t n_read = file ? fread(&header, 1, sizeof header, file) : 0;
  if (file)
    fclose(file);
  if (n_read < SELFMAG || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return false;
  const uint64_t table = (uint64_t)header.e_shnum * header.e_shentsize;
  return n_read < sizeof header || header.e_shoff > (uint64_t)n_bytes ||
         table > (uint64_t)n_bytes - header.e_shoff;
}

// NULL without a word where there is no file. Anything else but a file is not waited for.
static void *open_at(const char *path, char *reason, size_t n_reason) {
  struct stat file;
  if (stat(path, &file) != 0)
    return NULL;
  if (S_ISREG(file.st_mode) && is_cut_short(path, file.st_size)) {
    snprintf(reason, n_reason, "its CUDA module was cut short: %s", path);
    return NULL;
  }
  void *library = S_ISREG(file.st_mode) ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!library)
    snprintf(reason, n_reason, "its CUDA module cannot be opened: %s",
             S_ISREG(file.st_mode) ? dlerror() : path);
  return library;
}

// In the program's own folder.
static void *open_beside_program(char *reason, size_t n_reason) {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof module_name);
  if (n <= 0)
    return NULL;
  path[n] = '\0';
  char *slash = strrchr(path, '/');
  memcpy(slash ? slash + 1 : path, module_name, sizeof module_name);
  return open_at(path, reason, n_reason);
}

// LIMNER_CUDA_MODULE= (empty) is a build without one, for tests.
static void *find_module(char *reason, size_t n_reason) {
  static const char *const places[] = {JK_CUDA_MODULES};
  const char *asked = getenv("LIMNER_CUDA_MODULE");
  snprintf(reason, n_reason, "CUDA is not in this build");
  if (asked && *asked)
    snprintf(reason, n_reason, "there is no CUDA module %s", asked);
  if (asked)
    return *asked ? open_at(asked, reason, n_reason) : NULL;
  void *library = open_beside_program(reason, n_reason);
  for (size_t i = 0; !library && i < sizeof places / sizeof *places; i++)
    library = places[i] ? open_at(places[i], reason, n_reason) : NULL;
  return library;
}

// A function of the module, NULL with a reason where there is none. The module stays until the
// program ends: a driver does not like to be unloaded.
static void *find_function(const char *name, char *reason, size_t n_reason) {
  void *library = find_module(reason, n_reason);
  void *symbol = library ? dlsym(library, name) : NULL;
  if (library && !symbol)
    snprintf(reason, n_reason, "its CUDA module is none: it lacks %s", name);
  return symbol;
}

jk_status jk_cuda_open(int index, jk_device **out, char *reason, size_t n_reason) {
  jk_cuda_reason why = {""};
  jk_cuda_module_open_fn open = NULL;
  *out = NULL;
  void *symbol = find_function(JK_CUDA_MODULE_OPEN, reason, n_reason);
  if (!symbol)
    return JK_NO_DEVICE;
  memcpy(&open, &symbol, sizeof open);
  const jk_status status = open(sizeof(jk_device), index, out, &why);
  snprintf(reason, n_reason, "%s", why.text);
  return status;
}

jk_status jk_cuda_describe(int index, jk_card *card, char *reason, size_t n_reason) {
  jk_cuda_reason why = {""};
  jk_cuda_module_describe_fn describe = NULL;
  *card = (jk_card){{0}};
  void *symbol = find_function(JK_CUDA_MODULE_DESCRIBE, reason, n_reason);
  if (!symbol)
    return JK_NO_DEVICE;
  memcpy(&describe, &symbol, sizeof describe);
  const jk_status status = describe(sizeof(jk_device), index, card, &why);
  snprintf(reason, n_reason, "%s", why.text);
  return status;
}
