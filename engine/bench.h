// SPDX-License-Identifier: MIT
// Inside the bench: what a step must move and compute, and watching where its time goes.
#ifndef JANUS_BENCH_H
#define JANUS_BENCH_H

#include "engine/generation.h"

// What a run of a request is made of.
typedef struct BenchCounts {
  GenerationPlan plan;
  int n_prompt; // positions
  int n_common; // of these, the first that the rows of an edit's two kinds share
  int n_passes; // of a step
  int n_rows;   // of a step
  size_t weights_bytes;
  double row_flops;     // of the layers, for one row of a step
  double prompt_flops;  // of the layers, for one position of a prompt
  double context_flops; // of attention, for one position that a row attends to
} BenchCounts;

bool bench_count(const JanusModel *model, const JanusRequest *request, BenchCounts *counts,
                 JanusError *error);
// Bytes of keys and values that step number `step` reads (of a picture; its own position included).
size_t bench_kv_bytes(const JanusModel *model, const BenchCounts *counts, int step);
size_t bench_kv_new_bytes(const JanusModel *model, const BenchCounts *counts);

// Times the operations of a device while it is on: seconds so far.
typedef struct BenchObserver {
  jk_device before; // what the table was
  double linear_s, attention_s;
} BenchObserver;

void bench_observer_begin(BenchObserver *observer, jk_device *device);
void bench_observer_end(BenchObserver *observer, jk_device *device);

double bench_now_s(void);

#endif
