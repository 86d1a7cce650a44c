// SPDX-License-Identifier: MIT
// Pictures in other shapes and sizes than the model paints them.
#include "app/export.h"

#include "app/job.h"
#include "app/recipe.h"

#include <string.h>

// The least side of a picture in its square, as the original has it.
enum { MIN_SIZE_PX = 14, MAX_SIDE_PX = 1 << 15 };

static JanusImage image_of(LimnerPicture *picture, JanusFit fit) {
  return (JanusImage){.rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL),
                      .width_px = limner_picture_get_width(picture),
                      .height_px = limner_picture_get_height(picture),
                      .fit = fit};
}

// Takes `rgb` over; the texts are the picture's.
static LimnerPicture *new_like(LimnerPicture *picture, guint8 *rgb, int width_px, int height_px) {
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, (gsize)width_px * (gsize)height_px * 3);
  return limner_picture_new_with_texts(bytes, width_px, height_px,
                                       limner_picture_get_parameters(picture),
                                       limner_picture_get_recipe(picture));
}

// A picture resized. Owned, with g_malloc(); NULL and an error on failure.
static guint8 *resize(LimnerPicture *picture, int width_px, int height_px, GError **error) {
  const JanusImage image = image_of(picture, JANUS_FIT_PAD);
  guint8 *rgb = g_try_malloc((gsize)width_px * (gsize)height_px * 3);
  JanusError engine_error = {JANUS_ERROR_MEMORY, "not enough memory for the picture"};
  if (rgb && janus_image_resize(&image, width_px, height_px, rgb, &engine_error))
    return rgb;
  g_free(rgb);
  limner_propagate_engine_error(error, &engine_error);
  return NULL;
}

LimnerPicture *limner_picture_double(LimnerPicture *picture, GError **error) {
  const int width_px = 2 * limner_picture_get_width(picture);
  const int height_px = 2 * limner_picture_get_height(picture);
  guint8 *rgb = resize(picture, width_px, height_px, error);
  return rgb ? new_like(picture, rgb, width_px, height_px) : NULL;
}

// The picture's pixels over those of the whole, whose corner is at place->x_px, y_px of it.
static void lay_over(guint8 *whole, const JanusPlace *place, LimnerPicture *picture) {
  const int side_px = limner_picture_get_width(picture);
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  const gint64 left = MAX(place->x_px, 0), right = MIN(place->x_px + place->width_px, side_px);
  for (gint64 y = MAX(place->y_px, 0); y < MIN(place->y_px + place->height_px, side_px); y++)
    memcpy(whole + ((y - place->y_px) * place->width_px + left - place->x_px) * 3,
           rgb + (y * side_px + left) * 3, (gsize)(right - left) * 3);
}

LimnerPicture *limner_picture_reshape(LimnerPicture *picture, LimnerInput *input, GError **error) {
  const char *json = limner_picture_get_recipe(picture);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, NULL) : NULL;
  LimnerPicture *before = limner_input_get_picture(input);
  const int side_px = limner_picture_get_width(picture);
  JanusPlace place = {0};
  if (!recipe || !recipe->input_sha256 || side_px != limner_picture_get_height(picture)) {
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                        "the shape of what a picture was made of: expected a square picture that "
                        "was made of another one, found none");
    return NULL;
  }
  JanusError engine_error = {0};
  if (!janus_image_place(limner_picture_get_width(before), limner_picture_get_height(before),
                         recipe->request.fit, side_px, MIN(MIN_SIZE_PX, side_px), &place,
                         &engine_error)) {
    limner_propagate_engine_error(error, &engine_error);
    return NULL;
  }
  if (place.width_px > MAX_SIDE_PX || place.height_px > MAX_SIDE_PX) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "%s: expected a picture at most 85 times as long as wide to give its shape back, "
                "found one of %d x %d px",
                limner_input_get_name(input), limner_picture_get_width(before),
                limner_picture_get_height(before));
    return NULL;
  }
  if (place.width_px == side_px && place.height_px == side_px)
    return limner_picture_ref(picture);
  guint8 *whole = resize(before, (int)place.width_px, (int)place.height_px, error);
  if (!whole)
    return NULL;
  lay_over(whole, &place, picture);
  return new_like(picture, whole, (int)place.width_px, (int)place.height_px);
}
