// SPDX-License-Identifier: MIT
// Finding the demo model, and a first look at a folder before the engine opens it.
#include "app/model-folder.h"

#include "config.h"

#define DEMO_NAME "demo"
#define DEMO_FOLDER "demo-model"

static char *demo_in(const char *data_folder) {
  return g_build_filename(data_folder, DEMO_FOLDER, NULL);
}

static gboolean has_file(const char *folder, const char *name) {
  g_autofree char *path = g_build_filename(folder, name, NULL);
  return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

gboolean limner_model_folder_is_demo(const char *name) {
  return g_strcmp0(name, DEMO_NAME) == 0;
}

char *limner_model_folder_resolve(const char *name) {
  if (!limner_model_folder_is_demo(name))
    return g_strdup(name);
  const char *chosen = g_getenv("LIMNER_DATA_DIR");
  if (chosen && *chosen)
    return demo_in(chosen);
  g_autofree char *installed = demo_in(LIMNER_INSTALL_DATA_DIR);
  if (has_file(installed, "config.json"))
    return g_steal_pointer(&installed);
  g_autofree char *source = demo_in(LIMNER_SOURCE_DATA_DIR);
  // Where nothing is installed and the sources are gone, the message names the installed place.
  return g_file_test(LIMNER_SOURCE_DATA_DIR, G_FILE_TEST_IS_DIR) ? g_steal_pointer(&source)
                                                                 : g_steal_pointer(&installed);
}

char *limner_packed_folder_dup(void) {
  return g_build_filename(g_get_user_cache_dir(), "limner", "packed", NULL);
}

// Whether the folder holds weights as the Hub names them; other files of PyTorch's tell more than
// none.
static gboolean has_weights(GDir *dir, gboolean *has_other) {
  const char *name;
  gboolean found = FALSE;
  while ((name = g_dir_read_name(dir))) {
    found |= g_str_has_suffix(name, ".safetensors") ||
             (g_str_has_prefix(name, "pytorch_model") && g_str_has_suffix(name, ".bin"));
    *has_other |= g_str_has_suffix(name, ".pt") || g_str_has_suffix(name, ".pth");
  }
  return found;
}

static gboolean refuse(GError **error, GIOErrorEnum code, const char *path, const char *what) {
  g_set_error(error, G_IO_ERROR, (int)code, "%s: %s", path, what);
  return FALSE;
}

gboolean limner_model_folder_check(const char *path, GError **error) {
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return refuse(error, G_IO_ERROR_NOT_FOUND, path,
                  "expected a model folder, found nothing of that name");
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  if (!dir)
    return refuse(error, G_IO_ERROR_NOT_DIRECTORY, path,
                  "expected a model folder, found something that cannot be opened as a folder");
  gboolean has_other = FALSE;
  const gboolean has_any = has_weights(dir, &has_other);
  if (!has_file(path, "config.json"))
    return refuse(error, G_IO_ERROR_NOT_FOUND, path,
                  "expected a model folder with a config.json, found none in it");
  if (!has_any && has_other)
    return refuse(error, G_IO_ERROR_NOT_SUPPORTED, path,
                  "expected weights as *.safetensors or pytorch_model*.bin, found other PyTorch "
                  "files only");
  if (!has_any)
    return refuse(error, G_IO_ERROR_NOT_FOUND, path,
                  "expected weights as *.safetensors or pytorch_model*.bin, found none in this "
                  "folder");
  if (!has_file(path, "tokenizer.json"))
    return refuse(error, G_IO_ERROR_NOT_FOUND, path,
                  "expected a tokenizer.json beside the weights, found none");
  return TRUE;
}
