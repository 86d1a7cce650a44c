// SPDX-License-Identifier: MIT
// Inside the app: animated WebP, which GdkPixbuf cannot write.
#ifndef LIMNER_WEBP_H
#define LIMNER_WEBP_H

#include "app/picture.h"

// LimnerPicture of one size, at most 16383 px on a side, shown for `frame_ms` each and the last one
// `last_ms`, over and over. `quality` 1 .. 100. `xmp` NULL = none. Owned; one sentence in `error`.
// Blocks; any thread. Formats: RFC 9649.
GBytes *limner_webp_encode_animation(GPtrArray *pictures, int frame_ms, int last_ms, int quality,
                                     const char *xmp, GError **error);

#endif
