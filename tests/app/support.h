// SPDX-License-Identifier: MIT
// What the tests of the app layer share: the small checkpoint, requests, bounded waits, folders.
#ifndef LIMNER_TESTS_APP_SUPPORT_H
#define LIMNER_TESTS_APP_SUPPORT_H

#include "app/job-queue.h"

// A checkpoint of 96 x 96 px and 6 x 6 tokens that paints in hundredths of a second.
#define TINY_FOLDER LIMNER_SOURCE_DATA_DIR "/../tests/parity/tiny-f32"
enum { TINY_SIZE_PX = 96, TINY_GRID = 6, TINY_TOKENS = 36 };
// So many samples that a job lasts for seconds and can be stopped in the middle.
enum { MANY_SAMPLES = 1500 };

JanusModel *open_tiny(void);
// "a red house", seed 7.
LimnerJob *new_job(int n_samples);
// Runs the default main context until `is_true` holds; fails the test after two minutes.
typedef gboolean (*Condition)(gpointer data);
void wait_until(Condition is_true, gpointer data);
gboolean is_over(gpointer job);
void wait_for_job(LimnerJob *job);
// Time that this process has computed, all threads together: bounds on it hold on a busy machine.
double cpu_ms(void);
LimnerSample *dup_sample(LimnerJob *job, guint index);
GBytes *dup_tokens(LimnerJob *job, guint index);
// A fresh empty folder, and its removal with everything in it.
char *make_folder(void);
void remove_folder(char *folder);
guint count_entries(const char *folder);

#endif
