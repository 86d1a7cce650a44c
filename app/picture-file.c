// SPDX-License-Identifier: MIT
// What the containers of picture files say that GdkPixbuf leaves out: whether they are whole, and
// the EXIF orientation in PNG (eXIf) and WebP (EXIF).
#include "app/picture-load.h"

#include <string.h>

typedef struct Bytes {
  const guint8 *at;
  gsize n;
} Bytes;

static Bytes bytes_of(GBytes *file) {
  Bytes bytes;
  bytes.at = g_bytes_get_data(file, &bytes.n);
  return bytes;
}

static gboolean has(Bytes b, gsize at, const char *what, gsize n) {
  return b.n >= at + n && memcmp(b.at + at, what, n) == 0;
}

static guint32 read_number(const guint8 *bytes, int n_bytes, gboolean is_big_endian) {
  guint32 number = 0;
  for (int i = 0; i < n_bytes; i++)
    number |= (guint32)bytes[i] << 8 * (is_big_endian ? n_bytes - 1 - i : i);
  return number;
}

static gboolean is_png(Bytes b) {
  return has(b, 0, "\x89PNG\r\n\x1a\n", 8);
}

static gboolean is_webp(Bytes b) {
  return has(b, 0, "RIFF", 4) && has(b, 8, "WEBP", 4);
}

// Walks PNG's or RIFF's chunks. The data of the first one of that type; `at` NULL where it or a
// part of it is missing.
static Bytes find_chunk(Bytes b, const char *type) {
  const gboolean png = is_png(b);
  const gsize frame = png ? 12 : 8;
  gsize at = png ? 8 : 12;
  while (at < b.n && b.n - at >= frame) {
    const guint8 *head = b.at + at;
    const gsize length = read_number(head + (png ? 0 : 4), 4, png);
    if (length > b.n - at - frame)
      break;
    if (memcmp(head + (png ? 4 : 0), type, 4) == 0)
      return (Bytes){head + 8, length};
    at += frame + length + (png ? 0 : length & 1);
  }
  return (Bytes){0};
}

// --- orientation ---------------------------------------------------------------------------------

// Tag 0x0112 of the first directory of a TIFF header (EXIF 2.3, 4.6.4).
static int orientation_in_tiff(Bytes b) {
  const gboolean big = has(b, 0, "MM\0*", 4);
  if (!big && !has(b, 0, "II*\0", 4))
    return 0;
  const gsize directory = b.n >= 8 ? read_number(b.at + 4, 4, big) : b.n;
  if (directory > b.n || b.n - directory < 2)
    return 0;
  const guint8 *entries = b.at + directory + 2;
  const gsize n_entries = read_number(b.at + directory, 2, big);
  for (gsize i = 0; i < MIN(n_entries, (b.n - directory - 2) / 12); i++) {
    const guint8 *entry = entries + i * 12;
    const guint32 value = read_number(entry + 8, 2, big);
    if (read_number(entry, 2, big) == 0x0112 && value >= 1 && value <= 8)
      return (int)value;
  }
  return 0;
}

int limner_file_find_orientation(GBytes *file) {
  const Bytes b = bytes_of(file);
  if (!is_png(b) && !is_webp(b))
    return 0;
  Bytes exif = find_chunk(b, is_png(b) ? "eXIf" : "EXIF");
  if (has(exif, 0, "Exif\0\0", 6))
    exif = (Bytes){exif.at + 6, exif.n - 6};
  return orientation_in_tiff(exif);
}

gboolean limner_file_is_tiff(GBytes *file) {
  const Bytes b = bytes_of(file);
  return has(b, 0, "MM\0*", 4) || has(b, 0, "II*\0", 4);
}

// --- whether it is whole -------------------------------------------------------------------------

// The first place from `at` on where two bytes stand; the length where they do not.
static gsize find_pair(Bytes b, gsize at, const char *pair) {
  while (at + 2 <= b.n && memcmp(b.at + at, pair, 2) != 0)
    at++;
  return at + 2 <= b.n ? at : b.n;
}

// An end marker behind the start of the first scan: a thumbnail's lies before that.
static gboolean is_whole_jpeg(Bytes b) {
  gsize at = 2;
  while (at + 4 <= b.n && b.at[at] == 0xff && b.at[at + 1] != 0xda)
    at += b.at[at + 1] == 0xff ? 1 : 2 + read_number(b.at + at + 2, 2, TRUE);
  return at < b.n && find_pair(b, at, "\xff\xd9") < b.n;
}

gboolean limner_file_has_header(GBytes *file) {
  const Bytes b = bytes_of(file);
  if (!has(b, 0, "BM", 2) || b.n < 18)
    return TRUE;
  return read_number(b.at + 10, 4, FALSE) <= b.n && read_number(b.at + 14, 4, FALSE) <= b.n - 14;
}

gboolean limner_file_is_whole(GBytes *file) {
  const Bytes b = bytes_of(file);
  if (is_png(b))
    return find_chunk(b, "IEND").at != NULL;
  if (has(b, 0, "\xff\xd8\xff", 3))
    return is_whole_jpeg(b);
  if (is_webp(b))
    return read_number(b.at + 4, 4, FALSE) <= b.n - 8;
  if (has(b, 0, "BM", 2) && b.n >= 6)
    return read_number(b.at + 2, 4, FALSE) <= b.n && limner_file_has_header(file);
  return TRUE;
}

gboolean limner_file_find_webp_size(GBytes *file, gint64 *width_px, gint64 *height_px) {
  const Bytes b = bytes_of(file);
  if (!is_webp(b) || b.n < 30)
    return FALSE;
  const guint8 *data = b.at + 20; // of the first chunk
  if (has(b, 12, "VP8X", 4)) {
    *width_px = 1 + (gint64)read_number(data + 4, 3, FALSE);
    *height_px = 1 + (gint64)read_number(data + 7, 3, FALSE);
  } else if (has(b, 12, "VP8L", 4)) {
    const guint32 sizes = read_number(data + 1, 4, FALSE);
    *width_px = 1 + (gint64)(sizes & 0x3fff);
    *height_px = 1 + (gint64)(sizes >> 14 & 0x3fff);
  } else {
    *width_px = (gint64)(read_number(data + 6, 2, FALSE) & 0x3fff);
    *height_px = (gint64)(read_number(data + 8, 2, FALSE) & 0x3fff);
  }
  return TRUE;
}

// SVG is XML, which may begin with a mark of its encoding and blanks.
static gboolean is_drawing(const Bytes b) {
  gsize at = has(b, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
  while (has(b, at, " ", 1) || has(b, at, "\t", 1) || has(b, at, "\r", 1) || has(b, at, "\n", 1))
    at++;
  return has(b, at, "<", 1);
}

gboolean limner_file_is_source(GBytes *file) {
  const Bytes b = bytes_of(file);
  return has(b, 0, "/*", 2) || has(b, 0, "#define ", 8) || is_drawing(b);
}
