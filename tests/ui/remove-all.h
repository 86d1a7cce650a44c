// SPDX-License-Identifier: MIT
// A test's own folder goes when the test does.
#ifndef LIMNER_TESTS_REMOVE_ALL_H
#define LIMNER_TESTS_REMOVE_ALL_H

#include <glib/gstdio.h>

// With everything in it.
static inline void remove_all(const char *path) {
  GDir *dir = g_dir_open(path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *child = g_build_filename(path, name, NULL);
    remove_all(child);
  }
  g_clear_pointer(&dir, g_dir_close);
  g_remove(path);
}

#endif
