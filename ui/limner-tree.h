// SPDX-License-Identifier: MIT
// The pictures that were made of one another, drawn as a tree: the first one at the start, what was
// made of it behind it, each with the words that it was asked for.
#ifndef LIMNER_TREE_H
#define LIMNER_TREE_H

#include "ui/limner-thumbnails.h"

// Signals: "open" (LimnerEntry *entry), "problem" (const char *sentence).
#define LIMNER_TYPE_TREE (limner_tree_get_type())
G_DECLARE_FINAL_TYPE(LimnerTree, limner_tree, LIMNER, TREE, GtkWidget)

// Shows the tree that this picture is in, as soon as it is read, and follows the library.
void limner_tree_show(LimnerTree *self, LimnerLibrary *library, LimnerThumbnails *thumbnails,
                      LimnerEntry *entry);
// The picture that is marked: the one that had the focus last, at first the one it is shown for.
// Borrowed; NULL before there is one.
LimnerEntry *limner_tree_get_chosen(LimnerTree *self);
// The one it is shown for; borrowed, NULL before there is one.
LimnerEntry *limner_tree_get_shown(LimnerTree *self);
guint limner_tree_get_n_nodes(LimnerTree *self);

#endif
