// SPDX-License-Identifier: MIT
// 3x3 convolutions: three ways to read the input, tails of every kind, residuals, invariance.
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
  int n_in, n_out, height, width;
} shape;

static int out_size(int size, jk_conv_mode mode) {
  return mode == JK_CONV_UP ? size * 2 : mode == JK_CONV_DOWN ? size / 2 : size;
}

// Where tap `tap` of output position `out` reads, or -1 for padding.
static int source(int out, int tap, int size, jk_conv_mode mode) {
  int at = mode == JK_CONV_DOWN ? 2 * out + tap : out + tap - 1;
  if (at < 0 || at >= (mode == JK_CONV_UP ? 2 * size : size))
    return -1;
  return mode == JK_CONV_UP ? at / 2 : at;
}

static void note_output(check_worst *worst, double actual, double residual, const shape *s,
                        jk_conv_mode mode, const check_weight *w, const check_weight *bias,
                        const float *x, const int at[3]) {
  int oy = at[0], ox = at[1], o = at[2];
  double sum = bias->values[o] + residual, scale = fabs(bias->values[o]) + fabs(residual);
  for (int tap = 0; tap < 9; tap++) {
    int y = source(oy, tap / 3, s->height, mode), px = source(ox, tap % 3, s->width, mode);
    for (int i = 0; i < s->n_in && y >= 0 && px >= 0; i++) {
      double term =
          (double)x[(y * s->width + px) * s->n_in + i] * w->values[(o * s->n_in + i) * 9 + tap];
      sum += term;
      scale += fabs(term);
    }
  }
  check_note(worst, actual, sum, scale);
}

static bool one_shape(jk_device *dev, check_random *random, check_worst *worst, shape s,
                      jk_conv_mode mode, jk_dtype dtype, bool with_residual) {
  check_weight w = check_weight_new(random, dtype, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(random, dtype, 1, s.n_out, 1.0f);
  int height = out_size(s.height, mode), width = out_size(s.width, mode);
  check_buffer x = check_buffer_new((size_t)(s.height * s.width * s.n_in), 1);
  check_buffer y = check_buffer_new((size_t)(height * width * s.n_out), 0);
  check_fill(random, x.x, x.n, 1.0f);
  float *residual = calloc(y.n + 1, sizeof *residual);
  if (with_residual) { // in place
    check_fill(random, residual, y.n, 1.0f);
    memcpy(y.x, residual, y.n * sizeof *residual);
  }
  jk_conv *conv = NULL;
  bool ok = dev->conv_create(dev, w.view, bias.view, JK_FORMAT_F32, width, &conv) == JK_OK;
  if (ok)
    dev->conv(dev, y.x, conv, x.x, with_residual ? y.x : NULL, s.height, s.width, mode);
  for (int i = 0; i < (int)y.n; i++) {
    int at[3] = {i / s.n_out / width, i / s.n_out % width, i % s.n_out};
    note_output(worst, (double)y.x[i], (double)residual[i], &s, mode, &w, &bias, x.x, at);
  }
  ok = ok && check_buffer_intact(&x) && check_buffer_intact(&y);
  dev->conv_free(dev, conv);
  free(residual);
  check_buffer_free(&x);
  check_buffer_free(&y);
  check_weight_free(&w);
  check_weight_free(&bias);
  return ok;
}

static const shape shapes[] = {
    {1, 1, 1, 1},    {3, 16, 6, 6},   {17, 3, 12, 24}, {32, 32, 7, 13}, {7, 33, 5, 25},
    {64, 48, 2, 12}, {16, 100, 9, 6}, {8, 64, 30, 2},  {100, 7, 4, 37},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };
static const char *const mode_text[] = {"same", "up", "down"};

static void test_values(jk_isa isa) {
  jk_device *dev = check_open(2, isa);
  check_random random = check_seed(31);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
    check_worst worst = {0};
    bool whole = true;
    for (int i = 0; i < N_SHAPES; i++) {
      if (out_size(shapes[i].height, mode) == 0)
        continue;
      for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++)
        whole &= one_shape(dev, &random, &worst, shapes[i], mode, dtype, (i + (int)dtype) % 2);
    }
    check(whole, "conv %s %s: nothing written outside", jk_isa_text(isa), mode_text[mode]);
    // Observed 1.0e-6: one f32 chain of up to 900 terms an output.
    check_bound(&worst, 2e-6, "conv %s %s: close to f64", jk_isa_text(isa), mode_text[mode]);
  }
  dev->close(dev);
}

static void test_threads(jk_isa isa) {
  const shape s = {24, 40, 36, 30};
  check_random random = check_seed(32);
  check_weight w = check_weight_new(&random, JK_BF16, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(&random, JK_F32, 1, s.n_out, 1.0f);
  size_t n_x = (size_t)(s.height * s.width * s.n_in), n_y = 4 * (size_t)(36 * 30 * s.n_out);
  float *x = malloc(n_x * sizeof *x), *y[3];
  check_fill(&random, x, n_x, 1.0f);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
    for (int i = 0; i < 3; i++) {
      jk_device *dev = check_open(i + 1, isa);
      jk_conv *conv = NULL;
      y[i] = calloc(n_y, sizeof *y[i]);
      dev->conv_create(dev, w.view, bias.view, JK_FORMAT_F32, 60, &conv);
      dev->conv(dev, y[i], conv, x, NULL, s.height, s.width, mode);
      dev->conv_free(dev, conv);
      dev->close(dev);
    }
    check(check_same(y[0], y[1], n_y) && check_same(y[0], y[2], n_y),
          "conv %s %s: 2 and 3 threads give the bits of 1", jk_isa_text(isa), mode_text[mode]);
    for (int i = 0; i < 3; i++)
      free(y[i]);
  }
  free(x);
  check_weight_free(&w);
  check_weight_free(&bias);
}

static void test_refusals(void) {
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  float value[18] = {0};
  jk_weight w = {value, JK_F32, 2, 8}, bias = {value, JK_F32, 1, 2};
  jk_conv *conv = (jk_conv *)value;
  check(dev->conv_create(dev, w, bias, JK_FORMAT_F32, 8, &conv) == JK_BAD_REQUEST && !conv,
        "conv: a kernel that is not 3x3 is refused");
  w.n_cols = 9;
  check(dev->conv_create(dev, w, bias, JK_FORMAT_F32, 0, &conv) == JK_BAD_REQUEST && !conv,
        "conv: a width of 0 is refused");
  bias.n_cols = 1;
  check(dev->conv_create(dev, w, bias, JK_FORMAT_F32, 8, &conv) == JK_BAD_REQUEST && !conv,
        "conv: a bias of another size is refused");
  bias.n_cols = 2;
  float picture[4] = {0}, y[8] = {7.0f};
  bool made = dev->conv_create(dev, w, bias, JK_FORMAT_F32, 3, &conv) == JK_OK;
  check(made && dev->sync(dev) == JK_OK, "conv: no failure before one");
  dev->conv(dev, y, conv, picture, NULL, 1, 4, JK_CONV_SAME);
  check(dev->sync(dev) == JK_BAD_REQUEST && y[0] == 7.0f,
        "conv: a picture wider than promised is reported by sync and not touched");
  dev->conv_free(dev, conv);
  dev->conv_free(dev, NULL);
  dev->close(dev);
}

int main(void) {
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++) {
    test_values(isa);
    test_threads(isa);
  }
  test_refusals();
  return check_done();
}
