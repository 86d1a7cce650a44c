// SPDX-License-Identifier: MIT
// The box a prompt is typed in: grows with the text to six lines; up at its start and down at its
// end walk through the prompts used before.
#ifndef LIMNER_PROMPT_H
#define LIMNER_PROMPT_H

#include <gtk/gtk.h>

// Properties: "placeholder". Signals: "changed".
#define LIMNER_TYPE_PROMPT (limner_prompt_get_type())
G_DECLARE_FINAL_TYPE(LimnerPrompt, limner_prompt, LIMNER, PROMPT, GtkWidget)

// Without white space around it. Owned.
char *limner_prompt_dup_text(LimnerPrompt *self);
void limner_prompt_set_text(LimnerPrompt *self, const char *text);
// What a click writes instead of a person: it can be undone, and the cursor is at its end.
void limner_prompt_replace_text(LimnerPrompt *self, const char *text);
void limner_prompt_select_all(LimnerPrompt *self);
// The prompts used, oldest first; NULL-terminated. set copies, dup gives an owned copy.
void limner_prompt_set_history(LimnerPrompt *self, const char *const *history);
GStrv limner_prompt_dup_history(LimnerPrompt *self);
// Adds the present text as the newest.
void limner_prompt_remember(LimnerPrompt *self);
// What names it to those who do not see it; `label` is borrowed and outlives it.
void limner_prompt_set_label(LimnerPrompt *self, GtkWidget *label);

#endif
