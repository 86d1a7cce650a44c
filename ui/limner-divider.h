// SPDX-License-Identifier: MIT
// The line between two pictures that lie on each other, which is dragged or moved by keys.
#ifndef LIMNER_DIVIDER_H
#define LIMNER_DIVIDER_H

#include <gtk/gtk.h>

// Properties: "position" (double, 0 .. 1 of the pictures' width, from the left).
#define LIMNER_TYPE_DIVIDER (limner_divider_get_type())
G_DECLARE_FINAL_TYPE(LimnerDivider, limner_divider, LIMNER, DIVIDER, GtkWidget)

double limner_divider_get_position(LimnerDivider *self);
void limner_divider_set_position(LimnerDivider *self, double position);
// Where the pictures begin in the parent and how wide they are: what a drag is measured by.
void limner_divider_set_range(LimnerDivider *self, double start_px, double range_px);

#endif
