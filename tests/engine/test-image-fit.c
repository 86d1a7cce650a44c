// SPDX-License-Identifier: MIT
// Fitting pictures into the square against the original's processor (Pillow), bit for bit.
#include "engine/engine.h"
#include "engine/safetensors.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SIZE_PX = 14 };

static const uint8_t grey[3] = {127, 127, 127};

// A wrapping ramp and noise, as README.md of the parity folder defines it.
static uint8_t *make_picture(int width_px, int height_px) {
  uint8_t *rgb = malloc((size_t)width_px * (size_t)height_px * 3);
  for (uint32_t y = 0, i = 0; y < (uint32_t)height_px; y++)
    for (uint32_t x = 0; x < (uint32_t)width_px; x++)
      for (uint32_t c = 0; c < 3; c++) {
        const uint32_t noise = (x * 73856093u) ^ (y * 19349663u) ^ (c * 83492791u);
        rgb[i++] = (x * 5 + y * 3 + c * 40 + ((noise >> 13) & 63)) & 255;
      }
  return rgb;
}

// The square of such a picture as planes [3][size][size]; NULL when refused.
static uint8_t *fit(int width_px, int height_px, JanusFit how, int size_px) {
  const size_t n = (size_t)size_px * (size_t)size_px;
  uint8_t *rgb = make_picture(width_px, height_px), *square = malloc(3 * n),
          *planes = malloc(3 * n);
  const JanusImage image = {rgb, width_px, height_px, how};
  JanusError error = {0};
  if (!janus_image_fit(&image, size_px, MIN_SIZE_PX, grey, square, &error)) {
    check(false, "%d x %d fits: %s", width_px, height_px, error.message);
    free(planes);
    planes = NULL;
  }
  for (size_t i = 0; planes && i < 3 * n; i++)
    planes[i % 3 * n + i / 3] = square[i];
  free(square);
  free(rgb);
  return planes;
}

static uint64_t fnv1a(const uint8_t *bytes, size_t n) {
  uint64_t value = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < n; i++)
    value = (value ^ bytes[i]) * UINT64_C(0x100000001b3);
  return value;
}

static int get_int(const json_t *entry, const char *key) {
  return (int)json_integer_value(json_object_get(entry, key));
}

static void test_digests(const json_t *cases, JanusFit how, const char *title) {
  size_t i, n_wrong = 0;
  const json_t *entry;
  json_array_foreach(cases, i, entry) {
    const int size = get_int(entry, "size"), width = get_int(entry, "width");
    const int height = get_int(entry, "height");
    const char *text = json_string_value(json_object_get(entry, "canvas_fnv1a64"));
    uint8_t *planes = fit(width, height, how, size);
    if (!planes || fnv1a(planes, 3 * (size_t)size * (size_t)size) != strtoull(text, NULL, 16)) {
      printf("# wrong: %d x %d into %d\n", width, height, size);
      n_wrong++;
    }
    free(planes);
  }
  check(n_wrong == 0 && json_array_size(cases) > 10, "%s: %zu of %zu pictures wrong", title,
        n_wrong, json_array_size(cases));
}

// The small squares byte by byte, for messages that say more than a digest.
static void test_stored(void) {
  JanusError error = {0};
  TensorSet *set = tensors_open_file(parity_path("golden/preprocess.safetensors"), &error);
  if (!check(set != NULL, "the stored squares open%s", error.message))
    return;
  for (size_t i = 0; i < tensors_count(set); i++) {
    const Tensor *tensor = tensors_get(set, i);
    int width = 0, height = 0, n_wrong = 0;
    if (sscanf(tensor->name, "canvas.%dx%d", &width, &height) != 2)
      continue;
    uint8_t *planes = fit(width, height, JANUS_FIT_PAD, 40);
    for (size_t j = 0; planes && j < 3 * 40 * 40; j++)
      n_wrong += planes[j] != ((const uint8_t *)tensor->data)[j];
    check(planes && tensor->n_bytes == 3 * 40 * 40 && n_wrong == 0, "%d x %d: %d bytes wrong",
          width, height, n_wrong);
    free(planes);
  }
  tensors_free(set);
}

static void test_bars(void) {
  static const uint8_t colours[3] = {1, 2, 250};
  uint8_t white[4 * 3], square[8 * 8 * 3];
  memset(white, 255, sizeof white);
  const JanusImage image = {white, 4, 1, JANUS_FIT_PAD};
  JanusError error = {0};
  check(janus_image_fit(&image, 8, 2, colours, square, &error), "a strip fits%s", error.message);
  int n_wrong = 0;
  for (int i = 0; i < 8 * 8 * 3; i++)
    n_wrong += square[i] != (i / 24 == 3 || i / 24 == 4 ? 255 : colours[i % 3]);
  check(n_wrong == 0, "bars have the background's colours, the strip its two rows");
  check(janus_image_fit(&image, 8, 5, colours, square, &error) && square[24] == 255 &&
            square[0] == 1 && square[5 * 24] == 255 && square[6 * 24] == 1,
        "the least side is kept, the odd row below");
}

static void test_refused(void) {
  uint8_t bytes[3 * 8 * 8] = {0};
  const JanusImage images[] = {{bytes, 0, 4, JANUS_FIT_PAD}, {bytes, 4, -1, JANUS_FIT_CROP}};
  for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
    JanusError error = {0};
    check(!janus_image_fit(&images[i], 8, 1, grey, bytes, &error) &&
              error.code == JANUS_ERROR_REQUEST,
          "refused: %s", error.message);
  }
}

// Pillow's resize(…, LANCZOS), rows before columns (Pillow 13 begins with the side that leaves less
// to do for some of them; two calls give this order).
static void test_resized(void) {
  static const struct {
    int from_width, from_height, width, height;
    uint64_t digest;
  } cases[] = {
      {384, 384, 768, 768, UINT64_C(0xfcaa1989f05507e0)},
      {97, 41, 194, 82, UINT64_C(0x96a3749adca07904)},
      {97, 41, 50, 200, UINT64_C(0x66f56b17e7a88bc7)},
      {1, 1, 7, 5, UINT64_C(0xfe8e4cb8087b3c75)},
      {640, 3, 64, 9, UINT64_C(0xe5de6a59c30bf400)},
      {5, 300, 10, 30, UINT64_C(0x1006d00219a863c1)},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const int width = cases[i].width, height = cases[i].height;
    const size_t n = (size_t)width * (size_t)height * 3;
    uint8_t *rgb = make_picture(cases[i].from_width, cases[i].from_height), *out = malloc(n + 1);
    const JanusImage image = {rgb, cases[i].from_width, cases[i].from_height, JANUS_FIT_PAD};
    JanusError error = {0};
    out[n] = 0xa5; // behind its end
    const bool ok = janus_image_resize(&image, width, height, out, &error);
    check(ok && fnv1a(out, n) == cases[i].digest && out[n] == 0xa5, "%d x %d to %d x %d%s",
          image.width_px, image.height_px, width, height, error.message);
    free(rgb);
    free(out);
  }
  uint8_t bytes[12] = {0};
  const JanusImage image = {bytes, 2, 2, JANUS_FIT_PAD};
  JanusError error = {0};
  check(!janus_image_resize(&image, 0, 4, bytes, &error), "refused: %s", error.message);
}

// What janus_image_place() says, seen in the square of a white picture.
static void test_place(void) {
  static const int sizes[][2] = {{30, 20}, {20, 30}, {25, 25}, {300, 7}, {7, 301}};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    const int width = sizes[i][0], height = sizes[i][1];
    uint8_t *white = malloc((size_t)width * (size_t)height * 3), square[40 * 40 * 3];
    memset(white, 255, (size_t)width * (size_t)height * 3);
    const JanusImage image = {white, width, height, JANUS_FIT_PAD};
    JanusPlace place;
    JanusError error = {0};
    const bool ok = janus_image_fit(&image, 40, 3, grey, square, &error) &&
                    janus_image_place(width, height, JANUS_FIT_PAD, 40, 3, &place, &error);
    int n_wrong = 0;
    for (int y = 0; ok && y < 40; y++)
      for (int x = 0; x < 40; x++) {
        const bool is_inside = x >= place.x_px && x < place.x_px + place.width_px &&
                               y >= place.y_px && y < place.y_px + place.height_px;
        n_wrong += (square[(y * 40 + x) * 3] == 255) != is_inside;
      }
    check(ok && n_wrong == 0, "%d x %d lies where it is said to lie", width, height);
    const bool crop_ok = janus_image_place(width, height, JANUS_FIT_CROP, 40, 3, &place, &error);
    check(crop_ok && place.x_px <= 0 && place.y_px <= 0 && place.x_px + place.width_px >= 40 &&
              place.y_px + place.height_px >= 40 && (place.width_px == 40 || place.height_px == 40),
          "%d x %d sticks out of its middle by %lld and %lld", width, height,
          (long long)-place.x_px, (long long)-place.y_px);
    free(white);
  }
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  json_t *golden = load_json(parity_path("golden/preprocess.json"));
  if (check(golden != NULL, "the list of pictures is there")) {
    test_digests(json_object_get(golden, "cases"), JANUS_FIT_PAD, "bars");
    test_digests(json_object_get(golden, "crops"), JANUS_FIT_CROP, "middles");
  }
  json_decref(golden);
  test_stored();
  test_bars();
  test_refused();
  test_resized();
  test_place();
  return finish();
}
