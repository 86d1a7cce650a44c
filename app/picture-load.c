// SPDX-License-Identifier: MIT
// Reading picture files: GdkPixbuf decodes, lcms2 converts to sRGB, and what is left is turned
// upright and laid on white.
#include "app/picture-load.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <lcms2.h>
#include <string.h>

#define MAX_PIXELS (200 * 1000 * 1000)
#define MAX_FILE_BYTES ((gsize)1 << 30)
#define CHUNK_BYTES ((gsize)1 << 16)

// --- files ---------------------------------------------------------------------------------------

static GBytes *read_all(GInputStream *stream, const char *path, GError **error) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  g_autofree guint8 *buffer = g_malloc(CHUNK_BYTES);
  gsize n_read = 0;
  do {
    if (!g_input_stream_read_all(stream, buffer, CHUNK_BYTES, &n_read, NULL, error)) {
      g_prefix_error(error, "%s: expected a picture, found a file that cannot be read: ", path);
      return NULL;
    }
    if (bytes->len + n_read > MAX_FILE_BYTES) {
      g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                  "%s: expected a picture, found a file of more than a gigabyte", path);
      return NULL;
    }
    g_byte_array_append(bytes, buffer, (guint)n_read);
  } while (n_read == CHUNK_BYTES);
  return g_byte_array_free_to_bytes(g_steal_pointer(&bytes));
}

GBytes *limner_file_load(const char *path, GError **error) {
  if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY,
                "%s: expected a picture, found a folder", path);
    return NULL;
  }
  g_autoptr(GFile) file = g_file_new_for_path(path);
  g_autoptr(GError) reason = NULL;
  g_autoptr(GFileInputStream) stream = g_file_read(file, NULL, &reason);
  if (stream)
    return read_all(G_INPUT_STREAM(stream), path, error);
  if (g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    g_set_error(error, reason->domain, reason->code, "%s: expected a picture, found no such file",
                path);
  else
    g_set_error(error, reason->domain, reason->code, "%s: expected a picture: %s", path,
                reason->message);
  return NULL;
}

// --- decoding ------------------------------------------------------------------------------------

typedef struct Size {
  gint64 width_px, height_px;
  gboolean is_too_large;
} Size;

static void on_size(GdkPixbufLoader *loader, int width_px, int height_px, Size *size) {
  size->width_px = width_px;
  size->height_px = height_px;
  size->is_too_large = size->width_px * size->height_px > MAX_PIXELS;
  if (size->is_too_large)
    gdk_pixbuf_loader_set_size(loader, 0, 0); // no memory for it; the loaders then give up
}

// Feeds the file; the loader is closed in any case.
static gboolean feed(GdkPixbufLoader *loader, const Size *size, GBytes *file, GError **error) {
  gsize n_bytes = 0;
  const guint8 *data = g_bytes_get_data(file, &n_bytes);
  gboolean ok = TRUE;
  for (gsize at = 0; ok && at < n_bytes && !size->is_too_large; at += CHUNK_BYTES)
    ok = gdk_pixbuf_loader_write(loader, data + at, MIN(CHUNK_BYTES, n_bytes - at), error);
  if (ok && !size->is_too_large)
    return gdk_pixbuf_loader_close(loader, error);
  gdk_pixbuf_loader_close(loader, NULL);
  return FALSE;
}

// The one sentence about a file that gives no picture.
static void explain(const char *name, const Size *size, GBytes *file, const GError *reason,
                    GError **error) {
  if (g_bytes_get_size(file) == 0)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture, found an empty file", name);
  else if (size->is_too_large)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture of at most %d megapixels, found %" G_GINT64_FORMAT
                " x %" G_GINT64_FORMAT " pixels",
                name, MAX_PIXELS / 1000000, size->width_px, size->height_px);
  else if (!limner_file_is_whole(file))
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a whole picture, found one that breaks off", name);
  else if (g_error_matches(reason, GDK_PIXBUF_ERROR, GDK_PIXBUF_ERROR_UNKNOWN_TYPE))
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture (PNG, JPEG, WebP, TIFF, AVIF, ...), found something else",
                name);
  else
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture, found one that cannot be decoded: %s", name,
                reason ? reason->message : "it holds none");
}

static GdkPixbuf *decode(GBytes *file, const char *name, GError **error) {
  g_autoptr(GdkPixbufLoader) loader = gdk_pixbuf_loader_new();
  g_autoptr(GError) reason = NULL;
  Size size = {0};
  g_signal_connect(loader, "size-prepared", G_CALLBACK(on_size), &size);
  const gboolean ok = feed(loader, &size, file, &reason);
  GdkPixbuf *pixbuf = ok ? gdk_pixbuf_loader_get_pixbuf(loader) : NULL;
  if (pixbuf && limner_file_is_whole(file))
    return g_object_ref(pixbuf);
  explain(name, &size, file, reason, error);
  return NULL;
}

// --- colours -------------------------------------------------------------------------------------

// What is done to every pixel.
typedef struct Colours {
  cmsHTRANSFORM transform; // to sRGB; NULL = they are
  gboolean is_grey;        // the transform takes one channel
  gboolean is_multiplied;  // by the alpha
} Colours;

// From the pixbuf's profile to sRGB; NULL when it has none, or one that does not fit its pixels
// (GdkPixbuf itself makes RGB of CMYK).
static cmsHTRANSFORM new_transform(GdkPixbuf *pixbuf, gboolean *is_grey) {
  const char *base64 = gdk_pixbuf_get_option(pixbuf, "icc-profile");
  if (!base64)
    return NULL;
  gsize n_bytes = 0;
  g_autofree guchar *bytes = g_base64_decode(base64, &n_bytes);
  cmsHPROFILE profile = cmsOpenProfileFromMem(bytes, (cmsUInt32Number)n_bytes);
  if (!profile)
    return NULL;
  const cmsColorSpaceSignature space = cmsGetColorSpace(profile);
  *is_grey = space == cmsSigGrayData;
  const gboolean has_alpha = gdk_pixbuf_get_has_alpha(pixbuf);
  const cmsUInt32Number rgb = has_alpha ? TYPE_RGBA_8 : TYPE_RGB_8;
  cmsHTRANSFORM transform = NULL;
  cmsHPROFILE srgb = cmsCreate_sRGBProfile();
  if (*is_grey)
    transform = cmsCreateTransform(profile, TYPE_GRAY_8, srgb, TYPE_RGB_8, INTENT_PERCEPTUAL, 0);
  else if (space == cmsSigRgbData)
    transform = cmsCreateTransform(profile, rgb, srgb, rgb, INTENT_PERCEPTUAL,
                                   has_alpha ? cmsFLAGS_COPY_ALPHA : 0);
  cmsCloseProfile(srgb);
  cmsCloseProfile(profile);
  return transform;
}

// Rows hold [width] colours of three or four channels.
static void divide_row(guint8 *row, int width_px) {
  for (int x = 0; x < width_px; x++, row += 4)
    for (int c = 0; c < 3; c++)
      row[c] = row[3] ? (guint8)MIN((row[c] * 255 + row[3] / 2) / row[3], 255) : 0;
}

static void convert_row(const Colours *colours, guint8 *row, int width_px, int n_channels) {
  if (colours->is_multiplied && n_channels == 4)
    divide_row(row, width_px);
  if (colours->transform && !colours->is_grey)
    cmsDoTransform(colours->transform, row, row, (cmsUInt32Number)width_px);
  for (int x = 0; colours->transform && colours->is_grey && x < width_px; x++) {
    guint8 *pixel = row + (gsize)x * (gsize)n_channels;
    const guint8 level = pixel[0];
    cmsDoTransform(colours->transform, &level, pixel, 1);
  }
}

// Colours over white: c*a + 255*(1-a), rounded.
static void flatten_row(const guint8 *row, int width_px, int n_channels, guint8 *rgb) {
  if (n_channels == 3) {
    memcpy(rgb, row, (gsize)width_px * 3);
    return;
  }
  for (int x = 0; x < width_px; x++, row += 4, rgb += 3)
    for (int c = 0; c < 3; c++)
      rgb[c] = (guint8)((row[c] * row[3] + 255 * (255 - row[3]) + 127) / 255);
}

static LimnerPicture *flatten(GdkPixbuf *pixbuf, const Colours *colours) {
  const int width_px = gdk_pixbuf_get_width(pixbuf), height_px = gdk_pixbuf_get_height(pixbuf);
  const int n_channels = gdk_pixbuf_get_n_channels(pixbuf);
  const gsize row_bytes = (gsize)width_px * (gsize)n_channels;
  const gsize n_bytes = (gsize)width_px * (gsize)height_px * 3;
  const guint8 *pixels = gdk_pixbuf_read_pixels(pixbuf);
  g_autofree guint8 *row = g_malloc(row_bytes);
  guint8 *rgb = g_malloc(n_bytes);
  for (int y = 0; y < height_px; y++) {
    memcpy(row, pixels + (gsize)y * (gsize)gdk_pixbuf_get_rowstride(pixbuf), row_bytes);
    convert_row(colours, row, width_px, n_channels);
    flatten_row(row, width_px, n_channels, rgb + (gsize)y * (gsize)width_px * 3);
  }
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  return limner_picture_new(bytes, width_px, height_px);
}

// --- a picture -----------------------------------------------------------------------------------

LimnerPicture *limner_picture_decode(GBytes *file, const char *name, GError **error) {
  g_autoptr(GdkPixbuf) pixbuf = decode(file, name, error);
  if (!pixbuf)
    return NULL;
  Colours colours = {.is_multiplied = limner_file_is_tiff(file)};
  colours.transform = new_transform(pixbuf, &colours.is_grey);
  const int orientation = limner_file_find_orientation(file);
  if (orientation) {
    const char digit[2] = {(char)('0' + orientation), 0};
    gdk_pixbuf_set_option(pixbuf, "orientation", digit); // stays as it is when the loader set it
  }
  g_autoptr(GdkPixbuf) upright = gdk_pixbuf_apply_embedded_orientation(pixbuf);
  LimnerPicture *picture = flatten(upright, &colours);
  if (colours.transform)
    cmsDeleteTransform(colours.transform);
  return picture;
}
