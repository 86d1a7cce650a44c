// SPDX-License-Identifier: MIT
// Pictures to change: files by another encoder (inputs/make.py), turned, flattened and converted;
// files that are none, break off or are far too large.
#include "config.h"

#include "tests/app/support.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <glib/gstdio.h>
#include <lcms2.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#define INPUTS LIMNER_SOURCE_DATA_DIR "/../tests/app/inputs/"
enum { WIDTH = 64, HEIGHT = 32 };

// The corners of the pictures in inputs/, by the letters that the tables use.
static const guint8 corners[4][3] = {{230, 20, 20}, {20, 200, 20}, {20, 20, 220}, {250, 250, 250}};

static LimnerInput *load(const char *file) {
  g_autofree char *path = g_strconcat(INPUTS, file, NULL);
  g_autoptr(GError) error = NULL;
  LimnerInput *input = limner_input_load(path, &error);
  g_assert_no_error(error);
  return input;
}

static const guint8 *pixel(LimnerPicture *picture, int x, int y) {
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  return rgb + ((gsize)y * (gsize)limner_picture_get_width(picture) + (gsize)x) * 3;
}

static void assert_colour(const guint8 *found, const guint8 *expected, int tolerance) {
  for (int c = 0; c < 3; c++)
    g_assert_cmpint(ABS(found[c] - expected[c]), <=, tolerance);
}

// The four corners, row by row, are these letters' colours.
static void assert_corners(LimnerPicture *picture, const char *letters, int tolerance) {
  const int right = limner_picture_get_width(picture) - 3;
  const int bottom = limner_picture_get_height(picture) - 3;
  for (int i = 0; i < 4; i++)
    assert_colour(pixel(picture, i % 2 ? right : 2, i / 2 ? bottom : 2), corners[letters[i] - 'A'],
                  tolerance);
}

static gboolean can_read(const char *name) {
  g_autoptr(GSList) formats = gdk_pixbuf_get_formats();
  for (GSList *format = formats; format; format = format->next) {
    g_autofree char *found = gdk_pixbuf_format_get_name(format->data);
    if (strcmp(found, name) == 0)
      return TRUE;
  }
  return FALSE;
}

// --- pictures ------------------------------------------------------------------------------------

static const struct {
  const char *file, *format, *letters;
  int tolerance; // observed: 3 for JPEG, 3 for AVIF, 0 else
} pictures[] = {
    {"turned-1.jpg", "jpeg", "ABCD", 4},    {"turned-2.jpg", "jpeg", "BADC", 4},
    {"turned-3.jpg", "jpeg", "DCBA", 4},    {"turned-4.jpg", "jpeg", "CDAB", 4},
    {"turned-5.jpg", "jpeg", "ACBD", 4},    {"turned-6.jpg", "jpeg", "CADB", 4},
    {"turned-7.jpg", "jpeg", "DBCA", 4},    {"turned-8.jpg", "jpeg", "BDAC", 4},
    {"turned-6.png", "png", "CADB", 0},     {"turned-6.tif", "tiff", "CADB", 0},
    {"turned-6.webp", "webp", "CADB", 0},   {"turned-6.avif", "avif", "CADB", 4},
    {"progressive.jpg", "jpeg", "ABCD", 4}, {"cmyk.jpg", "jpeg", "ABCD", 4},
    {"palette.png", "png", "ABCD", 0},
};

static void test_upright(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(pictures); i++) {
    if (!can_read(pictures[i].format)) {
      g_test_message("no loader for %s here", pictures[i].format);
      continue;
    }
    g_test_message("%s", pictures[i].file);
    g_autoptr(LimnerInput) input = load(pictures[i].file);
    LimnerPicture *picture = limner_input_get_picture(input);
    // Lying, A and B share a row; standing, they share a column.
    const char *letters = pictures[i].letters;
    const gboolean stands =
        (strchr(letters, 'A') - letters) / 2 != (strchr(letters, 'B') - letters) / 2;
    g_assert_cmpint(limner_picture_get_width(picture), ==, stands ? HEIGHT : WIDTH);
    g_assert_cmpint(limner_picture_get_height(picture), ==, stands ? WIDTH : HEIGHT);
    assert_corners(picture, letters, pictures[i].tolerance);
  }
}

// c*a + 255*(1-a), rounded, for alpha 128 on the left; nothing but white on the right.
static void test_alpha(void) {
  static const struct {
    const char *file, *format;
  } files[] = {{"alpha.png", "png"}, {"alpha.webp", "webp"}, {"alpha.tif", "tiff"}};
  static const guint8 white[3] = {255, 255, 255};
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    if (!can_read(files[i].format))
      continue;
    g_test_message("%s", files[i].file);
    g_autoptr(LimnerInput) input = load(files[i].file);
    LimnerPicture *picture = limner_input_get_picture(input);
    guint8 expected[3];
    for (int c = 0; c < 3; c++)
      expected[c] = (guint8)lround((corners[0][c] * 128 + 255 * 127) / 255.0);
    assert_colour(pixel(picture, 2, 2), expected, 0);
    assert_colour(pixel(picture, WIDTH - 3, 2), white, 0);
    assert_colour(pixel(picture, WIDTH - 3, HEIGHT - 3), white, 0);
  }
}

static void test_depths(void) {
  g_autoptr(LimnerInput) deep = load("deep.png");
  assert_colour(pixel(limner_input_get_picture(deep), 1, 0), (const guint8[]){0x40, 0xc0, 0x10}, 1);
  g_autoptr(LimnerInput) grey = load("grey.png");
  for (int i = 0; i < 2; i++) {
    const double level =
        0.299 * corners[i][0] + 0.587 * corners[i][1] + 0.114 * corners[i][2]; // ITU-R 601
    const guint8 found = pixel(limner_input_get_picture(grey), i * (WIDTH - 1), 0)[0];
    g_assert_cmpfloat(fabs(found - level), <=, 1);
    assert_colour(pixel(limner_input_get_picture(grey), i * (WIDTH - 1), 0),
                  (const guint8[]){found, found, found}, 0);
  }
  g_autoptr(LimnerInput) one = load("one.png");
  g_assert_cmpint(limner_picture_get_width(limner_input_get_picture(one)), ==, 1);
  assert_colour(pixel(limner_input_get_picture(one), 0, 0), corners[0], 0);
}

static void test_first_frame(void) {
  g_autoptr(LimnerInput) gif = load("animated.gif");
  assert_colour(pixel(limner_input_get_picture(gif), 4, 4), corners[0], 0);
  if (!can_read("webp"))
    return;
  g_autoptr(LimnerInput) webp = load("animated.webp");
  assert_colour(pixel(limner_input_get_picture(webp), 4, 4), corners[0], 0);
}

// --- colour profiles -----------------------------------------------------------------------------

// A picture of one colour as a file with a profile, which is closed.
static LimnerInput *with_profile(const char *type, const guint8 colour[3], cmsHPROFILE profile) {
  cmsUInt32Number n_bytes = 0;
  g_assert_true(cmsSaveProfileToMem(profile, NULL, &n_bytes));
  g_autofree guint8 *bytes = g_malloc(n_bytes);
  g_assert_true(cmsSaveProfileToMem(profile, bytes, &n_bytes));
  cmsCloseProfile(profile);
  g_autofree char *base64 = g_base64_encode(bytes, n_bytes);
  g_autoptr(GdkPixbuf) pixbuf = gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, 16, 16);
  gdk_pixbuf_fill(pixbuf,
                  (guint32)colour[0] << 24 | (guint32)colour[1] << 16 | (guint32)colour[2] << 8);
  char *data = NULL;
  gsize n_data = 0;
  g_autoptr(GError) error = NULL;
  gdk_pixbuf_save_to_buffer(pixbuf, &data, &n_data, type, &error, "icc-profile", base64, NULL);
  g_assert_no_error(error);
  g_autoptr(GBytes) file = g_bytes_new_take(data, n_data);
  LimnerInput *input = limner_input_new_from_bytes(file, "profiled", &error);
  g_assert_no_error(error);
  return input;
}

static double srgb_level(double linear) {
  const double x = CLAMP(linear, 0, 1);
  return 255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055);
}

// Adobe RGB (1998): the primaries of green differ, the white does not. The matrix is the product
// of its RGB to XYZ and sRGB's XYZ to RGB (both D65, IEC 61966-2-1 and the Adobe specification).
static void test_adobe_rgb(void) {
  static const double to_srgb[3][3] = {
      {1.39836, -0.39836, 0.0}, {0.0, 1.0, 0.0}, {0.0, -0.04293, 1.04293}};
  static const guint8 colours[][3] = {{128, 128, 130}, {200, 120, 90}, {90, 140, 180}};
  const cmsCIExyY white = {0.3127, 0.3290, 1};
  const cmsCIExyYTRIPLE primaries = {{0.64, 0.33, 1}, {0.21, 0.71, 1}, {0.15, 0.06, 1}};
  for (gsize i = 0; i < G_N_ELEMENTS(colours); i++) {
    cmsToneCurve *gamma = cmsBuildGamma(NULL, 563.0 / 256);
    cmsToneCurve *const curves[3] = {gamma, gamma, gamma};
    g_autoptr(LimnerInput) input =
        with_profile("tiff", colours[i], cmsCreateRGBProfile(&white, &primaries, curves));
    cmsFreeToneCurve(gamma);
    const guint8 *found = pixel(limner_input_get_picture(input), 8, 8);
    for (int c = 0; c < 3; c++) {
      double linear = 0;
      for (int k = 0; k < 3; k++)
        linear += to_srgb[c][k] * pow(colours[i][k] / 255.0, 563.0 / 256);
      g_test_message("%d: expected %.2f, found %d", c, srgb_level(linear), found[c]);
      g_assert_cmpfloat(fabs(found[c] - srgb_level(linear)), <=, 1.2); // observed: 0.65
    }
  }
}

static void test_srgb_is_left_alone(void) {
  static const guint8 colour[3] = {13, 130, 247};
  g_autoptr(LimnerInput) input = with_profile("tiff", colour, cmsCreate_sRGBProfile());
  assert_colour(pixel(limner_input_get_picture(input), 8, 8), colour, 0);
}

// A linear grey of 128 is much lighter in sRGB.
static void test_grey_profile(void) {
  static const guint8 grey[3] = {128, 128, 128};
  cmsToneCurve *linear = cmsBuildGamma(NULL, 1);
  g_autoptr(LimnerInput) input =
      with_profile("jpeg", grey, cmsCreateGrayProfile(cmsD50_xyY(), linear));
  cmsFreeToneCurve(linear);
  const guint8 expected = (guint8)lround(srgb_level(128 / 255.0));
  assert_colour(pixel(limner_input_get_picture(input), 8, 8),
                (const guint8[]){expected, expected, expected}, 1);
}

// A profile of grey says nothing about colours: they stay as they are.
static void test_grey_profile_on_colours(void) {
  static const guint8 colour[3] = {220, 60, 30};
  cmsToneCurve *linear = cmsBuildGamma(NULL, 1);
  g_autoptr(LimnerInput) input =
      with_profile("jpeg", colour, cmsCreateGrayProfile(cmsD50_xyY(), linear));
  cmsFreeToneCurve(linear);
  const guint8 *found = pixel(limner_input_get_picture(input), 8, 8);
  g_test_message("found %d %d %d", found[0], found[1], found[2]);
  assert_colour(found, colour, 2); // observed: 1
}

// --- what is no picture --------------------------------------------------------------------------

// One sentence that names the file and says this.
static void assert_refused(GBytes *file, const char *says) {
  g_autoptr(GError) error = NULL;
  LimnerInput *input = limner_input_new_from_bytes(file, "holiday", &error);
  g_assert_null(input);
  g_assert_nonnull(error);
  g_test_message("%s", error->message);
  g_assert_true(g_str_has_prefix(error->message, "holiday: expected a "));
  g_assert_nonnull(strstr(error->message, says));
  g_assert_null(strchr(error->message, '\n'));
}

static GBytes *dup_file(const char *file) {
  g_autofree char *path = g_strconcat(INPUTS, file, NULL);
  char *data = NULL;
  gsize n_bytes = 0;
  g_assert_true(g_file_get_contents(path, &data, &n_bytes, NULL));
  return g_bytes_new_take(data, n_bytes);
}

static GBytes *new_noise_file(const char *type) {
  g_autoptr(GRand) rand = g_rand_new_with_seed(5);
  g_autoptr(GdkPixbuf) pixbuf = gdk_pixbuf_new(GDK_COLORSPACE_RGB, FALSE, 8, 150, 90);
  guint8 *pixels = gdk_pixbuf_get_pixels(pixbuf);
  for (gsize i = 0; i < gdk_pixbuf_get_byte_length(pixbuf); i++)
    pixels[i] = (guint8)g_rand_int(rand);
  char *data = NULL;
  gsize n_bytes = 0;
  g_assert_true(gdk_pixbuf_save_to_buffer(pixbuf, &data, &n_bytes, type, NULL, NULL));
  return g_bytes_new_take(data, n_bytes);
}

static void assert_needs_all(GBytes *file) {
  const gsize n_bytes = g_bytes_get_size(file);
  const gsize lengths[] = {n_bytes / 10, n_bytes / 2, n_bytes * 9 / 10, n_bytes - 1};
  g_autoptr(LimnerInput) whole = limner_input_new_from_bytes(file, "whole", NULL);
  g_assert_nonnull(whole);
  for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
    g_autoptr(GBytes) part = g_bytes_new_from_bytes(file, 0, lengths[i]);
    assert_refused(part, "found");
  }
}

static void test_truncated(void) {
  static const char *const types[] = {"png", "jpeg", "bmp", "tiff"};
  static const char *const files[] = {"progressive.jpg", "turned-6.jpg", "alpha.tif",
                                      "animated.gif"};
  for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
    g_autoptr(GBytes) file = new_noise_file(types[i]);
    assert_needs_all(file);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autoptr(GBytes) file = dup_file(files[i]);
    assert_needs_all(file);
  }
  g_autoptr(GBytes) webp = dup_file("turned-6.webp"), avif = dup_file("turned-6.avif");
  if (can_read("webp"))
    assert_needs_all(webp);
  if (can_read("avif"))
    assert_needs_all(avif);
}

static void test_no_picture(void) {
  static const guint8 zeros[4096] = {0};
  g_autoptr(GBytes) empty = g_bytes_new_static("", 0), zero = g_bytes_new_static(zeros, 4096);
  g_autoptr(GBytes) text = g_bytes_new_static("just words\n", 11);
  g_autoptr(GBytes) head = g_bytes_new_static("\x89PNG\r\n\x1a\n", 8);
  assert_refused(empty, "found an empty file");
  assert_refused(zero, "found something else");
  assert_refused(text, "found something else");
  assert_refused(head, "breaks off");
  static const char *const paths[] = {INPUTS "none.png", INPUTS};
  for (int i = 0; i < 2; i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(limner_input_load(paths[i], &error));
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, paths[i]));
    g_assert_nonnull(strstr(error->message, i ? "found a folder" : "found no such file"));
  }
}

static glong peak_kilobytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// 50000 x 50000 in a PNG and 65000 x 65000 in a JPEG: refused before memory is taken for them.
static void test_too_large(void) {
  const glong before = peak_kilobytes();
  g_autoptr(GBytes) png = dup_file("huge.png"), small = dup_file("turned-1.jpg");
  assert_refused(png, "at most 200 megapixels, found 50000 x 50000");
  gsize n_bytes = 0;
  guint8 *jpeg = g_bytes_unref_to_data(g_bytes_ref(small), &n_bytes);
  gsize at = 0;
  while (jpeg[at] != 0xff || jpeg[at + 1] != 0xc0) // the frame's header
    at++;
  memcpy(jpeg + at + 5, "\xfd\xe8\xfd\xe8", 4);
  g_autoptr(GBytes) huge = g_bytes_new_take(jpeg, n_bytes);
  assert_refused(huge, "at most 200 megapixels, found 65000 x 65000");
  g_assert_cmpint(peak_kilobytes() - before, <, 50000); // observed: 0
}

// Any damage is an error or another picture, never a crash.
static void test_damaged(void) {
  static const char *const files[] = {"turned-6.png",    "turned-6.webp", "turned-6.jpg",
                                      "turned-6.tif",    "alpha.tif",     "animated.gif",
                                      "progressive.jpg", "cmyk.jpg",      "foreign.png"};
  const guint32 seed = 20;
  g_test_message("seed %u", seed);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  guint n_read = 0;
  // WebP's loader warns of some, and GdkPixbuf then of what that one returns.
  const GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
  for (gsize i = 0; i < 40 * G_N_ELEMENTS(files); i++) {
    g_autoptr(GBytes) whole = dup_file(files[i / 40]);
    gsize n_bytes = 0;
    guint8 *bytes = g_bytes_unref_to_data(g_steal_pointer(&whole), &n_bytes);
    for (int k = 0; k < 4; k++)
      bytes[g_rand_int_range(rand, 0, (gint32)n_bytes)] = (guint8)g_rand_int(rand);
    g_autoptr(GBytes) damaged = g_bytes_new_take(bytes, n_bytes);
    g_autoptr(GError) error = NULL;
    LimnerInput *input = limner_input_new_from_bytes(damaged, "damaged", &error);
    g_assert_true((input != NULL) == (error == NULL));
    n_read += input != NULL;
    g_clear_pointer(&input, limner_input_unref);
  }
  g_log_set_always_fatal(fatal);
  g_test_message("%u could be read", n_read);
}

// --- values --------------------------------------------------------------------------------------

static void test_names(void) {
  g_autoptr(LimnerInput) file = load("one.png");
  g_assert_cmpstr(limner_input_get_name(file), ==, INPUTS "one.png");
  // As sha256sum tells.
  g_assert_cmpstr(limner_input_get_sha256(file), ==,
                  "a83d365fb53db3cbb4aafa21a9014f8253c2b157e139c12a1bb166a33f5c4cb7");
  LimnerPicture *picture = limner_input_get_picture(file);
  g_autoptr(LimnerInput) own = limner_input_new_from_picture(picture, "mine", NULL);
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
  g_autofree char *expected = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png);
  g_assert_cmpstr(limner_input_get_sha256(own), ==, expected);
  g_assert_true(limner_input_get_picture(own) == picture);
  g_autoptr(LimnerInput) known = limner_input_new_from_picture(picture, "known", "abc");
  g_assert_cmpstr(limner_input_get_sha256(known), ==, "abc");
}

static gpointer load_often(gpointer data) {
  for (int i = 0; i < 20; i++) {
    g_autoptr(LimnerInput) input = load("turned-6.jpg");
    assert_corners(limner_input_get_picture(input), "CADB", 4);
    g_assert_nonnull(limner_input_get_sha256(data));
  }
  return NULL;
}

static void test_threads(void) {
  g_autoptr(LimnerInput) one = load("one.png");
  g_autoptr(LimnerInput) shared =
      limner_input_new_from_picture(limner_input_get_picture(one), "shared", NULL);
  GThread *threads[4];
  for (int i = 0; i < 4; i++)
    threads[i] = g_thread_new("load", load_often, shared);
  for (int i = 0; i < 4; i++)
    g_thread_join(threads[i]);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/input/upright", test_upright);
  g_test_add_func("/input/alpha", test_alpha);
  g_test_add_func("/input/depths", test_depths);
  g_test_add_func("/input/first-frame", test_first_frame);
  g_test_add_func("/input/adobe-rgb", test_adobe_rgb);
  g_test_add_func("/input/srgb-is-left-alone", test_srgb_is_left_alone);
  g_test_add_func("/input/grey-profile", test_grey_profile);
  g_test_add_func("/input/grey-profile-on-colours", test_grey_profile_on_colours);
  g_test_add_func("/input/truncated", test_truncated);
  g_test_add_func("/input/no-picture", test_no_picture);
  g_test_add_func("/input/too-large", test_too_large);
  g_test_add_func("/input/damaged", test_damaged);
  g_test_add_func("/input/names", test_names);
  g_test_add_func("/input/threads", test_threads);
  return g_test_run();
}
