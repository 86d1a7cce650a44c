// SPDX-License-Identifier: MIT
// Fitting a picture into the model's square: Pillow's bicubic on 8-bit pixels, to the bit.
#include "engine/image-fit.h"

#include "engine/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Pillow's fixed point: 8 bits of value and 2 of headroom leave 22 for the coefficients.
enum { CHANNELS = 3, PRECISION_BITS = 22 };

// Pixels of a picture whose rows may lie apart.
typedef struct Pixels {
  const uint8_t *rgb;
  int width, height;
  size_t row_bytes;
} Pixels;

// Which inputs an output pixel is made of: n of them from `first` on.
typedef struct Window {
  int first, n;
} Window;

// The weights of one direction.
typedef struct Resampling {
  Window *windows;  // [n_out]
  int32_t *weights; // [n_out][width]
  int width;
} Resampling;

// --- bicubic ------------------------------------------------------------------------------------

// Keys 1981 with a = -0.5.
static double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << PRECISION_BITS);
  return (int32_t)(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

// The window and weights of output `out`, normalised in f64 and then rounded.
static void plan_output(Resampling *plan, int out, int n_in, double scale, double *exact) {
  const double stretch = scale < 1 ? 1 : scale, support = 2 * stretch;
  const double center = (out + 0.5) * scale;
  int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
  double sum = 0;
  first = first < 0 ? 0 : first;
  end = end > n_in ? n_in : end;
  for (int i = first; i < end; i++) {
    exact[i - first] = bicubic((i - center + 0.5) * (1.0 / stretch));
    sum += exact[i - first];
  }
  for (int i = 0; i < end - first; i++)
    plan->weights[(size_t)out * (size_t)plan->width + (size_t)i] =
        to_fixed(sum != 0 ? exact[i] / sum : exact[i]);
  plan->windows[out] = (Window){first, end - first};
}

static void resampling_clear(Resampling *plan) {
  free(plan->windows);
  free(plan->weights);
  *plan = (Resampling){0};
}

static bool resampling_init(Resampling *plan, int n_in, int n_out) {
  const double scale = (double)n_in / n_out;
  *plan = (Resampling){.width = (int)ceil(2 * (scale < 1 ? 1 : scale)) * 2 + 1};
  plan->windows = calloc((size_t)n_out, sizeof *plan->windows);
  plan->weights = calloc((size_t)n_out * (size_t)plan->width, sizeof *plan->weights);
  double *exact = calloc((size_t)plan->width, sizeof *exact);
  const bool ok = plan->windows && plan->weights && exact;
  for (int out = 0; ok && out < n_out; out++)
    plan_output(plan, out, n_in, scale, exact);
  free(exact);
  if (!ok)
    resampling_clear(plan);
  return ok;
}

static uint8_t to_byte(int64_t sum) {
  const int64_t value = sum >> PRECISION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

// One output value: n inputs `step` bytes apart.
static uint8_t resample_value(const uint8_t *in, size_t step, const int32_t *weights, int n) {
  int64_t sum = 1 << (PRECISION_BITS - 1);
  for (int i = 0; i < n; i++)
    sum += (int64_t)in[(size_t)i * step] * weights[i];
  return to_byte(sum);
}

// --- the two passes -----------------------------------------------------------------------------

static void resample_rows(uint8_t *out, const Pixels *in, const Resampling *plan, int n_out) {
  for (int y = 0; y < in->height; y++)
    for (int x = 0; x < n_out; x++) {
      const Window window = plan->windows[x];
      const uint8_t *from = in->rgb + (size_t)y * in->row_bytes + (size_t)window.first * CHANNELS;
      const int32_t *weights = plan->weights + (size_t)x * (size_t)plan->width;
      for (int c = 0; c < CHANNELS; c++)
        *out++ = resample_value(from + c, CHANNELS, weights, window.n);
    }
}

static void resample_columns(uint8_t *out, const Pixels *in, const Resampling *plan, int n_out) {
  const size_t n_row_values = (size_t)in->width * CHANNELS;
  for (int y = 0; y < n_out; y++) {
    const Window window = plan->windows[y];
    const uint8_t *from = in->rgb + (size_t)window.first * in->row_bytes;
    const int32_t *weights = plan->weights + (size_t)y * (size_t)plan->width;
    for (size_t i = 0; i < n_row_values; i++)
      *out++ = resample_value(from + i, in->row_bytes, weights, window.n);
  }
}

typedef void (*PassFunc)(uint8_t *out, const Pixels *in, const Resampling *plan, int n_out);

// One pass into new memory at *owned; what it made replaces *pixels.
static bool run_pass(Pixels *pixels, uint8_t **owned, int n_in, int n_out, int width, int height,
                     PassFunc pass) {
  Resampling plan;
  uint8_t *out = malloc((size_t)width * (size_t)height * CHANNELS);
  if (!out || !resampling_init(&plan, n_in, n_out)) {
    free(out);
    return false;
  }
  pass(out, pixels, &plan, n_out);
  resampling_clear(&plan);
  *owned = out;
  *pixels = (Pixels){out, width, height, (size_t)width * CHANNELS};
  return true;
}

// Resizes to width x height and hands the rows over to `out`, which are row_bytes apart. An
// unchanged direction is left alone, as Pillow does.
static bool resize(Pixels in, int width, int height, uint8_t *out, size_t row_bytes) {
  uint8_t *owned[2] = {NULL, NULL};
  const bool ok = (in.width == width ||
                   run_pass(&in, &owned[0], in.width, width, width, in.height, resample_rows)) &&
                  (in.height == height ||
                   run_pass(&in, &owned[1], in.height, height, width, height, resample_columns));
  for (int y = 0; ok && y < height; y++)
    memcpy(out + (size_t)y * row_bytes, in.rgb + (size_t)y * in.row_bytes,
           (size_t)width * CHANNELS);
  free(owned[0]);
  free(owned[1]);
  return ok;
}

// --- the square ---------------------------------------------------------------------------------

static int scaled_side(int side, int longest, int size, int least) {
  const int scaled = (int)((double)side / longest * size);
  return scaled > least ? scaled : least;
}

// The largest square in the middle.
static Pixels middle_of(const JanusImage *image) {
  const int side = image->width_px < image->height_px ? image->width_px : image->height_px;
  const size_t row_bytes = (size_t)image->width_px * CHANNELS;
  const size_t x = (size_t)(image->width_px - side) / 2, y = (size_t)(image->height_px - side) / 2;
  return (Pixels){image->rgb + y * row_bytes + x * CHANNELS, side, side, row_bytes};
}

bool janus_image_fit(const JanusImage *image, int size_px, int min_size_px,
                     const uint8_t background[3], uint8_t *rgb, JanusError *error) {
  const int w = image->width_px, h = image->height_px, longest = w > h ? w : h;
  const size_t row_bytes = (size_t)size_px * CHANNELS;
  if (w < 1 || h < 1)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a picture to change needs at least 1 x 1 pixels, found %d x %d", w, h);
  Pixels in = {image->rgb, w, h, (size_t)w * CHANNELS};
  int width = size_px, height = size_px;
  if (image->fit == JANUS_FIT_CROP) {
    in = middle_of(image);
  } else {
    width = scaled_side(w, longest, size_px, min_size_px);
    height = scaled_side(h, longest, size_px, min_size_px);
  }
  for (size_t i = 0; i < row_bytes * (size_t)size_px; i++)
    rgb[i] = background[i % CHANNELS];
  const size_t x = (size_t)(size_px - width) / 2, y = (size_t)(size_px - height) / 2;
  return resize(in, width, height, rgb + y * row_bytes + x * CHANNELS, row_bytes) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to resize a picture of %d x %d",
                    w, h);
}

void image_normalize(const JanusConfig *config, const uint8_t *rgb, float *pixels) {
  const JanusImageRules *rules = &config->rules;
  const size_t n = (size_t)config->image_size_px * (size_t)config->image_size_px;
  for (size_t i = 0; i < CHANNELS * n; i++) {
    const size_t c = i % CHANNELS;
    const float value = (float)((double)rgb[i] * rules->rescale);
    pixels[c * n + i / CHANNELS] =
        rules->normalizes ? (value - rules->mean[c]) / rules->std[c] : value;
  }
}
