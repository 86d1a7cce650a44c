// SPDX-License-Identifier: MIT
// Pictures that leave the program as the settings say: copied or dragged, and saved elsewhere.
#include "app/recipe.h"
#include "tests/ui/waiting.h"
#include "ui/limner-drag.h"
#include "ui/limner-files.h"
#include "ui/limner-outgoing.h"
#include "ui/limner-settings.h"

#include <glib/gstdio.h>

enum { SIZE_PX = 48 };

static LimnerInput *new_photo(void) {
  guint8 *rgb = g_malloc0(80 * 40 * 3);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, 80 * 40 * 3);
  g_autoptr(LimnerPicture) picture = limner_picture_new(bytes, 80, 40);
  return limner_input_new_from_picture(picture, "photo.png", NULL);
}

// An edit of `photo`.
static LimnerPicture *new_edit(LimnerInput *photo) {
  guint8 *rgb = g_malloc0(SIZE_PX * SIZE_PX * 3);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, SIZE_PX * SIZE_PX * 3);
  const LimnerRequest request = {.prompt = (char *)"make it blue",
                                 .input = photo,
                                 .n_samples = 1,
                                 .cfg = 5,
                                 .image_cfg = 5,
                                 .temperature = 1,
                                 .top_p = 1};
  const JanusModelInfo info = {.name = "Demo", .device = "cpu", .image_size_px = SIZE_PX};
  const gint32 tokens[] = {1, 2, 3, 4};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&request, 0, tokens, 4, &info);
  return limner_recipe_dup_picture(recipe, bytes);
}

// --- copied and dragged --------------------------------------------------------------------------

static void on_result(GObject *source, GAsyncResult *result, gpointer data) {
  *(GAsyncResult **)data = g_object_ref(result);
}

// What another program gets.
static LimnerInput *carry(LimnerPicture *picture) {
  g_autoptr(LimnerInput) input = limner_input_new_from_picture(picture, "carried", NULL);
  g_autoptr(GdkContentProvider) content = limner_content_provider_new(input);
  g_autoptr(GOutputStream) stream = g_memory_output_stream_new_resizable();
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GError) error = NULL;
  gdk_content_provider_write_mime_type_async(content, "image/png", stream, 0, NULL, on_result,
                                             &result);
  wait_until(result);
  g_assert_true(gdk_content_provider_write_mime_type_finish(content, result, &error));
  g_assert_no_error(error);
  g_output_stream_close(stream, NULL, NULL);
  g_autoptr(GBytes) file = g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(stream));
  LimnerInput *read = limner_input_new_from_bytes(file, "read", &error);
  g_assert_no_error(error);
  return read;
}

static void assert_carried(LimnerPicture *picture, gboolean has_recipe) {
  g_autoptr(LimnerInput) read = carry(picture);
  g_assert_cmpint(limner_input_get_recipe(read) != NULL, ==, has_recipe);
  // Always as it is: a picture that is dropped here is the one that was painted.
  g_assert_cmpint(limner_picture_get_width(limner_input_get_picture(read)), ==, SIZE_PX);
}

// --- saved ---------------------------------------------------------------------------------------

static void assert_saved(const char *folder, LimnerPicture *picture, LimnerInput *shape,
                         int width_px, int height_px, gboolean has_recipe) {
  g_autofree char *path = g_build_filename(folder, "saved.png", NULL);
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GError) error = NULL;
  limner_files_save_as_async(picture, shape, path, on_result, &result);
  wait_until(result);
  g_autofree char *saved = limner_files_save_finish(result, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(saved, ==, path);
  g_autoptr(LimnerInput) read = limner_input_load(path, &error);
  g_assert_no_error(error);
  g_assert_cmpint(limner_picture_get_width(limner_input_get_picture(read)), ==, width_px);
  g_assert_cmpint(limner_picture_get_height(limner_input_get_picture(read)), ==, height_px);
  g_assert_cmpint(limner_input_get_recipe(read) != NULL, ==, has_recipe);
  g_unlink(path);
}

// Into our own folder: always whole, whatever is said of others.
static void assert_kept(const char *folder, LimnerPicture *picture) {
  g_autoptr(GAsyncResult) result = NULL;
  g_autoptr(GError) error = NULL;
  limner_files_save_new_async(picture, folder, "kept.png", on_result, &result);
  wait_until(result);
  g_autofree char *path = limner_files_save_finish(result, &error);
  g_assert_no_error(error);
  g_autoptr(LimnerInput) read = limner_input_load(path, &error);
  g_assert_nonnull(limner_input_get_recipe(read));
  g_assert_cmpint(limner_picture_get_width(limner_input_get_picture(read)), ==, SIZE_PX);
  g_unlink(path);
}

static void test_outgoing(void) {
  g_autoptr(GSettings) settings = limner_settings_new();
  g_assert_nonnull(settings);
  g_autofree char *folder = g_dir_make_tmp("limner-outgoing-XXXXXX", NULL);
  g_autoptr(LimnerInput) photo = new_photo();
  g_autoptr(LimnerPicture) picture = new_edit(photo);
  limner_outgoing_follow(settings);
  assert_carried(picture, TRUE);
  assert_saved(folder, picture, photo, 48, 24, TRUE); // in the shape of the photo
  assert_saved(folder, picture, NULL, 48, 48, TRUE);
  g_settings_set_boolean(settings, "save-shaped", FALSE);
  assert_saved(folder, picture, photo, 48, 48, TRUE);
  g_settings_set_boolean(settings, "save-doubled", TRUE);
  assert_saved(folder, picture, photo, 96, 96, TRUE);
  g_settings_set_boolean(settings, "save-shaped", TRUE);
  g_settings_set_boolean(settings, "leave-out-metadata", TRUE);
  assert_saved(folder, picture, photo, 96, 48, FALSE);
  assert_carried(picture, FALSE);
  assert_kept(folder, picture);
  g_rmdir(folder);
}

int main(int argc, char **argv) {
  gtk_test_init(&argc, &argv, NULL);
  g_test_add_func("/outgoing/settings", test_outgoing);
  return g_test_run();
}
