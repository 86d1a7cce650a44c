// SPDX-License-Identifier: MIT
// Small pictures for grids, as JPEG in a database of their own: one file instead of thousands,
// which may be lost at any time, and bounded, since the newest MAX_THUMBNAILS alone stay.
#include "app/library-private.h"

#include "app/export.h"
#include "app/picture-load.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <string.h>

// About 10 KB each.
enum { MAX_THUMBNAILS = 10000, QUALITY = 88 };

static GBytes *dup_cached(LimnerLibrary *self, const char *sha256) {
  GBytes *jpeg = NULL;
  g_mutex_lock(&self->lock);
  sqlite3_stmt *row = self->index.has_thumbs
                          ? library_index_prepare(
                                &self->index, NULL,
                                "SELECT jpeg FROM thumbs.thumbnails WHERE sha256 = ?", "s", sha256)
                          : NULL;
  if (row && library_index_step(&self->index, row, NULL))
    jpeg = g_bytes_new(sqlite3_column_blob(row, 0), (gsize)sqlite3_column_bytes(row, 0));
  sqlite3_finalize(row);
  g_mutex_unlock(&self->lock);
  return jpeg;
}

// Failing is no matter: it is a cache.
static void cache(LimnerLibrary *self, const char *sha256, GBytes *jpeg) {
  g_mutex_lock(&self->lock);
  if (self->index.has_thumbs &&
      library_index_run(&self->index, NULL,
                        "INSERT OR REPLACE INTO thumbs.thumbnails (sha256, jpeg) VALUES (?, ?)",
                        "sb", sha256, jpeg))
    library_index_run(&self->index, NULL,
                      "DELETE FROM thumbs.thumbnails WHERE n <="
                      " (SELECT max(n) FROM thumbs.thumbnails) - ?",
                      "i", (gint64)MAX_THUMBNAILS);
  g_mutex_unlock(&self->lock);
}

// The pixels of a pixbuf without alpha, in rows without padding.
static LimnerPicture *picture_of(GdkPixbuf *pixbuf) {
  const int width_px = gdk_pixbuf_get_width(pixbuf), height_px = gdk_pixbuf_get_height(pixbuf);
  const gsize row_bytes = (gsize)width_px * 3;
  guint8 *rgb = g_malloc(row_bytes * (gsize)height_px);
  for (int y = 0; y < height_px; y++)
    memcpy(rgb + (gsize)y * row_bytes,
           gdk_pixbuf_read_pixels(pixbuf) + (gsize)y * (gsize)gdk_pixbuf_get_rowstride(pixbuf),
           row_bytes);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, row_bytes * (gsize)height_px);
  return limner_picture_new(bytes, width_px, height_px);
}

static LimnerPicture *shrink(LimnerPicture *picture) {
  const int width_px = limner_picture_get_width(picture);
  const int height_px = limner_picture_get_height(picture);
  const double scale = MIN(1.0, (double)LIMNER_THUMBNAIL_PX / MAX(width_px, height_px));
  g_autoptr(GdkPixbuf) whole =
      gdk_pixbuf_new_from_bytes(limner_picture_get_bytes(picture), GDK_COLORSPACE_RGB, FALSE, 8,
                                width_px, height_px, width_px * 3);
  g_autoptr(GdkPixbuf) small =
      gdk_pixbuf_scale_simple(whole, MAX(1, (int)(width_px * scale + 0.5)),
                              MAX(1, (int)(height_px * scale + 0.5)), GDK_INTERP_BILINEAR);
  return small ? picture_of(small) : limner_picture_ref(picture);
}

LimnerPicture *limner_library_load_thumbnail(LimnerLibrary *self, LimnerEntry *entry,
                                             GError **error) {
  const char *sha256 = limner_entry_get_facts(entry)->sha256;
  g_autoptr(GBytes) cached = dup_cached(self, sha256);
  LimnerPicture *small = cached ? limner_picture_decode(cached, sha256, NULL) : NULL;
  if (small)
    return small;
  g_autoptr(LimnerPicture) picture = limner_library_load_picture(self, entry, error);
  if (!picture)
    return NULL;
  small = shrink(picture);
  const LimnerExportOptions options = {.format = LIMNER_FORMAT_JPEG, .quality = QUALITY};
  g_autoptr(GBytes) jpeg = limner_picture_encode(small, &options, NULL);
  if (jpeg)
    cache(self, sha256, jpeg);
  return small;
}
