// SPDX-License-Identifier: MIT
// A fixed pool of threads: workers spin for some microseconds after a job, then sleep.
#include "kernels/thread-pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

// Long enough for the gaps between the operations of one decode step, too short to be noticed.
enum { SPIN_NS = 40000, PAUSES_PER_LOOK = 32, WAITS_BEFORE_YIELD = 2000 };

typedef struct worker {
  struct jk_pool *pool;
  pthread_t handle;
  int index;
} worker;

// A job is open between the writes of `open_job` in jk_pool_run(). Workers read the plain fields
// only after they have counted themselves in `n_active` and then seen the job open; the caller
// closes it and waits for n_active == 0 before it writes those fields again.
struct jk_pool {
  jk_pool_fn fn;
  void *context;
  int n_items;
  atomic_int next_item;
  atomic_uint open_job; // 0 = none, else the job's number
  atomic_int n_active;

  atomic_int n_sleepers;
  atomic_bool ending;
  pthread_mutex_t lock;
  pthread_cond_t wake;

  unsigned job_number; // the caller's
  int n_workers;
  worker workers[];
};

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  atomic_signal_fence(memory_order_seq_cst);
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void work(jk_pool *pool, int thread) {
  for (;;) {
    int item = atomic_fetch_add_explicit(&pool->next_item, 1, memory_order_relaxed);
    if (item >= pool->n_items)
      return;
    pool->fn(pool->context, item, thread);
  }
}

static bool has_news(jk_pool *pool, unsigned last_job) {
  unsigned job = atomic_load(&pool->open_job);
  return (job != 0 && job != last_job) || atomic_load(&pool->ending);
}

static void sleep_until_news(jk_pool *pool, unsigned last_job) {
  pthread_mutex_lock(&pool->lock);
  atomic_fetch_add(&pool->n_sleepers, 1);
  while (!has_news(pool, last_job))
    pthread_cond_wait(&pool->wake, &pool->lock);
  atomic_fetch_sub(&pool->n_sleepers, 1);
  pthread_mutex_unlock(&pool->lock);
}

static void wait_for_news(jk_pool *pool, unsigned last_job) {
  int64_t end = 0;
  while (!has_news(pool, last_job)) {
    int64_t now = now_ns();
    if (end == 0)
      end = now + SPIN_NS;
    if (now >= end) {
      sleep_until_news(pool, last_job);
      return;
    }
    for (int i = 0; i < PAUSES_PER_LOOK && atomic_load(&pool->open_job) == 0; i++)
      relax();
  }
}

static void *worker_main(void *data) {
  worker *self = data;
  jk_pool *pool = self->pool;
  unsigned last_job = 0;
  for (;;) {
    wait_for_news(pool, last_job);
    if (atomic_load(&pool->ending))
      return NULL;
    atomic_fetch_add(&pool->n_active, 1);
    unsigned job = atomic_load(&pool->open_job);
    if (job != 0 && job != last_job) {
      work(pool, self->index);
      last_job = job;
    }
    atomic_fetch_sub(&pool->n_active, 1);
  }
}

static void wake_sleepers(jk_pool *pool) {
  if (atomic_load(&pool->n_sleepers) == 0)
    return;
  pthread_mutex_lock(&pool->lock);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
}

void jk_pool_run(jk_pool *pool, jk_pool_fn fn, void *context, int n_items) {
  if (n_items <= 1 || pool->n_workers == 0) {
    for (int i = 0; i < n_items; i++)
      fn(context, i, 0);
    return;
  }
  pool->fn = fn;
  pool->context = context;
  pool->n_items = n_items;
  atomic_store_explicit(&pool->next_item, 0, memory_order_relaxed);
  pool->job_number = pool->job_number == UINT32_MAX ? 1 : pool->job_number + 1;
  atomic_store(&pool->open_job, pool->job_number);
  wake_sleepers(pool);
  work(pool, 0);
  atomic_store(&pool->open_job, 0);
  for (int i = 0; atomic_load(&pool->n_active) != 0; i++) {
    relax();
    if (i >= WAITS_BEFORE_YIELD)
      sched_yield();
  }
}

jk_status jk_pool_open(int n_threads, jk_pool **out) {
  *out = NULL;
  int n_wanted = n_threads - 1;
  jk_pool *pool = calloc(1, sizeof *pool + (size_t)n_wanted * sizeof(worker));
  if (!pool)
    return JK_NO_MEMORY;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  for (int i = 0; i < n_wanted; i++) {
    pool->workers[i] = (worker){.pool = pool, .index = i + 1};
    if (pthread_create(&pool->workers[i].handle, NULL, worker_main, &pool->workers[i]) != 0) {
      jk_pool_close(pool);
      return JK_NO_MEMORY;
    }
    pool->n_workers++;
  }
  *out = pool;
  return JK_OK;
}

void jk_pool_close(jk_pool *pool) {
  if (!pool)
    return;
  pthread_mutex_lock(&pool->lock);
  atomic_store(&pool->ending, true);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (int i = 0; i < pool->n_workers; i++)
    pthread_join(pool->workers[i].handle, NULL);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  free(pool);
}
