// SPDX-License-Identifier: MIT
// A square that draws one sample as it grows: known rows as they are, the rest softly dimmed into a
// neutral ground, and a thin line at the bottom while it is painted.
#ifndef LIMNER_CANVAS_H
#define LIMNER_CANVAS_H

#include "app/job.h"

#include <gtk/gtk.h>

// Properties:
//   "sample"  LimnerSample or NULL: what to draw
//   "busy"    gboolean: draw the progress line of an unfinished sample
//   "fixed-side"  int, at construction: pixels of a side; 0 = as wide as there is room
#define LIMNER_TYPE_CANVAS (limner_canvas_get_type())
G_DECLARE_FINAL_TYPE(LimnerCanvas, limner_canvas, LIMNER, CANVAS, GtkWidget)

LimnerSample *limner_canvas_get_sample(LimnerCanvas *self); // borrowed
void limner_canvas_set_sample(LimnerCanvas *self, LimnerSample *sample);
void limner_canvas_set_busy(LimnerCanvas *self, gboolean busy);

// A texture that shares the picture's bytes: no copy. Owned.
GdkTexture *limner_texture_new(LimnerPicture *picture);

#endif
