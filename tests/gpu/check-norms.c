// SPDX-License-Identifier: MIT
// Normalisations and element-wise functions of a device against the reference in plain C.
#include "tests/gpu/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 5 };

static const int dims[] = {1, 7, 16, 17, 64, 100, 256, 704, 1000, 4096};
enum { N_DIMS = sizeof dims / sizeof *dims };

static void note(check_worst *worst, const array *y, const float *expected) {
  for (size_t i = 0; i < y->n; i++)
    check_note(worst, (double)y->host[i], (double)expected[i], 1.0 + fabs((double)expected[i]));
}

// Rows by themselves and in place, against `all`.
static bool rows_alone(card *c, array *x, const array *all, const array *weight, const array *bias,
                       int dim) {
  for (int r = 0; r < N_ROWS; r++) {
    float *row = x->at + r * dim;
    if (bias)
      c->dev->layer_norm(c->dev, row, row, weight->at, bias->at, 1, dim, 1e-6f);
    else
      c->dev->rms_norm(c->dev, row, row, weight->at, 1, dim, 1e-6f);
  }
  return array_fetch(c, x) && check_same(x->host, all->host, x->n);
}

static void check_rows_norm(card *c, bool is_layer) {
  check_worst worst = {0};
  bool ok = true, alone = true;
  for (int i = 0; i < N_DIMS; i++) {
    const int dim = dims[i];
    array x = array_random(c, (size_t)(N_ROWS * dim), 2.0f), y = array_new(c, x.n);
    array weight = array_random(c, (size_t)dim, 1.0f), bias = array_random(c, (size_t)dim, 1.0f);
    float *expected = malloc(x.n * sizeof *expected);
    jk_device *d = c->dev, *r = c->reference;
    if (is_layer) {
      d->layer_norm(d, y.at, x.at, weight.at, bias.at, N_ROWS, dim, 1e-6f);
      r->layer_norm(r, expected, x.host, weight.host, bias.host, N_ROWS, dim, 1e-6f);
    } else {
      d->rms_norm(d, y.at, x.at, weight.at, N_ROWS, dim, 1e-6f);
      r->rms_norm(r, expected, x.host, weight.host, N_ROWS, dim, 1e-6f);
    }
    ok &= array_fetch(c, &y);
    note(&worst, &y, expected);
    alone &= rows_alone(c, &x, &y, &weight, is_layer ? &bias : NULL, dim);
    free(expected);
    array_free(c, &x);
    array_free(c, &y);
    array_free(c, &weight);
    array_free(c, &bias);
  }
  const char *name = is_layer ? "layer_norm" : "rms_norm";
  check(ok, "%s: nothing written outside", name);
  check(alone, "%s: in place and row by row, the same bits", name);
  check_bound(&worst, 2e-6, "%s: close to the reference", name); // emulated: observed 3.0e-7
}

static void check_groups(card *c) {
  static const int shapes[][3] = {{36, 32, 32},  {1, 64, 16},      {1025, 16, 4},  {2500, 36, 4},
                                  {576, 100, 5}, {100, 1000, 500}, {9216, 64, 32}, {70000, 8, 2}};
  check_worst worst = {0};
  bool ok = true, same = true;
  for (int i = 0; i < (c->is_slow ? 6 : 8); i++) {
    const int n_pixels = shapes[i][0], channels = shapes[i][1], n_groups = shapes[i][2];
    array x = array_random(c, (size_t)n_pixels * (size_t)channels, 2.0f), y = array_new(c, x.n);
    array weight = array_random(c, (size_t)channels, 1.0f);
    array bias = array_random(c, (size_t)channels, 1.0f);
    float *expected = malloc(x.n * sizeof *expected);
    c->dev->group_norm(c->dev, y.at, x.at, weight.at, bias.at, n_pixels, channels, n_groups, 1e-6f,
                       i % 2);
    c->reference->group_norm(c->reference, expected, x.host, weight.host, bias.host, n_pixels,
                             channels, n_groups, 1e-6f, i % 2);
    ok &= array_fetch(c, &y);
    note(&worst, &y, expected);
    c->dev->group_norm(c->dev, x.at, x.at, weight.at, bias.at, n_pixels, channels, n_groups, 1e-6f,
                       i % 2);
    same &= array_fetch(c, &x) && check_same(x.host, y.host, x.n);
    free(expected);
    array_free(c, &x);
    array_free(c, &y);
    array_free(c, &weight);
    array_free(c, &bias);
  }
  check(ok, "group_norm: nothing written outside");
  check(same, "group_norm: again and in place, the same bits");
  check_bound(&worst, 4e-6, "group_norm: close to the reference"); // emulated: observed 4.5e-7
}

static void check_values(card *c) {
  check_worst silu = {0}, gelu = {0};
  bool ok = true, same = true;
  for (int i = 0; i <= N_DIMS; i++) {
    const size_t n = i < N_DIMS ? (size_t)dims[i] : 50001;
    array a = array_random(c, n, 3.0f), b = array_random(c, n, 1.0f);
    array y = array_new(c, n), z = array_new(c, n);
    float *expected = malloc(n * sizeof *expected);
    c->dev->silu_mul(c->dev, y.at, a.at, b.at, n);
    c->dev->gelu(c->dev, z.at, a.at, n);
    ok &= array_fetch(c, &y) && array_fetch(c, &z);
    c->reference->silu_mul(c->reference, expected, a.host, b.host, n);
    note(&silu, &y, expected);
    c->reference->gelu(c->reference, expected, a.host, n);
    note(&gelu, &z, expected);
    c->dev->gelu(c->dev, b.at, a.at + n / 2, 1); // alone
    same &= array_fetch(c, &b) && check_same(b.host, z.host + n / 2, 1);
    free(expected);
    array_free(c, &a);
    array_free(c, &b);
    array_free(c, &y);
    array_free(c, &z);
  }
  check(ok, "silu_mul, gelu: nothing written outside");
  check(same, "gelu: alone, the same bits");
  check_bound(&silu, 2e-6, "silu_mul: close to the reference"); // emulated: observed 1e-7
  check_bound(&gelu, 2e-6, "gelu: close to the reference");
}

static void check_guide(card *c) {
  enum { N = 5000 };
  static const float weights[][2] = {{5, 5}, {1, 5}, {5, 0}, {1, 0}, {2.5f, 0.3f}};
  array full = array_random(c, N, 3.0f), part = array_random(c, N, 3.0f);
  array uncond = array_random(c, N, 3.0f), out = array_new(c, N);
  float expected[N];
  bool same = true;
  for (int i = 0; i < 10; i++) {
    const float w1 = weights[i / 2][0], w2 = weights[i / 2][1];
    c->dev->guide(c->dev, out.at, full.at, i % 2 ? part.at : NULL, uncond.at, w1, w2, N);
    c->reference->guide(c->reference, expected, full.host, i % 2 ? part.host : NULL, uncond.host,
                        w1, w2, N);
    same &= array_fetch(c, &out) && check_same(out.host, expected, N);
  }
  check(same, "guide: the reference's bits");
  array_free(c, &full);
  array_free(c, &part);
  array_free(c, &uncond);
  array_free(c, &out);
}

void check_norms(card *c) {
  check_rows_norm(c, false);
  check_rows_norm(c, true);
  check_groups(c);
  check_values(c);
  check_guide(c);
}
