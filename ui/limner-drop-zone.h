// SPDX-License-Identifier: MIT
// Where the picture to change is dropped, pasted or chosen, and shown as the model will see it.
#ifndef LIMNER_DROP_ZONE_H
#define LIMNER_DROP_ZONE_H

#include "app/input.h"

#include <gtk/gtk.h>

// Properties: "input" (LimnerInput or NULL; notifies). Its buttons call win.open-picture and
// win.paste-picture.
#define LIMNER_TYPE_DROP_ZONE (limner_drop_zone_get_type())
G_DECLARE_FINAL_TYPE(LimnerDropZone, limner_drop_zone, LIMNER, DROP_ZONE, GtkWidget)

LimnerInput *limner_drop_zone_get_input(LimnerDropZone *self); // borrowed, may be NULL
void limner_drop_zone_set_input(LimnerDropZone *self, LimnerInput *input);
// How the picture becomes square.
JanusFit limner_drop_zone_get_fit(LimnerDropZone *self);
void limner_drop_zone_set_fit(LimnerDropZone *self, JanusFit fit);
// Reads a picture off the window's thread; the newest wins. What goes wrong is said in the zone,
// which keeps the picture it has.
void limner_drop_zone_load(LimnerDropZone *self, GFile *file);
void limner_drop_zone_paste(LimnerDropZone *self);
// Whether a picture is being read.
gboolean limner_drop_zone_is_loading(LimnerDropZone *self);

#endif
