// SPDX-License-Identifier: MIT
// Named settings: a list to choose from, and a box that gives the present ones a name.
#ifndef LIMNER_PRESETS_H
#define LIMNER_PRESETS_H

#include <gtk/gtk.h>

// A preset as a GVariant: its name, then guidance, image guidance, temperature, top-k, top-p.
#define LIMNER_PRESET_TYPE "(sdddid)"

// Signals: "apply" (GVariant *preset); "wanted" (const char *name): the present settings are to be
// added under that name.
#define LIMNER_TYPE_PRESETS (limner_presets_get_type())
G_DECLARE_FINAL_TYPE(LimnerPresets, limner_presets, LIMNER, PRESETS, GtkWidget)

// Keeps them there; NULL = they go with the widget. Once.
void limner_presets_bind_settings(LimnerPresets *self, GSettings *settings);
// In place of the one of that name. Sinks `preset`.
void limner_presets_add(LimnerPresets *self, GVariant *preset);
guint limner_presets_get_n(LimnerPresets *self);

#endif
