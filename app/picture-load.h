// SPDX-License-Identifier: MIT
// Inside the app: picture files of other people's making, decoded to what the engine takes.
#ifndef LIMNER_PICTURE_LOAD_H
#define LIMNER_PICTURE_LOAD_H

#include "app/picture.h"

// The bytes of a file or pipe. One sentence in `error`, also for more than a gigabyte. Blocks.
GBytes *limner_file_load(const char *path, GError **error);

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

#endif
