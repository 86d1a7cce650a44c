// SPDX-License-Identifier: MIT
// The pictures: the set being made as large cards, its progress, and everything made earlier,
// newest first. With nothing to show, a page that says what can be done.
#ifndef LIMNER_GALLERY_H
#define LIMNER_GALLERY_H

#include "app/job.h"

#include <adwaita.h>

#define LIMNER_TYPE_GALLERY (limner_gallery_get_type())
G_DECLARE_FINAL_TYPE(LimnerGallery, limner_gallery, LIMNER, GALLERY, GtkWidget)

// Makes this job's samples the present set; the pictures of the one before go among the earlier
// ones. NULL: no present set.
void limner_gallery_show_job(LimnerGallery *self, LimnerJob *job);
// Shows no job; the pictures of the one before go with it.
void limner_gallery_drop_job(LimnerGallery *self);
LimnerJob *limner_gallery_get_job(LimnerGallery *self); // borrowed, may be NULL
// The LimnerSample that are chosen, in the order in which they are shown: the one with the focus,
// or those that are selected and it is one of; else the first of the set. Owned, maybe empty.
GPtrArray *limner_gallery_dup_chosen(LimnerGallery *self);
// Takes the samples that are these LimnerEntry of the library out of sight, or shows them again.
void limner_gallery_set_hidden(LimnerGallery *self, GPtrArray *entries, gboolean is_hidden);
// The first of those that are chosen; borrowed, may be NULL.
LimnerSample *limner_gallery_get_chosen(LimnerGallery *self);
// The sample `step` places after this one, the set first and the earlier ones after it; borrowed,
// NULL where there is none.
LimnerSample *limner_gallery_get_neighbour(LimnerGallery *self, LimnerSample *sample, int step);
// The button a failed job shows: a label and a window action.
void limner_gallery_set_help(LimnerGallery *self, const char *label, const char *action);
AdwToastOverlay *limner_gallery_get_toasts(LimnerGallery *self); // borrowed

#endif
