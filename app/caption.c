// SPDX-License-Identifier: MIT
// Captions, set by Pango: any script, right to left where it is written so.
#include "app/caption.h"

#include "app/recipe.h"

#include <pango/pangocairo.h>

enum { MAX_LINES = 3, LEAST_SIZE_PX = 10, WIDTH_PER_SIZE = 24, PAPER = 0xff };
#define LINE_HEIGHT 1.4 // of the size, which leaves room for every script's ascenders
#define INK 0.2

static int size_of(int width_px) {
  return MAX(LEAST_SIZE_PX, width_px / WIDTH_PER_SIZE);
}

// Above, below and beside the words.
static int padding_of(int width_px) {
  return size_of(width_px) / 2;
}

int limner_caption_get_height(int width_px, int n_lines) {
  return (int)(n_lines * LINE_HEIGHT * size_of(width_px)) + 2 * padding_of(width_px);
}

// Owned. With fonts of its own: Pango's default ones stay with a thread for good.
static PangoLayout *new_layout(const char *words, int width_px, int n_lines) {
  PangoFontMap *fonts = pango_cairo_font_map_new();
  PangoContext *context = pango_font_map_create_context(fonts);
  cairo_font_options_t *options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  pango_cairo_context_set_font_options(context, options);
  cairo_font_options_destroy(options);
  PangoLayout *layout = pango_layout_new(context);
  g_object_unref(context);
  g_object_unref(fonts);
  g_autofree char *harmless = limner_recipe_dup_harmless(words, FALSE);
  PangoFontDescription *font = pango_font_description_new();
  pango_font_description_set_family_static(font, "Cantarell, Sans");
  pango_font_description_set_absolute_size(font, size_of(width_px) * PANGO_SCALE);
  pango_layout_set_font_description(layout, font);
  pango_font_description_free(font);
  pango_layout_set_width(layout, (width_px - 2 * padding_of(width_px)) * PANGO_SCALE);
  pango_layout_set_height(layout, -n_lines);
  pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
  pango_layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
  pango_layout_set_alignment(layout, PANGO_ALIGN_CENTER);
  pango_layout_set_text(layout, harmless, -1);
  return layout;
}

int limner_caption_count_lines(const char *words, int width_px) {
  PangoLayout *layout = new_layout(words, width_px, MAX_LINES);
  const int n_lines = pango_layout_get_line_count(layout);
  g_object_unref(layout);
  return CLAMP(n_lines, 1, MAX_LINES);
}

static void draw(cairo_surface_t *surface, const char *words, int width_px, int n_lines) {
  PangoLayout *layout = new_layout(words, width_px, n_lines);
  cairo_t *cairo = cairo_create(surface);
  cairo_set_source_rgb(cairo, 1, 1, 1);
  cairo_paint(cairo);
  cairo_set_source_rgb(cairo, INK, INK, INK);
  cairo_move_to(cairo, padding_of(width_px), padding_of(width_px));
  pango_cairo_show_layout(cairo, layout);
  cairo_destroy(cairo);
  g_object_unref(layout);
}

LimnerPicture *limner_caption_new(const char *words, int width_px, int n_lines) {
  const int height_px = limner_caption_get_height(width_px, n_lines);
  const gsize n_bytes = (gsize)width_px * (gsize)height_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width_px, height_px);
  draw(surface, words, width_px, n_lines);
  cairo_surface_flush(surface);
  const guint8 *data = cairo_image_surface_get_data(surface);
  const int stride = cairo_image_surface_get_stride(surface);
  memset(rgb, PAPER, n_bytes);
  for (int y = 0; data && y < height_px; y++)
    for (int x = 0; x < width_px; x++) {
      const guint32 pixel = ((const guint32 *)(const void *)(data + (gsize)y * (gsize)stride))[x];
      guint8 *to = rgb + ((gsize)y * (gsize)width_px + (gsize)x) * 3;
      to[0] = (guint8)(pixel >> 16);
      to[1] = (guint8)(pixel >> 8);
      to[2] = (guint8)pixel;
    }
  cairo_surface_destroy(surface);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  return limner_picture_new(bytes, width_px, height_px);
}
