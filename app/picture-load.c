// SPDX-License-Identifier: MIT
// Reading picture files: GdkPixbuf decodes, lcms2 converts to sRGB, and what is left is turned
// upright and laid on white.
#include "app/picture-load.h"

#include <errno.h>
#include <fcntl.h>
#include <gdk-pixbuf/gdk-pixbuf.h>
#include <lcms2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PIXELS (200 * 1000 * 1000)
#define MAX_FILE_BYTES ((gsize)1 << 30)
#define CHUNK_BYTES ((gsize)1 << 16)
enum {
  MAX_SIDE_PX = 1000 * 1000,       // as libpng has it; resizing takes memory by the longer side
  OPEN_PATIENCE_MS = 3 * 1000,     // with a pipe that nobody has opened for writing
  SILENCE_PATIENCE_MS = 30 * 1000, // with one that somebody has
};

// --- files ---------------------------------------------------------------------------------------

// A file being read into memory.
typedef struct Source {
  const char *path;
  int fd;
  gboolean is_pipe;
  guint8 *data; // owned
  gsize n_bytes, capacity_bytes;
} Source;

// "PATH: expected a picture, found ...".
static gboolean refuse(const char *path, int code, const char *found, GError **error) {
  g_set_error(error, G_IO_ERROR, code, "%s: expected a picture, found %s", path, found);
  return FALSE;
}

static gboolean refuse_errno(const char *path, GError **error) {
  const int code = errno;
  g_autofree char *other = g_strdup_printf("a file that cannot be read: %s", g_strerror(code));
  const char *found = code == ENOENT || code == ENOTDIR ? "no such file"
                      : code == EACCES || code == EPERM ? "a file that may not be read"
                                                        : other;
  return refuse(path, (int)g_io_error_from_errno(code), found, error);
}

// A pipe without a writer must not stop the opening: nobody may ever come.
static gboolean open_source(Source *source, GError **error) {
  source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat status;
  if (source->fd < 0 || fstat(source->fd, &status) != 0)
    return refuse_errno(source->path, error);
  if (S_ISDIR(status.st_mode))
    return refuse(source->path, G_IO_ERROR_IS_DIRECTORY, "a folder", error);
  source->is_pipe = S_ISFIFO(status.st_mode);
  if (!source->is_pipe && !S_ISREG(status.st_mode))
    return refuse(source->path, G_IO_ERROR_NOT_REGULAR_FILE, "a device", error);
  if (status.st_size > (off_t)MAX_FILE_BYTES)
    return refuse(source->path, G_IO_ERROR_FAILED, "a file of more than a gigabyte", error);
  return TRUE;
}

static gboolean make_room(Source *source, GError **error) {
  if (source->capacity_bytes - source->n_bytes >= CHUNK_BYTES)
    return TRUE;
  const gsize capacity_bytes = 2 * source->capacity_bytes + CHUNK_BYTES;
  guint8 *data = g_try_realloc(source->data, capacity_bytes);
  if (!data)
    return refuse(source->path, G_IO_ERROR_FAILED, "more than there is memory for", error);
  source->data = data;
  source->capacity_bytes = capacity_bytes;
  return TRUE;
}

// FALSE when nothing happens to a pipe for so long.
static gboolean wait_for_pipe(const Source *source, int patience_ms, const char *found,
                              GError **error) {
  struct pollfd pipe = {.fd = source->fd, .events = POLLIN};
  const int n_ready = poll(&pipe, 1, patience_ms);
  if (n_ready == 0)
    return refuse(source->path, G_IO_ERROR_TIMED_OUT, found, error);
  return n_ready > 0 || errno == EINTR || refuse_errno(source->path, error);
}

static gboolean read_all(Source *source, GError **error) {
  gboolean has_writer = !source->is_pipe;
  while (make_room(source, error)) {
    const gssize n = read(source->fd, source->data + source->n_bytes, CHUNK_BYTES);
    if (n == 0 && has_writer)
      return TRUE;
    has_writer = TRUE;
    gboolean ok = TRUE;
    if (n == 0)
      ok = wait_for_pipe(source, OPEN_PATIENCE_MS, "a pipe that nobody writes to", error);
    else if (n < 0 && errno == EAGAIN)
      ok = wait_for_pipe(source, SILENCE_PATIENCE_MS, "a pipe that says nothing more", error);
    else if (n < 0 && errno != EINTR)
      ok = refuse_errno(source->path, error);
    source->n_bytes += n > 0 ? (gsize)n : 0;
    if (ok && source->n_bytes > MAX_FILE_BYTES)
      ok = refuse(source->path, G_IO_ERROR_FAILED, "a file of more than a gigabyte", error);
    if (!ok)
      return FALSE;
  }
  return FALSE;
}

GBytes *limner_file_load(const char *path, GError **error) {
  Source source = {.path = path};
  const gboolean ok = open_source(&source, error) && read_all(&source, error);
  if (source.fd >= 0)
    close(source.fd);
  if (ok)
    return g_bytes_new_take(source.data, source.n_bytes);
  g_free(source.data);
  return NULL;
}

// --- decoding ------------------------------------------------------------------------------------

typedef struct Size {
  gint64 width_px, height_px;
  gboolean is_known;
  gboolean is_enough;  // nothing but the size is wanted
  gboolean is_refused; // no memory is taken for it
} Size;

static gboolean is_size_allowed(gint64 width_px, gint64 height_px) {
  return width_px > 0 && height_px > 0 && MAX(width_px, height_px) <= MAX_SIDE_PX &&
         width_px * height_px <= MAX_PIXELS;
}

static void take_size(Size *size, gint64 width_px, gint64 height_px) {
  if (!size->is_known) {
    size->width_px = width_px;
    size->height_px = height_px;
  }
  size->is_known = TRUE;
  size->is_refused |= size->is_enough || !is_size_allowed(width_px, height_px);
}

static void on_size(GdkPixbufLoader *loader, int width_px, int height_px, Size *size) {
  take_size(size, width_px, height_px);
  if (size->is_refused)
    gdk_pixbuf_loader_set_size(loader, 0, 0); // the loaders then give up, or make one pixel
}

// Feeds the file; the loader is closed in any case.
static gboolean feed(GdkPixbufLoader *loader, Size *size, GBytes *file, GError **error) {
  gint64 width_px = 0, height_px = 0;
  if (limner_file_find_webp_size(file, &width_px, &height_px))
    take_size(size, width_px, height_px);
  gsize n_bytes = 0;
  const guint8 *data = g_bytes_get_data(file, &n_bytes);
  gboolean ok = limner_file_has_header(file);
  for (gsize at = 0; ok && at < n_bytes && !size->is_refused; at += CHUNK_BYTES)
    ok = gdk_pixbuf_loader_write(loader, data + at, MIN(CHUNK_BYTES, n_bytes - at), error);
  if (ok && !size->is_refused) // a short file is decoded in here
    return gdk_pixbuf_loader_close(loader, error) && !size->is_refused;
  gdk_pixbuf_loader_close(loader, NULL);
  return FALSE;
}

gboolean limner_file_find_size(GBytes *file, gint64 *width_px, gint64 *height_px) {
  g_autoptr(GdkPixbufLoader) loader = gdk_pixbuf_loader_new();
  Size size = {.is_enough = TRUE};
  g_signal_connect(loader, "size-prepared", G_CALLBACK(on_size), &size);
  if (limner_file_is_source(file))
    gdk_pixbuf_loader_close(loader, NULL);
  else
    feed(loader, &size, file, NULL);
  *width_px = size.width_px;
  *height_px = size.height_px;
  return size.is_known && size.width_px > 0 && size.height_px > 0;
}

// What is wrong with a size, beginning with what is right.
static void explain_size(const char *name, const Size *size, GError **error) {
  const gboolean is_empty = size->width_px < 1 || size->height_px < 1;
  const gboolean is_long = MAX(size->width_px, size->height_px) > MAX_SIDE_PX;
  g_autofree char *expected = is_empty ? g_strdup("at least 1 x 1 pixels")
                              : is_long
                                  ? g_strdup_printf("at most %d pixels a side", MAX_SIDE_PX)
                                  : g_strdup_printf("at most %d megapixels", MAX_PIXELS / 1000000);
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "%s: expected a picture of %s, found %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
              " pixels",
              name, expected, size->width_px, size->height_px);
}

// The one sentence about a file that gives no picture.
static void explain(const char *name, const Size *size, GBytes *file, const GError *reason,
                    GError **error) {
  if (size->is_refused)
    explain_size(name, size, error);
  else if (g_bytes_get_size(file) == 0)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture, found an empty file", name);
  else if (!limner_file_is_whole(file))
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a whole picture, found one that breaks off", name);
  else if (limner_file_is_source(file) ||
           g_error_matches(reason, GDK_PIXBUF_ERROR, GDK_PIXBUF_ERROR_UNKNOWN_TYPE))
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
  const gboolean is_source = limner_file_is_source(file);
  const gboolean ok = !is_source && feed(loader, &size, file, &reason);
  GdkPixbuf *pixbuf = ok ? gdk_pixbuf_loader_get_pixbuf(loader) : NULL;
  if (pixbuf && limner_file_is_whole(file))
    return g_object_ref(pixbuf);
  if (is_source)
    gdk_pixbuf_loader_close(loader, NULL);
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

// GdkPixbuf makes RGB of levels of grey; this tells whether there were only those.
static gboolean has_only_greys(GdkPixbuf *pixbuf) {
  const int n_channels = gdk_pixbuf_get_n_channels(pixbuf);
  const guint8 *row = gdk_pixbuf_read_pixels(pixbuf);
  for (int y = 0; y < gdk_pixbuf_get_height(pixbuf); y++, row += gdk_pixbuf_get_rowstride(pixbuf))
    for (int x = 0; x < gdk_pixbuf_get_width(pixbuf); x++) {
      const guint8 *pixel = row + (gsize)x * (gsize)n_channels;
      if (pixel[0] != pixel[1] || pixel[0] != pixel[2])
        return FALSE;
    }
  return TRUE;
}

// From the pixbuf's profile to sRGB; NULL when it has none, or one that does not fit its pixels: of
// grey for colours, of CMYK (of which GdkPixbuf itself makes RGB).
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
  if (*is_grey && has_only_greys(pixbuf))
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

// NULL where there is no memory for it.
static LimnerPicture *flatten(GdkPixbuf *pixbuf, const Colours *colours) {
  const int width_px = gdk_pixbuf_get_width(pixbuf), height_px = gdk_pixbuf_get_height(pixbuf);
  const int n_channels = gdk_pixbuf_get_n_channels(pixbuf);
  const gsize row_bytes = (gsize)width_px * (gsize)n_channels;
  const gsize n_bytes = (gsize)width_px * (gsize)height_px * 3;
  const guint8 *pixels = gdk_pixbuf_read_pixels(pixbuf);
  g_autofree guint8 *row = g_malloc(row_bytes);
  guint8 *rgb = g_try_malloc(n_bytes);
  if (!rgb)
    return NULL;
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
  GdkPixbuf *upright = gdk_pixbuf_apply_embedded_orientation(pixbuf);
  g_clear_object(&pixbuf); // the larger ones take a gigabyte
  LimnerPicture *picture = upright ? flatten(upright, &colours) : NULL;
  g_clear_object(&upright);
  if (colours.transform)
    cmsDeleteTransform(colours.transform);
  if (!picture)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "%s: expected a picture that fits into memory, found a larger one", name);
  return picture;
}
