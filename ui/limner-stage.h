// SPDX-License-Identifier: MIT
// One picture, or two to be compared: lying on each other with a line between them, or side by
// side. Zoom and place are one for both.
#ifndef LIMNER_STAGE_H
#define LIMNER_STAGE_H

#include <gtk/gtk.h>

typedef enum LimnerStageMode {
  LIMNER_STAGE_ONE,
  LIMNER_STAGE_SLIDER, // before the line `other`, behind it `picture`
  LIMNER_STAGE_SIDES,  // `other`, then `picture`
} LimnerStageMode;

// Signals: "zoomed" ().
#define LIMNER_TYPE_STAGE (limner_stage_get_type())
G_DECLARE_FINAL_TYPE(LimnerStage, limner_stage, LIMNER, STAGE, GtkWidget)

// NULL = nothing. `other` is drawn as large as `picture` is, whatever its size.
void limner_stage_set_pictures(LimnerStage *self, GdkTexture *picture, GdkTexture *other);
GdkTexture *limner_stage_get_picture(LimnerStage *self); // borrowed
GdkTexture *limner_stage_get_other(LimnerStage *self);   // borrowed
// What stands in their corners while there are two; a screen reader is told both.
void limner_stage_set_names(LimnerStage *self, const char *picture, const char *other);
void limner_stage_set_mode(LimnerStage *self, LimnerStageMode mode);
LimnerStageMode limner_stage_get_mode(LimnerStage *self);
GtkWidget *limner_stage_get_divider(LimnerStage *self); // borrowed

// Pixels of the window for one of the picture; 0 = as large as fits, in the middle.
void limner_stage_set_zoom(LimnerStage *self, double zoom);
gboolean limner_stage_fits(LimnerStage *self);
// As it is shown now, also where it fits.
double limner_stage_get_scale(LimnerStage *self);
// About the middle of what is seen.
void limner_stage_zoom_by(LimnerStage *self, double factor);
// Moves what is seen, in pixels of the window.
void limner_stage_pan(LimnerStage *self, double dx_px, double dy_px);
// The middle of what is seen, 0 .. 1 of the picture.
void limner_stage_get_middle(LimnerStage *self, double *x, double *y);

#endif
