// SPDX-License-Identifier: MIT
// Linear layers of a device: against sums in f64, tails of all kinds, and the same bits whatever
// stands beside a row.
#include "tests/gpu/card.h"

#include "kernels/bf16.h"
#include "kernels/cuda/fp8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
  int n_out, n_in;
  jk_dtype dtype;
  jk_format format;
  check_weight weight, bias;
  double *kept; // weights as the format keeps them
  jk_linear *linear;
} layer;

static double rounded(double x, jk_format format) {
  const bool is_rounded = format == JK_FORMAT_BF16 || format == JK_FORMAT_FP8;
  return is_rounded ? (double)jk_bf16_widen(jk_bf16_round((float)x)) : x;
}

// One output's weights as numbers of 8 bits times a scale.
static void keep_fp8(double *kept, const double *w, int n) {
  float most = 0.0f;
  for (int k = 0; k < n; k++)
    most = fmaxf(most, fabsf((float)w[k]));
  const float scale = jk_fp8_scale(most);
  for (int k = 0; k < n; k++)
    kept[k] = (double)jk_e4m3_widen(jk_fp8_number((float)w[k], scale)) * (double)scale;
}

static double *dup_kept(const layer *l) {
  const size_t n_in = (size_t)l->n_in, n = (size_t)l->n_out * n_in;
  double *kept = malloc(n * sizeof *kept);
  for (size_t i = 0; i < n; i++)
    kept[i] = rounded(l->weight.values[i], l->format);
  for (size_t o = 0; l->format == JK_FORMAT_FP8 && o < (size_t)l->n_out; o++)
    keep_fp8(kept + o * n_in, l->weight.values + o * n_in, l->n_in);
  return kept;
}

static layer layer_new(card *c, int n_out, int n_in, jk_dtype dtype, jk_format format,
                       bool has_bias) {
  layer l = {.n_out = n_out, .n_in = n_in, .dtype = dtype, .format = format};
  l.weight = check_weight_new(&c->random, dtype, n_out, n_in, 0.1f);
  l.bias = check_weight_new(&c->random, dtype, 1, n_out, 1.0f);
  if (!has_bias)
    memset(l.bias.values, 0, (size_t)n_out * sizeof *l.bias.values);
  l.kept = dup_kept(&l);
  const jk_weight bias = has_bias ? l.bias.view : (jk_weight){0};
  if (c->dev->linear_create(c->dev, l.weight.view, bias, format, &l.linear) != JK_OK)
    check(false, "linear: %d x %d cannot be made", n_out, n_in);
  return l;
}

static void layer_free(card *c, layer *l) {
  c->dev->linear_free(c->dev, l->linear);
  check_weight_free(&l->weight);
  check_weight_free(&l->bias);
  free(l->kept);
}

static void note_row(check_worst *worst, const layer *l, const float *x, const float *before,
                     const float *y) {
  for (int o = 0; o < l->n_out; o++) {
    double sum = l->bias.values[o] + (before ? (double)before[o] : 0), scale = fabs(sum);
    for (int k = 0; k < l->n_in; k++) {
      const double w = l->kept[(size_t)o * (size_t)l->n_in + (size_t)k];
      sum += rounded((double)x[k], l->format) * w;
      scale += fabs((double)x[k] * w);
    }
    check_note(worst, (double)y[o], sum, scale);
  }
}

// All rows of few, some of many.
static void note_rows(check_worst *worst, const layer *l, const array *x, const float *before,
                      const array *y, int n_rows) {
  for (int r = 0; r<n_rows; r += n_rows> 16 ? 7 : 1) {
    const size_t at = (size_t)r * (size_t)l->n_out;
    note_row(worst, l, x->host + (size_t)r * (size_t)l->n_in, before ? before + at : NULL,
             y->host + at);
  }
}

static bool one_shape(card *c, check_worst *worst, jk_dtype dtype, jk_format format, int n_out,
                      int n_in, int n_rows) {
  layer l = layer_new(c, n_out, n_in, dtype, format, check_int(&c->random, 0, 1));
  array x = array_random(c, (size_t)n_rows * (size_t)n_in, 1.0f);
  array y = array_new(c, (size_t)n_rows * (size_t)n_out);
  c->dev->linear(c->dev, y.at, l.linear, x.at, n_rows, false);
  bool ok = array_fetch(c, &y);
  note_rows(worst, &l, &x, NULL, &y, n_rows);
  float *before = malloc(y.n * sizeof *before);
  memcpy(before, y.host, y.n * sizeof *before);
  c->dev->linear(c->dev, y.at, l.linear, x.at, n_rows, true);
  ok = array_fetch(c, &y) && array_fetch(c, &x) && ok;
  note_rows(worst, &l, &x, before, &y, n_rows);
  free(before);
  array_free(c, &x);
  array_free(c, &y);
  layer_free(c, &l);
  return ok;
}

static const char *format_text(jk_format format) {
  static const char *const words[] = {"f32", "bf16", "q8", "q4", "fp8"};
  return words[format];
}

static void check_values(card *c, jk_format format) {
  static const int dims[] = {1, 7, 8, 16, 17, 64, 100, 176, 256, 1000, 1408};
  static const int rows[] = {1, 2, 3, 5, 8, 9, 16, 17, 32, 48, 49, 61, 130};
  enum { N_DIMS = 11, N_ROWS = 13 };
  for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++) {
    check_worst worst = {0};
    bool is_whole = true;
    for (int i = 0; i < N_DIMS; i++)
      for (int j = 0; j < N_ROWS; j++)
        if (!c->is_slow || (i + j + (int)dtype) % 6 == 0)
          is_whole &= one_shape(c, &worst, dtype, format, dims[check_int(&c->random, 0, 8)],
                                dims[i], rows[j]);
    is_whole &= one_shape(c, &worst, dtype, format, 37, 11008, 3);
    check(is_whole, "linear %s of %s: nothing written outside", format_text(format),
          check_dtype_text(dtype));
    check_bound(&worst, 1e-6, "linear %s of %s: close to f64", format_text(format),
                check_dtype_text(dtype)); // emulated: observed 3.5e-7
  }
}

// The first n rows again, and the last of them alone.
static bool is_invariant(card *c, const layer *l, const array *x, const array *all, int n) {
  const size_t n_out = (size_t)l->n_out, last = (size_t)(n - 1);
  array y = array_new(c, (size_t)n * n_out), one = array_new(c, n_out);
  c->dev->linear(c->dev, y.at, l->linear, x->at, n, false);
  c->dev->linear(c->dev, one.at, l->linear, x->at + last * (size_t)l->n_in, 1, false);
  const bool ok = array_fetch(c, &y) && array_fetch(c, &one) &&
                  check_same(y.host, all->host, y.n) &&
                  check_same(one.host, all->host + last * n_out, n_out);
  array_free(c, &y);
  array_free(c, &one);
  return ok;
}

static void check_invariance(card *c, jk_format format) {
  static const int shapes[][2] = {{256, 704}, {100, 17}, {1000, 100}, {48, 2048}, {130, 1}};
  static const int rows[] = {1, 2, 3, 5, 8, 16, 24, 33, 48, 49, 64, 65, 150};
  enum { MOST = 150 };
  bool ok = true;
  for (int s = 0; s < (c->is_slow ? 2 : 5); s++) {
    layer l = layer_new(c, shapes[s][0], shapes[s][1], JK_BF16, format, true);
    array x = array_random(c, MOST * (size_t)l.n_in, 1.0f);
    array y = array_new(c, MOST * (size_t)l.n_out);
    c->dev->linear(c->dev, y.at, l.linear, x.at, MOST, false);
    ok &= array_fetch(c, &y);
    for (int i = 0; i < 13; i++)
      ok &= is_invariant(c, &l, &x, &y, rows[i]);
    array_free(c, &x);
    array_free(c, &y);
    layer_free(c, &l);
  }
  check(ok, "linear %s: a row has the same bits alone and among 2 to 150", format_text(format));
}

// The same integers and scales on both devices; only the order of sums differs.
static bool one_quantised(card *c, check_worst *worst, jk_format format, int n_out, int n_in,
                          int n_rows) {
  layer l = layer_new(c, n_out, n_in, JK_BF16, format, true);
  array x = array_random(c, (size_t)n_rows * (size_t)n_in, 1.0f);
  array y = array_new(c, (size_t)n_rows * (size_t)n_out);
  float *expected = malloc(y.n * sizeof *expected);
  jk_linear *reference = NULL;
  bool ok = c->reference->linear_create(c->reference, l.weight.view, l.bias.view, format,
                                        &reference) == JK_OK;
  c->dev->linear(c->dev, y.at, l.linear, x.at, n_rows, false);
  if (ok)
    c->reference->linear(c->reference, expected, reference, x.host, n_rows, false);
  ok = array_fetch(c, &y) && ok;
  double squares = 0.0;
  for (size_t i = 0; ok && i < y.n; i++)
    squares += (double)expected[i] * (double)expected[i];
  for (size_t i = 0; ok && i < y.n; i++)
    check_note(worst, (double)y.host[i], (double)expected[i],
               1.0 + sqrt(squares / (double)y.n) + fabs((double)expected[i]));
  c->reference->linear_free(c->reference, reference);
  free(expected);
  array_free(c, &x);
  array_free(c, &y);
  layer_free(c, &l);
  return ok;
}

static void check_quantised(card *c, jk_format format) {
  static const int shapes[][3] = {{256, 704, 2},  {33, 65, 1},     {100, 1000, 5}, {48, 8, 8},
                                  {130, 1, 17},   {7, 4096, 3},    {16, 64, 48},   {96, 320, 49},
                                  {37, 11008, 3}, {300, 512, 130}, {64, 130, 30},  {2, 33, 9}};
  check_worst worst = {0};
  bool ok = true;
  for (int i = 0; i < 12; i++)
    ok &= one_quantised(c, &worst, format, shapes[i][0], shapes[i][1], shapes[i][2]);
  const char *name = format == JK_FORMAT_Q8 ? "q8" : "q4";
  check(ok, "linear %s: nothing written outside", name);
  check_bound(&worst, 3e-6, "linear %s: close to the reference", name); // observed 3e-7
}

// Every number of 8 bits comes out of a product with one as it is, whatever kernel makes it, from
// every place of the packed order; so do those that are subnormal.
static void check_fp8_numbers(card *c) {
  enum { N = 256, OUTS = 19 };
  static const int rows[] = {1, 8, 48, 49, N};
  float weights[OUTS * N];
  for (int o = 0; o < OUTS; o++)
    for (int k = 0; k < N; k++) {
      const uint8_t code = (uint8_t)(k * 37 + o * 101);
      weights[o * N + k] = (code & 0x7f) == 0x7f ? 0.0f : jk_e4m3_widen(code);
    }
  const jk_weight weight = {weights, JK_F32, OUTS, N}, absent = {0};
  jk_linear *linear = NULL;
  bool ok = c->dev->linear_create(c->dev, weight, absent, JK_FORMAT_FP8, &linear) == JK_OK;
  array x = array_new(c, (size_t)N * N), y = array_new(c, (size_t)N * OUTS);
  for (int i = 0; i < N * N; i++)
    x.host[i] = i % (N + 1) == 0 ? 1.0f : 0.0f;
  array_put(c, &x);
  for (int i = 0; ok && i < 5; i++) {
    const int first = rows[i] == N ? 0 : check_int(&c->random, 0, N - rows[i]);
    c->dev->linear(c->dev, y.at, linear, x.at + (size_t)first * N, rows[i], false);
    ok = array_fetch(c, &y);
    for (int j = 0; j < rows[i] * OUTS; j++)
      ok = ok && y.host[j] == weights[j % OUTS * N + first + j / OUTS];
  }
  check(ok, "linear fp8: every number is what it was");
  c->dev->linear_free(c->dev, linear);
  array_free(c, &x);
  array_free(c, &y);
}

// Outputs of nothing but zeros, of what is too small, of what is no number; each by itself.
static void check_fp8_extremes(card *c) {
  enum { N = 40, OUTS = 4 };
  float weights[OUTS * N] = {0};
  for (int k = 0; k < N; k++) {
    weights[N + k] = 1e-35f;
    weights[2 * N + k] = k == 33 ? INFINITY : 1.0f;
    weights[3 * N + k] = 1e38f;
  }
  const jk_weight weight = {weights, JK_F32, OUTS, N}, absent = {0};
  jk_linear *linear = NULL;
  bool ok = c->dev->linear_create(c->dev, weight, absent, JK_FORMAT_FP8, &linear) == JK_OK;
  array x = array_new(c, N), y = array_new(c, OUTS);
  for (int k = 0; k < N; k++)
    x.host[k] = k == 7 ? 0.5f : 0.0f;
  array_put(c, &x);
  if (ok)
    c->dev->linear(c->dev, y.at, linear, x.at, 1, false);
  ok = array_fetch(c, &y) && ok;
  check(ok && y.host[0] == 0.0f && y.host[1] == 0.0f && isnan(y.host[2]) &&
            fabsf(y.host[3] - 0.5e38f) < 1e32f,
        "linear fp8: zeros, too small, no number, large: %g %g %g %g", (double)y.host[0],
        (double)y.host[1], (double)y.host[2], (double)y.host[3]);
  c->dev->linear_free(c->dev, linear);
  array_free(c, &x);
  array_free(c, &y);
}

static void check_fp8(card *c) {
  if (!c->dev->has_fp8) {
    float value[4] = {0};
    const jk_weight weight = {value, JK_F32, 2, 2}, absent = {0};
    jk_linear *linear = (jk_linear *)value;
    check(c->dev->linear_create(c->dev, weight, absent, JK_FORMAT_FP8, &linear) == JK_BAD_REQUEST &&
              !linear,
          "linear fp8: refused by a device that does not have it");
    return;
  }
  check_values(c, JK_FORMAT_FP8);
  check_invariance(c, JK_FORMAT_FP8);
  check_fp8_numbers(c);
  check_fp8_extremes(c);
}

static void check_refusals(card *c) {
  float value[4] = {0};
  const jk_weight weight = {value, JK_F32, 2, 2}, bias = {value, JK_F32, 1, 3}, absent = {0};
  jk_linear *linear = (jk_linear *)value;
  check(c->dev->linear_create(c->dev, absent, absent, JK_FORMAT_BF16, &linear) == JK_BAD_REQUEST &&
            !linear,
        "linear: an absent weight is refused");
  check(c->dev->linear_create(c->dev, weight, bias, JK_FORMAT_F32, &linear) == JK_BAD_REQUEST &&
            !linear,
        "linear: a bias of another size is refused");
}

void check_linear(card *c) {
  check_values(c, JK_FORMAT_F32);
  check_values(c, JK_FORMAT_BF16);
  check_invariance(c, JK_FORMAT_F32);
  check_invariance(c, JK_FORMAT_BF16);
  check_quantised(c, JK_FORMAT_Q8);
  check_quantised(c, JK_FORMAT_Q4);
  check_invariance(c, JK_FORMAT_Q8);
  check_invariance(c, JK_FORMAT_Q4);
  check_fp8(c);
  check_refusals(c);
}
