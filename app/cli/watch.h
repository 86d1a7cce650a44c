// SPDX-License-Identifier: MIT
// A job run on a thread of its own while the main thread shows how far it is; and Ctrl+C.
#ifndef LIMNER_CLI_WATCH_H
#define LIMNER_CLI_WATCH_H

#include "app/job.h"

// Ctrl+C between begin and end: the first SIGINT cancels the job and is remembered, a second one
// kills the process.
typedef struct CliInterrupt {
  LimnerJob *job; // borrowed
  guint source;   // 0 after the first SIGINT
  gboolean seen;
} CliInterrupt;

void cli_interrupt_begin(CliInterrupt *interrupt, LimnerJob *job);
void cli_interrupt_end(CliInterrupt *interrupt);
// Whether SIGINT has come by now.
gboolean cli_interrupt_seen(CliInterrupt *interrupt);

// Returns when the job is over. Progress goes to stderr when that is a terminal; `verbose` adds a
// line of timings.
void cli_watch_job(LimnerJob *job, JanusModel *model, gboolean verbose);

#endif
