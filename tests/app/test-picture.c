// SPDX-License-Identifier: MIT
// Saving pictures: the same bytes, whole files, nothing left behind.
#include "app/picture.h"
#include "tests/app/support.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 37, HEIGHT = 21 }; // odd, so that a row is no multiple of four bytes

static LimnerPicture *new_noise(guint32 seed) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  guint8 *rgb = g_malloc(WIDTH * HEIGHT * 3);
  for (gsize i = 0; i < WIDTH * HEIGHT * 3; i++)
    rgb[i] = (guint8)g_rand_int(rand);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, WIDTH * HEIGHT * 3);
  return limner_picture_new(bytes, WIDTH, HEIGHT);
}

static GBytes *dup_file(const char *path) {
  g_autoptr(GError) error = NULL;
  char *data = NULL;
  gsize n_bytes = 0;
  g_file_get_contents(path, &data, &n_bytes, &error);
  g_assert_no_error(error);
  return g_bytes_new_take(data, n_bytes);
}

static void test_round_trip(void) {
  g_autoptr(LimnerPicture) picture = new_noise(1);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_autoptr(GError) error = NULL;
  g_assert_true(limner_picture_save_png(picture, path, &error));
  g_assert_no_error(error);
  g_autoptr(GdkPixbuf) pixbuf = gdk_pixbuf_new_from_file(path, &error);
  g_assert_no_error(error);
  g_assert_cmpint(gdk_pixbuf_get_width(pixbuf), ==, WIDTH);
  g_assert_cmpint(gdk_pixbuf_get_height(pixbuf), ==, HEIGHT);
  g_assert_false(gdk_pixbuf_get_has_alpha(pixbuf));
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  for (int y = 0; y < HEIGHT; y++) {
    const guint8 *row =
        gdk_pixbuf_read_pixels(pixbuf) + (gsize)y * (gsize)gdk_pixbuf_get_rowstride(pixbuf);
    g_assert_cmpmem(row, WIDTH * 3, rgb + (gsize)y * WIDTH * 3, WIDTH * 3);
  }
  remove_folder(folder);
}

static void test_same_bytes(void) {
  g_autoptr(LimnerPicture) one = new_noise(2);
  g_autoptr(LimnerPicture) two = new_noise(2);
  g_autoptr(LimnerPicture) other = new_noise(3);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_assert_true(limner_picture_save_png(one, path, NULL));
  g_autoptr(GBytes) first = dup_file(path);
  // A longer, older file of that name is replaced as a whole.
  g_autofree char *older = g_strnfill(100000, 'x');
  g_assert_true(g_file_set_contents(path, older, 100000, NULL));
  g_assert_true(limner_picture_save_png(two, path, NULL));
  g_autoptr(GBytes) second = dup_file(path);
  g_assert_true(g_bytes_equal(first, second));
  g_autoptr(GBytes) memory = limner_picture_dup_png(one, NULL);
  g_assert_true(g_bytes_equal(first, memory));
  g_autoptr(GBytes) different = limner_picture_dup_png(other, NULL);
  g_assert_false(g_bytes_equal(first, different));
  g_assert_cmpuint(count_entries(folder), ==, 1);
  remove_folder(folder);
}

static void test_missing_folder(void) {
  g_autoptr(LimnerPicture) picture = new_noise(4);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "none", "a.png", NULL);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_picture_save_png(picture, path, &error));
  g_assert_nonnull(error);
  g_assert_nonnull(strstr(error->message, path));
  g_assert_nonnull(strstr(error->message, "No such file"));
  g_assert_cmpuint(count_entries(folder), ==, 0);
  remove_folder(folder);
}

static void test_read_only_folder(void) {
  if (geteuid() == 0) {
    g_test_skip("root may write everywhere");
    return;
  }
  g_autoptr(LimnerPicture) picture = new_noise(5);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_assert_true(limner_picture_save_png(picture, path, NULL));
  g_chmod(folder, 0500);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_picture_save_png(picture, path, &error));
  g_assert_nonnull(strstr(error->message, path));
  g_assert_cmpuint(count_entries(folder), ==, 1);
  g_chmod(folder, 0700);
  remove_folder(folder);
}

static void test_folder_in_the_way(void) {
  g_autoptr(LimnerPicture) picture = new_noise(6);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_mkdir(path, 0700);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_picture_save_png(picture, path, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
  g_assert_cmpuint(count_entries(folder), ==, 1);
  remove_folder(folder);
}

static void test_link_is_kept(void) {
  g_autoptr(LimnerPicture) picture = new_noise(7);
  char *folder = make_folder();
  g_autofree char *target = g_build_filename(folder, "target.png", NULL);
  g_autofree char *link = g_build_filename(folder, "link.png", NULL);
  g_assert_true(g_file_set_contents(target, "old", 3, NULL));
  g_assert_cmpint(symlink("target.png", link), ==, 0);
  g_assert_true(limner_picture_save_png(picture, link, NULL));
  g_assert_true(g_file_test(link, G_FILE_TEST_IS_SYMLINK));
  g_autoptr(GBytes) saved = dup_file(target);
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
  g_assert_true(g_bytes_equal(saved, png));
  remove_folder(folder);
}

static void test_mode(void) {
  g_autoptr(LimnerPicture) picture = new_noise(8);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  const mode_t before = umask(022);
  g_assert_true(limner_picture_save_png(picture, path, NULL));
  umask(before);
  struct stat status;
  g_assert_cmpint(stat(path, &status), ==, 0);
  g_assert_cmpint((int)(status.st_mode & 0777), ==, 0644);
  remove_folder(folder);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/picture/round-trip", test_round_trip);
  g_test_add_func("/picture/same-bytes", test_same_bytes);
  g_test_add_func("/picture/missing-folder", test_missing_folder);
  g_test_add_func("/picture/read-only-folder", test_read_only_folder);
  g_test_add_func("/picture/folder-in-the-way", test_folder_in_the_way);
  g_test_add_func("/picture/link-is-kept", test_link_is_kept);
  g_test_add_func("/picture/mode", test_mode);
  return g_test_run();
}
