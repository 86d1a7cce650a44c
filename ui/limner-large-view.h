// SPDX-License-Identifier: MIT
// One picture as large as the window, or at its own size, with what it was made from; or beside
// another one that it is compared with.
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

// Compares the sample with the picture it was made from; FALSE = there is none.
gboolean limner_large_view_compare_origin(LimnerLargeView *self);
// The same with any picture, which stays when the view goes to a neighbour; `name` tells it from
// the one that is looked at.
void limner_large_view_compare(LimnerLargeView *self, LimnerPicture *other, const char *name);
void limner_large_view_end_comparing(LimnerLargeView *self);
gboolean limner_large_view_is_comparing(LimnerLargeView *self);

#endif
