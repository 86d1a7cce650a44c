// SPDX-License-Identifier: MIT
// Inside the app: how the worker reports to a job. All of these may be called from any thread; they
// change plain fields under the job's lock and see to it that one update runs on the job's context.
#ifndef LIMNER_JOB_PRIVATE_H
#define LIMNER_JOB_PRIVATE_H

#include "app/job.h"
#include "app/sample-private.h"

// Takes the job for running. FALSE when it is over already, or has been asked to stop (it then
// becomes CANCELLED): there is nothing to run.
gboolean limner_job_claim(LimnerJob *self);
// A batch begins; `is_last`: with it all samples are painted.
void limner_job_report_batch(LimnerJob *self, gboolean is_last);
// Whether it is to end when the batch does.
gboolean limner_job_stops_after_batch(LimnerJob *self);
// QUEUED or LOADING, while nobody has claimed it; otherwise nothing happens.
void limner_job_report_waiting(LimnerJob *self, LimnerJobState state);
// PREPARING, PAINTING or FINISHING.
void limner_job_report_state(LimnerJob *self, LimnerJobState state);
void limner_job_report_progress(LimnerJob *self, guint n_done, guint n_total,
                                double tokens_per_second, double seconds_left);
// Takes what the update holds; what it leaves out stays as it was.
void limner_job_report_sample(LimnerJob *self, guint index, SampleUpdate *update);
// The end: DONE without an error, CANCELLED for G_IO_ERROR_CANCELLED, else FAILED with a copy of
// it. The first end counts; nothing reported later does.
void limner_job_report_over(LimnerJob *self, const GError *error);
// Delivers now what waits to be delivered. On the job's thread only.
void limner_job_flush(LimnerJob *self);
// Whether the caller is on the thread that made the job.
gboolean limner_job_is_own_thread(LimnerJob *self);

gboolean limner_job_get_shows_growth(LimnerJob *self);
// Set before the run or with NULL members; borrowed.
const LimnerJobRecorder *limner_job_get_recorder(LimnerJob *self, gpointer *data);
// The known tokens, of so many samples, when they were painted by this very model; NULL = none.
// Borrowed.
GBytes *limner_job_get_known_tokens(LimnerJob *self, const JanusModelInfo *info, guint *n_samples);

// Seconds that one decode of a picture takes with the model in use, measured; 0 = not known. A
// queue hands it from one job to the next.
double limner_job_get_decode_seconds(LimnerJob *self);
void limner_job_set_decode_seconds(LimnerJob *self, double seconds);

#endif
