// SPDX-License-Identifier: MIT
// A named slider with a typed value beside it, a mark at the default and a button that goes back.
#ifndef LIMNER_SLIDER_H
#define LIMNER_SLIDER_H

#include <gtk/gtk.h>

// Properties: "title", "hint" (the technical name, in the tooltip), "lower", "upper", "value",
// "default-value" (moves the value along while it has not been changed).
#define LIMNER_TYPE_SLIDER (limner_slider_get_type())
G_DECLARE_FINAL_TYPE(LimnerSlider, limner_slider, LIMNER, SLIDER, GtkWidget)

// To be kept, whatever the default becomes: it was asked for, even where it is the default now.
void limner_slider_set_value(LimnerSlider *self, double value);
// What is typed counts, even before the field is left.
double limner_slider_get_value(LimnerSlider *self);
void limner_slider_set_default(LimnerSlider *self, double value);

#endif
