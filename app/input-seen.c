// SPDX-License-Identifier: MIT
// What a model sees of a picture to change.
#include "app/input.h"
#include "app/job.h"

// What the original model looks at.
enum { ORIGINAL_SIZE_PX = 384, ORIGINAL_MIN_SIZE_PX = 14, ORIGINAL_BACKGROUND = 127 };

LimnerPicture *limner_input_dup_seen(LimnerInput *input, JanusFit fit, const JanusModelInfo *info,
                                     GError **error) {
  static const guint8 original[3] = {ORIGINAL_BACKGROUND, ORIGINAL_BACKGROUND, ORIGINAL_BACKGROUND};
  const int size_px = info ? info->image_size_px : ORIGINAL_SIZE_PX;
  const int min_size_px = info ? info->min_size_px : ORIGINAL_MIN_SIZE_PX;
  LimnerPicture *picture = limner_input_get_picture(input);
  const JanusImage image = {.rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL),
                            .width_px = limner_picture_get_width(picture),
                            .height_px = limner_picture_get_height(picture),
                            .fit = fit};
  const gsize n_bytes = (gsize)size_px * (gsize)size_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  JanusError engine_error = {0};
  if (!janus_image_fit(&image, size_px, min_size_px, info ? info->background : original, rgb,
                       &engine_error)) {
    limner_propagate_engine_error(error, &engine_error);
    return NULL;
  }
  return limner_picture_new(bytes, size_px, size_px);
}
