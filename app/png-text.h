// SPDX-License-Identifier: MIT
// Inside the app: text chunks of PNG files, put into encoded bytes and read back.
#ifndef LIMNER_PNG_TEXT_H
#define LIMNER_PNG_TEXT_H

#include <gio/gio.h>

// Appends to `png`, a whole PNG file, before its pictures' data: a tEXt chunk when `text` (UTF-8)
// is Latin-1, else an uncompressed iTXt chunk; `always_utf8`: iTXt in any case. `keyword` has 1 to
// 79 Latin-1 letters. A new file; owned.
GBytes *limner_png_text_add(GBytes *png, const char *keyword, const char *text,
                            gboolean always_utf8);
// The first text of that keyword, as UTF-8; owned, NULL where there is none. Reads tEXt, zTXt and
// iTXt; passes over chunks whose sum is wrong and texts of more than 16 MB. Ends quietly at the
// first byte that makes no sense. FALSE when it is no PNG file at all.
gboolean limner_png_text_find(GBytes *png, const char *keyword, char **text);

#endif
