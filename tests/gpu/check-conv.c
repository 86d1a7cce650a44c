// SPDX-License-Identifier: MIT
// 3x3 convolutions of a device against the reference in plain C: three ways to read the input,
// tails of every kind, residuals.
#include "tests/gpu/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
  int n_in, n_out, height, width;
} shape;

static const shape shapes[] = {{1, 1, 1, 1},       {3, 16, 6, 6},    {17, 3, 12, 24},
                               {32, 32, 7, 13},    {7, 33, 5, 25},   {64, 48, 2, 12},
                               {16, 100, 9, 6},    {8, 64, 30, 2},   {100, 7, 4, 37},
                               {128, 128, 12, 12}, {128, 3, 40, 40}, {3, 128, 24, 24}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static int out_size(int size, jk_conv_mode mode) {
  return mode == JK_CONV_UP ? size * 2 : mode == JK_CONV_DOWN ? size / 2 : size;
}

// What an output is a sum of, in size: the scale of its rounding.
static double sum_of_squares(const array *x, const check_weight *w, const shape *s) {
  double squares = 0.0, weights = 0.0;
  for (size_t i = 0; i < x->n; i++)
    squares += (double)x->host[i] * (double)x->host[i];
  for (int i = 0; i < s->n_in * s->n_out * 9; i++)
    weights += w->values[i] * w->values[i];
  return sqrt(squares / (double)x->n * weights / s->n_out);
}

static bool one_shape(card *c, check_worst *worst, shape s, jk_conv_mode mode, jk_format format,
                      jk_dtype dtype, bool has_residual) {
  const int height = out_size(s.height, mode), width = out_size(s.width, mode);
  check_weight w = check_weight_new(&c->random, dtype, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(&c->random, dtype, 1, s.n_out, 1.0f);
  array x = array_random(c, (size_t)(s.height * s.width * s.n_in), 1.0f);
  array y = array_new(c, (size_t)(height * width * s.n_out));
  float *expected = calloc(y.n + 1, sizeof *expected);
  jk_conv *conv = NULL, *reference = NULL;
  if (has_residual) { // in place
    check_fill(&c->random, y.host, y.n, 1.0f);
    array_put(c, &y);
    memcpy(expected, y.host, y.n * sizeof *expected);
  }
  bool ok = c->dev->conv_create(c->dev, w.view, bias.view, format, width, &conv) == JK_OK &&
            c->reference->conv_create(c->reference, w.view, bias.view, format, width, &reference) ==
                JK_OK;
  for (int turn = 0; ok && turn < 1; turn++) {
    c->dev->conv(c->dev, y.at, conv, x.at, has_residual ? y.at : NULL, s.height, s.width, mode);
    c->reference->conv(c->reference, expected, reference, x.host, has_residual ? expected : NULL,
                       s.height, s.width, mode);
  }
  ok = array_fetch(c, &y) && ok;
  const double scale = 1.0 + sum_of_squares(&x, &w, &s);
  for (size_t i = 0; i < y.n; i++)
    check_note(worst, (double)y.host[i], (double)expected[i], scale + fabs((double)expected[i]));
  c->dev->conv_free(c->dev, conv);
  c->reference->conv_free(c->reference, reference);
  free(expected);
  array_free(c, &x);
  array_free(c, &y);
  check_weight_free(&w);
  check_weight_free(&bias);
  return ok;
}

static void check_refusals(card *c) {
  float value[18] = {0};
  jk_weight w = {value, JK_F32, 2, 8}, bias = {value, JK_F32, 1, 2};
  jk_conv *conv = (jk_conv *)value;
  check(c->dev->conv_create(c->dev, w, bias, JK_FORMAT_F32, 8, &conv) == JK_BAD_REQUEST && !conv,
        "conv: a kernel that is not 3x3 is refused");
  w.n_cols = 9;
  check(c->dev->conv_create(c->dev, w, bias, JK_FORMAT_Q8, 8, &conv) == JK_BAD_REQUEST && !conv,
        "conv: 8-bit weights are refused");
}

void check_conv(card *c) {
  static const char *const mode_text[] = {"same", "up", "down"};
  static const jk_format formats[] = {JK_FORMAT_F32, JK_FORMAT_BF16};
  for (int f = 0; f < 2; f++)
    for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
      check_worst worst = {0};
      bool is_whole = true;
      for (int i = 0; i < N_SHAPES; i++) {
        if (out_size(shapes[i].height, mode) == 0 || (c->is_slow && i % 3 == (int)mode))
          continue;
        for (jk_dtype dtype = JK_F32; dtype <= (c->is_slow ? JK_F32 : JK_F16); dtype++)
          is_whole &=
              one_shape(c, &worst, shapes[i], mode, formats[f], dtype, (i + (int)dtype) % 2);
      }
      check(is_whole, "conv %s %s: nothing written outside", f ? "bf16" : "f32", mode_text[mode]);
      check_bound(&worst, 3e-5, "conv %s %s: close to the reference", f ? "bf16" : "f32",
                  mode_text[mode]); // emulated: observed 8.3e-6, outliers not being in the scale
    }
  check_refusals(c);
}
