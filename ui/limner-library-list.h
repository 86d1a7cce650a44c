// SPDX-License-Identifier: MIT
// What the library answers to a query, as a list model that follows it: newest first, read in pages
// off the window's thread. One picture is one item for as long as it is in the list, so that
// selections and what has the focus stay when something else changes.
#ifndef LIMNER_LIBRARY_LIST_H
#define LIMNER_LIBRARY_LIST_H

#include "app/library.h"

// Properties: "entry" (LimnerEntry; notifies when the picture became a favourite, was renamed, ...)
#define LIMNER_TYPE_LIBRARY_ITEM (limner_library_item_get_type())
G_DECLARE_FINAL_TYPE(LimnerLibraryItem, limner_library_item, LIMNER, LIBRARY_ITEM, GObject)

LimnerEntry *limner_library_item_get_entry(LimnerLibraryItem *self); // borrowed

// Signals: "problem" (const char *sentence). Properties: "loading" (gboolean, read only): whether
// the first pictures of the query are still to come.
#define LIMNER_TYPE_LIBRARY_LIST (limner_library_list_get_type())
G_DECLARE_FINAL_TYPE(LimnerLibraryList, limner_library_list, LIMNER, LIBRARY_LIST, GObject)

LimnerLibraryList *limner_library_list_new(LimnerLibrary *library);
// Asks something else; offset and limit are the list's own. The query is copied.
void limner_library_list_set_query(LimnerLibraryList *self, const LimnerLibraryQuery *query);
gboolean limner_library_list_is_loading(LimnerLibraryList *self);
// Where a picture is in the list; FALSE = not there.
gboolean limner_library_list_find(LimnerLibraryList *self, gint64 id, guint *position);

#endif
