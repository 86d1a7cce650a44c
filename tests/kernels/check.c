// SPDX-License-Identifier: MIT
// What the tests of the kernels share.
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 48 };

static const uint32_t sentinel_bits = 0x7fa5a5a5u, poison_bits = 0x7fc0dead;

static int n_points, n_failed;

__attribute__((format(printf, 2, 0))) static bool point(bool ok, const char *format,
                                                        va_list arguments) {
  n_points++;
  n_failed += !ok;
  printf("%s %d - ", ok ? "ok" : "not ok", n_points);
  vprintf(format, arguments);
  printf("\n");
  fflush(stdout);
  return ok;
}

bool check(bool ok, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  point(ok, format, arguments);
  va_end(arguments);
  return ok;
}

int check_done(void) {
  printf("1..%d\n", n_points);
  return n_failed == 0 ? 0 : 1;
}

check_random check_seed(uint64_t seed) {
  printf("# seed %llu\n", (unsigned long long)seed);
  return (check_random){seed};
}

// SplitMix64.
uint32_t check_bits(check_random *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ z >> 31) >> 32);
}

int check_int(check_random *random, int low, int high) {
  return low + (int)(check_bits(random) % (uint32_t)(high - low + 1));
}

double check_uniform(check_random *random) {
  return ((double)check_bits(random) + 0.5) * 0x1p-32;
}

float check_normal(check_random *random) {
  double radius = sqrt(-2.0 * log(check_uniform(random)));
  return (float)(radius * cos(6.283185307179586 * check_uniform(random)));
}

void check_fill(check_random *random, float *x, size_t n, float scale) {
  for (size_t i = 0; i < n; i++)
    x[i] = check_normal(random) * scale * (check_bits(random) % 61 == 0 ? 30.0f : 1.0f);
}

static void *need(void *p) {
  if (!p) {
    printf("Bail out! no memory\n");
    exit(1);
  }
  return p;
}

static void set_bits(float *x, size_t n, uint32_t bits) {
  for (size_t i = 0; i < n; i++)
    memcpy(x + i, &bits, sizeof bits);
}

static bool has_bits(const float *x, size_t n, uint32_t bits) {
  for (size_t i = 0; i < n; i++)
    if (memcmp(x + i, &bits, sizeof bits) != 0)
      return false;
  return true;
}

check_buffer check_buffer_new(size_t n, size_t shift) {
  check_buffer buffer = {.n = n, .n_base = n + 2 * GUARD + shift};
  buffer.base = need(malloc(buffer.n_base * sizeof *buffer.base));
  buffer.x = buffer.base + GUARD + shift;
  set_bits(buffer.base, buffer.n_base, sentinel_bits);
  check_buffer_poison(&buffer);
  return buffer;
}

void check_buffer_poison(check_buffer *buffer) {
  set_bits(buffer->x, buffer->n, poison_bits);
}

bool check_buffer_intact(const check_buffer *buffer) {
  size_t before = (size_t)(buffer->x - buffer->base);
  return has_bits(buffer->base, before, sentinel_bits) &&
         has_bits(buffer->x + buffer->n, buffer->n_base - before - buffer->n, sentinel_bits);
}

void check_buffer_free(check_buffer *buffer) {
  free(buffer->base);
  *buffer = (check_buffer){0};
}

const char *check_dtype_text(jk_dtype dtype) {
  return dtype == JK_F32 ? "f32" : dtype == JK_BF16 ? "bf16" : "f16";
}

static double bf16_value(uint16_t word) {
  uint32_t bits = (uint32_t)word << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return (double)f;
}

// By the definition of the format, independent of the code under test.
static double f16_value(uint16_t word) {
  int exponent = word >> 10 & 31;
  double mantissa = (double)(word & 1023);
  double magnitude = exponent == 0 ? ldexp(mantissa, -24) : ldexp(mantissa + 1024, exponent - 25);
  return word & 0x8000 ? -magnitude : magnitude;
}

static uint16_t random_f16(check_random *random, float scale) {
  int exponent = 15 + (int)floor(log2((double)scale)) - check_int(random, 0, 3);
  if (exponent < 0 || check_int(random, 0, 40) == 0)
    exponent = 0; // subnormals too
  return (uint16_t)((check_bits(random) & 0x83ff) | (uint32_t)exponent << 10);
}

check_weight check_weight_new(check_random *random, jk_dtype dtype, int n_rows, int n_cols,
                              float scale) {
  size_t n = (size_t)n_rows * (size_t)n_cols, size = jk_dtype_size(dtype);
  check_weight weight = {.values = need(malloc(n * sizeof(double)))};
  weight.memory = need(malloc((n + 1) * size));
  void *data = (char *)weight.memory + size;
  weight.view = (jk_weight){data, dtype, n_rows, n_cols};
  for (size_t i = 0; i < n; i++) {
    float f = check_normal(random) * scale * (check_bits(random) % 61 == 0 ? 10.0f : 1.0f);
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (dtype == JK_F32) {
      ((float *)data)[i] = f;
      weight.values[i] = (double)f;
    } else if (dtype == JK_BF16) {
      ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
      weight.values[i] = bf16_value((uint16_t)(bits >> 16));
    } else {
      ((uint16_t *)data)[i] = random_f16(random, scale);
      weight.values[i] = f16_value(((uint16_t *)data)[i]);
    }
  }
  return weight;
}

void check_weight_free(check_weight *weight) {
  free(weight->values);
  free(weight->memory);
  *weight = (check_weight){0};
}

void check_note(check_worst *worst, double actual, double expected, double scale) {
  double error = fabs(actual - expected) / (scale > 0.0 ? scale : 1.0);
  if (actual == expected)
    error = 0.0;
  if (!(error <= worst->error))
    worst->error = isnan(error) ? INFINITY : error;
}

bool check_bound(const check_worst *worst, double bound, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  bool ok = point(worst->error <= bound, format, arguments);
  va_end(arguments);
  printf("# worst error %.3g, bound %.3g\n", worst->error, bound);
  return ok;
}

jk_device *check_open(int n_threads, jk_isa isa) {
  jk_device *dev = NULL;
  if (jk_cpu_open(n_threads, isa, &dev) != JK_OK) {
    printf("Bail out! cannot open the CPU\n");
    exit(1);
  }
  return dev;
}

bool check_same(const float *a, const float *b, size_t n) {
  return memcmp(a, b, n * sizeof *a) == 0;
}
