// SPDX-License-Identifier: MIT
// Inside the kernels layer: a fixed pool of threads that shares out the items of one job at a time.
#ifndef JK_THREAD_POOL_H
#define JK_THREAD_POOL_H

#include "kernels/kernels.h"

typedef struct jk_pool jk_pool;

// One item of a job. `thread` is 0 for the caller, 1 .. n_threads - 1 for the pool's own.
typedef void (*jk_pool_fn)(void *context, int item, int thread);

// A pool that computes with n_threads (>= 1) threads, the caller of jk_pool_run() being one of
// them. On failure *out is NULL.
jk_status jk_pool_open(int n_threads, jk_pool **out);

// Ends and joins the threads. NULL is allowed; no job may be running.
void jk_pool_close(jk_pool *pool);

// Calls fn(context, i, thread) for every i < n_items, each once, in no particular order, and
// returns when all are done. One job at a time. A single item runs in the caller and wakes nobody.
void jk_pool_run(jk_pool *pool, jk_pool_fn fn, void *context, int n_items);

#endif
