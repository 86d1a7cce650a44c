// SPDX-License-Identifier: MIT
// The prompts used before, newest first, with a box to search them.
#ifndef LIMNER_HISTORY_H
#define LIMNER_HISTORY_H

#include <gtk/gtk.h>

// Signals: "chosen" (const char *prompt).
#define LIMNER_TYPE_HISTORY (limner_history_get_type())
G_DECLARE_FINAL_TYPE(LimnerHistory, limner_history, LIMNER, HISTORY, GtkWidget)

// Oldest first, NULL-terminated; copied. The search is emptied.
void limner_history_set_prompts(LimnerHistory *self, const char *const *prompts);
// How many are shown; each of the words searched for occurs in them.
guint limner_history_get_n_shown(LimnerHistory *self);

#endif
