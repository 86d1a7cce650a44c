// SPDX-License-Identifier: MIT
// Inside the app: what a job tells its samples, on the job's thread.
#ifndef LIMNER_SAMPLE_PRIVATE_H
#define LIMNER_SAMPLE_PRIVATE_H

#include "app/job.h"

LimnerSample *limner_sample_new(const LimnerRequest *request, guint index);

// What changed about one sample since it was last told; pointers are owned.
typedef struct SampleUpdate {
  LimnerPicture *picture; // NULL = as before
  GBytes *tokens;         // of gint32; NULL = as before
  guint n_rows;
  guint grid; // 0 = nothing known yet
  gboolean finished;
} SampleUpdate;

// Takes what the update holds and empties it.
void limner_sample_apply(LimnerSample *self, SampleUpdate *update);
void limner_sample_update_clear(SampleUpdate *update);

#endif
