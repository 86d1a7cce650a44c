// SPDX-License-Identifier: MIT
// Attention of a device: against the reference in plain C, and the same bits wherever a context is
// cut and whatever stands beside a row.
#include "tests/gpu/card.h"

#include "kernels/bf16.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
  int n_heads, n_kv_heads, head_dim, n_keys;
} shape;

enum { N_ROWS = 29 };

// Keys and values of one sequence, [n_kv_heads][n_keys][head_dim].
typedef struct sequence {
  shape shape;
  jk_dtype dtype;
  float *k, *v;
} sequence;

// A cache in the device's memory (NULL where it is empty) and the same for the reference.
typedef struct cache {
  jk_kv device, host;
} cache;

static size_t n_values(const shape *s, int n_keys) {
  return (size_t)s->n_kv_heads * (size_t)n_keys * (size_t)s->head_dim;
}

static void *cut_half(const sequence *seq, const float *values, int begin, int end, int capacity) {
  const shape *s = &seq->shape;
  const size_t dim = (size_t)s->head_dim, size = jk_dtype_size(seq->dtype);
  void *memory = malloc(n_values(s, capacity) * size + 1);
  memset(memory, 0xff, n_values(s, capacity) * size); // NaN where nothing is
  for (int head = 0; head < s->n_kv_heads; head++)
    for (size_t i = 0; i < (size_t)(end - begin) * dim; i++) {
      const float x = values[((size_t)head * (size_t)s->n_keys + (size_t)begin) * dim + i];
      const size_t to = (size_t)head * (size_t)capacity * dim + i;
      if (seq->dtype == JK_F32)
        ((float *)memory)[to] = x;
      else
        ((uint16_t *)memory)[to] = jk_bf16_round(x);
    }
  return memory;
}

static void *send(card *c, const void *host, size_t n_bytes) {
  void *p = NULL;
  c->dev->alloc(c->dev, n_bytes + 1, "a test", &p);
  c->dev->upload(c->dev, p, host, n_bytes);
  return p;
}

// Positions [begin, end) of a sequence with room to spare.
static cache cut(card *c, const sequence *seq, int begin, int end) {
  const int capacity = end - begin + 3;
  const size_t n_bytes = n_values(&seq->shape, capacity) * jk_dtype_size(seq->dtype);
  cache made = {.host = {cut_half(seq, seq->k, begin, end, capacity),
                         cut_half(seq, seq->v, begin, end, capacity), capacity, seq->dtype}};
  made.device =
      (jk_kv){send(c, made.host.k, n_bytes), send(c, made.host.v, n_bytes), capacity, seq->dtype};
  return made;
}

static void cache_free(card *c, cache *held) {
  c->dev->free(c->dev, held->device.k);
  c->dev->free(c->dev, held->device.v);
  free(held->host.k);
  free(held->host.v);
}

typedef struct run {
  sequence seq;
  array q;
  int lengths[N_ROWS];
} run;

static run run_new(card *c, shape s, jk_dtype dtype) {
  run r = {.seq = {s, dtype, NULL, NULL}};
  const size_t n = n_values(&s, s.n_keys);
  r.seq.k = malloc(n * sizeof(float));
  r.seq.v = malloc(n * sizeof(float));
  check_fill(&c->random, r.seq.k, n, 0.3f);
  check_fill(&c->random, r.seq.v, n, 1.0f);
  r.q = array_random(c, (size_t)(N_ROWS * s.n_heads * s.head_dim), 0.5f);
  for (int i = 0; i < N_ROWS; i++) {
    r.lengths[i] = s.n_keys - N_ROWS + 8 + i;
    if (r.lengths[i] < 1 || r.lengths[i] > s.n_keys)
      r.lengths[i] = check_int(&c->random, 1, s.n_keys);
  }
  return r;
}

static void run_free(card *c, run *r) {
  array_free(c, &r->q);
  free(r->seq.k);
  free(r->seq.v);
}

static jk_context context_of(const cache held[3], int root, int border, int n, bool is_host) {
  jk_context context = {0};
  context.root = is_host ? held[0].host : held[0].device;
  context.prefix = is_host ? held[1].host : held[1].device;
  context.tail = is_host ? held[2].host : held[2].device;
  context.n_root = n < root ? n : root;
  context.n_prefix = (n < border ? n : border) - context.n_root;
  context.n_tail = n - context.n_root - context.n_prefix;
  return context;
}

// Rows [first, first + n) with the sequence cut at `root` and `border`; also by the reference where
// `expected` [n][n_heads][head_dim] is given.
static bool attend(card *c, const run *r, int root, int border, int first, int n, array *out,
                   float *expected) {
  const shape *s = &r->seq.shape;
  cache held[] = {cut(c, &r->seq, 0, root), cut(c, &r->seq, root, border),
                  cut(c, &r->seq, border, s->n_keys)};
  jk_context contexts[N_ROWS], of_host[N_ROWS];
  const size_t at = (size_t)first * (size_t)s->n_heads * (size_t)s->head_dim;
  for (int i = 0; i < n; i++) {
    contexts[i] = context_of(held, root, border, r->lengths[first + i], false);
    of_host[i] = context_of(held, root, border, r->lengths[first + i], true);
  }
  c->dev->attention(c->dev, out->at, r->q.at + at, contexts, n, s->n_heads, s->n_kv_heads,
                    s->head_dim);
  const bool ok = array_fetch(c, out);
  if (expected)
    c->reference->attention(c->reference, expected, r->q.host + at, of_host, n, s->n_heads,
                            s->n_kv_heads, s->head_dim);
  for (int i = 0; i < 3; i++)
    cache_free(c, &held[i]);
  return ok;
}

static const shape shapes[] = {{4, 4, 16, 36},  {8, 2, 32, 1},   {8, 8, 64, 400}, {4, 2, 128, 330},
                               {1, 1, 512, 96}, {1, 1, 64, 576}, {3, 3, 7, 65},   {2, 1, 100, 130}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static bool compare(card *c, const run *r, check_worst *worst) {
  const int n = r->seq.shape.n_keys;
  array out = array_new(c, r->q.n);
  float *expected = malloc(out.n * sizeof *expected);
  const bool ok = attend(c, r, n / 3, n / 2, 0, N_ROWS, &out, expected);
  for (size_t i = 0; i < out.n; i++)
    check_note(worst, (double)out.host[i], (double)expected[i], 1.0 + fabs((double)expected[i]));
  free(expected);
  array_free(c, &out);
  return ok;
}

static bool is_invariant(card *c, const run *r) {
  const size_t row_values = r->q.n / N_ROWS;
  const int n = r->seq.shape.n_keys;
  array all = array_new(c, r->q.n), again = array_new(c, r->q.n), one = array_new(c, row_values);
  bool ok = attend(c, r, 0, 0, 0, N_ROWS, &all, NULL);
  for (int border = 1; border <= n; border += 1 + n / (c->is_slow ? 2 : 7)) {
    ok = attend(c, r, border / 2, border, 0, N_ROWS, &again, NULL) && ok;
    ok = ok && check_same(all.host, again.host, all.n);
  }
  for (int row = 0; row < N_ROWS; row += 5) {
    ok = attend(c, r, n / 3, n / 2, row, 1, &one, NULL) && ok;
    ok = ok && check_same(all.host + (size_t)row * row_values, one.host, row_values);
  }
  array_free(c, &all);
  array_free(c, &again);
  array_free(c, &one);
  return ok;
}

void check_attention(card *c) {
  for (jk_dtype dtype = JK_F32; dtype <= JK_BF16; dtype++) {
    check_worst worst = {0};
    bool is_whole = true, same = true;
    for (int i = 0; i < N_SHAPES; i++) {
      run r = run_new(c, shapes[i], dtype);
      is_whole &= compare(c, &r, &worst);
      if (!c->is_slow || i % 3 == 0)
        same &= is_invariant(c, &r);
      run_free(c, &r);
    }
    check(is_whole, "attention %s: nothing written outside", check_dtype_text(dtype));
    check(same, "attention %s: borders of a context and rows beside change no bit",
          check_dtype_text(dtype));
    // Scores reach a hundred (outliers in q and k), and their rounding to f32 is in the exponent.
    check_bound(&worst, 6e-5, "attention %s: close to the reference", check_dtype_text(dtype));
  }
}
