// SPDX-License-Identifier: MIT
// The page of everything that was ever made: a grid of small pictures, searched and filtered.
#ifndef LIMNER_LIBRARY_PAGE_H
#define LIMNER_LIBRARY_PAGE_H

#include "ui/limner-thumbnails.h"

#include <adwaita.h>

// Signals: "open" (LimnerEntry *entry): it was double-clicked, or Return pressed on it;
//          "problem" (const char *sentence).
#define LIMNER_TYPE_LIBRARY_PAGE (limner_library_page_get_type())
G_DECLARE_FINAL_TYPE(LimnerLibraryPage, limner_library_page, LIMNER, LIBRARY_PAGE, GtkWidget)

// Once.
void limner_library_page_set_library(LimnerLibraryPage *self, LimnerLibrary *library);
// The pictures in memory, to be shared with other parts of the window. Borrowed.
LimnerThumbnails *limner_library_page_get_thumbnails(LimnerLibraryPage *self);
// Puts the cursor where words are typed.
void limner_library_page_search(LimnerLibraryPage *self);
void limner_library_page_focus_grid(LimnerLibraryPage *self);
// LimnerEntry of the pictures selected, else of the one with the focus. Owned.
GPtrArray *limner_library_page_dup_chosen(LimnerLibraryPage *self);
// The picture `step` places after this one. Owned; NULL where there is none.
LimnerEntry *limner_library_page_dup_neighbour(LimnerLibraryPage *self, LimnerEntry *entry,
                                               int step);
// Selects it alone and scrolls to it, where the list has it.
void limner_library_page_choose(LimnerLibraryPage *self, LimnerEntry *entry);
AdwToastOverlay *limner_library_page_get_toasts(LimnerLibraryPage *self); // borrowed

#endif
