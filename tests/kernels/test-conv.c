// SPDX-License-Identifier: MIT
// 3x3 convolutions: three ways to read the input, tails of every kind, residuals, invariance.
#include "check.h"

#include "kernels/cpu-detect.h"
#include "kernels/cpu-device.h"

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

// Ties to even, as a float; the numbers here are finite.
static float rounded(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// What one operation was given.
typedef struct job {
  shape shape;
  jk_conv_mode mode;
  jk_format format;
  const check_weight *w, *bias;
  const float *x;
} job;

static double input_of(const job *j, int y, int px, int i) {
  const float x = j->x[(y * j->shape.width + px) * j->shape.n_in + i];
  return j->format == JK_FORMAT_BF16 ? (double)rounded(x) : (double)x;
}

static float weight_of(const job *j, int o, int i, int tap) {
  const double w = j->w->values[(o * j->shape.n_in + i) * 9 + tap];
  return j->format == JK_FORMAT_BF16 ? rounded((float)w) : (float)w;
}

// All taps of an output that see one pixel of the input are one weight: several do when the input
// is doubled, and their sum is rounded again.
static double weight_on(const job *j, const int at[3], int y, int px, int i) {
  float sum = 0.0f;
  for (int tap = 0; tap < 9; tap++) {
    if (source(at[0], tap / 3, j->shape.height, j->mode) == y &&
        source(at[1], tap % 3, j->shape.width, j->mode) == px)
      sum += weight_of(j, at[2], i, tap);
  }
  return j->format == JK_FORMAT_BF16 ? (double)rounded(sum) : (double)sum;
}

static void note_output(check_worst *worst, const job *j, double actual, double residual,
                        const int at[3]) {
  double bias = j->bias->values[at[2]], sum = bias + residual, scale = fabs(bias) + fabs(residual);
  int last_y = -1;
  for (int ky = 0; ky < 3; ky++) {
    int y = source(at[0], ky, j->shape.height, j->mode), last_px = -1;
    for (int kx = 0; kx < 3 && y > last_y; kx++) {
      int px = source(at[1], kx, j->shape.width, j->mode);
      for (int i = 0; i < j->shape.n_in && px > last_px; i++) {
        double term = input_of(j, y, px, i) * weight_on(j, at, y, px, i);
        sum += term;
        scale += fabs(term);
      }
      last_px = px > last_px ? px : last_px;
    }
    last_y = y > last_y ? y : last_y;
  }
  check_note(worst, actual, sum, scale);
}

typedef struct variant {
  jk_isa isa;
  jk_format format;
  bool no_pairs;
  char text[48];
} variant;

static jk_device *open_variant(const variant *v, int n_threads) {
  jk_device *dev = check_open(n_threads, v->isa);
  if (v->no_pairs)
    jk_cpu_forget_bf16(dev);
  return dev;
}

static bool one_shape(jk_device *dev, check_random *random, check_worst *worst, shape s,
                      jk_conv_mode mode, jk_format format, jk_dtype dtype, bool with_residual) {
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
  bool ok = dev->conv_create(dev, w.view, bias.view, format, width, &conv) == JK_OK;
  if (ok)
    dev->conv(dev, y.x, conv, x.x, with_residual ? y.x : NULL, s.height, s.width, mode);
  const job j = {s, mode, format, &w, &bias, x.x};
  for (int i = 0; i < (int)y.n; i++) {
    int at[3] = {i / s.n_out / width, i / s.n_out % width, i % s.n_out};
    note_output(worst, &j, (double)y.x[i], (double)residual[i], at);
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

static void test_values(const variant *v) {
  jk_device *dev = open_variant(v, 2);
  check_random random = check_seed(31);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
    check_worst worst = {0};
    bool whole = true;
    for (int i = 0; i < N_SHAPES; i++) {
      if (out_size(shapes[i].height, mode) == 0)
        continue;
      for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++)
        whole &= one_shape(dev, &random, &worst, shapes[i], mode, v->format, dtype,
                           (i + (int)dtype) % 2);
    }
    check(whole, "conv %s %s: nothing written outside", v->text, mode_text[mode]);
    // Observed 1.0e-6 in f32 and in bf16 against inputs and weights that were rounded: one f32
    // chain of up to 900 terms an output.
    check_bound(&worst, 2e-6, "conv %s %s: close to f64", v->text, mode_text[mode]);
  }
  dev->close(dev);
}

static void test_threads(const variant *v) {
  const shape s = {24, 40, 36, 30};
  check_random random = check_seed(32);
  check_weight w = check_weight_new(&random, JK_BF16, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(&random, JK_F32, 1, s.n_out, 1.0f);
  size_t n_x = (size_t)(s.height * s.width * s.n_in), n_y = 4 * (size_t)(36 * 30 * s.n_out);
  float *x = malloc(n_x * sizeof *x), *y[3];
  check_fill(&random, x, n_x, 1.0f);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
    for (int i = 0; i < 3; i++) {
      jk_device *dev = open_variant(v, i + 1);
      jk_conv *conv = NULL;
      y[i] = calloc(n_y, sizeof *y[i]);
      dev->conv_create(dev, w.view, bias.view, v->format, 60, &conv);
      dev->conv(dev, y[i], conv, x, NULL, s.height, s.width, mode);
      dev->conv_free(dev, conv);
      dev->close(dev);
    }
    check(check_same(y[0], y[1], n_y) && check_same(y[0], y[2], n_y),
          "conv %s %s: 2 and 3 threads give the bits of 1", v->text, mode_text[mode]);
    for (int i = 0; i < 3; i++)
      free(y[i]);
  }
  free(x);
  check_weight_free(&w);
  check_weight_free(&bias);
}

// A normalisation in front, against the same two operations one after the other.
static bool one_norm(const variant *v, check_random *random, shape s, int n_groups,
                     jk_conv_mode mode) {
  jk_device *dev = open_variant(v, 2);
  check_weight w = check_weight_new(random, JK_F32, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(random, JK_F32, 1, s.n_out, 1.0f);
  size_t n_x = (size_t)(s.height * s.width * s.n_in);
  size_t n_y = (size_t)(out_size(s.height, mode) * out_size(s.width, mode) * s.n_out);
  float *x = malloc(n_x * sizeof *x), *normed = malloc(n_x * sizeof *x), *scale, *y[2];
  scale = malloc(2 * (size_t)s.n_in * sizeof *scale);
  check_fill(random, x, n_x, 2.0f);
  check_fill(random, scale, 2 * (size_t)s.n_in, 1.0f);
  const jk_group_norm norm = {scale, scale + s.n_in, n_groups, 1e-6f, true};
  jk_conv *conv = NULL;
  dev->conv_create(dev, w.view, bias.view, v->format, out_size(s.width, mode), &conv);
  for (int i = 0; i < 2; i++) {
    y[i] = malloc(n_y * sizeof *y[i]);
    memcpy(y[i], x, (n_y < n_x ? n_y : n_x) * sizeof *x); // the residual, of any values
    memset(y[i] + (n_y < n_x ? n_y : n_x), 0, (n_y < n_x ? 0 : n_y - n_x) * sizeof *x);
  }
  dev->group_norm(dev, normed, x, norm.weight, norm.bias, s.height * s.width, s.n_in, n_groups,
                  norm.eps, norm.swish);
  dev->conv(dev, y[0], conv, normed, y[0], s.height, s.width, mode);
  dev->norm_conv(dev, y[1], conv, &norm, x, y[1], s.height, s.width, mode);
  const bool same = check_same(y[0], y[1], n_y) && dev->sync(dev) == JK_OK;
  dev->conv_free(dev, conv);
  dev->close(dev);
  float *all[] = {x, normed, scale, y[0], y[1]};
  for (int i = 0; i < 5; i++)
    free(all[i]);
  check_weight_free(&w);
  check_weight_free(&bias);
  return same;
}

static void test_norm(const variant *v) {
  static const shape s[] = {
      {32, 16, 20, 30}, {33, 5, 6, 6}, {600, 3, 4, 4}, {12, 20, 9, 70}, {16, 8, 4, 800}};
  static const int n_groups[] = {8, 11, 300, 3, 2};
  check_random random = check_seed(34);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_DOWN; mode++) {
    bool same = true;
    for (int i = 0; i < 5; i++)
      same &= one_norm(v, &random, s[i], n_groups[i], mode);
    check(same, "conv %s %s: with a normalisation in front the bits of both alone", v->text,
          mode_text[mode]);
  }
}

// Weights and inputs rounded, against a picture in f32: what a user of the format loses.
static void test_rounding(jk_isa isa) {
  const shape s = {64, 32, 12, 12};
  check_random random = check_seed(33);
  jk_device *dev = check_open(1, isa);
  check_weight w = check_weight_new(&random, JK_F32, s.n_out, s.n_in * 9, 0.1f);
  check_weight bias = check_weight_new(&random, JK_F32, 1, s.n_out, 1.0f);
  size_t n_x = (size_t)(s.height * s.width * s.n_in), n_y = 4 * (size_t)(12 * 12 * s.n_out);
  float *x = malloc(n_x * sizeof *x), *y[2];
  for (size_t i = 0; i < n_x; i++)
    x[i] = check_normal(&random);
  for (jk_conv_mode mode = JK_CONV_SAME; mode <= JK_CONV_UP; mode++) {
    double squares = 0.0, errors = 0.0;
    for (int i = 0; i < 2; i++) {
      jk_conv *conv = NULL;
      y[i] = calloc(n_y, sizeof *y[i]);
      dev->conv_create(dev, w.view, bias.view, i ? JK_FORMAT_BF16 : JK_FORMAT_F32, 24, &conv);
      dev->conv(dev, y[i], conv, x, NULL, s.height, s.width, mode);
      dev->conv_free(dev, conv);
    }
    for (size_t i = 0; i < n_y; i++) {
      squares += (double)y[0][i] * (double)y[0][i];
      errors += ((double)y[0][i] - (double)y[1][i]) * ((double)y[0][i] - (double)y[1][i]);
    }
    const check_worst worst = {sqrt(errors / squares)};
    // Observed 2.3e-3 and, folded, 2.8e-3: two roundings of at most 3.9e-3, evenly distributed.
    check_bound(&worst, 4e-3, "conv %s %s: bf16 close to f32", jk_isa_text(isa), mode_text[mode]);
    free(y[0]);
    free(y[1]);
  }
  free(x);
  check_weight_free(&w);
  check_weight_free(&bias);
  dev->close(dev);
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
  check(dev->conv_create(dev, w, bias, JK_FORMAT_Q8, 8, &conv) == JK_BAD_REQUEST && !conv,
        "conv: 8-bit weights are refused");
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

static void test_variant(jk_isa isa, jk_format format, bool no_pairs) {
  variant v = {isa, format, no_pairs, ""};
  snprintf(v.text, sizeof v.text, "%s %s%s", jk_isa_text(isa),
           format == JK_FORMAT_F32 ? "f32" : "bf16", no_pairs ? " without pairs" : "");
  test_values(&v);
  test_threads(&v);
  test_norm(&v);
}

int main(void) {
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++) {
    test_variant(isa, JK_FORMAT_F32, false);
    test_variant(isa, JK_FORMAT_BF16, false);
    test_rounding(isa);
  }
  if (jk_cpu_has_avx512_bf16())
    test_variant(JK_ISA_AVX512, JK_FORMAT_BF16, true);
  test_refusals();
  return check_done();
}
