// SPDX-License-Identifier: MIT
// The index compared with the files, which are the truth.
#include "app/library-private.h"

#include <string.h>

// What the index knows of one file.
typedef struct Known {
  gint64 id; // 0 = none of ours
  EntryFile file;
  gboolean is_missing, is_seen;
} Known;

typedef struct Scan {
  LimnerLibrary *library; // borrowed
  LimnerRescan result;
  GHashTable *known;      // "0name" or "1name" (deleted) -> Known
  GHashTable *favourites; // of SHA-256s
} Scan;

static char *dup_key(gboolean is_deleted, const char *name) {
  return g_strdup_printf("%d%s", is_deleted ? 1 : 0, name);
}

static gboolean load_known(Scan *scan, const char *sql, GError **error) {
  LibraryIndex *index = &scan->library->index;
  g_autoptr(GError) reason = NULL;
  sqlite3_stmt *row = library_index_prepare(index, error, sql, "");
  if (!row)
    return FALSE;
  while (library_index_step(index, row, &reason)) {
    Known *known = g_new0(Known, 1);
    known->id = sqlite3_column_int64(row, 0);
    known->file = (EntryFile){sqlite3_column_int64(row, 3), sqlite3_column_int64(row, 4)};
    known->is_missing = sqlite3_column_int(row, 5) != 0;
    g_hash_table_replace(
        scan->known,
        dup_key(sqlite3_column_int(row, 2) != 0, (const char *)sqlite3_column_text(row, 1)), known);
  }
  sqlite3_finalize(row);
  if (!reason)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&reason));
  return FALSE;
}

static gboolean load_all_known(Scan *scan, GError **error) {
  g_mutex_lock(&scan->library->lock);
  const gboolean ok =
      load_known(scan, "SELECT 0, name, is_deleted, mtime_us, size, 0 FROM passed_over", error) &&
      load_known(scan, "SELECT id, name, deleted_us > 0, mtime_us, size, missing FROM pictures",
                 error);
  g_mutex_unlock(&scan->library->lock);
  return ok;
}

// --- one file ------------------------------------------------------------------------------------

static gboolean pass_over(LibraryIndex *index, gboolean is_deleted, const char *name,
                          const EntryFile *file, GError **error) {
  return library_index_run(index, error, "INSERT OR REPLACE INTO passed_over VALUES (?, ?, ?, ?)",
                           "siii", name, (gint64)is_deleted, file->mtime_us, file->size_bytes);
}

// Whether the file that an entry is known by is still there.
static gboolean has_file(LimnerLibrary *library, const LimnerEntryFacts *facts) {
  EntryFile file;
  return library_file_stat(library_folder_of(library, facts->is_deleted), facts->name, &file);
}

// The picture is known by another name or place: it was moved, unless it is there as well.
static gboolean move_entry(Scan *scan, LimnerEntry *entry, const LimnerEntryFacts *found,
                           const EntryFile *file, GError **error) {
  LibraryIndex *index = &scan->library->index;
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  const gboolean is_same =
      facts->is_deleted == found->is_deleted && strcmp(facts->name, found->name) == 0;
  if (!is_same && has_file(scan->library, facts))
    return pass_over(index, found->is_deleted, found->name, file, error);
  scan->result.n_moved += !is_same;
  return library_index_run(index, error,
                           "UPDATE pictures SET name = ?, deleted_us = ?, missing = 0,"
                           " mtime_us = ?, size = ? WHERE id = ?",
                           "siiii", found->name, found->is_deleted ? g_get_real_time() : (gint64)0,
                           file->mtime_us, file->size_bytes, facts->id);
}

// With the lock; another program may do the same at this moment.
static gboolean take_in(Scan *scan, LimnerEntryFacts *found, const EntryFile *file,
                        GError **error) {
  LibraryIndex *index = &scan->library->index;
  if (!library_index_begin(index, error))
    return FALSE;
  g_autoptr(GError) reason = NULL;
  g_autoptr(LimnerEntry) entry =
      library_index_get(index, &reason, "WHERE sha256 = ?", "s", found->sha256);
  // Another picture had that name: it was replaced.
  gboolean ok =
      !reason && library_index_run(index, &reason,
                                   "DELETE FROM pictures WHERE name = ? AND"
                                   " (deleted_us > 0) = ? AND sha256 <> ?",
                                   "sis", found->name, (gint64)found->is_deleted, found->sha256);
  if (ok && entry) {
    ok = move_entry(scan, entry, found, file, &reason);
  } else if (ok) {
    found->is_favourite = g_hash_table_contains(scan->favourites, found->sha256);
    ok = library_index_insert(index, found, file, &reason) != 0;
    scan->result.n_new += ok;
  }
  ok = library_index_end(index, ok, reason ? NULL : &reason);
  if (reason)
    g_propagate_error(error, g_steal_pointer(&reason));
  return ok;
}

static gboolean read_file(Scan *scan, const char *name, gboolean is_deleted, const EntryFile *file,
                          GError **error) {
  LimnerLibrary *library = scan->library;
  LimnerEntryFacts facts;
  g_autofree char *path = g_build_filename(library_folder_of(library, is_deleted), name, NULL);
  const gboolean is_ours = library_file_read(path, &facts, NULL);
  g_mutex_lock(&library->lock);
  gboolean ok;
  if (is_ours) {
    facts.name = g_strdup(name);
    facts.is_deleted = is_deleted;
    facts.made_us = file->mtime_us;
    ok = take_in(scan, &facts, file, error);
    library_facts_clear(&facts);
  } else {
    ok = pass_over(&library->index, is_deleted, name, file, error);
  }
  g_mutex_unlock(&library->lock);
  return ok;
}

static gboolean set_missing(Scan *scan, const Known *known, gboolean is_missing, GError **error) {
  g_mutex_lock(&scan->library->lock);
  const gboolean ok = library_index_run(&scan->library->index, error,
                                        "UPDATE pictures SET missing = ? WHERE id = ?", "ii",
                                        (gint64)is_missing, known->id);
  g_mutex_unlock(&scan->library->lock);
  return ok;
}

static gboolean scan_file(Scan *scan, const char *name, gboolean is_deleted, GError **error) {
  EntryFile file;
  if (name[0] == '.' || !g_str_has_suffix(name, ".png") ||
      !library_file_stat(library_folder_of(scan->library, is_deleted), name, &file))
    return TRUE;
  scan->result.n_files++;
  g_autofree char *key = dup_key(is_deleted, name);
  Known *known = g_hash_table_lookup(scan->known, key);
  if (known)
    known->is_seen = TRUE;
  if (!known || known->file.mtime_us != file.mtime_us || known->file.size_bytes != file.size_bytes)
    return read_file(scan, name, is_deleted, &file, error);
  scan->result.n_moved += known->is_missing; // it is back
  return !known->is_missing || set_missing(scan, known, FALSE, error);
}

// --- the whole folder ----------------------------------------------------------------------------

static gboolean scan_folder(Scan *scan, gboolean is_deleted, GCancellable *cancellable,
                            GError **error) {
  g_autoptr(GDir) dir = g_dir_open(library_folder_of(scan->library, is_deleted), 0, NULL);
  const char *name;
  gboolean ok = TRUE;
  while (ok && dir && (name = g_dir_read_name(dir)))
    ok = !g_cancellable_set_error_if_cancelled(cancellable, error) &&
         scan_file(scan, name, is_deleted, error);
  return ok;
}

// What was listed before somebody else added it is not gone: it is looked for once more.
static gboolean mark_missing(Scan *scan, GError **error) {
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, scan->known);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    const Known *known = value;
    EntryFile file;
    const gboolean is_deleted = *(char *)key == '1';
    if (known->is_seen || known->id == 0 || known->is_missing ||
        library_file_stat(library_folder_of(scan->library, is_deleted), (char *)key + 1, &file))
      continue;
    g_mutex_lock(&scan->library->lock);
    const gboolean ok = library_index_run(
        &scan->library->index, error,
        "UPDATE pictures SET missing = 1 WHERE id = ? AND name = ? AND (deleted_us > 0) = ?", "isi",
        known->id, (char *)key + 1, (gint64)is_deleted);
    scan->result.n_missing += ok && sqlite3_changes(scan->library->index.db) > 0;
    g_mutex_unlock(&scan->library->lock);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

gboolean limner_library_rescan(LimnerLibrary *self, GCancellable *cancellable, LimnerRescan *result,
                               GError **error) {
  Scan scan = {.library = self,
               .known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
               .favourites = library_read_favourites(self)};
  library_folder_sweep(self->folder);
  library_folder_sweep(self->inputs);
  const gboolean ok = load_all_known(&scan, error) &&
                      scan_folder(&scan, FALSE, cancellable, error) &&
                      scan_folder(&scan, TRUE, cancellable, error) && mark_missing(&scan, error);
  g_hash_table_unref(scan.known);
  g_hash_table_unref(scan.favourites);
  if (scan.result.n_new + scan.result.n_moved + scan.result.n_missing > 0)
    library_tell_changed(self);
  if (result)
    *result = scan.result;
  return ok;
}
