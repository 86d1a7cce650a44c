// SPDX-License-Identifier: MIT
// Linear layers: against f64, all storage types, tails, and bitwise invariance.
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note_errors(check_worst *worst, const float *y, const float *before, const float *x,
                        const check_weight *w, const check_weight *bias, int n_rows) {
  int n_in = w->view.n_cols, n_out = w->view.n_rows;
  for (int r = 0; r < n_rows; r++) {
    for (int o = 0; o < n_out; o++) {
      double sum = bias ? bias->values[o] : 0.0;
      double scale = fabs(sum);
      for (int k = 0; k < n_in; k++) {
        double term = (double)x[r * n_in + k] * w->values[(size_t)o * (size_t)n_in + (size_t)k];
        sum += term;
        scale += fabs(term);
      }
      if (before) {
        sum += (double)before[r * n_out + o];
        scale += fabs((double)before[r * n_out + o]);
      }
      check_note(worst, (double)y[r * n_out + o], sum, scale);
    }
  }
}

// One shape: result with and without accumulation, sentinels; returns whether they are whole.
static bool one_shape(jk_device *dev, check_random *random, check_worst *worst, jk_dtype dtype,
                      int n_out, int n_in, int n_rows) {
  check_weight w = check_weight_new(random, dtype, n_out, n_in, 0.1f);
  check_weight bias = check_weight_new(random, dtype, 1, n_out, 1.0f);
  bool has_bias = check_int(random, 0, 1);
  check_buffer x = check_buffer_new((size_t)n_rows * (size_t)n_in, (size_t)check_int(random, 0, 1));
  check_buffer y = check_buffer_new((size_t)n_rows * (size_t)n_out, 0);
  check_fill(random, x.x, x.n, 1.0f);
  jk_linear *linear = NULL;
  bool ok = dev->linear_create(dev, w.view, has_bias ? bias.view : (jk_weight){0}, JK_FORMAT_F32,
                               &linear) == JK_OK;
  if (ok) {
    dev->linear(dev, y.x, linear, x.x, n_rows, false);
    note_errors(worst, y.x, NULL, x.x, &w, has_bias ? &bias : NULL, n_rows);
    float *before = malloc(y.n * sizeof *before);
    memcpy(before, y.x, y.n * sizeof *before);
    dev->linear(dev, y.x, linear, x.x, n_rows, true);
    note_errors(worst, y.x, before, x.x, &w, has_bias ? &bias : NULL, n_rows);
    free(before);
  }
  ok = ok && check_buffer_intact(&x) && check_buffer_intact(&y);
  dev->linear_free(dev, linear);
  check_buffer_free(&x);
  check_buffer_free(&y);
  check_weight_free(&w);
  check_weight_free(&bias);
  return ok;
}

static void test_values(jk_isa isa) {
  static const int dims[] = {1, 7, 16, 17, 64, 100, 176, 256, 1000};
  static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 13, 16, 48, 61};
  jk_device *dev = check_open(2, isa);
  check_random random = check_seed(11);
  for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++) {
    check_worst worst = {0};
    bool whole = true;
    for (int i = 0; i < 9; i++)
      for (int j = 0; j < 12; j++)
        whole &= one_shape(dev, &random, &worst, dtype, dims[check_int(&random, 0, 8)], dims[i],
                           rows[j]);
    whole &= one_shape(dev, &random, &worst, dtype, 37, 11008, 3);
    check(whole, "linear %s %s: nothing written outside", jk_isa_text(isa),
          check_dtype_text(dtype));
    // Observed: generic 3.8e-7, AVX2 3.8e-7, AVX-512 2.6e-7; f32 sums of up to 11008 terms.
    check_bound(&worst, 1e-6, "linear %s %s: close to f64", jk_isa_text(isa),
                check_dtype_text(dtype));
  }
  dev->close(dev);
}

typedef struct fixture {
  jk_device *dev[4]; // 1, 1, 2, 3 threads
  jk_linear *linear[4];
  check_weight w, bias;
  float *x, *y, *z;
  int n_in, n_out, n_rows;
} fixture;

static void compare_runs(fixture *f, bool *rows_alone, bool *threads) {
  size_t n_in = (size_t)f->n_in, n_out = (size_t)f->n_out;
  f->dev[0]->linear(f->dev[0], f->y, f->linear[0], f->x, f->n_rows, false);
  for (int r = 0; r < f->n_rows; r++)
    f->dev[1]->linear(f->dev[1], f->z + (size_t)r * n_out, f->linear[1], f->x + (size_t)r * n_in, 1,
                      false);
  *rows_alone &= check_same(f->y, f->z, (size_t)f->n_rows * n_out);
  for (int i = 2; i < 4; i++) {
    memset(f->z, 0xff, (size_t)f->n_rows * n_out * sizeof *f->z);
    f->dev[i]->linear(f->dev[i], f->z, f->linear[i], f->x, f->n_rows, false);
    *threads &= check_same(f->y, f->z, (size_t)f->n_rows * n_out);
  }
}

static void test_invariance(jk_isa isa) {
  static const int threads_of[4] = {1, 1, 2, 3};
  static const int shapes[][2] = {{256, 704}, {100, 17}, {1000, 100}, {7, 64}, {130, 1}};
  check_random random = check_seed(12);
  bool rows_alone = true, threads = true;
  for (int s = 0; s < 5; s++) {
    for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++) {
      fixture f = {.n_out = shapes[s][0], .n_in = shapes[s][1], .n_rows = 61};
      f.w = check_weight_new(&random, dtype, f.n_out, f.n_in, 0.1f);
      f.bias = check_weight_new(&random, dtype, 1, f.n_out, 1.0f);
      size_t n_y = (size_t)f.n_rows * (size_t)f.n_out, n_x = (size_t)f.n_rows * (size_t)f.n_in;
      f.x = malloc(n_x * sizeof *f.x);
      f.y = malloc(n_y * sizeof *f.y);
      f.z = malloc(n_y * sizeof *f.z);
      check_fill(&random, f.x, n_x, 1.0f);
      for (int i = 0; i < 4; i++) {
        f.dev[i] = check_open(threads_of[i], isa);
        f.dev[i]->linear_create(f.dev[i], f.w.view, f.bias.view, JK_FORMAT_F32, &f.linear[i]);
      }
      for (f.n_rows = 1; f.n_rows <= 61; f.n_rows += f.n_rows < 9 ? 1 : 13)
        compare_runs(&f, &rows_alone, &threads);
      for (int i = 0; i < 4; i++) {
        f.dev[i]->linear_free(f.dev[i], f.linear[i]);
        f.dev[i]->close(f.dev[i]);
      }
      free(f.x);
      free(f.y);
      free(f.z);
      check_weight_free(&f.w);
      check_weight_free(&f.bias);
    }
  }
  check(rows_alone, "linear %s: rows alone give the bits of rows together", jk_isa_text(isa));
  check(threads, "linear %s: 2 and 3 threads give the bits of 1", jk_isa_text(isa));
}

static void test_refusals(void) {
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  float value[4] = {0};
  jk_weight w = {value, JK_F32, 2, 2}, absent = {0};
  jk_linear *linear = (jk_linear *)value;
  check(dev->linear_create(dev, absent, absent, JK_FORMAT_F32, &linear) == JK_BAD_REQUEST &&
            !linear,
        "linear: an absent weight is refused");
  jk_weight bias = {value, JK_F32, 1, 3};
  check(dev->linear_create(dev, w, bias, JK_FORMAT_F32, &linear) == JK_BAD_REQUEST && !linear,
        "linear: a bias of another size is refused");
  dev->linear_free(dev, NULL);
  dev->close(dev);
}

int main(void) {
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++) {
    test_values(isa);
    test_invariance(isa);
  }
  test_refusals();
  return check_done();
}
