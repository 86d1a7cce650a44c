// SPDX-License-Identifier: MIT
// A job run on a thread of its own while the main thread shows how far it is and hears Ctrl+C.
#ifndef LIMNER_CLI_WATCH_H
#define LIMNER_CLI_WATCH_H

#include "app/job.h"

// Returns when the job is over. Progress goes to stderr when that is a terminal; `verbose` adds a
// line of timings. The first SIGINT cancels the job, a second one kills the process.
void cli_watch_job(LimnerJob *job, JanusModel *model, gboolean verbose);

#endif
