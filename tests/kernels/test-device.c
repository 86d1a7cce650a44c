// SPDX-License-Identifier: MIT
// The device: opening and closing, memory, and the pool of threads behind it.
#include "check.h"

#include "kernels/thread-pool.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ITEMS = 1000 };

typedef struct tally {
  atomic_int calls[MAX_ITEMS];
  atomic_int bad_thread;
  int n_threads;
} tally;

static void count_item(void *context, int item, int thread) {
  tally *t = context;
  atomic_fetch_add(&t->calls[item], 1);
  if (thread < 0 || thread >= t->n_threads)
    atomic_store(&t->bad_thread, 1);
}

// Runs of every size with pauses that let the workers spin, sleep, or be about to.
static void test_pool(int n_threads) {
  jk_pool *pool = NULL;
  check_random random = check_seed(61);
  bool right = jk_pool_open(n_threads, &pool) == JK_OK;
  for (int i = 0; right && i < 1500; i++) {
    tally t = {.n_threads = n_threads};
    int n = i % 7 == 0 ? MAX_ITEMS : check_int(&random, 0, 9);
    jk_pool_run(pool, count_item, &t, n);
    for (int j = 0; j < MAX_ITEMS; j++)
      right &= atomic_load(&t.calls[j]) == (j < n);
    right &= atomic_load(&t.bad_thread) == 0;
    if (i % 10 == 0)
      nanosleep(&(struct timespec){.tv_nsec = check_int(&random, 0, 120000)}, NULL);
  }
  check(right, "pool of %d: every item once", n_threads);
  jk_pool_close(pool);
}

static void write_item(void *context, int item, int thread) {
  int *values = context;
  values[item] = item + values[MAX_ITEMS];
}

// Plain memory written by the workers is the caller's after the run, and the other way round.
static void test_visibility(void) {
  jk_pool *pool = NULL;
  int values[MAX_ITEMS + 1];
  bool right = jk_pool_open(3, &pool) == JK_OK;
  for (int i = 0; right && i < 300; i++) {
    values[MAX_ITEMS] = i;
    jk_pool_run(pool, write_item, values, MAX_ITEMS);
    for (int j = 0; j < MAX_ITEMS; j++)
      right &= values[j] == i + j;
  }
  check(right, "pool: results are visible after the run");
  jk_pool_close(pool);
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void test_idle(void) {
  jk_device *dev = check_open(4, JK_ISA_GENERIC);
  enum { N = 200000 };
  float *x = calloc(N, sizeof *x);
  dev->gelu(dev, x, x, N); // wakes them all
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  double before = cpu_seconds();
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  double used = cpu_seconds() - before;
  check(used < 0.01, "pool: idle for 200 ms takes %.3f ms of CPU (< 10)", used * 1e3);
  free(x);
  dev->close(dev);
}

static void test_open_close(void) {
  bool right = true;
  for (int i = 0; i < 100; i++) {
    jk_device *dev = NULL;
    right &= jk_cpu_open(1 + i % 5, JK_ISA_AVX512, &dev) == JK_OK && dev->n_threads == 1 + i % 5;
    if (i % 2) {
      float x[300] = {0};
      dev->gelu(dev, x, x, 300);
    }
    dev->close(dev);
  }
  check(right, "device: opened and closed 100 times");
  jk_device *dev = check_open(0, JK_ISA_GENERIC);
  check(dev->n_threads >= 1, "device: 0 threads means one per core (%s)", dev->name);
  check(strstr(dev->name, "generic") != NULL, "device: its name says the instruction set");
  dev->close(dev);
  check(jk_cpu_open(-1, JK_ISA_GENERIC, &dev) == JK_BAD_REQUEST && !dev,
        "device: a negative number of threads is refused");
}

static void test_memory(void) {
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  bool right = true;
  for (size_t n = 0; n < 5000; n += 1 + n / 3) {
    void *p = NULL;
    right &= dev->alloc(dev, n, "test", &p) == JK_OK && p && (uintptr_t)p % 64 == 0;
    for (size_t i = 0; right && i < n; i++)
      right &= ((unsigned char *)p)[i] == 0;
    if (p)
      memset(p, 0xff, n);
    dev->free(dev, p);
  }
  check(right, "alloc: zeroed and 64-byte aligned");
  const size_t huge[] = {SIZE_MAX, SIZE_MAX - 64, SIZE_MAX / 2, (size_t)1 << 62};
  for (int i = 0; i < 4; i++) {
    void *p = dev;
    right &= dev->alloc(dev, huge[i], "test", &p) == JK_NO_MEMORY && !p;
  }
  check(right, "alloc: what cannot be had is refused");
  char a[5] = "text", b[5] = "";
  void *p = NULL;
  right = dev->alloc(dev, 5, "test", &p) == JK_OK && dev->upload(dev, p, a, 5) == JK_OK &&
          dev->sync(dev) == JK_OK && dev->download(dev, b, p, 5) == JK_OK;
  check(right && strcmp(a, b) == 0, "upload and download");
  dev->free(dev, p);
  dev->free(dev, NULL);
  dev->close(dev);
}

static void test_texts(void) {
  bool right = true;
  for (jk_status status = JK_OK; status <= JK_FAULT; status++)
    right &= strlen(jk_status_text(status)) > 0;
  for (jk_isa isa = JK_ISA_GENERIC; isa <= JK_ISA_AVX512; isa++)
    right &= strlen(jk_isa_text(isa)) > 0;
  check(right && strcmp(jk_isa_text(JK_ISA_AVX2), "AVX2") == 0, "every status and set has a name");
}

int main(void) {
  test_open_close();
  test_memory();
  test_texts();
  for (int n_threads = 1; n_threads <= 5; n_threads += 2)
    test_pool(n_threads);
  test_visibility();
  test_idle();
  return check_done();
}
