// SPDX-License-Identifier: MIT
// Normalisations, element-wise functions, widening and gathering.
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int dims[] = {1, 7, 16, 17, 64, 100, 176, 256, 1000};
enum { N_DIMS = sizeof dims / sizeof *dims };

static double silu(double x) {
  return x / (1.0 + exp(-x));
}

static void test_rms_norm(jk_isa isa) {
  enum { ROWS = 5 };
  jk_device *dev = check_open(2, isa);
  check_random random = check_seed(41);
  check_worst worst = {0};
  bool whole = true, alone = true;
  for (int i = 0; i < N_DIMS; i++) {
    int dim = dims[i];
    check_buffer x = check_buffer_new((size_t)(ROWS * dim), 1), y = check_buffer_new(x.n, 0);
    float *weight = malloc((size_t)dim * sizeof *weight);
    check_fill(&random, x.x, x.n, 3.0f);
    check_fill(&random, weight, (size_t)dim, 1.0f);
    dev->rms_norm(dev, y.x, x.x, weight, ROWS, dim, 1e-6f);
    for (int j = 0; j < (int)x.n; j++) {
      double squares = 0.0;
      for (int d = 0; d < dim; d++)
        squares += pow((double)x.x[j / dim * dim + d], 2.0);
      double expected =
          (double)x.x[j] / sqrt(squares / dim + (double)1e-6f) * (double)weight[j % dim];
      check_note(&worst, (double)y.x[j], expected, fabs(expected));
    }
    whole &= check_buffer_intact(&x) && check_buffer_intact(&y);
    for (int r = 0; r < ROWS; r++)
      dev->rms_norm(dev, x.x + r * dim, x.x + r * dim, weight, 1, dim, 1e-6f); // in place
    alone &= check_same(x.x, y.x, x.n);
    free(weight);
    check_buffer_free(&x);
    check_buffer_free(&y);
  }
  check(whole, "rms_norm %s: nothing written outside", jk_isa_text(isa));
  check(alone, "rms_norm %s: in place and row by row, the same bits", jk_isa_text(isa));
  // Observed 3.0e-7, relative to each value.
  check_bound(&worst, 8e-7, "rms_norm %s: close to f64", jk_isa_text(isa));
  dev->close(dev);
}

// Rows with a mean 40 times their spread.
static void test_layer_norm(jk_isa isa) {
  enum { ROWS = 5 };
  jk_device *dev = check_open(2, isa);
  check_random random = check_seed(45);
  check_worst worst = {0};
  bool whole = true, alone = true;
  for (int i = 0; i < N_DIMS; i++) {
    int dim = dims[i];
    check_buffer x = check_buffer_new((size_t)(ROWS * dim), 1), y = check_buffer_new(x.n, 0);
    float *weight = malloc((size_t)dim * sizeof *weight),
          *bias = malloc((size_t)dim * sizeof *bias);
    check_fill(&random, x.x, x.n, 0.5f);
    check_fill(&random, weight, (size_t)dim, 1.0f);
    check_fill(&random, bias, (size_t)dim, 1.0f);
    for (size_t j = 0; j < x.n; j++)
      x.x[j] += 20.0f;
    dev->layer_norm(dev, y.x, x.x, weight, bias, ROWS, dim, 1e-6f);
    for (int row = 0; row < ROWS; row++) {
      const float *values = x.x + row * dim;
      double sum = 0.0, squares = 0.0;
      for (int d = 0; d < dim; d++)
        sum += (double)values[d];
      for (int d = 0; d < dim; d++)
        squares += pow((double)values[d] - sum / dim, 2.0);
      double deviation = sqrt(squares / dim + (double)1e-6f);
      for (int d = 0; d < dim; d++) {
        double w = (double)weight[d], shift = (double)bias[d];
        double expected = ((double)values[d] - sum / dim) / deviation * w + shift;
        double scale = fabs(sum / dim / deviation * w) + fabs(shift);
        check_note(&worst, (double)y.x[row * dim + d], expected, fabs(expected) + scale);
      }
    }
    whole &= check_buffer_intact(&x) && check_buffer_intact(&y);
    for (int r = 0; r < ROWS; r++) // in place
      dev->layer_norm(dev, x.x + r * dim, x.x + r * dim, weight, bias, 1, dim, 1e-6f);
    alone &= check_same(x.x, y.x, x.n);
    free(weight);
    free(bias);
    check_buffer_free(&x);
    check_buffer_free(&y);
  }
  check(whole, "layer_norm %s: nothing written outside", jk_isa_text(isa));
  check(alone, "layer_norm %s: in place and row by row, the same bits", jk_isa_text(isa));
  // Observed 1.4e-7.
  check_bound(&worst, 4e-7, "layer_norm %s: close to f64", jk_isa_text(isa));
  dev->close(dev);
}

typedef struct group_shape {
  int n_pixels, channels, n_groups;
} group_shape;

static void note_group(check_worst *worst, const float *y, const float *x, const float *weight,
                       const float *bias, group_shape s, bool swish) {
  int size = s.channels / s.n_groups;
  for (int g = 0; g < s.n_groups; g++) {
    double sum = 0.0, squares = 0.0, n = (double)s.n_pixels * size;
    for (int p = 0; p < s.n_pixels; p++)
      for (int c = g * size; c < (g + 1) * size; c++)
        sum += (double)x[p * s.channels + c];
    for (int p = 0; p < s.n_pixels; p++)
      for (int c = g * size; c < (g + 1) * size; c++)
        squares += pow((double)x[p * s.channels + c] - sum / n, 2.0);
    double deviation = sqrt(squares / n + (double)1e-6f);
    for (int p = 0; p < s.n_pixels; p++) {
      for (int c = g * size; c < (g + 1) * size; c++) {
        double normed = ((double)x[p * s.channels + c] - sum / n) / deviation;
        double value = normed * (double)weight[c] + (double)bias[c];
        double scale = fabs(normed * (double)weight[c]) + fabs((double)bias[c]) +
                       fabs(sum / n / deviation * (double)weight[c]);
        check_note(worst, (double)y[p * s.channels + c], swish ? silu(value) : value, scale);
      }
    }
  }
}

static const group_shape group_shapes[] = {{36, 32, 32},  {1, 64, 16},     {1025, 16, 4},
                                           {2500, 36, 4}, {9216, 64, 32},  {70000, 8, 2},
                                           {576, 100, 5}, {100, 1000, 500}};
enum { N_GROUP_SHAPES = sizeof group_shapes / sizeof *group_shapes };

static void test_group_norm(jk_isa isa) {
  jk_device *one = check_open(1, isa), *three = check_open(3, isa);
  check_random random = check_seed(42);
  check_worst worst = {0};
  bool whole = true, same = true;
  for (int i = 0; i < N_GROUP_SHAPES; i++) {
    group_shape s = group_shapes[i];
    bool swish = i % 2;
    check_buffer x = check_buffer_new((size_t)s.n_pixels * (size_t)s.channels, 1);
    check_buffer y = check_buffer_new(x.n, 0);
    float *weight = malloc((size_t)s.channels * sizeof *weight);
    float *bias = malloc((size_t)s.channels * sizeof *bias);
    check_fill(&random, x.x, x.n, 2.0f);
    for (size_t j = 0; j < x.n; j++)
      x.x[j] += 5.0f;
    check_fill(&random, weight, (size_t)s.channels, 1.0f);
    check_fill(&random, bias, (size_t)s.channels, 1.0f);
    one->group_norm(one, y.x, x.x, weight, bias, s.n_pixels, s.channels, s.n_groups, 1e-6f, swish);
    note_group(&worst, y.x, x.x, weight, bias, s, swish);
    three->group_norm(three, x.x, x.x, weight, bias, s.n_pixels, s.channels, s.n_groups, 1e-6f,
                      swish); // in place
    same &= check_same(x.x, y.x, x.n);
    whole &= check_buffer_intact(&x) && check_buffer_intact(&y);
    free(weight);
    free(bias);
    check_buffer_free(&x);
    check_buffer_free(&y);
  }
  check(whole, "group_norm %s: nothing written outside", jk_isa_text(isa));
  check(same, "group_norm %s: in place on 3 threads gives the bits of 1", jk_isa_text(isa));
  // Observed 2.4e-7.
  check_bound(&worst, 6e-7, "group_norm %s: close to f64", jk_isa_text(isa));
  one->close(one);
  three->close(three);
}

static void test_activations(jk_isa isa) {
  jk_device *dev = check_open(2, isa);
  check_random random = check_seed(43);
  check_worst silu_worst = {0}, gelu_worst = {0};
  bool whole = true, same = true;
  for (int i = 0; i < N_DIMS + 1; i++) {
    size_t n = i < N_DIMS ? (size_t)dims[i] : 50001;
    check_buffer a = check_buffer_new(n, 1), b = check_buffer_new(n, 0);
    check_buffer y = check_buffer_new(n, 0), z = check_buffer_new(n, 0);
    check_fill(&random, a.x, n, 3.0f);
    check_fill(&random, b.x, n, 1.0f);
    dev->silu_mul(dev, y.x, a.x, b.x, n);
    dev->gelu(dev, z.x, a.x, n);
    for (size_t j = 0; j < n; j++) {
      double x = (double)a.x[j];
      double product = silu(x) * (double)b.x[j];
      check_note(&silu_worst, (double)y.x[j], product, fabs(product) + 1e-30);
      check_note(&gelu_worst, (double)z.x[j], 0.5 * x * erfc(-x * sqrt(0.5)), fabs(x));
    }
    whole &= check_buffer_intact(&a) && check_buffer_intact(&b) && check_buffer_intact(&y) &&
             check_buffer_intact(&z);
    dev->silu_mul(dev, b.x, a.x, b.x, n);
    dev->gelu(dev, a.x, a.x, n);
    same &= check_same(b.x, y.x, n) && check_same(a.x, z.x, n);
    for (size_t j = 0; j < n; j += 7) { // alone, so at another place in a vector
      dev->gelu(dev, b.x + j, a.x + j, 1);
      dev->gelu(dev, y.x + j / 7, a.x + j, 1);
      same &= check_same(b.x + j, y.x + j / 7, 1);
    }
    check_buffer_free(&a);
    check_buffer_free(&b);
    check_buffer_free(&y);
    check_buffer_free(&z);
  }
  check(whole, "activations %s: nothing written outside", jk_isa_text(isa));
  check(same, "activations %s: in place and alone, the same bits", jk_isa_text(isa));
  // Observed 2.1e-7 (relative) and 1.2e-7 (of x).
  check_bound(&silu_worst, 5e-7, "silu_mul %s: close to f64", jk_isa_text(isa));
  check_bound(&gelu_worst, 2e-7, "gelu %s: close to f64", jk_isa_text(isa));
  dev->close(dev);
}

static void test_extremes(jk_isa isa) {
  jk_device *dev = check_open(1, isa);
  float x[] = {0.0f, -0.0f, 1e-40f, 88.0f, 500.0f, 1e30f, INFINITY, -80.0f, -500.0f, NAN};
  enum { N = sizeof x / sizeof *x };
  float one[N], y[N], z[N];
  for (int i = 0; i < N; i++)
    one[i] = 1.0f;
  dev->silu_mul(dev, y, x, one, N);
  dev->gelu(dev, z, x, N);
  bool right = isnan(y[N - 1]) && isnan(z[N - 1]);
  for (int i = 0; i < N - 1; i++) {
    right &= x[i] > 1.0f ? y[i] == x[i] && z[i] == x[i] : fabsf(y[i]) <= 1e-30f;
    right &= x[i] > 1.0f || fabsf(z[i]) <= 1e-30f;
  }
  check(right, "activations %s: zeros, large values, infinity and NaN", jk_isa_text(isa));
  dev->close(dev);
}

static void test_widen_and_gather(void) {
  enum { ROWS = 9, COLS = 13, N = 6 };
  static const int32_t ids[N] = {8, 0, 3, 3, 1, 7};
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  check_random random = check_seed(44);
  for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++) {
    check_weight table = check_weight_new(&random, dtype, ROWS, COLS, 1.0f);
    check_buffer y = check_buffer_new(N * COLS, 0), all = check_buffer_new(ROWS * COLS, 1);
    dev->gather(dev, y.x, table.view, ids, N);
    jk_widen(all.x, table.view.data, dtype, ROWS * COLS);
    bool right = true;
    for (int i = 0; i < N * COLS; i++)
      right &= (double)y.x[i] == table.values[ids[i / COLS] * COLS + i % COLS];
    for (int i = 0; i < ROWS * COLS; i++)
      right &= (double)all.x[i] == table.values[i];
    check(right && check_buffer_intact(&y) && check_buffer_intact(&all),
          "widen and gather %s: exact", check_dtype_text(dtype));
    check_buffer_free(&y);
    check_buffer_free(&all);
    check_weight_free(&table);
  }
  const uint16_t special[] = {0x7c00, 0xfc00, 0x7e00, 0x8000, 0x0001, 0x7bff};
  float f[6];
  jk_widen(f, special, JK_F16, 6);
  check(isinf(f[0]) && isinf(f[1]) && f[1] < 0 && isnan(f[2]) && f[3] == 0.0f && signbit(f[3]) &&
            f[4] == 0x1p-24f && f[5] == 65504.0f,
        "widen f16: infinities, NaN, -0, smallest and largest");
  dev->close(dev);
}

int main(void) {
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++) {
    test_rms_norm(isa);
    test_layer_norm(isa);
    test_group_norm(isa);
    test_activations(isa);
    test_extremes(isa);
  }
  test_widen_and_gather();
  return check_done();
}
