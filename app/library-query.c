// SPDX-License-Identifier: MIT
// Entries, and asking the library for them.
//
// Words are looked for with instr() in folded prompts: 10,000 of them take a few milliseconds,
// which is why there is no full-text index to keep in step with the table.
#include "app/library-private.h"

#include <string.h>

struct _LimnerEntry {
  GObject parent_instance;
  LimnerEntryFacts facts; // owned
};

G_DEFINE_FINAL_TYPE(LimnerEntry, limner_entry, G_TYPE_OBJECT)

enum { MAX_CHAIN = 10000 };

static void limner_entry_finalize(GObject *object) {
  library_facts_clear(&LIMNER_ENTRY(object)->facts);
  G_OBJECT_CLASS(limner_entry_parent_class)->finalize(object);
}

static void limner_entry_class_init(LimnerEntryClass *klass) {
  G_OBJECT_CLASS(klass)->finalize = limner_entry_finalize;
}

static void limner_entry_init(LimnerEntry *self) {}

LimnerEntry *limner_entry_new(const LimnerEntryFacts *facts) {
  LimnerEntry *self = g_object_new(LIMNER_TYPE_ENTRY, NULL);
  self->facts = *facts;
  return self;
}

const LimnerEntryFacts *limner_entry_get_facts(LimnerEntry *self) {
  return &self->facts;
}

void library_facts_clear(LimnerEntryFacts *facts) {
  g_free(facts->sha256);
  g_free(facts->name);
  g_free(facts->input_sha256);
  g_free(facts->prompt);
  g_free(facts->model);
  *facts = (LimnerEntryFacts){0};
}

// --- queries -------------------------------------------------------------------------------------

// " AND instr(folded, 'word')" for each word; quoted by SQLite's own rules.
static void append_words(GString *clauses, const char *text) {
  g_autofree char *folded = library_index_fold(text ? text : "");
  g_auto(GStrv) words = g_strsplit_set(folded, " \t\n\r", -1);
  for (char **word = words; *word; word++) {
    if (!**word)
      continue;
    char *term = sqlite3_mprintf(" AND instr(folded, %Q)", *word);
    g_string_append(clauses, term ? term : "");
    sqlite3_free(term);
  }
}

static char *dup_clauses(const LimnerLibraryQuery *query) {
  GString *clauses = g_string_new("WHERE deleted_us ");
  g_string_append(clauses, query->only_deleted ? "> 0" : "= 0");
  if (query->kinds)
    g_string_append_printf(clauses, " AND (kind & %u) <> 0", query->kinds);
  if (query->only_favourites)
    g_string_append(clauses, " AND favourite <> 0");
  if (query->model) {
    char *term = sqlite3_mprintf(" AND model = %Q", query->model);
    g_string_append(clauses, term ? term : "");
    sqlite3_free(term);
  }
  if (query->from_us)
    g_string_append_printf(clauses, " AND made_us >= %" G_GINT64_FORMAT, query->from_us);
  if (query->until_us)
    g_string_append_printf(clauses, " AND made_us < %" G_GINT64_FORMAT, query->until_us);
  append_words(clauses, query->text);
  g_string_append(clauses, " ORDER BY made_us DESC, id DESC");
  if (query->limit || query->offset)
    g_string_append_printf(clauses, " LIMIT %d OFFSET %u", query->limit ? (int)query->limit : -1,
                           query->offset);
  return g_string_free(clauses, FALSE);
}

GPtrArray *limner_library_query(LimnerLibrary *self, const LimnerLibraryQuery *query,
                                GError **error) {
  g_autofree char *clauses = dup_clauses(query);
  g_mutex_lock(&self->lock);
  GPtrArray *entries = library_index_select(&self->index, error, clauses, "");
  g_mutex_unlock(&self->lock);
  return entries;
}

LimnerEntry *limner_library_get(LimnerLibrary *self, gint64 id, GError **error) {
  g_mutex_lock(&self->lock);
  LimnerEntry *entry = library_index_get(&self->index, error, "WHERE id = ?", "i", id);
  g_mutex_unlock(&self->lock);
  return entry;
}

LimnerEntry *limner_library_find(LimnerLibrary *self, const char *sha256, GError **error) {
  g_mutex_lock(&self->lock);
  LimnerEntry *entry = library_index_get(&self->index, error, "WHERE sha256 = ?", "s", sha256);
  g_mutex_unlock(&self->lock);
  return entry;
}

GStrv limner_library_dup_models(LimnerLibrary *self, GError **error) {
  g_autoptr(GStrvBuilder) models = g_strv_builder_new();
  g_autoptr(GError) reason = NULL;
  g_mutex_lock(&self->lock);
  sqlite3_stmt *row = library_index_prepare(
      &self->index, &reason,
      "SELECT DISTINCT model FROM pictures WHERE deleted_us = 0 ORDER BY model", "");
  while (row && library_index_step(&self->index, row, &reason))
    g_strv_builder_add(models, (const char *)sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  g_mutex_unlock(&self->lock);
  if (!reason)
    return g_strv_builder_end(models);
  g_propagate_error(error, g_steal_pointer(&reason));
  return NULL;
}

// --- chains --------------------------------------------------------------------------------------

GPtrArray *limner_library_children(LimnerLibrary *self, LimnerEntry *entry, GError **error) {
  g_mutex_lock(&self->lock);
  GPtrArray *entries = library_index_select(
      &self->index, error, "WHERE input_sha256 = ? ORDER BY made_us, id", "s", entry->facts.sha256);
  g_mutex_unlock(&self->lock);
  return entries;
}

GPtrArray *limner_library_ancestors(LimnerLibrary *self, LimnerEntry *entry, GError **error) {
  g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(g_object_unref);
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal); // borrowed from the chain
  g_autoptr(GError) reason = NULL;
  const char *sha256 = entry->facts.input_sha256;
  // No file can be made of itself, but a damaged index may say so.
  while (sha256 && chain->len < MAX_CHAIN && !reason && g_hash_table_add(seen, (char *)sha256)) {
    LimnerEntry *parent = limner_library_find(self, sha256, &reason);
    if (parent)
      g_ptr_array_insert(chain, 0, parent);
    sha256 = parent ? parent->facts.input_sha256 : NULL;
  }
  if (!reason)
    return g_steal_pointer(&chain);
  g_propagate_error(error, g_steal_pointer(&reason));
  return NULL;
}

// --- from the main thread ------------------------------------------------------------------------

typedef struct OwnedQuery {
  LimnerLibraryQuery query;
  char *text, *model;
} OwnedQuery;

static void owned_query_free(gpointer data) {
  OwnedQuery *owned = data;
  g_free(owned->text);
  g_free(owned->model);
  g_free(owned);
}

static gpointer call_query(LimnerLibrary *self, gpointer data, GCancellable *cancellable,
                           GError **error) {
  const OwnedQuery *owned = data;
  return limner_library_query(self, &owned->query, error);
}

void limner_library_query_async(LimnerLibrary *self, const LimnerLibraryQuery *query,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data) {
  OwnedQuery *owned = g_new0(OwnedQuery, 1);
  owned->query = *query;
  owned->query.text = owned->text = g_strdup(query->text);
  owned->query.model = owned->model = g_strdup(query->model);
  limner_library_call_async(self, call_query, owned, owned_query_free,
                            (GDestroyNotify)g_ptr_array_unref, cancellable, callback, user_data);
}

GPtrArray *limner_library_query_finish(LimnerLibrary *self, GAsyncResult *result, GError **error) {
  return limner_library_call_finish(self, result, error);
}
