// SPDX-License-Identifier: MIT
// The column of controls: what to paint and how.
#ifndef LIMNER_CONTROLS_H
#define LIMNER_CONTROLS_H

#include "app/job-queue.h"

#include "ui/limner-drop-zone.h"

#define LIMNER_TYPE_CONTROLS (limner_controls_get_type())
G_DECLARE_FINAL_TYPE(LimnerControls, limner_controls, LIMNER, CONTROLS, GtkWidget)

// Remembers samples, seed and prompts there; NULL is allowed. Once.
void limner_controls_bind_settings(LimnerControls *self, GSettings *settings);
// What the controls say about the model in use, and the defaults it brings.
void limner_controls_set_model(LimnerControls *self, const LimnerModelSummary *model);
// What is asked for now. Draws a new seed unless it is kept or was just chosen, and remembers the
// prompt. Owned.
LimnerRequest *limner_controls_take_request(LimnerControls *self);
int limner_controls_get_n_samples(LimnerControls *self);
// Shows what was asked for, so that sample `index` comes out again: its words, its picture, its
// seed and all that it depends on.
void limner_controls_set_request(LimnerControls *self, const LimnerRequest *request, guint index);
// What is asked for next keeps the seed, with other settings: the first slider has the focus.
void limner_controls_keep_seed(LimnerControls *self);
// What the sliders stand at; no seed is drawn.
void limner_controls_get_sliders(LimnerControls *self, double *cfg, double *temperature);
// Whether the controls ask for something that can be done; else they say what is missing.
gboolean limner_controls_check(LimnerControls *self);
// Where the picture to change is; borrowed.
LimnerDropZone *limner_controls_get_drop_zone(LimnerControls *self);
// Makes this the picture to change and waits for words: the cursor is in the prompt, whose text is
// selected, to be typed over or used again.
void limner_controls_change(LimnerControls *self, LimnerInput *input);
// Begins anew: this prompt and no picture to change.
void limner_controls_start(LimnerControls *self, const char *prompt);
// The same with a prompt that the model understands.
void limner_controls_start_surprise(LimnerControls *self);
void limner_controls_set_prompt(LimnerControls *self, const char *prompt);
void limner_controls_focus_prompt(LimnerControls *self);

#endif
