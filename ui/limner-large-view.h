// SPDX-License-Identifier: MIT
// One picture as large as the window, or at its own size, with what it was made from.
#ifndef LIMNER_LARGE_VIEW_H
#define LIMNER_LARGE_VIEW_H

#include "app/job.h"

#include <adwaita.h>

#define LIMNER_TYPE_LARGE_VIEW (limner_large_view_get_type())
G_DECLARE_FINAL_TYPE(LimnerLargeView, limner_large_view, LIMNER, LARGE_VIEW, GtkWidget)

// Shows this sample and follows it while it grows; NULL empties the view.
void limner_large_view_set_sample(LimnerLargeView *self, LimnerSample *sample);
// Says anew what the library knows of the sample.
void limner_large_view_update_entry(LimnerLargeView *self);
LimnerSample *limner_large_view_get_sample(LimnerLargeView *self);    // borrowed, may be NULL
AdwToastOverlay *limner_large_view_get_toasts(LimnerLargeView *self); // borrowed

#endif
