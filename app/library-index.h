// SPDX-License-Identifier: MIT
// Inside the app: the library's index, an SQLite database. One connection; the library's lock is
// held around every call.
#ifndef LIMNER_LIBRARY_INDEX_H
#define LIMNER_LIBRARY_INDEX_H

#include "app/library.h"

#include <sqlite3.h>

typedef struct LibraryIndex {
  sqlite3 *db;
  char *path;          // NULL = in memory
  gboolean has_thumbs; // the cache is attached
} LibraryIndex;

// Opens or makes `state`/index.sqlite, checks it, brings it to the newest form, and attaches the
// thumbnails. A damaged one is moved aside; one that cannot be used is left alone and replaced by
// one in memory. `problem` receives a sentence about either, owned. Fails never.
void library_index_open(LibraryIndex *index, const char *state, char **problem);
void library_index_close(LibraryIndex *index);

// A statement with its parameters: 's' const char * (NULL allowed), 'i' gint64, 'b' GBytes *. NULL
// and an error on failure; sqlite3_finalize() it.
sqlite3_stmt *library_index_prepare(LibraryIndex *index, GError **error, const char *sql,
                                    const char *types, ...);
// The next row. FALSE at the end, or with an error.
gboolean library_index_step(LibraryIndex *index, sqlite3_stmt *statement, GError **error);
// A statement without rows.
gboolean library_index_run(LibraryIndex *index, GError **error, const char *sql, const char *types,
                           ...);

// What is asked and written between these is so for every program at once. When `ok` is false, or
// it cannot be written, nothing of it stays; whether it does.
gboolean library_index_begin(LibraryIndex *index, GError **error);
gboolean library_index_end(LibraryIndex *index, gboolean ok, GError **error);

// What a row of `pictures` also holds.
typedef struct EntryFile {
  gint64 mtime_us, size_bytes;
} EntryFile;

// Entries of "SELECT * FROM pictures" + `clauses`. Owned; NULL on failure.
GPtrArray *library_index_select(LibraryIndex *index, GError **error, const char *clauses,
                                const char *types, ...);
// The same for one; NULL without an error = none.
LimnerEntry *library_index_get(LibraryIndex *index, GError **error, const char *clauses,
                               const char *types, ...);
// Adds a row; its id, 0 on failure.
gint64 library_index_insert(LibraryIndex *index, const LimnerEntryFacts *facts,
                            const EntryFile *file, GError **error);
// A text as prompts are compared: folded, without marks. Owned.
char *library_index_fold(const char *text);

// --- entries -------------------------------------------------------------------------------------

// Takes what the facts hold.
LimnerEntry *limner_entry_new(const LimnerEntryFacts *facts);
void library_facts_clear(LimnerEntryFacts *facts);

#endif
