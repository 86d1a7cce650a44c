// SPDX-License-Identifier: MIT
// The line that says how the job stands, with a button that stops it.
#ifndef LIMNER_PROGRESS_H
#define LIMNER_PROGRESS_H

#include "app/job.h"

#include <gtk/gtk.h>

#define LIMNER_TYPE_PROGRESS (limner_progress_get_type())
G_DECLARE_FINAL_TYPE(LimnerProgress, limner_progress, LIMNER, PROGRESS, GtkWidget)

// NULL: nothing to say, nothing shown.
void limner_progress_set_job(LimnerProgress *self, LimnerJob *job);

#endif
