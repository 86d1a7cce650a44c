// SPDX-License-Identifier: MIT
// The few bytes of PNG that carry texts: chunks of length, type, data and CRC (PNG 1.2, 3.2 and
// 4.2.3).
#include "app/png-text.h"

#include <string.h>

static const guint8 signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

enum {
  CHUNK_HEAD = 8,                  // length and type
  CHUNK_FRAME = CHUNK_HEAD + 4,    // and the CRC after the data
  IHDR_END = 8 + CHUNK_FRAME + 13, // of the first chunk of every file
  MAX_TEXT_BYTES = 1 << 24,        // of a text in a file, packed or not
};

static guint32 crc_of(const guint8 *bytes, gsize n_bytes) {
  guint32 crc = 0xffffffffu;
  for (gsize i = 0; i < n_bytes; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static guint32 read_u32(const guint8 *bytes) {
  return (guint32)bytes[0] << 24 | (guint32)bytes[1] << 16 | (guint32)bytes[2] << 8 | bytes[3];
}

static void append_u32(GByteArray *array, guint32 value) {
  const guint8 bytes[4] = {(guint8)(value >> 24), (guint8)(value >> 16), (guint8)(value >> 8),
                           (guint8)value};
  g_byte_array_append(array, bytes, sizeof bytes);
}

static gboolean is_png(const guint8 *bytes, gsize n_bytes) {
  return n_bytes >= IHDR_END && memcmp(bytes, signature, sizeof signature) == 0 &&
         memcmp(bytes + sizeof signature + 4, "IHDR", 4) == 0;
}

// --- writing -------------------------------------------------------------------------------------

static void append_chunk(GByteArray *file, const char *type, const GByteArray *data) {
  append_u32(file, data->len);
  const guint start = file->len;
  g_byte_array_append(file, (const guint8 *)type, 4);
  g_byte_array_append(file, data->data, data->len);
  append_u32(file, crc_of(file->data + start, file->len - start));
}

static void append_text(GByteArray *file, const char *keyword, const char *text,
                        gboolean always_utf8) {
  gsize n_bytes = 0;
  g_autofree char *latin1 =
      always_utf8 ? NULL : g_convert(text, -1, "ISO-8859-1", "UTF-8", NULL, &n_bytes, NULL);
  g_autoptr(GByteArray) data = g_byte_array_new();
  g_byte_array_append(data, (const guint8 *)keyword, (guint)strlen(keyword) + 1);
  if (latin1) {
    g_byte_array_append(data, (const guint8 *)latin1, (guint)n_bytes);
  } else {
    // Not compressed, no language, the keyword not translated.
    g_byte_array_append(data, (const guint8 *)"\0\0\0\0", 4);
    g_byte_array_append(data, (const guint8 *)text, (guint)strlen(text));
  }
  append_chunk(file, latin1 ? "tEXt" : "iTXt", data);
}

GBytes *limner_png_text_add(GBytes *png, const char *keyword, const char *text,
                            gboolean always_utf8) {
  gsize n_bytes = 0;
  const guint8 *bytes = g_bytes_get_data(png, &n_bytes);
  g_return_val_if_fail(is_png(bytes, n_bytes), g_bytes_ref(png));
  // Behind the texts that are there, so that they keep the order they were added in.
  gsize at = IHDR_END;
  while (n_bytes - at >= CHUNK_FRAME &&
         (memcmp(bytes + at + 4, "tEXt", 4) == 0 || memcmp(bytes + at + 4, "iTXt", 4) == 0))
    at += MIN(CHUNK_FRAME + (gsize)read_u32(bytes + at), n_bytes - at);
  GByteArray *file = g_byte_array_new();
  g_byte_array_append(file, bytes, (guint)at);
  append_text(file, keyword, text, always_utf8);
  g_byte_array_append(file, bytes + at, (guint)(n_bytes - at));
  return g_byte_array_free_to_bytes(file);
}

// --- reading -------------------------------------------------------------------------------------

// What lies between two places of a file.
typedef struct Span {
  const guint8 *at, *end;
} Span;

// Takes what goes before the next zero byte, as a string; NULL when there is none.
static const char *take_string(Span *span) {
  const guint8 *zero =
      span->at < span->end ? memchr(span->at, 0, (gsize)(span->end - span->at)) : NULL;
  if (!zero)
    return NULL;
  const char *string = (const char *)span->at;
  span->at = zero + 1;
  return string;
}

static int take_byte(Span *span) {
  return span->at < span->end ? *span->at++ : -1;
}

// What zlib packed; empty when it cannot be unpacked or is too large.
static GByteArray *unpack(Span packed) {
  g_autoptr(GConverter) zlib = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB));
  g_autoptr(GByteArray) text = g_byte_array_new();
  guint8 buffer[4096];
  GConverterResult result = G_CONVERTER_CONVERTED;
  while (result != G_CONVERTER_FINISHED) {
    gsize n_read = 0, n_written = 0;
    result =
        g_converter_convert(zlib, packed.at, (gsize)(packed.end - packed.at), buffer, sizeof buffer,
                            G_CONVERTER_INPUT_AT_END, &n_read, &n_written, NULL);
    if (result == G_CONVERTER_ERROR || text->len + n_written > MAX_TEXT_BYTES)
      return g_byte_array_new();
    packed.at += n_read;
    g_byte_array_append(text, buffer, (guint)n_written);
  }
  return g_steal_pointer(&text);
}

static char *dup_utf8(Span text, gboolean is_latin1) {
  const gssize n_bytes = text.end - text.at;
  if (n_bytes == 0)
    return g_strdup("");
  return is_latin1
             ? g_convert((const char *)text.at, n_bytes, "UTF-8", "ISO-8859-1", NULL, NULL, NULL)
             : g_utf8_make_valid((const char *)text.at, n_bytes);
}

static char *dup_packed(Span text, gboolean is_latin1) {
  g_autoptr(GByteArray) bytes = unpack(text);
  if (bytes->len == 0)
    return g_strdup("");
  return dup_utf8((Span){bytes->data, bytes->data + bytes->len}, is_latin1);
}

// The text of one chunk when it has the keyword and its sum is right; else NULL.
static char *dup_text(const guint8 *type, Span data, const char *keyword) {
  const guint8 *end = data.end;
  const gboolean is_plain = memcmp(type, "tEXt", 4) == 0;
  const gboolean is_packed = memcmp(type, "zTXt", 4) == 0;
  const gboolean is_utf8 = memcmp(type, "iTXt", 4) == 0;
  if (!is_plain && !is_packed && !is_utf8)
    return NULL;
  if (data.end - data.at > MAX_TEXT_BYTES || g_strcmp0(take_string(&data), keyword) != 0)
    return NULL;
  if (crc_of(type, (gsize)(end - type)) != read_u32(end))
    return NULL;
  if (is_plain)
    return dup_utf8(data, TRUE);
  const gboolean is_packed_utf8 = is_utf8 && take_byte(&data) == 1;
  const int method = take_byte(&data);
  if (is_utf8 && (!take_string(&data) || !take_string(&data)))
    return NULL;
  if (is_utf8 && !is_packed_utf8)
    return dup_utf8(data, FALSE);
  return method == 0 ? dup_packed(data, is_packed) : NULL;
}

gboolean limner_png_text_find(GBytes *png, const char *keyword, char **text) {
  gsize n_bytes = 0;
  const guint8 *bytes = g_bytes_get_data(png, &n_bytes);
  *text = NULL;
  if (!bytes || !is_png(bytes, n_bytes))
    return FALSE;
  gsize at = IHDR_END;
  while (!*text && n_bytes - at >= CHUNK_FRAME) {
    const gsize length = read_u32(bytes + at);
    if (length > n_bytes - at - CHUNK_FRAME)
      break;
    const guint8 *data = bytes + at + CHUNK_HEAD;
    *text = dup_text(bytes + at + 4, (Span){data, data + length}, keyword);
    at += CHUNK_FRAME + length;
  }
  return TRUE;
}
