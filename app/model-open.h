// SPDX-License-Identifier: MIT
// Opening a model where another may be in use.
#ifndef LIMNER_MODEL_OPEN_H
#define LIMNER_MODEL_OPEN_H

#include "engine/engine.h"

#include <glib.h>

// Both functions are called on the thread that opens, with `user_data`.
typedef struct LimnerModelOpening {
  JanusModelOptions options;
  // It is open and says what it needs; its weights are still to be loaded.
  void (*opened)(const JanusModel *model, void *user_data);
  JanusPrepareFunc progress; // of loading; may stop it
  void *user_data;
} LimnerModelOpening;

// Opens and prepares a model; with the device "auto" on the CPU where a card fails at it. Where
// there is no room for both, also on a card, the one in use is freed first: *in_use is NULL then.
// Owned; NULL and an error on failure.
JanusModel *limner_model_open(const LimnerModelOpening *opening, JanusModel **in_use,
                              JanusError *error);
gboolean limner_model_is_on_card(const JanusModel *model); // NULL is allowed

#endif
