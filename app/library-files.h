// SPDX-License-Identifier: MIT
// Inside the app: the library's files. Knows nothing of the index. Any thread; blocks.
#ifndef LIMNER_LIBRARY_FILES_H
#define LIMNER_LIBRARY_FILES_H

#include "app/library-index.h"

// Writes `file` into `folder` under a name that nobody has, `stem`.`extension` or `stem`-2 and so
// on: beside, synchronised, and only then under its name. The name; owned.
char *library_file_add(const char *folder, const char *stem, const char *extension, GBytes *file,
                       GError **error);
// Moves a file into another folder of the same disk, replacing nothing. Its name there; owned.
char *library_file_move(const char *from_folder, const char *name, const char *to_folder,
                        GError **error);
// Makes a folder and those above it. One sentence in `error`.
gboolean library_folder_make(const char *folder, GError **error);
// Removes what writing left behind when it was ended in between, an hour ago or longer.
void library_folder_sweep(const char *folder);

// A regular file's time and size; FALSE when there is none.
gboolean library_file_stat(const char *folder, const char *name, EntryFile *file);

// What a PNG file of ours says of itself; the caller fills in id, name, time and flags. FALSE,
// without an error, when it is none of ours or damaged.
gboolean library_file_read(const char *path, LimnerEntryFacts *facts, GError **error);
// The same of a file's bytes and its recipe.
void library_facts_take_recipe(LimnerEntryFacts *facts, const char *json);

#endif
