// SPDX-License-Identifier: MIT
// A page that paints one prompt with one seed over two settings, and lays what comes of it out in
// columns and rows with the values beside them.
#ifndef LIMNER_GRID_H
#define LIMNER_GRID_H

#include "app/job.h"

#include <adwaita.h>

typedef enum LimnerSetting {
  LIMNER_SETTING_GUIDANCE, // "Follow the Prompt": cfg
  LIMNER_SETTING_VARIETY,  // temperature
  LIMNER_SETTING_FREEDOM,  // "Freedom to Redraw": image_cfg, with a picture to change
} LimnerSetting;

enum { LIMNER_GRID_MAX = 6 }; // values of an axis

typedef struct LimnerGridAxis {
  LimnerSetting setting;
  guint n;
  double values[LIMNER_GRID_MAX];
} LimnerGridAxis;

// Reads "0.5 1 1.5" (spaces, semicolons or commas between them; a comma inside of a number is its
// point), each once. NULL, or the sentence that says what is wrong. Owned.
char *limner_grid_axis_parse(LimnerGridAxis *axis, LimnerSetting setting, const char *text);

// Signals: "paint" (): limner_grid_begin() is to be called; "open" (LimnerSample *sample).
#define LIMNER_TYPE_GRID (limner_grid_get_type())
G_DECLARE_FINAL_TYPE(LimnerGrid, limner_grid, LIMNER, GRID, GtkWidget)

// Whether there is a picture to change, which has a setting of its own.
void limner_grid_set_is_change(LimnerGrid *self, gboolean is_change);
// Values around the present ones, while nothing was typed or painted.
void limner_grid_suggest(LimnerGrid *self, double cfg, double temperature);
// Makes the cells for what is typed, and what each is to be painted with: LimnerRequest, row by
// row. Owned.
GPtrArray *limner_grid_begin(LimnerGrid *self, const LimnerRequest *request);
// Shows a job in the cell that asked for it; nothing happens where none did.
void limner_grid_take_job(LimnerGrid *self, LimnerJob *job);
AdwToastOverlay *limner_grid_get_toasts(LimnerGrid *self); // borrowed

#endif
