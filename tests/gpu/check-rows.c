// SPDX-License-Identifier: MIT
// Operations of a device that move rows or draw tokens: exactly what the reference does.
#include "tests/gpu/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- gathering ----------------------------------------------------------------------------------

static bool gathers(card *c, const check_weight *table, jk_weight view, int n) {
  const size_t n_cols = (size_t)view.n_cols;
  int32_t *ids = malloc((size_t)n * sizeof *ids);
  array y = array_new(c, (size_t)n * n_cols);
  for (int i = 0; i < n; i++)
    ids[i] = check_int(&c->random, 0, view.n_rows - 1);
  c->dev->gather(c->dev, y.at, view, ids, n);
  bool ok = array_fetch(c, &y);
  for (size_t i = 0; i < y.n; i++)
    ok &= (double)y.host[i] == table->values[(size_t)ids[i / n_cols] * n_cols + i % n_cols];
  free(ids);
  array_free(c, &y);
  return ok;
}

static void check_gather(card *c) {
  enum { ROWS = 300, COLS = 77 };
  static const int counts[] = {1, 2, 47, 48, 49, 700};
  for (jk_dtype dtype = JK_F32; dtype <= JK_F16; dtype++) {
    check_weight table = check_weight_new(&c->random, dtype, ROWS, COLS, 1.0f);
    jk_weight placed = table.view;
    bool ok = c->dev->place(c->dev, table.view.data, ROWS * COLS * jk_dtype_size(dtype),
                            &placed.data) == JK_OK;
    for (int i = 0; i < 6; i++)
      ok &= gathers(c, &table, placed, counts[i]) && gathers(c, &table, table.view, counts[i]);
    check(ok, "gather %s: exact, from placed and from host memory", check_dtype_text(dtype));
    if (placed.data != table.view.data)
      check_weight_free(&table);
  }
}

// --- rotation -----------------------------------------------------------------------------------

static void check_rope(card *c) {
  enum { HEADS = 3, POSITIONS = 60 };
  static const int head_dims[] = {2, 6, 16, 34, 128}, counts[] = {1, 9, 48, 49, 60};
  bool same = true;
  for (int i = 0; i < 5; i++) {
    const int dim = head_dims[i], half = dim / 2, n = counts[i];
    array cosines = array_random(c, (size_t)(POSITIONS * half), 1.0f);
    array sines = array_random(c, (size_t)(POSITIONS * half), 1.0f);
    array x = array_random(c, (size_t)(n * HEADS * dim), 1.0f);
    int32_t positions[POSITIONS];
    float *expected = malloc(x.n * sizeof *expected);
    memcpy(expected, x.host, x.n * sizeof *expected);
    for (int r = 0; r < n; r++)
      positions[r] = check_int(&c->random, 0, POSITIONS - 1);
    c->dev->rope(c->dev, x.at, cosines.at, sines.at, positions, n, HEADS, dim);
    c->reference->rope(c->reference, expected, cosines.host, sines.host, positions, n, HEADS, dim);
    same &= array_fetch(c, &x) && check_same(x.host, expected, x.n);
    free(expected);
    array_free(c, &cosines);
    array_free(c, &sines);
    array_free(c, &x);
  }
  check(same, "rope: the reference's bits");
}

// --- caches -------------------------------------------------------------------------------------

enum { KV_HEADS = 2, KV_DIM = 5, KV_CAPACITY = 4, KV_CACHES = 60 };

static void check_kv_write(card *c, jk_dtype dtype) {
  enum { N = KV_HEADS * KV_CAPACITY * KV_DIM, ROW = KV_HEADS * KV_DIM };
  const size_t size = jk_dtype_size(dtype);
  array k = array_random(c, KV_CACHES * ROW, 1.0f), v = array_random(c, KV_CACHES * ROW, 1.0f);
  array held = array_new(c, 2 * KV_CACHES * N);
  float *expected = malloc(held.n * sizeof *expected);
  jk_kv device[KV_CACHES], host[KV_CACHES];
  int32_t slots[KV_CACHES];
  memcpy(expected, held.host, held.n * sizeof *expected);
  for (int i = 0; i < KV_CACHES; i++) {
    const size_t at = (size_t)i * 2 * N * size;
    device[i] = (jk_kv){(char *)held.at + at, (char *)held.at + at + N * size, KV_CAPACITY, dtype};
    host[i] = (jk_kv){(char *)expected + at, (char *)expected + at + N * size, KV_CAPACITY, dtype};
    slots[i] = check_int(&c->random, 0, KV_CAPACITY - 1);
  }
  c->dev->kv_write(c->dev, device, slots, k.at, v.at, KV_CACHES, KV_HEADS, KV_DIM);
  c->reference->kv_write(c->reference, host, slots, k.host, v.host, KV_CACHES, KV_HEADS, KV_DIM);
  check(array_fetch(c, &held) && check_same(held.host, expected, held.n),
        "kv_write %s: the reference's bits and nothing else", check_dtype_text(dtype));
  free(expected);
  array_free(c, &k);
  array_free(c, &v);
  array_free(c, &held);
}

// --- drawing ------------------------------------------------------------------------------------

enum { DRAWS = 3 };

static void plan_draws(card *c, jk_sampling draws[DRAWS], bool ranks) {
  for (int i = 0; i < DRAWS; i++)
    draws[i] =
        (jk_sampling){.temperature = check_int(&c->random, 0, 4) == 0 ? 0.0f : 0.3f + (float)i,
                      .top_k = ranks && i != 1 ? check_int(&c->random, 1, 50) : 0,
                      .top_p = ranks && i != 0 ? 0.7f : 1.0f,
                      .seed = ((uint64_t)check_bits(&c->random) << 21) ^ check_bits(&c->random),
                      .position = check_bits(&c->random) % 576,
                      .sample_index = (uint32_t)i,
                      .stream = check_bits(&c->random) % 3};
}

// The noise takes logarithms of two libraries: where they round apart, two ids that tie almost may
// change places; none was seen to.
static void check_draws(card *c) {
  static const int vocabs[] = {1, 2, 7, 256, 2048, 16384};
  const int n_tries = c->is_slow ? 24 : 240;
  int n_wrong = 0;
  for (int i = 0; i < n_tries; i++) {
    const int vocab = vocabs[i % 6];
    array logits = array_random(c, DRAWS * (size_t)vocab, i % 4 == 0 ? 0.01f : 3.0f);
    jk_sampling draws[DRAWS];
    int32_t ids[DRAWS], expected[DRAWS];
    for (size_t j = 0; i % 4 == 1 && j < logits.n; j++)
      logits.host[j] = truncf(logits.host[j]); // ties
    if (i % 4 == 2 && vocab > 2)
      logits.host[1] = NAN;
    array_put(c, &logits);
    plan_draws(c, draws, i % 3 == 0);
    const bool ok = c->dev->sample(c->dev, ids, logits.at, vocab, draws, DRAWS) == JK_OK;
    c->reference->sample(c->reference, expected, logits.host, vocab, draws, DRAWS);
    n_wrong += !ok || memcmp(ids, expected, sizeof ids) != 0;
    array_free(c, &logits);
  }
  check(n_wrong == 0, "sample: the reference's ids in %d of %d draws", n_tries - n_wrong, n_tries);
}

// More rows than go into one launch.
static void check_many_draws(card *c) {
  enum { N = 70, VOCAB = 100 };
  array logits = array_random(c, N * VOCAB, 1.0f);
  jk_sampling draws[N];
  int32_t ids[N], expected[N];
  for (int i = 0; i < N; i++)
    draws[i] = (jk_sampling){.temperature = 1, .top_p = 1, .seed = 7, .sample_index = (uint32_t)i};
  c->dev->sample(c->dev, ids, logits.at, VOCAB, draws, N);
  c->reference->sample(c->reference, expected, logits.host, VOCAB, draws, N);
  check(memcmp(ids, expected, sizeof ids) == 0, "sample: %d rows at once", N);
  array_free(c, &logits);
}

void check_rows(card *c) {
  check_gather(c);
  check_rope(c);
  check_kv_write(c, JK_F32);
  check_kv_write(c, JK_BF16);
  check_draws(c);
  check_many_draws(c);
}
