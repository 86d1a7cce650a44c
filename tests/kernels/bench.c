// SPDX-License-Identifier: MIT
// Not a test: the speed of linear layers, convolutions and attention beside the FMA peak and the
// read bandwidth measured in the same run. Usage: bench [generic|avx2|avx512] [THREADS]
// [conv|attention]
#include "check.h"

#include "kernels/thread-pool.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct bench {
  jk_device *dev;
  jk_isa isa;
  jk_pool *pool;
  check_random random;
  double peak_gflops, stream_gbs;
} bench;

// --- the two limits
// -------------------------------------------------------------------------------

enum { FMA_CHAINS = 12, FMA_STEPS = 2000000 };

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static double fma_avx512(void) {
  __m512 acc[FMA_CHAINS], x = _mm512_set1_ps(0.999f);
#pragma GCC unroll 12
  for (int c = 0; c < FMA_CHAINS; c++)
    acc[c] = _mm512_set1_ps((float)c);
  for (int i = 0; i < FMA_STEPS; i++)
#pragma GCC unroll 12
    for (int c = 0; c < FMA_CHAINS; c++)
      acc[c] = _mm512_fmadd_ps(acc[c], x, x);
  float sum = 0.0f;
#pragma GCC unroll 12
  for (int c = 0; c < FMA_CHAINS; c++)
    sum += _mm512_reduce_add_ps(acc[c]);
  return (double)sum;
}

__attribute__((target("avx2,fma"))) static double fma_avx2(void) {
  __m256 acc[FMA_CHAINS], x = _mm256_set1_ps(0.999f);
#pragma GCC unroll 12
  for (int c = 0; c < FMA_CHAINS; c++)
    acc[c] = _mm256_set1_ps((float)c);
  for (int i = 0; i < FMA_STEPS; i++)
#pragma GCC unroll 12
    for (int c = 0; c < FMA_CHAINS; c++)
      acc[c] = _mm256_fmadd_ps(acc[c], x, x);
  float sum = 0.0f;
#pragma GCC unroll 12
  for (int c = 0; c < FMA_CHAINS; c++)
    sum += _mm256_cvtss_f32(acc[c]);
  return (double)sum;
}
#endif

typedef struct limits {
  const bench *b;
  const uint64_t *memory;
  size_t n_words;
  double sink[64];
} limits;

static void peak_item(void *context, int item, int thread) {
  limits *l = context;
#if defined(__x86_64__)
  l->sink[item] = l->b->isa == JK_ISA_AVX512 ? fma_avx512() : fma_avx2();
#endif
}

static void stream_item(void *context, int item, int thread) {
  limits *l = context;
  size_t n = l->n_words / 64;
  const uint64_t *p = l->memory + (size_t)item * n;
  uint64_t sum[8] = {0};
  for (size_t i = 0; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; j++)
      sum[j] += p[i + (size_t)j];
  l->sink[item] = (double)(sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7]);
}

static void measure_limits(bench *b) {
  limits l = {.b = b, .n_words = (size_t)1 << 26};
  uint64_t *memory = malloc(l.n_words * sizeof *memory);
  memset(memory, 1, l.n_words * sizeof *memory);
  l.memory = memory;
  for (int i = 0; i < 20; i++) {
    double begin = now_s();
    jk_pool_run(b->pool, peak_item, &l, b->dev->n_threads);
    double lanes = b->isa == JK_ISA_AVX512 ? 16.0 : 8.0;
    double gflops = 2e-9 * lanes * FMA_CHAINS * FMA_STEPS * b->dev->n_threads / (now_s() - begin);
    b->peak_gflops = fmax(b->peak_gflops, gflops);
    begin = now_s();
    jk_pool_run(b->pool, stream_item, &l, 64);
    b->stream_gbs = fmax(b->stream_gbs, (double)l.n_words * 8e-9 / (now_s() - begin));
  }
  free(memory);
  printf("%s: FMA peak %.0f GF/s, read stream %.1f GB/s\n", b->dev->name, b->peak_gflops,
         b->stream_gbs);
}

// --- the operations
// -------------------------------------------------------------------------------

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Seconds of a call, over about a third of a second: the first decile, because a shared machine
// only ever makes a call slower.
static double time_calls(void (*call)(void *, int), void *context) {
  enum { MAX_RUNS = 2000 };
  static double seconds[MAX_RUNS];
  int n = 0;
  call(context, 0);
  for (double end = now_s() + 0.3; n < MAX_RUNS && (n < 3 || now_s() < end); n++) {
    double begin = now_s();
    call(context, n + 1);
    seconds[n] = now_s() - begin;
  }
  qsort(seconds, (size_t)n, sizeof *seconds, by_size);
  return seconds[n / 10];
}

static void report(const bench *b, const char *what, double seconds, double flops, double bytes) {
  double gflops = flops / seconds * 1e-9, gbs = bytes / seconds * 1e-9;
  printf("%-34s %9.1f us %7.1f GF/s (%3.0f %% of peak) %6.1f GB/s (%3.0f %% of stream)\n", what,
         seconds * 1e6, gflops, 100.0 * gflops / b->peak_gflops, gbs, 100.0 * gbs / b->stream_gbs);
}

// Enough copies of a layer that a small one comes from the last-level cache, as in a whole model.
enum { MAX_COPIES = 64 };

typedef struct linear_case {
  jk_device *dev;
  jk_linear *copies[MAX_COPIES];
  int n_copies, n_rows;
  float *x, *y;
} linear_case;

// Device memory, as the operations are given it.
static float *floats(const bench *b, size_t n) {
  void *p = NULL;
  if (b->dev->alloc(b->dev, n * sizeof(float), "bench", &p) != JK_OK)
    exit(1);
  return p;
}

static void call_linear(void *context, int run) {
  linear_case *c = context;
  c->dev->linear(c->dev, c->y, c->copies[run % c->n_copies], c->x, c->n_rows, false);
}

static void bench_linear(bench *b, jk_dtype dtype, int n_out, int n_in) {
  static const int rows[] = {1, 2, 4, 8, 16, 48};
  linear_case c = {.dev = b->dev};
  double bytes = (double)n_out * n_in * (double)jk_dtype_size(dtype);
  c.n_copies = (int)fmin(MAX_COPIES, ceil(12e6 / bytes));
  check_weight weights[MAX_COPIES];
  for (int i = 0; i < c.n_copies; i++) {
    weights[i] = check_weight_new(&b->random, dtype, n_out, n_in, 0.05f);
    b->dev->linear_create(b->dev, weights[i].view, (jk_weight){0}, JK_FORMAT_F32, &c.copies[i]);
  }
  c.x = floats(b, 48 * (size_t)n_in);
  c.y = floats(b, 48 * (size_t)n_out);
  check_fill(&b->random, c.x, 48 * (size_t)n_in, 1.0f);
  for (int i = 0; i < 6; i++) {
    char what[64];
    c.n_rows = rows[i];
    snprintf(what, sizeof what, "linear %s %d x %d, n = %d", check_dtype_text(dtype), n_out, n_in,
             rows[i]);
    report(b, what, time_calls(call_linear, &c), 2.0 * n_out * n_in * rows[i], bytes);
  }
  for (int i = 0; i < c.n_copies; i++) {
    b->dev->linear_free(b->dev, c.copies[i]);
    check_weight_free(&weights[i]);
  }
  b->dev->free(b->dev, c.x);
  b->dev->free(b->dev, c.y);
}

typedef struct conv_case {
  jk_device *dev;
  jk_conv *conv;
  int size;
  jk_conv_mode mode;
  float *x, *y;
} conv_case;

static void call_conv(void *context, int run) {
  conv_case *c = context;
  c->dev->conv(c->dev, c->y, c->conv, c->x, NULL, c->size, c->size, c->mode);
}

static void bench_conv(bench *b, jk_format format, jk_conv_mode mode, int size, int n_in,
                       int n_out) {
  static const char *const mode_text[] = {"", " up", " down"};
  conv_case c = {.dev = b->dev, .size = size, .mode = mode};
  check_weight w = check_weight_new(&b->random, JK_F32, n_out, n_in * 9, 0.05f);
  check_weight bias = check_weight_new(&b->random, JK_F32, 1, n_out, 0.05f);
  b->dev->conv_create(b->dev, w.view, bias.view, format, 2 * size, &c.conv);
  size_t n_px = (size_t)size * (size_t)size, n_out_px = mode == JK_CONV_UP ? 4 * n_px : n_px;
  double n_taps = mode == JK_CONV_UP ? 4.0 : 9.0; // folded
  if (mode == JK_CONV_DOWN)
    n_out_px /= 4;
  c.x = floats(b, n_px * (size_t)n_in);
  c.y = floats(b, n_out_px * (size_t)n_out);
  check_fill(&b->random, c.x, n_px * (size_t)n_in, 1.0f);
  char what[64];
  snprintf(what, sizeof what, "conv%s %s %d x %d, %d -> %d", mode_text[mode],
           format == JK_FORMAT_F32 ? "f32" : "bf16", size, size, n_in, n_out);
  report(b, what, time_calls(call_conv, &c), 2.0 * n_taps * (double)n_out_px * n_in * n_out,
         4.0 * ((double)n_px * n_in + (double)n_out_px * n_out));
  b->dev->conv_free(b->dev, c.conv);
  check_weight_free(&w);
  check_weight_free(&bias);
  b->dev->free(b->dev, c.x);
  b->dev->free(b->dev, c.y);
}

typedef struct attention_case {
  jk_device *dev;
  jk_context *contexts;
  int n_rows, n_heads, head_dim;
  float *q, *out;
} attention_case;

static void call_attention(void *context, int run) {
  attention_case *c = context;
  c->dev->attention(c->dev, c->out, c->q, c->contexts, c->n_rows, c->n_heads, c->n_heads,
                    c->head_dim);
}

// Rows that share n_shared keys and have n_own each.
static void bench_attention(bench *b, jk_dtype dtype, int n_rows, int n_shared, int n_own,
                            int n_heads, int head_dim) {
  size_t size = (size_t)n_heads * (size_t)head_dim, n_q = (size_t)n_rows * size;
  size_t n_kv = size * (size_t)(n_shared + n_rows * n_own);
  float *kv = floats(b, 2 * n_kv); // as much as f32 needs
  attention_case c = {.dev = b->dev, .n_rows = n_rows, .n_heads = n_heads, .head_dim = head_dim};
  c.contexts = calloc((size_t)n_rows, sizeof *c.contexts);
  c.q = floats(b, n_q);
  c.out = floats(b, n_q);
  uint16_t *words = (uint16_t *)kv;
  for (size_t i = 0; i < 2 * n_kv; i++) {
    float f = (float)(check_bits(&b->random) % 2001) * 1e-3f - 1.0f;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if (dtype == JK_F32)
      kv[i] = f;
    else
      words[i] = (uint16_t)(bits >> 16);
  }
  check_fill(&b->random, c.q, n_q, 0.5f);
  size_t bytes = jk_dtype_size(dtype);
  char *at = (char *)kv + 2 * size * (size_t)n_shared * bytes;
  for (int i = 0; i < n_rows; i++) {
    size_t half = size * (size_t)n_own * bytes;
    char *own = at + 2 * half * (size_t)i;
    c.contexts[i] =
        (jk_context){.prefix = {kv, (char *)kv + size * (size_t)n_shared * bytes, n_shared, dtype},
                     .tail = {own, own + half, n_own, dtype},
                     .n_prefix = n_shared,
                     .n_tail = n_own};
  }
  char what[64];
  snprintf(what, sizeof what, "attention %s %d x (%d + %d), %d heads of %d",
           check_dtype_text(dtype), n_rows, n_shared, n_own, n_heads, head_dim);
  report(b, what, time_calls(call_attention, &c), 4.0 * (double)n_q * (n_shared + n_own),
         2.0 * (double)(n_kv * bytes));
  b->dev->free(b->dev, kv);
  free(c.contexts);
  b->dev->free(b->dev, c.q);
  b->dev->free(b->dev, c.out);
}

// Decode steps of the 7B model's heads, the demo's, VQ-16's and SigLIP's.
static void bench_attentions(bench *b) {
  for (jk_dtype dtype = JK_F32; dtype <= JK_BF16; dtype++) {
    bench_attention(b, dtype, 2, 40, 300, 32, 128);
    bench_attention(b, dtype, 8, 40, 300, 32, 128);
    bench_attention(b, dtype, 3, 1190, 300, 32, 128);
    bench_attention(b, dtype, 16, 1190, 300, 32, 128);
    bench_attention(b, dtype, 48, 1190, 300, 32, 128);
    bench_attention(b, dtype, 2, 0, 300, 8, 32);
    bench_attention(b, dtype, 576, 576, 0, 1, 512);
    bench_attention(b, dtype, 576, 576, 0, 16, 64);
  }
}

// One step of a model of the demo's size: dim 256, 6 layers, 2 rows, BF16 weights.
enum { DIM = 256, HIDDEN = 704, LAYERS = 6, HEADS = 8, ROWS = 2, KEYS = 320, CODES = 2048 };

typedef struct decode_case {
  jk_device *dev;
  jk_linear *square[LAYERS + 1][4], *gate[LAYERS], *up[LAYERS], *down[LAYERS], *head;
  float *x, *normed, *q, *k, *v, *a, *b, *logits, *table, *cache;
  jk_context contexts[ROWS];
} decode_case;

static void call_layer(decode_case *c, int layer) {
  static const int32_t slots[ROWS] = {KEYS - 1, KEYS - 1};
  jk_device *dev = c->dev;
  jk_linear **w = c->square[layer];
  const jk_kv caches[ROWS] = {c->contexts[0].tail, c->contexts[1].tail};
  dev->rms_norm(dev, c->normed, c->x, c->table, ROWS, DIM, 1e-6f);
  dev->linear(dev, c->q, w[0], c->normed, ROWS, false);
  dev->linear(dev, c->k, w[1], c->normed, ROWS, false);
  dev->linear(dev, c->v, w[2], c->normed, ROWS, false);
  dev->rope(dev, c->q, c->table, c->table, slots, ROWS, HEADS, DIM / HEADS);
  dev->rope(dev, c->k, c->table, c->table, slots, ROWS, HEADS, DIM / HEADS);
  dev->kv_write(dev, caches, slots, c->k, c->v, ROWS, HEADS, DIM / HEADS);
  dev->attention(dev, c->a, c->q, c->contexts, ROWS, HEADS, HEADS, DIM / HEADS);
  dev->linear(dev, c->normed, w[3], c->a, ROWS, false);
  dev->rms_norm(dev, c->normed, c->x, c->table, ROWS, DIM, 1e-6f);
  dev->linear(dev, c->a, c->gate[layer], c->normed, ROWS, false);
  dev->linear(dev, c->b, c->up[layer], c->normed, ROWS, false);
  dev->silu_mul(dev, c->a, c->a, c->b, ROWS * HIDDEN);
  dev->linear(dev, c->normed, c->down[layer], c->a, ROWS, false);
}

static void call_decode(void *context, int run) {
  decode_case *c = context;
  jk_device *dev = c->dev;
  for (int layer = 0; layer < LAYERS; layer++)
    call_layer(c, layer);
  dev->linear(dev, c->normed, c->square[LAYERS][0], c->x, ROWS, false);
  dev->gelu(dev, c->normed, c->normed, ROWS * DIM);
  dev->linear(dev, c->logits, c->head, c->normed, ROWS, false);
  dev->guide(dev, c->logits, c->logits, NULL, c->logits + CODES, 5.0f, 0.0f, CODES);
  jk_sampling draw = {.temperature = 1.0f, .top_p = 1.0f, .position = (uint32_t)run};
  int32_t id;
  dev->sample(dev, &id, c->logits, CODES, &draw, 1);
}

// The weights' memory is left to the end of the program.
static jk_linear *random_layer(bench *b, int n_out, int n_in, double *bytes) {
  jk_linear *linear = NULL;
  check_weight w = check_weight_new(&b->random, JK_BF16, n_out, n_in, 0.05f);
  b->dev->linear_create(b->dev, w.view, (jk_weight){0}, JK_FORMAT_F32, &linear);
  *bytes += 2.0 * n_out * n_in;
  return linear;
}

static void bench_decode(bench *b) {
  decode_case c = {.dev = b->dev};
  double bytes = 0.0;
  for (int i = 0; i < LAYERS; i++) {
    for (int j = 0; j < 4; j++)
      c.square[i][j] = random_layer(b, DIM, DIM, &bytes);
    c.gate[i] = random_layer(b, HIDDEN, DIM, &bytes);
    c.up[i] = random_layer(b, HIDDEN, DIM, &bytes);
    c.down[i] = random_layer(b, DIM, HIDDEN, &bytes);
  }
  c.square[LAYERS][0] = random_layer(b, DIM, DIM, &bytes);
  c.head = random_layer(b, CODES, DIM, &bytes);
  float **values[] = {&c.x, &c.normed, &c.q, &c.k, &c.v, &c.a, &c.b, &c.logits};
  for (int i = 0; i < 8; i++)
    *values[i] = floats(b, ROWS * CODES);
  c.table = floats(b, KEYS * DIM);
  c.cache = floats(b, 4 * KEYS * DIM);
  check_fill(&b->random, c.x, ROWS * DIM, 1.0f);
  check_fill(&b->random, c.table, KEYS * DIM, 0.5f);
  for (int i = 0; i < ROWS; i++) {
    float *k = c.cache + 2 * i * KEYS * DIM;
    c.contexts[i] = (jk_context){.tail = {k, k + KEYS * DIM, KEYS}, .n_tail = KEYS};
  }
  double seconds = time_calls(call_decode, &c);
  report(b, "decode step, demo size, 2 rows", seconds, bytes * ROWS, bytes);
  printf("  576 steps: %.3f s\n", 576.0 * seconds);
}

typedef struct value_case {
  jk_device *dev;
  float *x, *y;
  int n_pixels, channels, vocab;
} value_case;

static void call_group_norm(void *context, int run) {
  value_case *c = context;
  c->dev->group_norm(c->dev, c->y, c->x, c->x, c->x, c->n_pixels, c->channels, c->channels / 4,
                     1e-6f, true);
}

static void call_gelu(void *context, int run) {
  value_case *c = context;
  c->dev->gelu(c->dev, c->y, c->x, (size_t)c->n_pixels * (size_t)c->channels);
}

static void call_sample(void *context, int run) {
  value_case *c = context;
  jk_sampling draw = {
      .temperature = 1.0f, .top_p = c->channels == 1 ? 0.95f : 1.0f, .position = (uint32_t)run};
  int32_t id;
  c->dev->sample(c->dev, &id, c->x, c->vocab, &draw, 1);
}

static void bench_values(bench *b) {
  value_case c = {.dev = b->dev, .n_pixels = 384 * 384, .channels = 64};
  size_t n = (size_t)c.n_pixels * (size_t)c.channels;
  c.x = floats(b, n);
  c.y = floats(b, n);
  for (size_t i = 0; i < n; i++)
    c.x[i] = check_normal(&b->random) * 2.0f;
  report(b, "group_norm + swish, 384 x 384 x 64", time_calls(call_group_norm, &c), 0.0,
         12.0 * (double)n);
  report(b, "gelu, as many", time_calls(call_gelu, &c), 0.0, 8.0 * (double)n);
  for (c.channels = 0; c.channels < 2; c.channels++) {
    for (c.vocab = 2048; c.vocab <= 16384; c.vocab *= 8) {
      char what[64];
      snprintf(what, sizeof what, "sample one of %d%s", c.vocab, c.channels ? ", top-p 0.95" : "");
      report(b, what, time_calls(call_sample, &c), 0.0, 4.0 * c.vocab);
    }
  }
  b->dev->free(b->dev, c.x);
  b->dev->free(b->dev, c.y);
}

// The shapes of the demo's decoder and of VQ-16's.
static void bench_convs(bench *b) {
  for (jk_format format = JK_FORMAT_F32; format <= JK_FORMAT_BF16; format++) {
    bench_conv(b, format, JK_CONV_SAME, 384, 32, 32);
    bench_conv(b, format, JK_CONV_SAME, 384, 32, 3);
    bench_conv(b, format, JK_CONV_SAME, 24, 512, 512);
    bench_conv(b, format, JK_CONV_UP, 24, 512, 512);
    bench_conv(b, format, JK_CONV_SAME, 48, 256, 256);
    bench_conv(b, format, JK_CONV_SAME, 96, 256, 256);
    bench_conv(b, format, JK_CONV_UP, 96, 256, 256);
    bench_conv(b, format, JK_CONV_SAME, 192, 128, 128);
    bench_conv(b, format, JK_CONV_UP, 192, 128, 128);
    bench_conv(b, format, JK_CONV_SAME, 384, 128, 128);
    bench_conv(b, format, JK_CONV_DOWN, 384, 128, 128);
    bench_conv(b, format, JK_CONV_SAME, 384, 128, 3);
    bench_conv(b, format, JK_CONV_SAME, 384, 3, 128);
  }
}

int main(int argc, char **argv) {
  bench b = {.isa = jk_cpu_best_isa(), .random = check_seed(71)};
  if (argc > 1)
    b.isa = strcmp(argv[1], "generic") == 0 ? JK_ISA_GENERIC
            : strcmp(argv[1], "avx2") == 0  ? JK_ISA_AVX2
                                            : JK_ISA_AVX512;
  b.dev = check_open(argc > 2 ? atoi(argv[2]) : 0, b.isa);
  if (jk_pool_open(b.dev->n_threads, &b.pool) != JK_OK)
    return 1;
  const char *only = argc > 3 ? argv[3] : ""; // "conv" or "attention"
  measure_limits(&b);
  if (strcmp(only, "conv") == 0)
    bench_convs(&b);
  if (strcmp(only, "attention") == 0)
    bench_attentions(&b);
  if (*only)
    return 0;
  bench_linear(&b, JK_BF16, 256, 704);
  bench_linear(&b, JK_BF16, 704, 256);
  bench_linear(&b, JK_BF16, 2048, 256);
  bench_linear(&b, JK_BF16, 4096, 11008);
  bench_convs(&b);
  bench_attentions(&b);
  bench_values(&b);
  bench_decode(&b);
  jk_pool_close(b.pool);
  b.dev->close(b.dev);
  return 0;
}
