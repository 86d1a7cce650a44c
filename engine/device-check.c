// SPDX-License-Identifier: MIT
// Whether a card computes what the CPU does, before "auto" takes it: a card or a driver that errs
// would paint noise and say nothing.
#include "engine/device.h"

#include "engine/buffer.h"
#include "engine/error.h"

#include <math.h>
#include <stdlib.h>

enum {
  N_ROWS = 3,
  N_IN = 256,
  N_HEADS = 2,
  HEAD_DIM = 64,
  N_OUT = N_HEADS * HEAD_DIM,
  N_KEYS = 40,
  N_PARTS = 3 // products, their norms, what attends to these
};

// Rounding in another order moves sums by less than a thousandth, 8-bit inputs by some more.
#define MOST_DIFFERENCE 0.01

typedef struct Values {
  float x[N_ROWS * N_IN], weight[N_OUT * N_IN], bias[N_OUT], scale[N_OUT];
  float k[N_KEYS * N_OUT], v[N_KEYS * N_OUT];
} Values;

typedef struct Results {
  float parts[N_PARTS][N_ROWS * N_OUT];
} Results;

// Device memory of one pass.
typedef struct Work {
  jk_device *dev;
  void *x, *scale, *k, *v, *parts[N_PARTS];
  jk_kv cache;
  jk_linear *linear;
} Work;

static void fill(Values *values) {
  float *x = (float *)values;
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof *values / sizeof *x; i++) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
  }
}

static jk_status send(jk_device *dev, const void *host, size_t n_bytes, void **out) {
  const jk_status status = dev->alloc(dev, n_bytes, "checking what a card computes", out);
  return status != JK_OK || !host ? status : dev->upload(dev, *out, host, n_bytes);
}

static jk_status prepare(Work *w, const Values *values, jk_format format) {
  jk_device *dev = w->dev;
  const size_t n_result = sizeof(Results) / N_PARTS;
  const size_t n_cache = sizeof values->k / sizeof(float) * jk_dtype_size(JK_BF16);
  const jk_weight weight = {values->weight, JK_F32, N_OUT, N_IN},
                  bias = {values->bias, JK_F32, 1, N_OUT};
  w->cache = (jk_kv){.capacity = N_KEYS, .dtype = JK_BF16};
  jk_status status = dev->linear_create(dev, weight, bias, format, &w->linear);
  const struct {
    const void *host;
    size_t n_bytes;
    void **place;
  } arrays[] = {
      {values->x, sizeof values->x, &w->x}, {values->scale, sizeof values->scale, &w->scale},
      {values->k, sizeof values->k, &w->k}, {values->v, sizeof values->v, &w->v},
      {NULL, n_cache, &w->cache.k},         {NULL, n_cache, &w->cache.v},
      {NULL, n_result, &w->parts[0]},       {NULL, n_result, &w->parts[1]},
      {NULL, n_result, &w->parts[2]}};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays && status == JK_OK; i++)
    status = send(dev, arrays[i].host, arrays[i].n_bytes, arrays[i].place);
  return status;
}

static void clear(Work *w) {
  void *const all[] = {w->x,       w->scale,    w->k,        w->v,       w->cache.k,
                       w->cache.v, w->parts[0], w->parts[1], w->parts[2]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    w->dev->free(w->dev, all[i]);
  w->dev->linear_free(w->dev, w->linear);
}

static jk_status compute(Work *w, Results *results) {
  jk_device *dev = w->dev;
  jk_kv caches[N_KEYS];
  int32_t slots[N_KEYS];
  jk_context contexts[N_ROWS];
  for (int i = 0; i < N_KEYS; i++) {
    caches[i] = w->cache;
    slots[i] = i;
  }
  for (int i = 0; i < N_ROWS; i++)
    contexts[i] = (jk_context){.tail = w->cache, .n_tail = N_KEYS - i};
  dev->linear(dev, w->parts[0], w->linear, w->x, N_ROWS, false);
  dev->rms_norm(dev, w->parts[1], w->parts[0], w->scale, N_ROWS, N_OUT, 1e-6f);
  dev->kv_write(dev, caches, slots, w->k, w->v, N_KEYS, N_HEADS, HEAD_DIM);
  dev->attention(dev, w->parts[2], w->parts[1], contexts, N_ROWS, N_HEADS, N_HEADS, HEAD_DIM);
  jk_status status = dev->sync(dev);
  for (int i = 0; i < N_PARTS && status == JK_OK; i++)
    status = dev->download(dev, results->parts[i], w->parts[i], sizeof results->parts[i]);
  return status;
}

static jk_status run(jk_device *dev, const Values *values, jk_format format, Results *results) {
  Work work = {.dev = dev};
  jk_status status = prepare(&work, values, format);
  if (status == JK_OK)
    status = compute(&work, results);
  clear(&work);
  return status;
}

// Of squares, so that one element near zero does not count for much; not a number differs.
static bool agree(const float *a, const float *b, int n) {
  double difference = 0, size = 0;
  for (int i = 0; i < n; i++) {
    difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    size += (double)b[i] * (double)b[i];
  }
  return sqrt(difference) <= MOST_DIFFERENCE * sqrt(size);
}

static bool check_format(jk_device *card, jk_device *cpu, const Values *values, jk_format format,
                         JanusError *error) {
  static const char *const names[N_PARTS] = {"products of matrices", "norms", "attention"};
  Results found, expected;
  jk_status status = run(cpu, values, format, &expected);
  if (status != JK_OK)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to check %s", card->name);
  status = run(card, values, format, &found);
  if (status != JK_OK)
    return janus_device_fail(card, status, " while it was checked", error);
  for (int i = 0; i < N_PARTS; i++)
    if (!agree(found.parts[i], expected.parts[i], N_ROWS * N_OUT))
      return janus_fail(error, JANUS_ERROR_DEVICE, "%s computes other %s than the CPU", card->name,
                        names[i]);
  return true;
}

bool device_check_sums(jk_device *card, JanusError *error) {
  static const jk_format formats[] = {JK_FORMAT_F32, JK_FORMAT_BF16, JK_FORMAT_Q8, JK_FORMAT_Q4};
  jk_device *cpu = NULL;
  Values *values = malloc(sizeof *values);
  bool ok = values && jk_cpu_open(1, jk_cpu_best_isa(), &cpu) == JK_OK;
  if (!ok)
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to check %s", card->name);
  else
    fill(values);
  for (size_t i = 0; i < sizeof formats / sizeof *formats && ok; i++)
    ok = check_format(card, cpu, values, formats[i], error);
  if (cpu)
    cpu->close(cpu);
  free(values);
  return ok;
}
