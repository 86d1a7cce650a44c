// SPDX-License-Identifier: MIT
// Not a test: linear layers in packed formats beside the read stream and the instruction peak of
// the same run. Usage: bench-linear [bf16|q8|q4|all] [generic|avx2|avx512] [THREADS] [ROWS...]
// One thread is timed by its processor time, so that others on the machine count less.
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// One layer of 7B, copied until the weights of a round are far larger than every cache.
enum { N_OUT = 4096, N_IN = 11008, N_ROUNDS = 5, MAX_COPIES = 64, MAX_N_ROWS = 600 };
static const size_t memory_bytes = (size_t)1100 << 20;

static clockid_t the_clock = CLOCK_MONOTONIC;

static double now_s(void) {
  struct timespec t;
  clock_gettime(the_clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct bench {
  jk_device *dev;
  jk_format format;
  jk_linear *copies[MAX_COPIES];
  char *memory;
  int n_copies, next;
  float *x, *y;
} bench;

static void *need(jk_device *dev, size_t n_bytes) {
  void *p = NULL;
  if (dev->alloc(dev, n_bytes, "bench", &p) != JK_OK)
    exit(1);
  return p;
}

static double stream_gbs(bench *b, size_t n_bytes) {
  const double begin = now_s();
  b->dev->read_all(b->dev, b->memory, n_bytes);
  return (double)n_bytes * 1e-9 / (now_s() - begin);
}

static void make_layers(bench *b, check_random *random) {
  check_weight w = check_weight_new(random, JK_BF16, N_OUT, N_IN, 0.05f);
  const size_t n_bytes = jk_packed_bytes(b->format, N_OUT, N_IN);
  jk_linear *first = NULL;
  double seconds = INFINITY;
  for (int i = 0; i < 3; i++) {
    const double begin = now_s();
    b->dev->linear_free(b->dev, first);
    if (b->dev->linear_create(b->dev, w.view, (jk_weight){0}, b->format, &first) != JK_OK)
      exit(1);
    seconds = fmin(seconds, now_s() - begin);
  }
  printf("  packed at %.2f GB/s of bf16 weights\n", 2e-9 * N_OUT * N_IN / seconds);
  b->n_copies = (int)(memory_bytes / n_bytes);
  for (int i = 0; i < b->n_copies; i++) {
    memcpy(b->memory + (size_t)i * n_bytes, b->dev->linear_packed(first), n_bytes);
    b->dev->linear_open(b->dev, b->memory + (size_t)i * n_bytes, N_OUT, N_IN, (jk_weight){0},
                        b->format, &b->copies[i]);
  }
  b->dev->linear_free(b->dev, first);
  check_weight_free(&w);
}

// Seconds of one call, over one pass through the copies or a quarter of a second.
static double one_round(bench *b, int n_rows) {
  int n = 0;
  const double begin = now_s();
  while (n < b->n_copies && (n == 0 || now_s() < begin + 0.25)) {
    b->dev->linear(b->dev, b->y, b->copies[b->next], b->x, n_rows, false);
    b->next = (b->next + 1) % b->n_copies;
    n++;
  }
  return (now_s() - begin) / n;
}

static void bench_rows(bench *b, int n_rows, double peak) {
  double fraction[N_ROUNDS], seconds[N_ROUNDS], share[N_ROUNDS], lowest = INFINITY, highest = 0.0;
  const double bytes = (double)b->dev->linear_bytes(b->copies[0]);
  const double flops = 2.0 * N_OUT * N_IN * n_rows;
  double stream = stream_gbs(b, memory_bytes / 2);
  one_round(b, n_rows);
  for (int i = 0; i < N_ROUNDS; i++) {
    seconds[i] = one_round(b, n_rows);
    const double after = stream_gbs(b, memory_bytes / 2);
    fraction[i] = bytes * 1e-9 / (seconds[i] * fmax(stream, after));
    share[i] = flops / seconds[i] / peak;
    stream = after;
    lowest = fmin(lowest, stream);
    highest = fmax(highest, stream);
  }
  qsort(fraction, N_ROUNDS, sizeof *fraction, by_size);
  qsort(seconds, N_ROUNDS, sizeof *seconds, by_size);
  qsort(share, N_ROUNDS, sizeof *share, by_size);
  printf("  n = %3d  %8.3f ms  %5.1f GB/s  fraction %.2f (%.2f .. %.2f)  %5.0f GF/s = %.2f of peak "
         "(best %.2f)  stream %.1f .. %.1f\n",
         n_rows, seconds[N_ROUNDS / 2] * 1e3, bytes * 1e-9 / seconds[N_ROUNDS / 2],
         fraction[N_ROUNDS / 2], fraction[0], fraction[N_ROUNDS - 1],
         flops * 1e-9 / seconds[N_ROUNDS / 2], share[N_ROUNDS / 2], share[N_ROUNDS - 1], lowest,
         highest);
  fflush(stdout);
}

static void bench_format(bench *b, jk_format format, const char *text, const int *rows, int n) {
  check_random random = check_seed(81);
  b->format = format;
  const double peak = b->dev->measure_peak(b->dev, format);
  printf("%s %s %d x %d, peak %.0f GF/s\n", b->dev->name, text, N_OUT, N_IN, peak * 1e-9);
  make_layers(b, &random);
  for (int i = 0; i < n; i++)
    bench_rows(b, rows[i], peak);
  for (int i = 0; i < b->n_copies; i++)
    b->dev->linear_free(b->dev, b->copies[i]);
}

int main(int argc, char **argv) {
  static const char *const formats[] = {"f32", "bf16", "q8", "q4"};
  int rows[32] = {1, 2, 3, 4, 6, 8, 16, 24, 48}, n = 9;
  jk_isa isa = jk_cpu_best_isa();
  for (jk_isa i = JK_ISA_GENERIC; argc > 2 && i <= isa; i++)
    isa = strcmp(argv[2], i == JK_ISA_GENERIC ? "generic" : "avx2") == 0 && i < 2 ? i : isa;
  bench b = {.dev = check_open(argc > 3 ? atoi(argv[3]) : 0, isa)};
  if (b.dev->n_threads == 1)
    the_clock = CLOCK_PROCESS_CPUTIME_ID;
  if (argc > 4)
    for (n = 0; n + 4 < argc && n < 32; n++)
      rows[n] = (int)fmin(MAX_N_ROWS, fmax(1, atoi(argv[n + 4])));
  check_random random = check_seed(82);
  b.memory = need(b.dev, memory_bytes);
  memset(b.memory, 1, memory_bytes);
  b.x = need(b.dev, MAX_N_ROWS * N_IN * sizeof(float));
  b.y = need(b.dev, MAX_N_ROWS * N_OUT * sizeof(float));
  check_fill(&random, b.x, MAX_N_ROWS * N_IN, 1.0f);
  for (int i = JK_FORMAT_BF16; i <= JK_FORMAT_Q4; i++)
    if (argc < 2 || strcmp(argv[1], "all") == 0 || strcmp(argv[1], formats[i]) == 0)
      bench_format(&b, (jk_format)i, formats[i], rows, n);
  b.dev->free(b.dev, b.memory);
  b.dev->free(b.dev, b.x);
  b.dev->free(b.dev, b.y);
  b.dev->close(b.dev);
  return 0;
}
