// SPDX-License-Identifier: MIT
// Pictures into the library, out of it, to the trash and back.
#include "app/library-private.h"

#include "app/picture-load.h"
#include "app/recipe.h"
#include "app/sample-private.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <glib/gstdio.h>
#include <string.h>

// --- favourites ----------------------------------------------------------------------------------

static char *dup_favourites_path(LimnerLibrary *self) {
  return g_build_filename(self->folder, ".favourites", NULL);
}

void library_write_favourites(LimnerLibrary *self) {
  g_autofree char *path = dup_favourites_path(self);
  g_autoptr(GString) list = g_string_new(NULL);
  sqlite3_stmt *row = library_index_prepare(
      &self->index, NULL, "SELECT sha256 FROM pictures WHERE favourite <> 0 ORDER BY id", "");
  while (row && library_index_step(&self->index, row, NULL))
    g_string_append_printf(list, "%s\n", (const char *)sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  // The index knows them too: where this cannot be written there is nothing to say.
  g_file_set_contents_full(path, list->str, (gssize)list->len, G_FILE_SET_CONTENTS_CONSISTENT, 0666,
                           NULL);
}

GHashTable *library_read_favourites(LimnerLibrary *self) {
  GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *path = dup_favourites_path(self);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return set;
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++)
    g_hash_table_add(set, g_strdup(*line));
  return set;
}

gboolean limner_library_set_favourite(LimnerLibrary *self, LimnerEntry *entry,
                                      gboolean is_favourite, GError **error) {
  g_mutex_lock(&self->lock);
  const gboolean ok = library_index_run(
      &self->index, error, "UPDATE pictures SET favourite = ? WHERE sha256 = ?", "is",
      (gint64)(is_favourite ? 1 : 0), limner_entry_get_facts(entry)->sha256);
  if (ok)
    library_write_favourites(self);
  g_mutex_unlock(&self->lock);
  if (ok)
    library_tell_changed(self);
  return ok;
}

// --- keeping -------------------------------------------------------------------------------------

static LimnerEntryFacts facts_of(LimnerPicture *picture, const char *sha256, const char *name,
                                 gint64 made_us) {
  LimnerEntryFacts facts = {.sha256 = g_strdup(sha256),
                            .name = g_strdup(name),
                            .made_us = made_us,
                            .width_px = limner_picture_get_width(picture),
                            .height_px = limner_picture_get_height(picture)};
  library_facts_take_recipe(&facts, limner_picture_get_recipe(picture));
  return facts;
}

// The picture that is in the library already, brought back when it was deleted; NULL = write it.
static LimnerEntry *find_kept(LimnerLibrary *self, const char *sha256) {
  g_autoptr(LimnerEntry) entry = limner_library_find(self, sha256, NULL);
  if (!entry)
    return NULL;
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  EntryFile file;
  if (!library_file_stat(library_folder_of(self, facts->is_deleted), facts->name, &file))
    return NULL;
  if (facts->is_deleted && !limner_library_restore(self, entry, NULL))
    return NULL;
  return limner_library_find(self, sha256, NULL);
}

// The row of a file just written. An index that cannot be written is no reason to lose a picture:
// the next rescan finds it.
static LimnerEntry *add_row(LimnerLibrary *self, LimnerPicture *picture, const char *sha256,
                            const char *name) {
  EntryFile file = {g_get_real_time(), 0};
  library_file_stat(self->folder, name, &file);
  LimnerEntryFacts facts = facts_of(picture, sha256, name, file.mtime_us);
  g_autoptr(GError) error = NULL;
  g_mutex_lock(&self->lock);
  gboolean ok = library_index_begin(&self->index, &error);
  if (ok) {
    g_autoptr(LimnerEntry) before =
        library_index_get(&self->index, NULL, "WHERE sha256 = ?", "s", sha256);
    facts.is_favourite = before && limner_entry_get_facts(before)->is_favourite;
    // A row of a file that is gone makes room, as in a rescan.
    ok = library_index_run(&self->index, &error,
                           "DELETE FROM pictures WHERE sha256 = ? OR (name = ? AND deleted_us = 0)",
                           "ss", sha256, name);
    facts.id = ok ? library_index_insert(&self->index, &facts, &file, &error) : 0;
    if (!library_index_end(&self->index, facts.id != 0, error ? NULL : &error))
      facts.id = 0;
  }
  g_mutex_unlock(&self->lock);
  if (error)
    library_tell_problem(self, error->message);
  return limner_entry_new(&facts);
}

LimnerEntry *limner_library_keep(LimnerLibrary *self, LimnerPicture *picture, LimnerInput *input,
                                 GError **error) {
  const char *json = limner_picture_get_recipe(picture);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, error) : NULL;
  if (!recipe) {
    if (!json)
      g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                          "a picture for the library: expected one with a recipe, found none");
    return NULL;
  }
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, error);
  if (!png || (input && !limner_library_keep_input(self, input, error)))
    return NULL;
  g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png);
  g_autofree char *stem =
      g_strdup_printf("limner-%" G_GUINT64_FORMAT "_%u", recipe->request.seed, recipe->sample);
  LimnerEntry *entry = find_kept(self, sha256);
  if (entry)
    return entry;
  if (!library_folder_make(self->folder, error))
    return NULL;
  g_autofree char *name = library_file_add(self->folder, stem, "png", png, error);
  if (!name)
    return NULL;
  entry = add_row(self, picture, sha256, name);
  library_tell_changed(self);
  return entry;
}

// --- inputs --------------------------------------------------------------------------------------

// "jpg" of "photo.JPG", where that is what a file may be called. Owned.
static char *dup_extension(const char *name, GBytes *file) {
  gsize n_bytes = 0;
  const char *bytes = g_bytes_get_data(file, &n_bytes);
  if (n_bytes > 4 && memcmp(bytes, "\x89PNG", 4) == 0)
    return g_strdup("png");
  const char *dot = strrchr(name, '.');
  g_autofree char *extension = dot ? g_ascii_strdown(dot + 1, -1) : g_strdup("");
  const gsize n = strlen(extension);
  const gboolean is_plain =
      n > 0 && n <= 5 && strspn(extension, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
  return g_strdup(is_plain ? extension : "img");
}

// FOLDER/inputs/SHA256.whatever. Owned; NULL = none.
static char *find_input(LimnerLibrary *self, const char *sha256) {
  g_autoptr(GDir) dir = g_dir_open(self->inputs, 0, NULL);
  const gsize n = strlen(sha256);
  const char *name;
  while (dir && (name = g_dir_read_name(dir)))
    if (strncmp(name, sha256, n) == 0 && name[n] == '.')
      return g_build_filename(self->inputs, name, NULL);
  return NULL;
}

char *limner_library_find_file(LimnerLibrary *self, const char *sha256) {
  g_autoptr(LimnerEntry) entry = limner_library_find(self, sha256, NULL);
  g_autofree char *path = entry ? limner_library_dup_path(self, entry) : NULL;
  if (path && g_file_test(path, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer(&path);
  return find_input(self, sha256);
}

gboolean limner_library_keep_input(LimnerLibrary *self, LimnerInput *input, GError **error) {
  const char *sha256 = limner_input_get_sha256(input);
  g_autofree char *kept = sha256 ? limner_library_find_file(self, sha256) : NULL;
  if (kept)
    return TRUE;
  g_autoptr(GBytes) file = limner_input_dup_file(input);
  if (!file || !sha256) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "%s: the picture to change cannot be kept, for its file is not at hand",
                limner_input_get_name(input));
    return FALSE;
  }
  g_autofree char *extension = dup_extension(limner_input_get_name(input), file);
  g_autofree char *path = g_strdup_printf("%s/%s.%s", self->inputs, sha256, extension);
  return library_folder_make(self->inputs, error) && limner_file_save(file, path, error);
}

LimnerInput *limner_library_load_input(LimnerLibrary *self, const char *sha256, GError **error) {
  g_autofree char *path = limner_library_find_file(self, sha256);
  if (!path) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "the library has no picture with SHA-256 %s", sha256);
    return NULL;
  }
  g_autoptr(LimnerInput) input = limner_input_load(path, error);
  if (!input || strcmp(limner_input_get_sha256(input), sha256) == 0)
    return g_steal_pointer(&input);
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "%s: expected the file with SHA-256 %s, found that it was changed to %s", path,
              sha256, limner_input_get_sha256(input));
  return NULL;
}

// --- the trash -----------------------------------------------------------------------------------

// Moves the file, then the row: ended in between, a rescan does the second.
static gboolean move(LimnerLibrary *self, LimnerEntry *entry, gboolean to_trash, GError **error) {
  g_autoptr(GError) reason = NULL;
  g_autoptr(LimnerEntry) now =
      limner_library_find(self, limner_entry_get_facts(entry)->sha256, &reason);
  const LimnerEntryFacts *facts = now ? limner_entry_get_facts(now) : NULL;
  if (!facts || facts->is_deleted == to_trash) {
    if (reason)
      g_propagate_error(error, g_steal_pointer(&reason));
    return facts != NULL;
  }
  EntryFile file = {0, 0};
  const char *from = library_folder_of(self, facts->is_deleted);
  const gboolean has_file = library_file_stat(from, facts->name, &file);
  g_autofree char *name =
      has_file ? library_file_move(from, facts->name, library_folder_of(self, to_trash), error)
               : g_strdup(facts->name);
  if (!name)
    return FALSE;
  g_mutex_lock(&self->lock);
  const gboolean ok = library_index_run(
      &self->index, error,
      "UPDATE OR REPLACE pictures SET name = ?, deleted_us = ?, missing = ? WHERE id = ?", "siii",
      name, to_trash ? g_get_real_time() : (gint64)0, (gint64)!has_file, facts->id);
  g_mutex_unlock(&self->lock);
  library_tell_changed(self);
  return ok;
}

gboolean limner_library_delete(LimnerLibrary *self, LimnerEntry *entry, GError **error) {
  return move(self, entry, TRUE, error);
}

gboolean limner_library_restore(LimnerLibrary *self, LimnerEntry *entry, GError **error) {
  return move(self, entry, FALSE, error);
}

int limner_library_purge(LimnerLibrary *self, gint64 deleted_before_us, GError **error) {
  g_mutex_lock(&self->lock);
  g_autoptr(GPtrArray) entries = library_index_select(
      &self->index, error, "WHERE deleted_us > 0 AND deleted_us < ?", "i", deleted_before_us);
  int n = entries ? 0 : -1;
  for (guint i = 0; entries && i < entries->len && n >= 0; i++) {
    g_autofree char *path = limner_library_dup_path(self, entries->pdata[i]);
    g_unlink(path);
    const gint64 id = limner_entry_get_facts(entries->pdata[i])->id;
    n = library_index_run(&self->index, error, "DELETE FROM pictures WHERE id = ?", "i", id) ? n + 1
                                                                                             : -1;
  }
  g_mutex_unlock(&self->lock);
  if (n > 0)
    library_tell_changed(self);
  return n;
}

// --- looking at them -----------------------------------------------------------------------------

LimnerPicture *limner_library_load_picture(LimnerLibrary *self, LimnerEntry *entry,
                                           GError **error) {
  g_autofree char *path = limner_library_dup_path(self, entry);
  g_autoptr(GBytes) file = limner_file_load(path, error);
  g_autofree char *json = NULL;
  g_autofree char *parameters = NULL;
  if (!file || !limner_recipe_find_chunks(file, path, &json, &parameters, error))
    return NULL;
  g_autoptr(LimnerPicture) bare = limner_picture_decode(file, path, error);
  return bare ? limner_picture_new_with_texts(limner_picture_get_bytes(bare),
                                              limner_picture_get_width(bare),
                                              limner_picture_get_height(bare), parameters, json)
              : NULL;
}

LimnerSample *limner_library_load_sample(LimnerLibrary *self, LimnerEntry *entry, GError **error) {
  g_autoptr(LimnerPicture) picture = limner_library_load_picture(self, entry, error);
  const char *json = picture ? limner_picture_get_recipe(picture) : NULL;
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, error) : NULL;
  if (!recipe) {
    if (picture && !json)
      g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                  "%s: expected a picture with a recipe, found none",
                  limner_entry_get_facts(entry)->name);
    return NULL;
  }
  g_autoptr(LimnerInput) input =
      recipe->input_sha256 ? limner_library_load_input(self, recipe->input_sha256, NULL) : NULL;
  LimnerRequest request = recipe->request;
  request.prompt = recipe->request.prompt ? recipe->request.prompt : (char *)"";
  request.input = input;
  LimnerSample *sample = limner_sample_new(&request, recipe->sample);
  guint grid = 0;
  while (grid * grid < (guint)recipe->n_tokens)
    grid++;
  SampleUpdate update = {
      .picture = limner_picture_ref(picture),
      .tokens = g_bytes_new(recipe->tokens, (gsize)recipe->n_tokens * sizeof *recipe->tokens),
      .n_rows = grid,
      .grid = grid,
      .finished = TRUE};
  limner_sample_apply(sample, &update);
  return sample;
}
