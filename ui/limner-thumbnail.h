// SPDX-License-Identifier: MIT
// A small picture of the library in a square: a cell of a grid, a step of a chain.
#ifndef LIMNER_THUMBNAIL_H
#define LIMNER_THUMBNAIL_H

#include "ui/limner-thumbnails.h"

#define LIMNER_TYPE_THUMBNAIL (limner_thumbnail_get_type())
G_DECLARE_FINAL_TYPE(LimnerThumbnail, limner_thumbnail, LIMNER, THUMBNAIL, GtkWidget)

GtkWidget *limner_thumbnail_new(LimnerThumbnails *thumbnails);
// Shows this one, as soon as it is read; NULL empties the square.
void limner_thumbnail_set_entry(LimnerThumbnail *self, LimnerEntry *entry);
LimnerEntry *limner_thumbnail_get_entry(LimnerThumbnail *self); // borrowed, may be NULL
gboolean limner_thumbnail_has_picture(LimnerThumbnail *self);

#endif
