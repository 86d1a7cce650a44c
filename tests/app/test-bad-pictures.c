// SPDX-License-Identifier: MIT
// Pictures that mean no good: sizes, lies about sizes, bombs and broken chunks, profiles and
// orientations, and paths that lead to no file. Each is a picture or one sentence.
#include "config.h"

#include "app/picture-load.h"
#include "app/png-text.h"
#include "tests/app/support.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUTS LIMNER_SOURCE_DATA_DIR "/../tests/app/inputs/"
enum { SECOND_US = 1000 * 1000 };

static GBytes *dup_input(const char *file) {
  g_autofree char *path = g_strconcat(INPUTS, file, NULL);
  char *data = NULL;
  gsize n_bytes = 0;
  g_assert_true(g_file_get_contents(path, &data, &n_bytes, NULL));
  return g_bytes_new_take(data, n_bytes);
}

static glong peak_kilobytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

// One sentence that begins with the file's name and says this.
static void assert_sentence(const GError *error, const char *name, const char *says) {
  g_assert_nonnull(error);
  g_test_message("%s", error->message);
  g_assert_true(g_str_has_prefix(error->message, name));
  g_assert_nonnull(strstr(error->message, ": expected a "));
  g_assert_nonnull(strstr(error->message, says));
  g_assert_null(strchr(error->message, '\n'));
}

static void assert_refused(GBytes *file, const char *says) {
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_input_new_from_bytes(file, "holiday", &error));
  assert_sentence(error, "holiday: ", says);
}

static LimnerPicture *decode(GBytes *file) {
  g_autoptr(GError) error = NULL;
  LimnerPicture *picture = limner_picture_decode(file, "holiday", &error);
  g_assert_no_error(error);
  return picture;
}

static void assert_pixel(GBytes *file, int red, int green, int blue) {
  g_autoptr(LimnerPicture) picture = decode(file);
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  g_assert_cmpint(rgb[0], ==, red);
  g_assert_cmpint(rgb[1], ==, green);
  g_assert_cmpint(rgb[2], ==, blue);
}

// --- making files --------------------------------------------------------------------------------

static void append_be32(GByteArray *file, guint32 value) {
  const guint8 bytes[4] = {(guint8)(value >> 24), (guint8)(value >> 16), (guint8)(value >> 8),
                           (guint8)value};
  g_byte_array_append(file, bytes, 4);
}

static void append_le(GByteArray *file, guint32 value, int n_bytes) {
  for (int i = 0; i < n_bytes; i++)
    g_byte_array_append(file, &(guint8){(guint8)(value >> 8 * i)}, 1);
}

static void append(GByteArray *file, const char *bytes, gsize n_bytes) {
  g_byte_array_append(file, (const guint8 *)bytes, (guint)n_bytes);
}

static guint32 crc_of(const guint8 *bytes, gsize n_bytes) {
  guint32 crc = 0xffffffffu;
  for (gsize i = 0; i < n_bytes * 8; i++) {
    crc ^= i % 8 ? 0 : bytes[i / 8];
    crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// `flaw` is added to the sum.
static void append_chunk(GByteArray *file, const char *type, const void *data, gsize n_bytes,
                         guint32 flaw) {
  append_be32(file, (guint32)n_bytes);
  const guint at = file->len;
  append(file, type, 4);
  append(file, data, n_bytes);
  append_be32(file, crc_of(file->data + at, file->len - at) + flaw);
}

// zlib's packing of these bytes, so many times over.
static GByteArray *pack(const char *bytes, gsize n_bytes, gsize n_times) {
  g_autoptr(GOutputStream) memory = g_memory_output_stream_new_resizable();
  g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_ZLIB, 1);
  g_autoptr(GOutputStream) stream = g_converter_output_stream_new(memory, G_CONVERTER(zlib));
  for (gsize i = 0; i < n_times; i++)
    g_assert_true(g_output_stream_write_all(stream, bytes, n_bytes, NULL, NULL, NULL));
  g_assert_true(g_output_stream_close(stream, NULL, NULL));
  GByteArray *packed = g_byte_array_new();
  GMemoryOutputStream *out = G_MEMORY_OUTPUT_STREAM(memory);
  append(packed, g_memory_output_stream_get_data(out), g_memory_output_stream_get_data_size(out));
  return packed;
}

// The head of an 8-bit RGB file.
static GByteArray *begin_png(guint32 width_px, guint32 height_px) {
  GByteArray *file = g_byte_array_new();
  g_autoptr(GByteArray) head = g_byte_array_new();
  append_be32(head, width_px);
  append_be32(head, height_px);
  append(head, "\x08\x02\0\0\0", 5);
  append(file, "\x89PNG\r\n\x1a\n", 8);
  append_chunk(file, "IHDR", head->data, head->len, 0);
  return file;
}

// Black rows and the end.
static GBytes *end_png(GByteArray *file, gsize width_px, gsize height_px) {
  g_autofree char *row = g_malloc0(1 + 3 * width_px);
  g_autoptr(GByteArray) packed = pack(row, 1 + 3 * width_px, height_px);
  append_chunk(file, "IDAT", packed->data, packed->len, 0);
  append_chunk(file, "IEND", "", 0, 0);
  return g_byte_array_free_to_bytes(file);
}

static GBytes *new_png(guint32 width_px, guint32 height_px) {
  return end_png(begin_png(width_px, height_px), width_px, height_px);
}

// A picture of 2 x 2 with this chunk.
static GBytes *new_png_with(const char *type, const void *data, gsize n_bytes, guint32 flaw) {
  GByteArray *file = begin_png(2, 2);
  append_chunk(file, type, data, n_bytes, flaw);
  return end_png(file, 2, 2);
}

// --- sizes ---------------------------------------------------------------------------------------

static void test_extreme_shapes(void) {
  static const int sizes[][2] = {{30000, 2}, {2, 30000}, {1, 1}, {1, 300}};
  for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autoptr(GBytes) file = new_png((guint32)sizes[i][0], (guint32)sizes[i][1]);
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerInput) input = limner_input_new_from_bytes(file, "holiday", &error);
    g_assert_no_error(error);
    LimnerPicture *picture = limner_input_get_picture(input);
    g_assert_cmpint(limner_picture_get_width(picture), ==, sizes[i][0]);
    g_assert_cmpint(limner_picture_get_height(picture), ==, sizes[i][1]);
    for (int fit = JANUS_FIT_PAD; fit <= JANUS_FIT_CROP; fit++) {
      g_autoptr(LimnerPicture) seen = limner_input_dup_seen(input, (JanusFit)fit, NULL, &error);
      g_assert_no_error(error);
      g_assert_cmpint(limner_picture_get_width(seen), ==, 384);
      const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(seen), NULL);
      g_assert_cmpint(rgb[3 * (192 * 384 + 192)], ==, 0); // the picture itself is in the middle
    }
  }
}

static GBytes *new_gif(guint32 width_px, guint32 height_px) {
  GByteArray *file = g_byte_array_new();
  append(file, "GIF89a", 6);
  append_le(file, width_px, 2);
  append_le(file, height_px, 2);
  append(file, "\xf0\0\0\0\0\0\xff\xff\xff,\0\0\0\0", 14);
  append_le(file, width_px, 2);
  append_le(file, height_px, 2);
  append(file, "\0\x02\x02\x44\x01\0;", 7);
  return g_byte_array_free_to_bytes(file);
}

static GBytes *new_bmp(guint32 width_px, guint32 height_px) {
  GByteArray *file = g_byte_array_new();
  append(file, "BM", 2);
  append_le(file, 154, 4);
  append_le(file, 0, 4);
  append_le(file, 54, 4);
  append_le(file, 40, 4);
  append_le(file, width_px, 4);
  append_le(file, height_px, 4);
  append_le(file, 1, 2);
  append_le(file, 24, 2);
  for (int i = 0; i < 124; i++)
    append_le(file, 0, 1);
  return g_byte_array_free_to_bytes(file);
}

static GBytes *new_pnm(guint32 width_px, guint32 height_px) {
  char *text = g_strdup_printf("P6\n%u %u\n255\nabcdef", width_px, height_px);
  return g_bytes_new_take(text, strlen(text));
}

static GBytes *new_headed_png(guint32 width_px, guint32 height_px) {
  return end_png(begin_png(width_px, height_px), 2, 2);
}

// From the header alone: no memory is taken.
static void test_refused_sizes(void) {
  static const struct {
    GBytes *(*make)(guint32 width_px, guint32 height_px);
    guint32 width_px, height_px;
    const char *says;
  } files[] = {
      {new_headed_png, 20001, 10000, "at most 200 megapixels, found 20001 x 10000 pixels"},
      {new_headed_png, 0, 0, "found one that cannot be decoded"},
      {new_headed_png, 0, 7, "found one that cannot be decoded"},
      {new_headed_png, 0x80000000u, 1, "found one that cannot be decoded"},
      {new_gif, 65000, 65000, "at most 200 megapixels, found 65000 x 65000 pixels"},
      {new_bmp, 65000, 65000, "at most 200 megapixels, found 65000 x 65000 pixels"},
      {new_bmp, 190000000, 1, "at most 1000000 pixels a side, found 190000000 x 1 pixels"},
      {new_bmp, 0, 0, "found"},
      {new_pnm, 65000, 65000, "at most 200 megapixels, found 65000 x 65000 pixels"},
      {new_pnm, 200000000, 1, "at most 1000000 pixels a side, found 200000000 x 1 pixels"},
      {new_pnm, 0, 0, "found"},
  };
  const glong before = peak_kilobytes();
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autoptr(GBytes) file = files[i].make(files[i].width_px, files[i].height_px);
    assert_refused(file, files[i].says);
  }
  g_assert_cmpint(peak_kilobytes() - before, <, 50000); // observed: 0
}

// The loader for BMP takes memory for as much of a header as the file says it has.
static void test_bmp_header(void) {
  const glong before = peak_kilobytes();
  for (gsize at = 10; at <= 14; at += 4) {
    g_autoptr(GBytes) good = new_bmp(1, 1);
    g_autoptr(GByteArray) bytes = g_bytes_unref_to_array(g_bytes_ref(good));
    memcpy(bytes->data + at, "\xff\xff\xff\x5f", 4);
    g_autoptr(GBytes) file = g_bytes_new(bytes->data, bytes->len);
    assert_refused(file, "expected a whole picture, found one that breaks off");
    gint64 width_px = 0, height_px = 0;
    g_assert_false(limner_file_find_size(file, &width_px, &height_px));
  }
  g_assert_cmpint(peak_kilobytes() - before, <, 50000); // observed: 0
}

// A drawing is a program: this one draws ten thousand million squares.
static void test_svg(void) {
  static const char *const beginnings[] = {"", " \r\n\t", "\xef\xbb\xbf",
                                           "<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n"};
  GString *text = g_string_new("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\">"
                               "<defs><rect id=\"a0\" width=\"9\" height=\"9\"/>");
  for (int i = 1; i <= 10; i++) {
    g_string_append_printf(text, "<g id=\"a%d\">", i);
    for (int j = 0; j < 10; j++)
      g_string_append_printf(text, "<use href=\"#a%d\" x=\"%d\"/>", i - 1, j);
    g_string_append(text, "</g>");
  }
  g_string_append(text, "</defs><use href=\"#a10\"/></svg>");
  for (gsize i = 0; i < G_N_ELEMENTS(beginnings); i++) {
    char *whole = g_strconcat(beginnings[i], text->str, NULL);
    g_autoptr(GBytes) file = g_bytes_new_take(whole, strlen(whole));
    assert_refused(file, "expected a picture (PNG, JPEG, WebP, TIFF, AVIF, ...), found something");
    gint64 width_px = 0, height_px = 0;
    g_assert_false(limner_file_find_size(file, &width_px, &height_px));
  }
  g_string_free(text, TRUE);
}

// The loader for WebP takes memory for the size in the header before it tells it.
static void test_webp(void) {
  static const guint8 heads[][10] = {
      {'V', 'P', '8', 'X', 10, 0, 0, 0, 0, 0}, // 0x10000 x 0x100ff in the bytes behind
      {'V', 'P', '8', 'L', 14, 0, 0, 0, 0x2f, 0xff},
      {'V', 'P', '8', ' ', 14, 0, 0, 0, 0, 0},
  };
  static const guint8 tails[][12] = {{0, 0, 0xff, 0xff, 0, 0xfe, 0, 1},
                                     {0xff, 0xff, 0x0f},
                                     {0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f}};
  static const char *const says[] = {"found 65536 x 65791", "found 16384 x 16384",
                                     "found 16383 x 16383"};
  const glong before = peak_kilobytes();
  for (gsize i = 0; i < G_N_ELEMENTS(says); i++) {
    GByteArray *bytes = g_byte_array_new();
    append(bytes, "RIFF\x1a\0\0\0WEBP", 12);
    append(bytes, (const char *)heads[i], 10);
    append(bytes, (const char *)tails[i], 12);
    g_autoptr(GBytes) file = g_byte_array_free_to_bytes(bytes);
    gint64 width_px = 0, height_px = 0;
    g_assert_true(limner_file_find_size(file, &width_px, &height_px));
    assert_refused(file, says[i]);
  }
  g_assert_cmpint(peak_kilobytes() - before, <, 50000); // observed: 0
}

// Pictures written in C, for which memory would be taken before their size is told.
static void test_source(void) {
  static const char *const files[] = {
      "/* XPM */\nstatic char *x[] = {\n\"60000 60000 1 1\",\n\"a c red\",\n\"a\"};\n",
      "#define x_width 60000\n#define x_height 60000\nstatic char x_bits[] = {0x00};\n",
      "/* */\n#define x_width 60000\n#define x_height 60000\nstatic char x_bits[] = {0x00};\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autoptr(GBytes) file = g_bytes_new_static(files[i], strlen(files[i]));
    gint64 width_px = 0, height_px = 0;
    assert_refused(file, "found something else");
    g_assert_false(limner_file_find_size(file, &width_px, &height_px));
  }
}

static void test_find_size(void) {
  static const struct {
    const char *file;
    int width_px, height_px;
  } files[] = {{"huge.png", 50000, 50000},
               {"one.png", 1, 1},
               {"turned-6.jpg", 64, 32},
               {"animated.gif", 8, 8},
               {"alpha.tif", 64, 32}};
  for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autoptr(GBytes) file = dup_input(files[i].file);
    gint64 width_px = 0, height_px = 0;
    g_assert_true(limner_file_find_size(file, &width_px, &height_px));
    g_assert_cmpint(width_px, ==, files[i].width_px);
    g_assert_cmpint(height_px, ==, files[i].height_px);
  }
  g_autoptr(GBytes) none = g_bytes_new_static("none", 4);
  gint64 width_px = 0, height_px = 0;
  g_assert_false(limner_file_find_size(none, &width_px, &height_px));
}

// --- chunks --------------------------------------------------------------------------------------

// What a text chunk holds: keyword, a zero, then the rest.
static GByteArray *new_text(const char *head, gsize n_head, GByteArray *packed) {
  GByteArray *data = g_byte_array_new();
  append(data, head, n_head);
  g_byte_array_append(data, packed->data, packed->len);
  g_byte_array_unref(packed);
  return data;
}

// 256 MB of zeros packed in 1.1 MB: neither unpacked as a text nor in the way of the picture.
static void test_bombs(void) {
  static const struct {
    const char *type, *head;
    gsize n_head;
  } chunks[] = {{"zTXt", "limner\0\0", 8}, {"iTXt", "limner\0\1\0\0\0", 11}, {"iCCP", "p\0\0", 3}};
  const glong before = peak_kilobytes();
  g_autofree char *zeros = g_malloc0(1 << 20);
  const GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
  for (gsize i = 0; i < G_N_ELEMENTS(chunks); i++) {
    g_autoptr(GByteArray) data =
        new_text(chunks[i].head, chunks[i].n_head, pack(zeros, 1 << 20, 256));
    g_autoptr(GBytes) file = new_png_with(chunks[i].type, data->data, data->len, 0);
    g_autofree char *text = NULL;
    g_assert_true(limner_png_text_find(file, "limner", &text));
    g_assert_true(text == NULL || *text == '\0');
    assert_pixel(file, 0, 0, 0);
  }
  g_log_set_always_fatal(fatal);
  const glong grown = peak_kilobytes() - before;
  g_test_message("%ld kB more", grown);
  g_assert_cmpint(grown, <, 200000); // observed: 20812, with AddressSanitizer 138148
}

static char *find_text(GBytes *file) {
  char *text = NULL;
  g_assert_true(limner_png_text_find(file, "limner", &text));
  return text;
}

static void test_broken_texts(void) {
  static const struct {
    const char *type, *data;
    gsize n_bytes;
    guint32 flaw;
    const char *expected;
  } chunks[] = {
      {"tEXt", "limner\0abc", 10, 0, "abc"},
      {"tEXt", "limner\0abc", 10, 1, NULL}, // its sum is wrong
      {"iTXt", "limner\0\0\0\0\0abc", 14, 0, "abc"},
      {"iTXt", "limner\0\0\0\0\0abc", 14, 7, NULL},
      {"iTXt", "limner\0\0\0\0", 10, 0, NULL}, // breaks off in its head
      {"iTXt", "limner", 6, 0, NULL},
      {"iTXt", "", 0, 0, NULL},
      {"iTXt", "limner\0\1\7\0\0abc", 14, 0, NULL}, // packed in a way that nobody knows
      {"zTXt", "limner\0\0abc", 11, 0, ""},         // not packed at all
      {"zTXt", "limner\0", 7, 0, NULL},
      {"tEXt", "limner\0\xe9\x1b[2J", 12, 0, "\xc3\xa9\x1b[2J"}, // told as it is
      {"iTXt", "limner\0\0\0\0\0a\xff", 13, 0, "a\xef\xbf\xbd"}, // made valid
  };
  for (gsize i = 0; i < G_N_ELEMENTS(chunks); i++) {
    g_autoptr(GBytes) file =
        new_png_with(chunks[i].type, chunks[i].data, chunks[i].n_bytes, chunks[i].flaw);
    g_autofree char *text = find_text(file);
    g_assert_cmpstr(text, ==, chunks[i].expected);
  }
}

// A chunk that claims two gigabytes ends the search, and the picture's decoder says so too.
static void test_absurd_length(void) {
  static const guint32 lengths[] = {0x7fffffffu, 0xffffffffu, 100000};
  for (gsize i = 0; i < G_N_ELEMENTS(lengths); i++) {
    GByteArray *head = begin_png(2, 2);
    append_be32(head, lengths[i]);
    append(head, "iTXtlimner\0\0\0\0\0abc", 18);
    g_autoptr(GBytes) file = end_png(head, 2, 2);
    g_autofree char *text = find_text(file);
    g_assert_null(text);
    assert_refused(file, "found");
  }
}

// A text of more than 16 MB is passed over.
static void test_long_text(void) {
  const gsize n_bytes = (16 << 20) + 10;
  g_autofree char *data = g_strnfill(n_bytes, 'x');
  memcpy(data, "limner", 7);
  g_autoptr(GBytes) file = new_png_with("tEXt", data, n_bytes, 0);
  g_autofree char *text = find_text(file);
  g_assert_null(text);
}

// A wrong sum of what the picture needs is an error.
static void test_wrong_sum(void) {
  GByteArray *head = begin_png(2, 2);
  head->data[8 + 8 + 13 + 3] ^= 1;
  g_autoptr(GBytes) file = end_png(head, 2, 2);
  assert_refused(file, "found one that cannot be decoded");
}

// --- profiles and orientations -------------------------------------------------------------------

static void test_broken_profiles(void) {
  g_autofree char *noise = g_strnfill(3000, '\x55');
  const GLogLevelFlags fatal = g_log_set_always_fatal(G_LOG_LEVEL_ERROR);
  for (gsize n_bytes = 0; n_bytes <= 3000; n_bytes += 500) {
    g_autoptr(GByteArray) data = new_text("p\0\0", 3, pack(noise, n_bytes, 1));
    g_autoptr(GBytes) file = new_png_with("iCCP", data->data, data->len, 0);
    assert_pixel(file, 0, 0, 0);
  }
  g_log_set_always_fatal(fatal);
}

// Orientations that are none leave the picture as it lies; a directory may lie anywhere.
static void test_broken_orientations(void) {
  static const struct {
    const char *tiff;
    gsize n_bytes;
    int expected;
  } blocks[] = {
      {"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", 22, 6},
      {"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0", 28, 8},
      {"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x09\0\0", 22, 0},
      {"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0", 22, 0},
      {"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03\0\0\0\x01\0\x06\0\0", 22, 6},
      {"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0", 21, 0}, // breaks off
      {"MM\0*\xff\xff\xff\xff", 8, 0},
      {"MM\0*\0\0\0\0", 8, 0},
      {"MM\0*", 4, 0},
      {"II*\0\xf0\xff\xff\xff\0\0", 10, 0},
      {"", 0, 0},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(blocks); i++) {
    g_autoptr(GBytes) file = new_png_with("eXIf", blocks[i].tiff, blocks[i].n_bytes, 0);
    g_assert_cmpint(limner_file_find_orientation(file), ==, blocks[i].expected);
    assert_pixel(file, 0, 0, 0);
  }
}

// --- paths ---------------------------------------------------------------------------------------

static void assert_load_refused(const char *path, const char *says) {
  g_autoptr(GError) error = NULL;
  const gint64 began_us = g_get_monotonic_time();
  g_assert_null(limner_input_load(path, &error));
  assert_sentence(error, path, says);
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, 20 * SECOND_US); // observed: 3.0 s
}

static void test_no_files(void) {
  char *folder = make_folder();
  g_autofree char *file = g_build_filename(folder, "file", NULL);
  g_autofree char *below = g_build_filename(file, "below.png", NULL);
  g_autofree char *loop = g_build_filename(folder, "loop", NULL);
  g_autofree char *sparse = g_build_filename(folder, "sparse", NULL);
  g_autofree char *long_name = g_strnfill(300, 'n');
  g_autofree char *long_path = g_build_filename(folder, long_name, NULL);
  g_assert_true(g_file_set_contents(file, "x", 1, NULL));
  g_assert_true(g_file_set_contents(sparse, "x", 1, NULL));
  g_assert_cmpint(truncate(sparse, (off_t)10 << 30), ==, 0);
  g_assert_cmpint(symlink("loop", loop), ==, 0);
  assert_load_refused("/dev/zero", "found a device");
  assert_load_refused("/dev/null", "found a device");
  assert_load_refused(folder, "found a folder");
  assert_load_refused(below, "found no such file");
  assert_load_refused(loop, "found a file that cannot be read: ");
  assert_load_refused(long_path, "found a file that cannot be read: ");
  assert_load_refused(sparse, "found a file of more than a gigabyte");
  g_assert_cmpint(g_unlink(file), ==, 0); // vanishes
  assert_load_refused(file, "found no such file");
  remove_folder(folder);
}

static void test_closed_file(void) {
  if (geteuid() == 0) {
    g_test_skip("root may read everything");
    return;
  }
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "closed.png", NULL);
  g_assert_true(g_file_set_contents(path, "x", 1, NULL));
  g_chmod(path, 0);
  assert_load_refused(path, "found a file that may not be read");
  remove_folder(folder);
}

// Writes a picture's halves with a pause between.
static gpointer write_slowly(gpointer path) {
  g_autoptr(GBytes) file = dup_input("turned-6.png");
  gsize n_bytes = 0;
  const char *data = g_bytes_get_data(file, &n_bytes);
  g_usleep(SECOND_US / 5);
  FILE *pipe = fopen(path, "wb");
  g_assert_nonnull(pipe);
  g_assert_cmpuint(fwrite(data, 1, n_bytes / 2, pipe), ==, n_bytes / 2);
  fflush(pipe);
  g_usleep(SECOND_US / 5);
  g_assert_cmpuint(fwrite(data + n_bytes / 2, 1, n_bytes - n_bytes / 2, pipe), ==,
                   n_bytes - n_bytes / 2);
  fclose(pipe);
  return NULL;
}

static void test_pipes(void) {
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "pipe", NULL);
  g_assert_cmpint(mkfifo(path, 0600), ==, 0);
  GThread *thread = g_thread_new("writer", write_slowly, path);
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerInput) input = limner_input_load(path, &error);
  g_thread_join(thread);
  g_assert_no_error(error);
  g_assert_cmpint(limner_picture_get_width(limner_input_get_picture(input)), ==, 32);
  assert_load_refused(path, "found a pipe that nobody writes to");
  remove_folder(folder);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/bad-pictures/extreme-shapes", test_extreme_shapes);
  g_test_add_func("/bad-pictures/refused-sizes", test_refused_sizes);
  g_test_add_func("/bad-pictures/bmp-header", test_bmp_header);
  g_test_add_func("/bad-pictures/svg", test_svg);
  g_test_add_func("/bad-pictures/webp", test_webp);
  g_test_add_func("/bad-pictures/source", test_source);
  g_test_add_func("/bad-pictures/find-size", test_find_size);
  g_test_add_func("/bad-pictures/bombs", test_bombs);
  g_test_add_func("/bad-pictures/broken-texts", test_broken_texts);
  g_test_add_func("/bad-pictures/absurd-length", test_absurd_length);
  g_test_add_func("/bad-pictures/long-text", test_long_text);
  g_test_add_func("/bad-pictures/wrong-sum", test_wrong_sum);
  g_test_add_func("/bad-pictures/broken-profiles", test_broken_profiles);
  g_test_add_func("/bad-pictures/broken-orientations", test_broken_orientations);
  g_test_add_func("/bad-pictures/no-files", test_no_files);
  g_test_add_func("/bad-pictures/closed-file", test_closed_file);
  g_test_add_func("/bad-pictures/pipes", test_pipes);
  return g_test_run();
}
