// SPDX-License-Identifier: MIT
// Every operation of a device against the reference in plain C: check-ops [--device cuda:N|cpu]
// [--seed N] [--slow] [memory|uploads|linear|attention|conv|norms|rows ...]. TAP.
#include "tests/gpu/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64 };

static const uint32_t sentinel_bits = 0x7fa5a5a5u, poison_bits = 0x7fc0dead;

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
  bool ok = true;
  for (size_t i = 0; i < n; i++)
    ok = ok && memcmp(x + i, &bits, sizeof bits) == 0;
  return ok;
}

array array_new(card *c, size_t n) {
  array a = {.n = n, .host = need(malloc((n + 1) * sizeof(float)))};
  float *all = need(malloc((n + 2 * GUARD) * sizeof *all));
  set_bits(all, n + 2 * GUARD, sentinel_bits);
  set_bits(all + GUARD, n, poison_bits);
  set_bits(a.host, n, poison_bits);
  if (c->dev->alloc(c->dev, (n + 2 * GUARD) * sizeof *all, "a test", &a.base) != JK_OK)
    need(NULL);
  a.at = (float *)a.base + GUARD;
  c->dev->upload(c->dev, a.base, all, (n + 2 * GUARD) * sizeof *all);
  free(all);
  return a;
}

void array_put(card *c, array *a) {
  c->dev->upload(c->dev, a->at, a->host, a->n * sizeof *a->host);
}

array array_random(card *c, size_t n, float scale) {
  array a = array_new(c, n);
  check_fill(&c->random, a.host, n, scale);
  array_put(c, &a);
  return a;
}

bool array_fetch(card *c, array *a) {
  float *all = need(malloc((a->n + 2 * GUARD) * sizeof *all));
  bool ok = c->dev->download(c->dev, all, a->base, (a->n + 2 * GUARD) * sizeof *all) == JK_OK;
  ok = ok && has_bits(all, GUARD, sentinel_bits) &&
       has_bits(all + GUARD + a->n, GUARD, sentinel_bits);
  memcpy(a->host, all + GUARD, a->n * sizeof *all);
  free(all);
  return ok;
}

void array_free(card *c, array *a) {
  c->dev->free(c->dev, a->base);
  free(a->host);
}

static void check_memory(card *c) {
  enum { N = 1000 };
  float zeros[N], from[N], to[N];
  void *p = NULL, *q = NULL;
  const void *placed = NULL;
  check_fill(&c->random, from, N, 1.0f);
  bool ok = c->dev->alloc(c->dev, sizeof zeros, "a test", &p) == JK_OK &&
            c->dev->alloc(c->dev, sizeof zeros, "a test", &q) == JK_OK;
  c->dev->download(c->dev, zeros, p, sizeof zeros);
  check(ok && has_bits(zeros, N, 0) && (uintptr_t)p % 64 == 0, "memory: zeroed and aligned");
  c->dev->upload(c->dev, p, from, sizeof from);
  c->dev->copy(c->dev, q, p, sizeof from);
  c->dev->download(c->dev, to, q, sizeof to);
  check(check_same(from, to, N), "memory: up, across and down");
  ok = c->dev->place(c->dev, from, sizeof from, &placed) == JK_OK;
  c->dev->copy(c->dev, p, placed, sizeof from);
  c->dev->download(c->dev, to, p, sizeof to);
  check(ok && check_same(from, to, N), "memory: placed");
  c->dev->free(c->dev, p);
  c->dev->free(c->dev, q);
  c->dev->free(c->dev, NULL);
  check(c->dev->alloc(c->dev, (size_t)1 << 60, "a test", &p) == JK_NO_MEMORY && !p &&
            c->dev->sync(c->dev) == JK_OK,
        "memory: too much is refused, and nothing is broken by that");
  const uint64_t sum = c->dev->read_all(c->dev, q ? placed : NULL, 960 * sizeof(float));
  check(c->dev->sync(c->dev) == JK_OK, "memory: read (%llu)", (unsigned long long)sum);
}

// More than a card's ring of pinned memory holds, twice, from an address that is aligned to
// nothing.
static void check_large_uploads(card *c) {
  enum { N = (21 << 20) + 12345, SHIFT = 3 };
  uint8_t *from = need(malloc(N + SHIFT)), *to = need(malloc(N));
  void *p = NULL;
  for (size_t i = 0; i < N + SHIFT; i++)
    from[i] = (uint8_t)(i * 2654435761u >> 24);
  bool ok = c->dev->alloc(c->dev, N, "a test", &p) == JK_OK;
  for (int i = 0; i < 2 && ok; i++) {
    ok = c->dev->upload(c->dev, p, from + SHIFT * i, N) == JK_OK &&
         c->dev->download(c->dev, to, p, N) == JK_OK && memcmp(to, from + SHIFT * i, N) == 0;
    memset(to, 0, N);
  }
  check(ok, "memory: up in many pieces");
  c->dev->free(c->dev, p);
  free(from);
  free(to);
}

static jk_device *open_device(const char *name) {
  jk_device *dev = NULL;
  char reason[200] = "";
  if (strcmp(name, "cpu") == 0)
    return check_open(0, jk_cpu_best_isa());
  const int index = strncmp(name, "cuda:", 5) == 0 ? atoi(name + 5) : 0;
  if (jk_cuda_open(index, &dev, reason, sizeof reason) != JK_OK) {
    printf("1..0 # SKIP no card: %s\n", reason);
    exit(77);
  }
  return dev;
}

static bool wants(int argc, char **argv, const char *name) {
  bool is_named = false, has_names = false;
  for (int i = 1; i < argc; i++) {
    const bool is_value =
        argv[i][0] == '-' || (argv[i - 1][0] == '-' && strcmp(argv[i - 1], "--slow") != 0);
    has_names = has_names || !is_value;
    is_named = is_named || (!is_value && strcmp(argv[i], name) == 0);
  }
  return is_named || !has_names;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(card *c);
  } parts[] = {{"memory", check_memory}, {"uploads", check_large_uploads},
               {"rows", check_rows},     {"norms", check_norms},
               {"linear", check_linear}, {"attention", check_attention},
               {"conv", check_conv}};
  const char *device = "cuda:0";
  uint64_t seed = 1;
  card c = {0};
  for (int i = 1; i < argc; i++) {
    c.is_slow = c.is_slow || strcmp(argv[i], "--slow") == 0;
    if (i + 1 < argc && strcmp(argv[i], "--device") == 0)
      device = argv[i + 1];
    if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
      seed = strtoull(argv[i + 1], NULL, 10);
  }
  c.random = check_seed(seed);
  c.dev = open_device(device);
  c.reference = check_open(1, JK_ISA_GENERIC);
  printf("# %s\n", c.dev->name);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (wants(argc, argv, parts[i].name))
      parts[i].run(&c);
  check(c.dev->sync(c.dev) == JK_OK, "the device did not fail");
  c.dev->close(c.dev);
  c.reference->close(c.reference);
  return check_done();
}
