// SPDX-License-Identifier: MIT
// The sentences that tell a person how a job, a sample or the model stands. No widgets.
#ifndef LIMNER_WORDS_H
#define LIMNER_WORDS_H

#include "app/job-queue.h"
#include "app/library.h"

// "336 of 576 tokens – 410 tokens/s – 2 s left", "Stopped after 3 of 24 rows", ... Owned.
char *limner_words_for_job(LimnerJob *job);
// How far the job is, 0 .. 1: in looking at its picture, then in painting.
// A job in the queue in a few words: "31 % – 29 s left", or what one that waits will take, judged
// by the one that runs: "Waiting – about 20 s". Owned.
char *limner_words_for_turn(LimnerJobQueue *queue, LimnerJob *job);
// Until all jobs are done: "About 3 min left in all". NULL = not known. Owned.
char *limner_words_for_queue(LimnerJobQueue *queue);
double limner_words_get_fraction(LimnerJob *job);
// "Sample 2 of 4, a red house on a green hill at night". Owned.
char *limner_words_for_sample(LimnerSample *sample);
// "a red house on a green hill at night, favourite": a picture of the library. Owned.
char *limner_words_for_entry(LimnerEntry *entry);
// "12 May 2026, 14:05": when something was made. Owned.
char *limner_words_for_time(gint64 time_us);
// "12.5 GB", "80 MB". Owned.
char *limner_words_for_bytes(guint64 n_bytes);
// "Demo model – CPU (AVX-512), 2 threads", or what the model is waited for. Owned.
char *limner_words_for_model(LimnerJobQueue *queue);

#endif
