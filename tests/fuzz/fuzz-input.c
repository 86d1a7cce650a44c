// SPDX-License-Identifier: MIT
// Any bytes as a picture to change: an upright picture and what a small model sees of it, or one
// sentence. Larger pictures than a megapixel are left out; they take time and show nothing else.
#include "app/input.h"
#include "app/picture-load.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PIXELS = 1 << 20, SIZE_PX = 24, MIN_SIZE_PX = 6 };

static void say_nothing(const char *domain, GLogLevelFlags level, const char *message,
                        gpointer data) {}

static void look(LimnerInput *input) {
  static const JanusModelInfo info = {.image_size_px = SIZE_PX, .min_size_px = MIN_SIZE_PX};
  for (int fit = JANUS_FIT_PAD; fit <= JANUS_FIT_CROP; fit++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerPicture) seen = limner_input_dup_seen(input, (JanusFit)fit, &info, &error);
    if (!seen || limner_picture_get_width(seen) != SIZE_PX)
      abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  gint64 width_px = 0, height_px = 0;
  g_log_set_default_handler(say_nothing, NULL); // GdkPixbuf's loaders warn of broken files
  g_autoptr(GBytes) file = g_bytes_new(data, n_bytes);
  const gboolean is_known = limner_file_find_size(file, &width_px, &height_px);
  if (is_known && width_px * height_px > MAX_PIXELS && width_px * height_px <= 200 * 1000 * 1000)
    return 0;
  g_autoptr(GError) error = NULL;
  LimnerInput *input = limner_input_new_from_bytes(file, "fuzz", &error);
  if ((input == NULL) != (error != NULL) || (error && !g_str_has_prefix(error->message, "fuzz: ")))
    abort();
  if (!input)
    return 0;
  look(input);
  limner_input_unref(input);
  return 0;
}
