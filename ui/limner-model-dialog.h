// SPDX-License-Identifier: MIT
// A small window beside the main one: the model, what computes it, and what it needs of memory in
// each format, also while it is being opened.
#ifndef LIMNER_MODEL_DIALOG_H
#define LIMNER_MODEL_DIALOG_H

#include "app/job-queue.h"

#include <adwaita.h>

#define LIMNER_TYPE_MODEL_DIALOG (limner_model_dialog_get_type())
G_DECLARE_FINAL_TYPE(LimnerModelDialog, limner_model_dialog, LIMNER, MODEL_DIALOG, AdwWindow)

// Signal "device-chosen" (const char *device): "auto", "cpu", "cuda:1", by the person. The choice
// is there only where there is a card.
LimnerModelDialog *limner_model_dialog_new(GtkWindow *parent, LimnerJobQueue *queue,
                                           const char *device);

#endif
