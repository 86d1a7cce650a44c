// SPDX-License-Identifier: MIT
// Not a test: the seconds of VQ-16's decoder and encoder and of SigLIP-L at 384 x 384, by kind of
// operation, on random values. Usage: bench-vision [f32|bf16] [generic|avx2|avx512] [THREADS]
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIDE = 384, GRID = 24, TOKENS = GRID * GRID, MAX_WEIGHTS = 2048 * 1024, ROUNDS = 3 };

typedef enum kind { CONV, NORM_CONV, LINEAR, NORM, ATTENTION, OTHER, KINDS } kind;
static const char *const kind_text[KINDS] = {"conv", "norm + conv", "linear",
                                             "norm", "attention",   "other"};

typedef struct bench {
  jk_device *dev;
  jk_format format;
  check_random random;
  float *x, *h, *spare, *q, *k, *v; // as the engine has them
  float *scale;                     // of norms
  void *caches[2];
  jk_context *contexts;
  double seconds[KINDS], products[KINDS];
} bench;

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void count(bench *b, kind what, double begin, double products) {
  b->seconds[what] += now_s() - begin;
  b->products[what] += products;
}

static float *floats(bench *b, size_t n) {
  void *p = NULL;
  if (b->dev->alloc(b->dev, n * sizeof(float), "bench", &p) != JK_OK)
    exit(1);
  float *values = p;
  for (size_t i = 0; i < n; i++) // cheaper than a normal distribution, and never zero
    values[i] = ((float)(check_bits(&b->random) % 65521) - 32760.0f) * 3e-5f;
  return values;
}

// A matrix that keeps the size of what goes through it. Its memory is shared and random.
static jk_weight matrix(const bench *b, int n_out, int n_in) {
  static uint16_t words[MAX_WEIGHTS * 4];
  if (words[0] == 0) {
    check_random random = b->random;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
      const float value = check_uniform(&random) < 0.5 ? -0.03f : 0.03f;
      const float f = value * (float)(0.5 + check_uniform(&random));
      uint32_t bits;
      memcpy(&bits, &f, sizeof bits);
      words[i] = (uint16_t)(bits >> 16);
    }
  }
  return (jk_weight){words, JK_BF16, n_out, n_in};
}

static jk_conv *conv_of(bench *b, int n_in, int n_out, jk_conv_mode mode) {
  static jk_conv *made[600 * 600 * 3];
  jk_conv **kept = &made[(n_in * 600 + n_out) * 3 + (int)mode];
  if (*kept)
    return *kept;
  b->dev->conv_create(b->dev, matrix(b, n_out, 9 * n_in), matrix(b, 1, n_out), b->format, SIDE,
                      kept);
  if (mode == JK_CONV_UP) // folds its weights
    b->dev->conv(b->dev, b->h, *kept, b->spare, NULL, 1, 1, mode);
  return *kept;
}

static void conv(bench *b, float *y, const float *x, int side, int n_in, int n_out,
                 jk_conv_mode mode) {
  const jk_conv *layer = conv_of(b, n_in, n_out, mode);
  const double begin = now_s();
  b->dev->conv(b->dev, y, layer, x, NULL, side, side, mode);
  const double n_products = mode == JK_CONV_DOWN ? 9.0 / 4.0 : mode == JK_CONV_UP ? 16.0 : 9.0;
  count(b, CONV, begin, n_products * side * side * n_in * n_out);
}

static void norm_conv(bench *b, float *y, const float *x, int side, int n_in, int n_out,
                      bool residual) {
  const jk_conv *layer = conv_of(b, n_in, n_out, JK_CONV_SAME);
  const jk_group_norm norm = {b->scale, b->scale, 32, 1e-6f, true};
  const double begin = now_s();
  b->dev->norm_conv(b->dev, y, layer, &norm, x, residual ? y : NULL, side, side, JK_CONV_SAME);
  count(b, NORM_CONV, begin, 9.0 * side * side * n_in * n_out);
}

static void linear(bench *b, float *y, const float *x, int n_rows, int n_in, int n_out,
                   bool accumulate) {
  static struct {
    int n_in, n_out;
    jk_linear *linear;
  } made[32];
  int i = 0;
  while (made[i].linear && (made[i].n_in != n_in || made[i].n_out != n_out))
    i++;
  if (!made[i].linear) {
    made[i].n_in = n_in;
    made[i].n_out = n_out;
    if (b->dev->linear_create(b->dev, matrix(b, n_out, n_in), matrix(b, 1, n_out), b->format,
                              &made[i].linear) != JK_OK)
      b->dev->linear_create(b->dev, matrix(b, n_out, n_in), matrix(b, 1, n_out), JK_FORMAT_F32,
                            &made[i].linear);
  }
  const double begin = now_s();
  b->dev->linear(b->dev, y, made[i].linear, x, n_rows, accumulate);
  count(b, LINEAR, begin, (double)n_rows * n_in * n_out);
}

static void norm(bench *b, float *y, const float *x, int side, int channels, bool swish) {
  const double begin = now_s();
  b->dev->group_norm(b->dev, y, x, b->scale, b->scale, side * side, channels, 32, 1e-6f, swish);
  count(b, NORM, begin, 0.0);
}

static void swap(float **a, float **b) {
  float *kept = *a;
  *a = *b;
  *b = kept;
}

static void res_block(bench *b, int side, int n_in, int n_out) {
  norm_conv(b, b->spare, b->x, side, n_in, n_out, false);
  if (n_in != n_out) {
    linear(b, b->h, b->x, side * side, n_in, n_out, false);
    swap(&b->x, &b->h);
  }
  norm_conv(b, b->x, b->spare, side, n_out, n_out, true);
}

static void attend(bench *b, float *out, const float *q, void *k, void *v, jk_dtype dtype,
                   int n_heads, int head_dim) {
  const double begin = now_s();
  for (int i = 0; i < TOKENS; i++)
    b->contexts[i] = (jk_context){.tail = {k, v, TOKENS, dtype}, .n_tail = TOKENS};
  b->dev->attention(b->dev, out, q, b->contexts, TOKENS, n_heads, n_heads, head_dim);
  count(b, ATTENTION, begin, 2.0 * TOKENS * TOKENS * n_heads * head_dim);
}

static void write_caches(bench *b, const float *k, const float *v, jk_dtype dtype, int n_heads,
                         int head_dim) {
  static jk_kv caches[TOKENS];
  static int32_t slots[TOKENS];
  const double begin = now_s();
  for (int i = 0; i < TOKENS; i++) {
    caches[i] = (jk_kv){b->caches[0], b->caches[1], TOKENS, dtype};
    slots[i] = i;
  }
  b->dev->kv_write(b->dev, caches, slots, k, v, TOKENS, n_heads, head_dim);
  count(b, OTHER, begin, 0.0);
}

static jk_dtype cache_dtype(const bench *b) {
  return b->format == JK_FORMAT_F32 ? JK_F32 : JK_BF16;
}

static void attention_block(bench *b, int channels) {
  norm(b, b->h, b->x, GRID, channels, false);
  linear(b, b->q, b->h, TOKENS, channels, channels, false);
  linear(b, b->k, b->h, TOKENS, channels, channels, false);
  linear(b, b->v, b->h, TOKENS, channels, channels, false);
  attend(b, b->h, b->q, b->k, b->v, JK_F32, 1, channels);
  linear(b, b->x, b->h, TOKENS, channels, channels, true);
}

static void middle(bench *b) {
  res_block(b, GRID, 512, 512);
  attention_block(b, 512);
  res_block(b, GRID, 512, 512);
}

static const int widths[] = {128, 128, 256, 256, 512};

static void decoder(bench *b) {
  linear(b, b->h, b->spare, TOKENS, 8, 256, false);
  conv(b, b->x, b->h, GRID, 256, 512, JK_CONV_SAME);
  middle(b);
  int side = GRID, channels = 512;
  for (int level = 4; level >= 0; level--) {
    for (int i = 0; i < 3; i++) {
      res_block(b, side, channels, widths[level]);
      channels = widths[level];
      if (level == 4)
        attention_block(b, channels);
    }
    if (level > 0) {
      conv(b, b->h, b->x, side, channels, channels, JK_CONV_UP);
      swap(&b->x, &b->h);
      side *= 2;
    }
  }
  norm_conv(b, b->h, b->x, side, channels, 3, false);
}

static void encoder(bench *b) {
  int side = SIDE, channels = 128;
  conv(b, b->x, b->h, side, 3, 128, JK_CONV_SAME);
  for (int level = 0; level < 5; level++) {
    for (int i = 0; i < 2; i++) {
      res_block(b, side, channels, widths[level]);
      channels = widths[level];
      if (level == 4)
        attention_block(b, channels);
    }
    if (level < 4) {
      conv(b, b->h, b->x, side, channels, channels, JK_CONV_DOWN);
      swap(&b->x, &b->h);
      side /= 2;
    }
  }
  middle(b);
  norm_conv(b, b->h, b->x, side, 512, 256, false);
  linear(b, b->x, b->h, TOKENS, 256, 8, false);
}

enum { SIGLIP_DIM = 1024, SIGLIP_HIDDEN = 4096, SIGLIP_HEADS = 16, SIGLIP_LAYERS = 24 };

static void layer_norm(bench *b) {
  const double begin = now_s();
  b->dev->layer_norm(b->dev, b->h, b->x, b->scale, b->scale, TOKENS, SIGLIP_DIM, 1e-6f);
  count(b, NORM, begin, 0.0);
}

static void gelu(bench *b, float *x, int width) {
  const double begin = now_s();
  b->dev->gelu(b->dev, x, x, (size_t)TOKENS * (size_t)width);
  count(b, OTHER, begin, 0.0);
}

static void siglip(bench *b) {
  const jk_dtype dtype = cache_dtype(b);
  linear(b, b->x, b->h, TOKENS, 768, SIGLIP_DIM, false);
  for (int i = 0; i < SIGLIP_LAYERS; i++) {
    layer_norm(b);
    linear(b, b->q, b->h, TOKENS, SIGLIP_DIM, SIGLIP_DIM, false);
    linear(b, b->k, b->h, TOKENS, SIGLIP_DIM, SIGLIP_DIM, false);
    linear(b, b->v, b->h, TOKENS, SIGLIP_DIM, SIGLIP_DIM, false);
    write_caches(b, b->k, b->v, dtype, SIGLIP_HEADS, 64);
    attend(b, b->h, b->q, b->caches[0], b->caches[1], dtype, SIGLIP_HEADS, 64);
    linear(b, b->x, b->h, TOKENS, SIGLIP_DIM, SIGLIP_DIM, true);
    layer_norm(b);
    linear(b, b->spare, b->h, TOKENS, SIGLIP_DIM, SIGLIP_HIDDEN, false);
    gelu(b, b->spare, SIGLIP_HIDDEN);
    linear(b, b->x, b->spare, TOKENS, SIGLIP_HIDDEN, SIGLIP_DIM, true);
  }
  layer_norm(b);
  linear(b, b->spare, b->h, TOKENS, SIGLIP_DIM, 2048, false);
  gelu(b, b->spare, 2048);
  linear(b, b->h, b->spare, TOKENS, 2048, 2048, false);
}

static void measure(bench *b, const char *what, void (*run)(bench *)) {
  double best = 1e9, best_kinds[KINDS] = {0};
  for (int round = -1; round < ROUNDS; round++) {
    memset(b->seconds, 0, sizeof b->seconds);
    memset(b->products, 0, sizeof b->products);
    const double begin = now_s();
    run(b);
    const double seconds = now_s() - begin;
    if (round >= 0 && seconds < best) {
      best = seconds;
      memcpy(best_kinds, b->seconds, sizeof best_kinds);
    }
  }
  printf("%-12s %.3f s:", what, best);
  for (int i = 0; i < KINDS; i++)
    printf(" %s %.3f (%.0f GF/s)", kind_text[i], best_kinds[i],
           2e-9 * b->products[i] / best_kinds[i]);
  printf("\n");
}

int main(int argc, char **argv) {
  bench b = {.format = JK_FORMAT_BF16, .random = check_seed(72)};
  jk_isa isa = jk_cpu_best_isa();
  if (argc > 1 && strcmp(argv[1], "f32") == 0)
    b.format = JK_FORMAT_F32;
  if (argc > 2)
    isa = strcmp(argv[2], "generic") == 0 ? JK_ISA_GENERIC
          : strcmp(argv[2], "avx2") == 0  ? JK_ISA_AVX2
                                          : JK_ISA_AVX512;
  b.dev = check_open(argc > 3 ? atoi(argv[3]) : 0, isa);
  float **large[] = {&b.x, &b.h, &b.spare};
  for (int i = 0; i < 3; i++)
    *large[i] = floats(&b, (size_t)SIDE * SIDE * 128);
  float **small[] = {&b.q, &b.k, &b.v, &b.scale};
  for (int i = 0; i < 4; i++)
    *small[i] = floats(&b, (size_t)TOKENS * SIGLIP_DIM);
  for (int i = 0; i < 2; i++)
    b.caches[i] = floats(&b, (size_t)TOKENS * SIGLIP_DIM);
  b.contexts = calloc(TOKENS, sizeof *b.contexts);
  printf("%s, %s\n", b.dev->name, argc > 1 ? argv[1] : "bf16");
  measure(&b, "VQ decoder", decoder);
  measure(&b, "VQ encoder", encoder);
  measure(&b, "SigLIP-L", siglip);
  return 0;
}
