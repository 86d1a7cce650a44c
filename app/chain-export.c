// SPDX-License-Identifier: MIT
// Chains as strips, animations, folders of frames, and files that tell of all their steps.
#include "app/chain.h"

#include "app/caption.h"
#include "app/export.h"
#include "app/picture-load.h"
#include "app/png-text.h"
#include "app/webp.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

enum {
  USUAL_FRAME_MS = 1200,
  USUAL_QUALITY = 90,
  WIDTH_PER_GAP = 32,
  PAPER = 0xff,
  MAX_SIDE_JPEG_PX = 65500,
  MAX_SIDE_WEBP_PX = 16383,
};

// --- pictures of steps ---------------------------------------------------------------------------

static const LimnerChainStep *step_at(GPtrArray *chain, guint i) {
  return chain->pdata[i];
}

static const LimnerChainStep *last_of(GPtrArray *chain) {
  return step_at(chain, chain->len - 1);
}

// The space for one step: as large as the largest picture, and a caption.
typedef struct Tile {
  int width_px, picture_px, height_px; // picture_px: the part above the caption
  int n_lines;                         // of captions; 0 = without
} Tile;

static Tile tile_for(GPtrArray *chain, gboolean has_captions) {
  Tile tile = {0};
  for (guint i = 0; i < chain->len; i++) {
    LimnerPicture *picture = step_at(chain, i)->picture;
    tile.width_px = MAX(tile.width_px, limner_picture_get_width(picture));
    tile.picture_px = MAX(tile.picture_px, limner_picture_get_height(picture));
  }
  for (guint i = 0; has_captions && i < chain->len; i++)
    tile.n_lines =
        MAX(tile.n_lines, limner_caption_count_lines(step_at(chain, i)->words, tile.width_px));
  tile.height_px = tile.picture_px;
  if (has_captions)
    tile.height_px += limner_caption_get_height(tile.width_px, tile.n_lines);
  return tile;
}

static void copy_into(guint8 *rgb, gsize stride, LimnerPicture *picture, int x, int y) {
  const gsize row = (gsize)limner_picture_get_width(picture) * 3;
  const guint8 *from = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  for (int i = 0; i < limner_picture_get_height(picture); i++)
    memcpy(rgb + (gsize)(y + i) * stride + (gsize)x * 3, from + (gsize)i * row, row);
}

// The step in the middle of its tile, whose corner is at x, y.
static void draw_step(guint8 *rgb, gsize stride, const LimnerChainStep *step, const Tile *tile,
                      int x, int y) {
  LimnerPicture *picture = step->picture;
  copy_into(rgb, stride, picture, x + (tile->width_px - limner_picture_get_width(picture)) / 2,
            y + (tile->picture_px - limner_picture_get_height(picture)) / 2);
  if (tile->n_lines == 0)
    return;
  g_autoptr(LimnerPicture) caption = limner_caption_new(step->words, tile->width_px, tile->n_lines);
  copy_into(rgb, stride, caption, x, y + tile->picture_px);
}

// Steps from `first` on, side by side with gaps of that many pixels around them.
static LimnerPicture *draw_steps(GPtrArray *chain, guint first, guint n, const Tile *tile,
                                 int gap_px) {
  const int width_px = (int)n * (tile->width_px + gap_px) + gap_px;
  const int height_px = tile->height_px + 2 * gap_px;
  const gsize stride = (gsize)width_px * 3, n_bytes = stride * (gsize)height_px;
  guint8 *rgb = g_malloc(n_bytes);
  memset(rgb, PAPER, n_bytes);
  for (guint i = 0; i < n; i++)
    draw_step(rgb, stride, step_at(chain, first + i), tile,
              gap_px + (int)i * (tile->width_px + gap_px), gap_px);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  return limner_picture_new(bytes, width_px, height_px);
}

// --- the four forms ------------------------------------------------------------------------------

// What was made of a chain is made as its last step was; XMP says so.
static char *dup_xmp(GPtrArray *chain, const LimnerChainOptions *options) {
  return options->without_metadata ? NULL : limner_picture_dup_xmp(last_of(chain)->picture);
}

static gboolean check_side(LimnerPicture *strip, LimnerFormat format, const char *path,
                           GError **error) {
  const int most_px = format == LIMNER_FORMAT_JPEG   ? MAX_SIDE_JPEG_PX
                      : format == LIMNER_FORMAT_WEBP ? MAX_SIDE_WEBP_PX
                                                     : G_MAXINT;
  if (limner_picture_get_width(strip) <= most_px)
    return TRUE;
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
              "%s: expected a strip of at most %d px for this format, found one of %d px: a name "
              "that ends in .png has no such limit",
              path, most_px, limner_picture_get_width(strip));
  return FALSE;
}

static gboolean export_strip(GPtrArray *chain, const char *path, const LimnerChainOptions *options,
                             GError **error) {
  const Tile tile = tile_for(chain, options->has_captions);
  g_autoptr(LimnerPicture) strip =
      draw_steps(chain, 0, chain->len, &tile, MAX(1, tile.width_px / WIDTH_PER_GAP));
  LimnerExportOptions file_options = {.quality = options->quality};
  limner_format_from_name(path, &file_options.format);
  if (!check_side(strip, file_options.format, path, error))
    return FALSE;
  g_autoptr(GBytes) file = limner_picture_encode(strip, &file_options, error);
  g_autofree char *xmp = dup_xmp(chain, options);
  if (!file || !xmp || file_options.format != LIMNER_FORMAT_PNG)
    return file && limner_file_save(file, path, error);
  g_autoptr(GBytes) with_source = limner_png_text_add(file, "XML:com.adobe.xmp", xmp, TRUE);
  return limner_file_save(with_source, path, error);
}

static gboolean export_animation(GPtrArray *chain, const char *path,
                                 const LimnerChainOptions *options, GError **error) {
  const Tile tile = tile_for(chain, options->has_captions);
  const int frame_ms = options->frame_ms ? options->frame_ms : USUAL_FRAME_MS;
  const int quality = CLAMP(options->quality ? options->quality : USUAL_QUALITY, 1, 100);
  g_autoptr(GPtrArray) frames =
      g_ptr_array_new_with_free_func((GDestroyNotify)limner_picture_unref);
  for (guint i = 0; i < chain->len; i++)
    g_ptr_array_add(frames, draw_steps(chain, i, 1, &tile, 0));
  g_autofree char *xmp = dup_xmp(chain, options);
  g_autoptr(GBytes) file =
      limner_webp_encode_animation(frames, frame_ms, 2 * frame_ms, quality, xmp, error);
  return file && limner_file_save(file, path, error);
}

static gboolean export_file(GPtrArray *chain, const char *path, GError **error) {
  const LimnerChainStep *last = last_of(chain);
  g_autofree char *json = limner_chain_dup_json(chain);
  g_autoptr(LimnerPicture) bare = limner_picture_new(limner_picture_get_bytes(last->picture),
                                                     limner_picture_get_width(last->picture),
                                                     limner_picture_get_height(last->picture));
  g_autoptr(GBytes) png = limner_picture_dup_png(bare, error);
  if (!png)
    return FALSE;
  g_autofree char *xmp = limner_picture_dup_xmp(last->picture);
  const char *texts[][2] = {{"parameters", limner_picture_get_parameters(last->picture)},
                            {"limner", json},
                            {"XML:com.adobe.xmp", xmp}};
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
    if (texts[i][1]) {
      GBytes *with_text = limner_png_text_add(png, texts[i][0], texts[i][1], i > 0);
      g_bytes_unref(png);
      png = with_text;
    }
  return limner_file_save(png, path, error);
}

// --- frames --------------------------------------------------------------------------------------

static gboolean write_frames(GPtrArray *chain, const char *folder,
                             const LimnerChainOptions *options, GError **error) {
  const LimnerExportOptions file_options = {.without_metadata = options->without_metadata};
  for (guint i = 0; i < chain->len; i++) {
    g_autofree char *name = g_strdup_printf(chain->len < 100 ? "%02u.png" : "%03u.png", i + 1);
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!limner_picture_export(step_at(chain, i)->picture, path, &file_options, error))
      return FALSE;
  }
  return TRUE;
}

static void remove_frames(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_unlink(path);
  }
  g_rmdir(folder);
}

static gboolean fail_folder(GError **error, const char *path) {
  const int code = errno;
  g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code),
              "%s: expected a new or an empty folder for the frames: %s", path, g_strerror(code));
  return FALSE;
}

static gboolean export_frames(GPtrArray *chain, const char *path, const LimnerChainOptions *options,
                              GError **error) {
  g_autofree char *folder = g_canonicalize_filename(path, NULL);
  g_autofree char *parent = g_path_get_dirname(folder);
  g_autofree char *unfinished = g_build_filename(parent, ".limner-frames-XXXXXX", NULL);
  if (!g_mkdtemp_full(unfinished, 0777))
    return fail_folder(error, path);
  g_autoptr(GError) reason = NULL; // names a folder that nobody asked for
  gboolean ok = write_frames(chain, unfinished, options, &reason);
  if (!ok) {
    const char *why = strrchr(reason->message, ':');
    g_set_error(error, reason->domain, reason->code, "%s: the frames cannot be written there%s",
                path, why ? why : "");
  }
  // Takes the place of an empty folder, and of nothing else.
  if (ok && g_rename(unfinished, folder) != 0)
    ok = fail_folder(error, path);
  if (!ok)
    remove_frames(unfinished);
  return ok;
}

gboolean limner_chain_export(GPtrArray *chain, const char *path, const LimnerChainOptions *options,
                             GError **error) {
  switch (options->form) {
  case LIMNER_CHAIN_STRIP:
    return export_strip(chain, path, options, error);
  case LIMNER_CHAIN_ANIMATION:
    return export_animation(chain, path, options, error);
  case LIMNER_CHAIN_FRAMES:
    return export_frames(chain, path, options, error);
  case LIMNER_CHAIN_FILE:
    return export_file(chain, path, error);
  }
  return FALSE;
}
