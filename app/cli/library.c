// SPDX-License-Identifier: MIT
// Opening a library without a main loop.
#include "app/cli/library.h"

#include "app/cli/common.h"

LimnerLibrary *cli_library_open(const char *folder) {
  g_autofree char *path = folder ? g_strdup(folder) : limner_library_dup_default_folder();
  if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
    cli_fail(CLI_FAILED, "--library: expected the folder of a library, found none in %s", path);
    return NULL;
  }
  LimnerLibrary *library = limner_library_open(path, NULL);
  g_autoptr(GError) error = NULL;
  if (limner_library_rescan(library, NULL, NULL, &error))
    return library;
  cli_fail_error(error);
  cli_library_close(library);
  return NULL;
}

void cli_library_close(LimnerLibrary *library) {
  while (library && g_main_context_iteration(NULL, FALSE))
    continue;
  g_clear_object(&library);
}
