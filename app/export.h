// SPDX-License-Identifier: MIT
// Pictures as files of other formats, with or without what they say about how they were made.
#ifndef LIMNER_EXPORT_H
#define LIMNER_EXPORT_H

#include "app/input.h"
#include "app/picture.h"

typedef enum {
  LIMNER_FORMAT_PNG,
  LIMNER_FORMAT_JPEG, // carries no recipe
  LIMNER_FORMAT_WEBP, // carries no recipe
} LimnerFormat;

#define LIMNER_TYPE_FORMAT (limner_format_get_type())
GType limner_format_get_type(void);

// A plain value; all zero = the PNG that limner_picture_save_png() writes.
typedef struct LimnerExportOptions {
  LimnerFormat format;
  int quality;               // 1 .. 100, of JPEG and WebP; 0 = 90
  gboolean without_metadata; // PNG: no recipe, no parameters, no XMP: pixels alone
  gboolean is_doubled;       // twice as wide and high, as Pillow's LANCZOS does it
  LimnerInput *shape;        // borrowed: what the picture was made of, whose shape it gets (see
                             // limner_picture_reshape()); NULL = it stays square
} LimnerExportOptions;

// "png", "jpg", "webp": what file names end in. Static.
const char *limner_format_get_extension(LimnerFormat format);
// The format that a file name asks for; FALSE for a name that ends in none of them.
gboolean limner_format_from_name(const char *name, LimnerFormat *format);
// Whether this machine can write it: WebP needs a loader of GdkPixbuf's that also saves (0.0.6 of
// webp-pixbuf-loader and later). Any thread.
gboolean limner_format_can_save(LimnerFormat format);

// A square picture in the shape of `input`, which it was made of: without the bars, or with what
// had been cut off around it, as its recipe says. With its texts. Owned; one sentence in `error`.
// Blocks; any thread.
LimnerPicture *limner_picture_reshape(LimnerPicture *picture, LimnerInput *input, GError **error);
// The same picture twice as wide and high. Owned; blocks; any thread.
LimnerPicture *limner_picture_double(LimnerPicture *picture, GError **error);

// The file in memory. One sentence in `error`. Blocks; any thread.
GBytes *limner_picture_encode(LimnerPicture *picture, const LimnerExportOptions *options,
                              GError **error);
// The same, written beside `path` and renamed, never half a file. Blocks; any thread.
gboolean limner_picture_export(LimnerPicture *picture, const char *path,
                               const LimnerExportOptions *options, GError **error);

// The XMP packet that says how a picture of ours came to be, for a PNG's iTXt chunk of the keyword
// "XML:com.adobe.xmp": Iptc4xmpExt:DigitalSourceType, trainedAlgorithmicMedia for what was painted
// from words and compositeWithTrainedAlgorithmicMedia for what was made of another picture (IPTC
// NewsCodes, Digital Source Type). NULL for a picture that tells no such recipe. Owned.
char *limner_picture_dup_xmp(const LimnerPicture *picture);

#endif
