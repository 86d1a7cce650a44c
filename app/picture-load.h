// SPDX-License-Identifier: MIT
// Inside the app: picture files, read and written whole; those of other people's making decoded to
// what the engine takes.
#ifndef LIMNER_PICTURE_LOAD_H
#define LIMNER_PICTURE_LOAD_H

#include "app/picture.h"

// The bytes of a file or pipe. One sentence in `error`, also for more than a gigabyte, a device, a
// pipe that nobody opens for writing within seconds and one that is silent for half a minute.
// Blocks for no longer than that.
GBytes *limner_file_load(const char *path, GError **error);

// Writes a picture's file beside `path` and renames it, synchronised: never half a file. A link is
// followed; what is there and is no file is refused. One sentence in `error`. Blocks; any thread.
gboolean limner_file_save(GBytes *file, const char *path, GError **error);

// The size that a picture file states, before EXIF turns it; nothing of it is decoded but the
// header. FALSE when it states none. Blocks a little; any thread.
gboolean limner_file_find_size(GBytes *file, gint64 *width_px, gint64 *height_px);

// Decodes a file as limner_input_new_from_bytes() promises. Blocks; any thread.
LimnerPicture *limner_picture_decode(GBytes *file, const char *name, GError **error);

// The EXIF orientation (1 to 8) that a PNG or WebP file states; 0 = none. GdkPixbuf knows those of
// JPEG and TIFF itself.
int limner_file_find_orientation(GBytes *file);
// Whether it is a TIFF file, whose loader gives colours multiplied by their alpha.
gboolean limner_file_is_tiff(GBytes *file);
// FALSE when a PNG, JPEG, WebP or BMP file ends before its picture does, which GdkPixbuf's loaders
// pass over; TRUE for whatever else.
gboolean limner_file_is_whole(GBytes *file);
// FALSE when a BMP file ends before its header does: GdkPixbuf's loader takes memory for all of
// that, four gigabytes at most.
gboolean limner_file_has_header(GBytes *file);
// The size in the first chunk of a WebP file (RFC 9649, 2.5 to 2.7), for which GdkPixbuf's loader
// takes memory before it tells it. FALSE when it is none.
gboolean limner_file_find_webp_size(GBytes *file, gint64 *width_px, gint64 *height_px);
// Whether it is written in words: C (XPM, XBM), for which GdkPixbuf takes memory before it tells
// the size, or XML (SVG), a program that may draw for hours. Nobody keeps photographs in them.
gboolean limner_file_is_source(GBytes *file);

#endif
