// SPDX-License-Identifier: MIT
// limner-cli bench: what was measured, and how it is told.
#ifndef LIMNER_CLI_BENCH_H
#define LIMNER_CLI_BENCH_H

#include "app/cli/options.h"

enum { CLI_BENCH_MAX_SIZES = 16 };

typedef struct CliBenchSize {
  int n_samples;
  JanusBenchResult result;
} CliBenchSize;

typedef struct CliBenchReport {
  const char *model; // as it was asked for
  const JanusModelInfo *info;
  JanusBenchLimits limits;
  gboolean is_edit;
  int n_prompt_known; // tokens of the picture before the steps
  double open_s;
  double stream_before, stream_after;
  CliBenchSize sizes[CLI_BENCH_MAX_SIZES];
  int n_sizes;
  JanusBenchPhases phases;
  guint64 peak_bytes, predicted_bytes; // of memory, for the largest of the sizes
} CliBenchReport;

// One JSON object on stdout.
void cli_bench_print_json(const CliBenchReport *report);
// Lines for people on stdout.
void cli_bench_print_text(const CliBenchReport *report);

#endif
