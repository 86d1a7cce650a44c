// SPDX-License-Identifier: MIT
// A picture of any size to the square that the model sees, and pictures to other sizes: Pillow's
// resampling of 8-bit pictures, bit for bit, and how the result lies in the square.
#include "engine/image-fit.h"

#include "engine/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Pillow's fixed point: 8 bits of value and 2 of headroom leave 22 for the weights.
enum { CHANNELS = 3, WEIGHT_BITS = 22 };

// One direction of a resize from n_in to n_out pixels, of which `n` from `first` on are wanted.
typedef struct Axis {
  int n_in;
  int64_t n_out, first;
  int n;
  int at; // where the wanted pixels begin in the square
} Axis;

// The input pixels of each wanted output pixel and their weights.
typedef struct Taps {
  int *begin, *n_taps; // [n]
  int32_t *weights;    // [n][max_taps]
  int max_taps;
  int in_begin, in_end; // input pixels of them all
} Taps;

// How far from its centre a filter reaches, and its weight there.
typedef struct Filter {
  double support;
  double (*weight)(double);
} Filter;

// --- weights ------------------------------------------------------------------------------------

// Keys 1981 with a = -0.5.
static double cubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1.0)
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

static double sinc(double x) {
  const double pi = 3.14159265358979323846;
  return x == 0 ? 1 : sin(x * pi) / (x * pi);
}

// Lanczos 1979 with three lobes.
static double lanczos(double x) {
  return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const Filter cubic_filter = {2, cubic}, lanczos_filter = {3, lanczos};

static int32_t fixed_point(double weight) {
  const double scaled = weight * (1 << WEIGHT_BITS);
  return (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

// Output pixel i of those wanted: weights in f64, normalised, then rounded. A direction that does
// not change its size has the weights 1 and 0. `exact` is scratch of max_taps values.
static void make_taps(Taps *taps, const Filter *filter, const Axis *axis, int i, double *exact) {
  const double scale = (double)axis->n_in / (double)axis->n_out;
  const double stretch = scale < 1.0 ? 1.0 : scale, support = filter->support * stretch;
  const double centre = ((double)(axis->first + i) + 0.5) * scale;
  const double low = centre - support + 0.5, high = centre + support + 0.5;
  const int begin = low < 0 ? 0 : (int)low;
  const int end = high > axis->n_in ? axis->n_in : (int)high;
  double sum = 0;
  for (int j = begin; j < end; j++) {
    exact[j - begin] = filter->weight((j - centre + 0.5) * (1.0 / stretch));
    sum += exact[j - begin];
  }
  for (int j = 0; j < end - begin; j++)
    taps->weights[(size_t)i * (size_t)taps->max_taps + (size_t)j] =
        fixed_point(sum != 0 ? exact[j] / sum : exact[j]);
  taps->begin[i] = begin;
  taps->n_taps[i] = end - begin;
}

static void taps_clear(Taps *taps) {
  free(taps->begin);
  free(taps->n_taps);
  free(taps->weights);
  *taps = (Taps){0};
}

static bool taps_init(Taps *taps, const Filter *filter, const Axis *axis) {
  const double scale = (double)axis->n_in / (double)axis->n_out;
  const double reach = filter->support * (scale < 1 ? 1 : scale);
  const size_t n = (size_t)axis->n, max_taps = 2 * (size_t)ceil(reach) + 1;
  double *exact = calloc(max_taps, sizeof *exact);
  *taps = (Taps){.begin = calloc(n, sizeof(int)),
                 .n_taps = calloc(n, sizeof(int)),
                 .weights = calloc(n * max_taps, sizeof(int32_t)),
                 .max_taps = (int)max_taps};
  const bool ok = exact && taps->begin && taps->n_taps && taps->weights;
  for (int i = 0; ok && i < axis->n; i++)
    make_taps(taps, filter, axis, i, exact);
  free(exact);
  if (!ok) {
    taps_clear(taps);
    return false;
  }
  taps->in_begin = taps->begin[0];
  taps->in_end = taps->begin[n - 1] + taps->n_taps[n - 1];
  return true;
}

// --- two passes ---------------------------------------------------------------------------------

static uint8_t mix(const uint8_t *in, size_t stride, const int32_t *weights, int n_taps) {
  int32_t sum = 1 << (WEIGHT_BITS - 1);
  for (int i = 0; i < n_taps; i++)
    sum += weights[i] * in[(size_t)i * stride];
  sum >>= WEIGHT_BITS;
  return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

// Rows of n pixels; `in` begins with the input pixel taps->in_begin.
static void resize_rows(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                        int n_rows, int n, const Taps *taps) {
  for (int y = 0; y < n_rows; y++)
    for (int i = 0; i < n; i++)
      for (int c = 0; c < CHANNELS; c++)
        out[(size_t)y * out_stride + (size_t)(i * CHANNELS + c)] =
            mix(in + (size_t)y * in_stride + (taps->begin[i] - taps->in_begin) * CHANNELS + c,
                CHANNELS, taps->weights + (size_t)i * (size_t)taps->max_taps, taps->n_taps[i]);
}

// n rows of n_bytes; `in` begins with the input row taps->in_begin.
static void resize_columns(uint8_t *out, size_t out_stride, const uint8_t *in, size_t in_stride,
                           int n, size_t n_bytes, const Taps *taps) {
  for (int i = 0; i < n; i++)
    for (size_t x = 0; x < n_bytes; x++)
      out[(size_t)i * out_stride + x] =
          mix(in + (size_t)(taps->begin[i] - taps->in_begin) * in_stride + x, in_stride,
              taps->weights + (size_t)i * (size_t)taps->max_taps, taps->n_taps[i]);
}

// Rows first, then columns, as every Pillow before 13 does it.
static bool resize_twice(const JanusImage *image, const Axis *x, const Axis *y, const Taps *x_taps,
                         const Taps *y_taps, uint8_t *out, size_t out_stride) {
  const size_t in_stride = (size_t)image->width_px * CHANNELS;
  const uint8_t *in =
      image->rgb + (size_t)y_taps->in_begin * in_stride + (size_t)x_taps->in_begin * CHANNELS;
  const int n_rows = y_taps->in_end - y_taps->in_begin;
  const size_t stride = (size_t)x->n * CHANNELS;
  uint8_t *between = malloc((size_t)n_rows * stride);
  if (!between)
    return false;
  resize_rows(between, stride, in, in_stride, n_rows, x->n, x_taps);
  resize_columns(out, out_stride, between, stride, y->n, stride, y_taps);
  free(between);
  return true;
}

static bool resize(const JanusImage *image, const Filter *filter, const Axis *x, const Axis *y,
                   uint8_t *out, size_t out_stride, JanusError *error) {
  Taps x_taps = {0}, y_taps = {0};
  const bool ok = taps_init(&x_taps, filter, x) && taps_init(&y_taps, filter, y) &&
                  resize_twice(image, x, y, &x_taps, &y_taps, out, out_stride);
  taps_clear(&x_taps);
  taps_clear(&y_taps);
  return ok ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to resize a picture of %d x %d",
                    image->width_px, image->height_px);
}

// --- the square ---------------------------------------------------------------------------------

// Lengths are cut down to whole pixels, as the original does it, and an odd rest lies behind.
static Axis plan_axis(JanusFit fit, int side, int other, int size_px, int min_size_px) {
  const bool is_pad = fit == JANUS_FIT_PAD;
  const int reference = (side > other) == is_pad ? side : other; // becomes size_px
  const int least = is_pad ? min_size_px : size_px;
  const int64_t scaled = (int64_t)((double)side / (double)reference * (double)size_px);
  const int64_t n_out = scaled > least ? scaled : least;
  if (is_pad)
    return (Axis){side, n_out, 0, (int)n_out, (size_px - (int)n_out) / 2};
  return (Axis){side, n_out, (n_out - size_px) / 2, size_px, 0};
}

static bool check(const JanusImage *image, int size_px, int min_size_px, JanusError *error) {
  if (image->width_px < 1 || image->height_px < 1)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a picture to change needs at least 1 x 1 pixels, found %d x %d",
                      image->width_px, image->height_px);
  if (size_px < 1 || min_size_px < 1 || min_size_px > size_px)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a square of %d pixels cannot hold a picture of at least %d", size_px,
                      min_size_px);
  return true;
}

bool janus_image_fit(const JanusImage *image, int size_px, int min_size_px,
                     const uint8_t background[3], uint8_t *rgb, JanusError *error) {
  if (!check(image, size_px, min_size_px, error))
    return false;
  const int width = image->width_px, height = image->height_px;
  const Axis x = plan_axis(image->fit, width, height, size_px, min_size_px);
  const Axis y = plan_axis(image->fit, height, width, size_px, min_size_px);
  const size_t stride = (size_t)size_px * CHANNELS;
  for (size_t i = 0; i < stride * (size_t)size_px; i++)
    rgb[i] = background[i % CHANNELS];
  uint8_t *out = rgb + (size_t)y.at * stride + (size_t)x.at * CHANNELS;
  return resize(image, &cubic_filter, &x, &y, out, stride, error);
}

bool janus_image_place(int width_px, int height_px, JanusFit fit, int size_px, int min_size_px,
                       JanusPlace *place, JanusError *error) {
  const JanusImage image = {NULL, width_px, height_px, fit};
  if (!check(&image, size_px, min_size_px, error))
    return false;
  const Axis x = plan_axis(fit, width_px, height_px, size_px, min_size_px);
  const Axis y = plan_axis(fit, height_px, width_px, size_px, min_size_px);
  *place = (JanusPlace){x.n_out, y.n_out, (int64_t)x.at - x.first, (int64_t)y.at - y.first};
  return true;
}

// --- other sizes --------------------------------------------------------------------------------

bool janus_image_resize(const JanusImage *image, int width_px, int height_px, uint8_t *rgb,
                        JanusError *error) {
  if (!check(image, 1, 1, error))
    return false;
  if (width_px < 1 || height_px < 1)
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "a picture can be resized to 1 x 1 pixels and more, not to %d x %d", width_px,
                      height_px);
  const Axis x = {image->width_px, width_px, 0, width_px, 0};
  const Axis y = {image->height_px, height_px, 0, height_px, 0};
  return resize(image, &lanczos_filter, &x, &y, rgb, (size_t)width_px * CHANNELS, error);
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
