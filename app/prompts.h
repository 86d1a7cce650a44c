// SPDX-License-Identifier: MIT
// What can be said to a model: prompts and instructions to try, and the words it knows. A model
// folder states them in prompts.json; for the others there are general ones.
//
//   {"about": "what the model knows, in a sentence", "about_edits": "the same for instructions",
//    "words": ["every", "word", ...], "prompts": ["A red house", ...], "edits": ["Add rain.", ...]}
//
// Each key may be left out.
#ifndef LIMNER_PROMPTS_H
#define LIMNER_PROMPTS_H

#include <gio/gio.h>

typedef enum {
  LIMNER_PROMPT_PAINT, // what to paint
  LIMNER_PROMPT_EDIT,  // what to change about a picture
} LimnerPromptKind;

// Immutable; every function on any thread.
typedef struct LimnerPrompts LimnerPrompts;

// Reads `folder`/prompts.json, which may be missing. A bad one is as good as none: see
// limner_prompts_get_problem(). Never NULL; owned. Blocks a little.
LimnerPrompts *limner_prompts_load(const char *folder);
LimnerPrompts *limner_prompts_ref(LimnerPrompts *self);
void limner_prompts_unref(LimnerPrompts *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerPrompts, limner_prompts_unref)

// One sentence about a prompts.json that could not be used; NULL = there was none, or a good one.
const char *limner_prompts_get_problem(const LimnerPrompts *self);
// What the model knows, for instructions that of pictures where the folder says no more; NULL = the
// folder does not say.
const char *limner_prompts_get_about(const LimnerPrompts *self, LimnerPromptKind kind);
guint limner_prompts_get_n(const LimnerPrompts *self, LimnerPromptKind kind);
// The prompt at `index` of the order that `seed` puts them in: each comes up once in
// limner_prompts_get_n() of them, and never the same one twice running where there are two.
// Borrowed.
const char *limner_prompts_pick(const LimnerPrompts *self, LimnerPromptKind kind, guint64 seed,
                                guint index);
// The words of `text` that the model does not know, as they are written there, each once and at
// most `max`; none where the folder lists no words. Upper and lower case count as the same. Owned.
GStrv limner_prompts_dup_unknown(const LimnerPrompts *self, const char *text, guint max);

#endif
