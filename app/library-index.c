// SPDX-License-Identifier: MIT
// The index: opening, repairing and migrating it, and rows as entries.
#include "app/library-index.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { BUSY_TIMEOUT_MS = 5000 };

// The statements that lead from version i to i + 1; never changed, only added to.
static const char *const migrations[] = {
    "CREATE TABLE pictures (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL, input_sha256 TEXT, kind INTEGER NOT NULL, prompt TEXT NOT NULL,"
    " folded TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL, sample INTEGER NOT NULL,"
    " made_us INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
    " favourite INTEGER NOT NULL DEFAULT 0, deleted_us INTEGER NOT NULL DEFAULT 0,"
    " missing INTEGER NOT NULL DEFAULT 0, mtime_us INTEGER NOT NULL, size INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX pictures_by_name ON pictures (name, deleted_us > 0);"
    "CREATE INDEX pictures_by_input ON pictures (input_sha256);"
    "CREATE INDEX pictures_by_time ON pictures (made_us DESC, id DESC);"
    // Files of the folder that are none of ours, so that they are read once.
    "CREATE TABLE passed_over (name TEXT NOT NULL, is_deleted INTEGER NOT NULL,"
    " mtime_us INTEGER NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (name, is_deleted));",
};

// --- statements ----------------------------------------------------------------------------------

static int io_code(int code) {
  switch (code & 0xff) {
  case SQLITE_FULL:
    return G_IO_ERROR_NO_SPACE;
  case SQLITE_READONLY:
    return G_IO_ERROR_READ_ONLY;
  case SQLITE_BUSY:
    return G_IO_ERROR_BUSY;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return G_IO_ERROR_INVALID_DATA;
  default:
    return G_IO_ERROR_FAILED;
  }
}

static void fail(LibraryIndex *index, GError **error) {
  const int code = sqlite3_errcode(index->db);
  g_set_error(error, G_IO_ERROR, io_code(code), "the library's index %s cannot be used: %s",
              index->path ? index->path : "in memory", sqlite3_errmsg(index->db));
}

static sqlite3_stmt *prepare(LibraryIndex *index, GError **error, const char *sql,
                             const char *types, va_list values) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL) != SQLITE_OK) {
    fail(index, error);
    return NULL;
  }
  for (int i = 1; *types; types++, i++) {
    gsize n_bytes = 0;
    if (*types == 's') {
      sqlite3_bind_text(statement, i, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
    } else if (*types == 'i') {
      sqlite3_bind_int64(statement, i, va_arg(values, gint64));
    } else {
      gconstpointer data = g_bytes_get_data(va_arg(values, GBytes *), &n_bytes);
      sqlite3_bind_blob64(statement, i, data, n_bytes, SQLITE_TRANSIENT);
    }
  }
  return statement;
}

sqlite3_stmt *library_index_prepare(LibraryIndex *index, GError **error, const char *sql,
                                    const char *types, ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *statement = prepare(index, error, sql, types, values);
  va_end(values);
  return statement;
}

gboolean library_index_step(LibraryIndex *index, sqlite3_stmt *statement, GError **error) {
  const int code = sqlite3_step(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE)
    fail(index, error);
  return code == SQLITE_ROW;
}

static gboolean run_to_end(LibraryIndex *index, sqlite3_stmt *statement, GError **error) {
  g_autoptr(GError) reason = NULL;
  while (library_index_step(index, statement, &reason))
    ;
  sqlite3_finalize(statement);
  if (!reason)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&reason));
  return FALSE;
}

gboolean library_index_run(LibraryIndex *index, GError **error, const char *sql, const char *types,
                           ...) {
  va_list values;
  va_start(values, types);
  sqlite3_stmt *statement = prepare(index, error, sql, types, values);
  va_end(values);
  return statement && run_to_end(index, statement, error);
}

static gboolean run_script(LibraryIndex *index, const char *sql, GError **error) {
  if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK)
    return TRUE;
  fail(index, error);
  return FALSE;
}

gboolean library_index_begin(LibraryIndex *index, GError **error) {
  return run_script(index, "BEGIN IMMEDIATE", error);
}

gboolean library_index_end(LibraryIndex *index, gboolean ok, GError **error) {
  ok = ok && run_script(index, "COMMIT", error);
  if (!ok)
    sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
  return ok;
}

// --- opening -------------------------------------------------------------------------------------

static gint64 ask_number(LibraryIndex *index, const char *sql) {
  sqlite3_stmt *statement = library_index_prepare(index, NULL, sql, "");
  const gboolean has = statement && library_index_step(index, statement, NULL);
  const gint64 value = has ? sqlite3_column_int64(statement, 0) : -1;
  sqlite3_finalize(statement);
  return value;
}

static gboolean is_sound(LibraryIndex *index, GError **error) {
  sqlite3_stmt *statement = library_index_prepare(index, error, "PRAGMA quick_check(1)", "");
  if (!statement)
    return FALSE;
  const gboolean has = library_index_step(index, statement, error);
  const gboolean ok = has && g_strcmp0((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
  if (has && !ok)
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "it is damaged");
  sqlite3_finalize(statement);
  return ok;
}

static gboolean migrate(LibraryIndex *index, GError **error) {
  if (!library_index_begin(index, error))
    return FALSE;
  const gint64 version = ask_number(index, "PRAGMA user_version");
  gboolean ok = version >= 0 && version <= (gint64)G_N_ELEMENTS(migrations);
  if (!ok)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "the library's index %s is of version %" G_GINT64_FORMAT
                ", that of a later Limner; this one knows %u",
                index->path, version, (guint)G_N_ELEMENTS(migrations));
  for (gsize i = (gsize)MAX(version, 0); ok && i < G_N_ELEMENTS(migrations); i++)
    ok = run_script(index, migrations[i], error);
  g_autofree char *stamp =
      g_strdup_printf("PRAGMA user_version = %u", (guint)G_N_ELEMENTS(migrations));
  return library_index_end(index, ok && run_script(index, stamp, error), error);
}

// The statements that made the tables. Owned.
static char *dup_tables(LibraryIndex *index) {
  sqlite3_stmt *statement = library_index_prepare(
      index, NULL,
      "SELECT group_concat(name || sql, char(10)) FROM (SELECT name, sql FROM sqlite_master"
      " WHERE type = 'table' AND name IN ('pictures', 'passed_over') ORDER BY name)",
      "");
  const gboolean has = statement && library_index_step(index, statement, NULL);
  char *tables = has ? g_strdup((const char *)sqlite3_column_text(statement, 0)) : NULL;
  sqlite3_finalize(statement);
  return tables;
}

// A sound database of this version may still be another program's, or somebody's who changed it.
static gboolean has_our_tables(LibraryIndex *index, GError **error) {
  LibraryIndex fresh = {0};
  const gboolean ok = sqlite3_open(":memory:", &fresh.db) == SQLITE_OK && migrate(&fresh, NULL);
  g_autofree char *expected = ok ? dup_tables(&fresh) : NULL;
  g_autofree char *found = dup_tables(index);
  library_index_close(&fresh);
  if (!expected || g_strcmp0(found, expected) == 0)
    return TRUE;
  g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "its tables are others");
  return FALSE;
}

static gboolean open_path(LibraryIndex *index, const char *path, GError **error) {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  index->path = g_strdup(path);
  if (sqlite3_open_v2(path ? path : ":memory:", &index->db, flags, NULL) != SQLITE_OK) {
    fail(index, error);
    return FALSE;
  }
  sqlite3_busy_timeout(index->db, BUSY_TIMEOUT_MS);
  return run_script(index, "PRAGMA journal_mode = WAL", error) &&
         run_script(index, "PRAGMA synchronous = NORMAL", error) && is_sound(index, error) &&
         migrate(index, error) && has_our_tables(index, error);
}

void library_index_close(LibraryIndex *index) {
  sqlite3_close(index->db);
  g_free(index->path);
  *index = (LibraryIndex){0};
}

// Gives a damaged index a name that nobody has. Owned; NULL when it cannot.
static char *move_aside(const char *path) {
  static const char *const companions[] = {"-wal", "-shm"};
  for (guint i = 1; i < 1000; i++) {
    g_autofree char *aside = g_strdup_printf("%s.damaged-%u", path, i);
    if (g_file_test(aside, G_FILE_TEST_EXISTS))
      continue;
    if (g_rename(path, aside) != 0)
      return NULL;
    for (gsize k = 0; k < G_N_ELEMENTS(companions); k++) {
      g_autofree char *from = g_strconcat(path, companions[k], NULL);
      g_autofree char *to = g_strconcat(aside, companions[k], NULL);
      g_rename(from, to);
    }
    return g_steal_pointer(&aside);
  }
  return NULL;
}

static gboolean open_or_replace(LibraryIndex *index, const char *path, char **problem,
                                GError **error) {
  g_autoptr(GError) reason = NULL;
  if (open_path(index, path, &reason))
    return TRUE;
  library_index_close(index);
  const gboolean is_damaged = g_error_matches(reason, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  g_autofree char *aside = is_damaged ? move_aside(path) : NULL;
  if (!aside) {
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
  }
  *problem = g_strdup_printf("The library's index was damaged: it was set aside as %s and is made "
                             "anew from the pictures",
                             aside);
  return open_path(index, path, error);
}

// The cache may be lost at any time: a bad one is removed, and without one there is none.
static void attach_thumbnails(LibraryIndex *index, const char *path) {
  static const char table[] =
      "PRAGMA thumbs.journal_mode = WAL; PRAGMA thumbs.synchronous = OFF;"
      "CREATE TABLE IF NOT EXISTS thumbs.thumbnails"
      " (n INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, jpeg BLOB NOT NULL);";
  for (int attempt = 0; attempt < 2 && !index->has_thumbs; attempt++) {
    index->has_thumbs = library_index_run(index, NULL, "ATTACH DATABASE ? AS thumbs", "s", path) &&
                        sqlite3_exec(index->db, table, NULL, NULL, NULL) == SQLITE_OK;
    if (!index->has_thumbs) {
      sqlite3_exec(index->db, "DETACH DATABASE thumbs", NULL, NULL, NULL);
      g_unlink(path);
    }
  }
}

void library_index_open(LibraryIndex *index, const char *state, char **problem) {
  g_autofree char *path = g_build_filename(state, "index.sqlite", NULL);
  g_autofree char *thumbs = g_build_filename(state, "thumbnails.sqlite", NULL);
  g_autofree char *lock = g_build_filename(state, "lock", NULL);
  g_autoptr(GError) error = NULL;
  *problem = NULL;
  // Two programs do not repair at once; without a lock they are merely less polite.
  const int fd = g_open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd >= 0)
    flock(fd, LOCK_EX);
  if (open_or_replace(index, path, problem, &error)) {
    attach_thumbnails(index, thumbs);
  } else {
    library_index_close(index);
    g_free(*problem);
    *problem =
        g_strdup_printf("What the library knows is forgotten at the end: %s", error->message);
    open_path(index, NULL, NULL);
  }
  if (fd >= 0)
    close(fd);
}

// --- rows ----------------------------------------------------------------------------------------

static char *dup_column(sqlite3_stmt *statement, int column) {
  return g_strdup((const char *)sqlite3_column_text(statement, column));
}

// Of a column that always has one; "" for want of memory.
static char *dup_text(sqlite3_stmt *statement, int column) {
  const char *text = (const char *)sqlite3_column_text(statement, column);
  return g_strdup(text ? text : "");
}

// The columns in the order of the table.
static LimnerEntry *entry_of(sqlite3_stmt *row) {
  const LimnerEntryFacts facts = {
      .id = sqlite3_column_int64(row, 0),
      .sha256 = dup_text(row, 1),
      .name = dup_text(row, 2),
      .input_sha256 = dup_column(row, 3),
      .kind = (LimnerKind)sqlite3_column_int(row, 4),
      .prompt = dup_text(row, 5),
      .model = dup_text(row, 7),
      .seed = (guint64)sqlite3_column_int64(row, 8),
      .sample = (guint)sqlite3_column_int64(row, 9),
      .made_us = sqlite3_column_int64(row, 10),
      .width_px = sqlite3_column_int(row, 11),
      .height_px = sqlite3_column_int(row, 12),
      .is_favourite = sqlite3_column_int(row, 13) != 0,
      .is_deleted = sqlite3_column_int64(row, 14) != 0,
      .is_missing = sqlite3_column_int(row, 15) != 0,
  };
  return limner_entry_new(&facts);
}

static GPtrArray *select_entries(LibraryIndex *index, GError **error, const char *clauses,
                                 const char *types, va_list values) {
  g_autofree char *sql = g_strconcat("SELECT * FROM pictures ", clauses, NULL);
  sqlite3_stmt *statement = prepare(index, error, sql, types, values);
  if (!statement)
    return NULL;
  g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(g_object_unref);
  g_autoptr(GError) reason = NULL;
  while (library_index_step(index, statement, &reason))
    g_ptr_array_add(entries, entry_of(statement));
  sqlite3_finalize(statement);
  if (!reason)
    return g_steal_pointer(&entries);
  g_propagate_error(error, g_steal_pointer(&reason));
  return NULL;
}

GPtrArray *library_index_select(LibraryIndex *index, GError **error, const char *clauses,
                                const char *types, ...) {
  va_list values;
  va_start(values, types);
  GPtrArray *entries = select_entries(index, error, clauses, types, values);
  va_end(values);
  return entries;
}

LimnerEntry *library_index_get(LibraryIndex *index, GError **error, const char *clauses,
                               const char *types, ...) {
  va_list values;
  va_start(values, types);
  g_autoptr(GPtrArray) entries = select_entries(index, error, clauses, types, values);
  va_end(values);
  return entries && entries->len > 0 ? g_object_ref(entries->pdata[0]) : NULL;
}

gint64 library_index_insert(LibraryIndex *index, const LimnerEntryFacts *facts,
                            const EntryFile *file, GError **error) {
  g_autofree char *folded = library_index_fold(facts->prompt);
  const gint64 deleted_us = facts->is_deleted ? g_get_real_time() : 0;
  const gboolean ok = library_index_run(
      index, error,
      "INSERT INTO pictures (sha256, name, input_sha256, kind, prompt, folded, model, seed, sample,"
      " made_us, width, height, favourite, deleted_us, mtime_us, size)"
      " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      "sssisssiiiiiiiii", facts->sha256, facts->name, facts->input_sha256, (gint64)facts->kind,
      facts->prompt, folded, facts->model, (gint64)facts->seed, (gint64)facts->sample,
      facts->made_us, (gint64)facts->width_px, (gint64)facts->height_px,
      (gint64)facts->is_favourite, deleted_us, file->mtime_us, file->size_bytes);
  return ok ? sqlite3_last_insert_rowid(index->db) : 0;
}

char *library_index_fold(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_autofree char *normal = g_utf8_normalize(valid, -1, G_NORMALIZE_ALL);
  g_autofree char *folded = g_utf8_casefold(normal, -1);
  GString *bare = g_string_new(NULL);
  for (const char *at = folded; *at; at = g_utf8_next_char(at))
    if (!g_unichar_ismark(g_utf8_get_char(at)))
      g_string_append_unichar(bare, g_utf8_get_char(at));
  return g_string_free(bare, FALSE);
}
