// SPDX-License-Identifier: MIT
// A copy of what the window says about a model, from the moment it is opened on.
#ifndef LIMNER_MODEL_SUMMARY_H
#define LIMNER_MODEL_SUMMARY_H

#include "app/prompts.h"
#include "engine/engine.h"

#include <glib.h>

// What one format of the weights needs to paint a picture, and to change one. 0 = the device does
// not have it.
typedef struct LimnerFormatPlan {
  JanusWeights weights;
  guint64 paint_bytes, edit_bytes;
} LimnerFormatPlan;

enum { LIMNER_N_FORMATS = 5 };

// Strings and prompts are owned.
typedef struct LimnerModelSummary {
  char *folder;                    // as asked for ("demo" stays "demo")
  char *name;                      // "Demo model", or the folder's name
  char *device;                    // "cpu", "cuda:0"
  char *device_name;               // "CPU (AVX-512), 2 threads"
  char *device_why;                // a card was passed over, in a sentence; NULL = none was
  char *weights;                   // "f32"
  char *weights_why;               // no larger ones, in a sentence; NULL = they are the largest
  guint64 total_bytes, free_bytes; // of the device's memory, when it was opened or loaded
  LimnerFormatPlan formats[LIMNER_N_FORMATS]; // the largest first
  JanusDefaults defaults;
  LimnerPrompts *prompts; // what can be said to it
  int image_size_px, grid, n_image_tokens;
  gboolean is_demo;
  gboolean is_on_card;
} LimnerModelSummary;

// `folder` is what was asked for. Reads the folder's prompts: on a thread that may. Owned.
LimnerModelSummary *limner_model_summary_new(const char *folder, const JanusModel *model);
void limner_model_summary_free(LimnerModelSummary *summary);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerModelSummary, limner_model_summary_free)

// The format in use.
const LimnerFormatPlan *limner_model_summary_get_plan(const LimnerModelSummary *summary);

#endif
