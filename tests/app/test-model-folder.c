// SPDX-License-Identifier: MIT
// What "demo" means, and folders that are no models.
#include "config.h"

#include "app/model-folder.h"
#include "tests/app/support.h"

#include <glib/gstdio.h>
#include <string.h>

static void test_resolve(void) {
  g_setenv("LIMNER_DATA_DIR", "some/data", TRUE);
  g_autofree char *chosen = limner_model_folder_resolve("demo");
  g_assert_cmpstr(chosen, ==, "some/data/demo-model");
  g_autofree char *folder = limner_model_folder_resolve("./demo");
  g_assert_cmpstr(folder, ==, "./demo");
  g_autofree char *path = limner_model_folder_resolve("/models/Janus");
  g_assert_cmpstr(path, ==, "/models/Janus");
  g_unsetenv("LIMNER_DATA_DIR");
  g_autofree char *own = limner_model_folder_resolve("demo");
  g_assert_true(g_str_has_suffix(own, "/demo-model"));
  g_assert_true(limner_model_folder_is_demo("demo"));
  g_assert_false(limner_model_folder_is_demo("./demo"));
}

static void add_file(const char *folder, const char *name) {
  g_autofree char *path = g_build_filename(folder, name, NULL);
  g_assert_true(g_file_set_contents(path, "{}", 2, NULL));
}

static void expect(const char *folder, const char *part) {
  g_autoptr(GError) error = NULL;
  const gboolean ok = limner_model_folder_check(folder, &error);
  if (!part) {
    g_assert_no_error(error);
    g_assert_true(ok);
    return;
  }
  g_assert_false(ok);
  g_assert_nonnull(error);
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, folder));
  g_assert_nonnull(strstr(error->message, part));
}

static void test_check(void) {
  char *folder = make_folder();
  g_autofree char *missing = g_build_filename(folder, "missing", NULL);
  g_autofree char *config = g_build_filename(folder, "config.json", NULL);
  expect(missing, "nothing of that name");
  expect(folder, "config.json");
  add_file(folder, "config.json");
  expect(config, "cannot be opened as a folder");
  expect(folder, "found none in this folder");
  add_file(folder, "weights.pth");
  expect(folder, "other PyTorch");
  add_file(folder, "pytorch_model.bin");
  expect(folder, "tokenizer.json");
  add_file(folder, "tokenizer.json");
  expect(folder, NULL);
  remove_folder(folder);
  expect(TINY_FOLDER, NULL);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/model-folder/resolve", test_resolve);
  g_test_add_func("/model-folder/check", test_check);
  return g_test_run();
}
