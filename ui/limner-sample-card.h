// SPDX-License-Identifier: MIT
// A large card of the set being made: the sample, and on hover or focus what can be done with it.
#ifndef LIMNER_SAMPLE_CARD_H
#define LIMNER_SAMPLE_CARD_H

#include "app/job.h"

#include <gtk/gtk.h>

#define LIMNER_TYPE_SAMPLE_CARD (limner_sample_card_get_type())
G_DECLARE_FINAL_TYPE(LimnerSampleCard, limner_sample_card, LIMNER, SAMPLE_CARD, GtkFlowBoxChild)

GtkWidget *limner_sample_card_new(LimnerSample *sample);
LimnerSample *limner_sample_card_get_sample(LimnerSampleCard *self); // borrowed
// Whether its job runs.
void limner_sample_card_set_busy(LimnerSampleCard *self, gboolean busy);

#endif
