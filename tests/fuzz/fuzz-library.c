// SPDX-License-Identifier: MIT
// Any bytes as a library's index, or, behind "SQL ", as statements that change a good one: it opens
// with what the pictures' files say, every entry has its texts, and a picture can be kept.
#include "app/library.h"
#include "app/recipe.h"
#include "tests/fuzz/fuzz.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIZE_PX = 4, N_PICTURES = 3, MAX_STEPS = 2000 }; // of SQLite's, in thousands

static char *root, *pictures, *state, *index_path;
static char *good;
static gsize n_good;

static void say_nothing(const char *domain, GLogLevelFlags level, const char *message,
                        gpointer data) {}

static LimnerPicture *new_picture(guint64 seed, const char *input_sha256) {
  guint8 *rgb = g_malloc(SIZE_PX * SIZE_PX * 3);
  memset(rgb, (int)seed, SIZE_PX * SIZE_PX * 3);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, SIZE_PX * SIZE_PX * 3);
  const LimnerRequest request = {
      .prompt = (char *)"a house", .n_samples = 1, .seed = seed, .cfg = 5, .top_p = 1};
  const JanusModelInfo info = {.name = "Demo", .device = "cpu", .image_size_px = SIZE_PX};
  const gint32 tokens[] = {1, 2, 3, 4};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&request, 0, tokens, 4, &info);
  recipe->input_sha256 = g_strdup(input_sha256);
  return limner_recipe_dup_picture(recipe, bytes);
}

static void close_library(LimnerLibrary *library) {
  for (int i = 0; i < 5000 && G_OBJECT(library)->ref_count > 1; i++)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
  g_object_unref(library);
}

static void remove_tree(const char *path) {
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *inside = g_build_filename(path, name, NULL);
    remove_tree(inside);
  }
  g_remove(path);
}

static void remove_root(void) {
  remove_tree(root);
}

// Removes what is beside the index, and the index.
static void clear_state(void) {
  g_autofree char *folder = g_path_get_dirname(index_path);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_unlink(path);
  }
}

// A library of a few pictures, one made of another, and the bytes of its index.
static void make_library(void) {
  g_autofree char *first = NULL;
  root = g_build_filename(fuzz_folder(), "library", NULL);
  pictures = g_build_filename(root, "pictures", NULL);
  state = g_build_filename(root, "state", NULL);
  atexit(remove_root);
  LimnerLibrary *library = limner_library_open(pictures, state);
  for (guint i = 0; i < N_PICTURES; i++) {
    g_autoptr(LimnerPicture) picture = new_picture(i, first);
    g_autoptr(LimnerEntry) entry = limner_library_keep(library, picture, NULL, NULL);
    if (!entry)
      exit(99);
    if (!first)
      first = g_strdup(limner_entry_get_facts(entry)->sha256);
    else if (i == 1 && !limner_library_set_favourite(library, entry, TRUE, NULL))
      exit(99);
  }
  close_library(library);
  g_autoptr(GDir) dir = g_dir_open(state, 0, NULL);
  index_path = g_build_filename(state, g_dir_read_name(dir), "index.sqlite", NULL);
  if (!g_file_get_contents(index_path, &good, &n_good, NULL))
    exit(99);
}

// --- what is there -------------------------------------------------------------------------------

// No other files, and nothing without an end.
static int allow(void *data, int action, const char *first, const char *second, const char *third,
                 const char *fourth) {
  if (action == SQLITE_PRAGMA)
    return g_strcmp0(first, "user_version") == 0 ? SQLITE_OK : SQLITE_DENY;
  return action == SQLITE_ATTACH || action == SQLITE_RECURSIVE || action == SQLITE_CREATE_TRIGGER ||
                 action == SQLITE_CREATE_TEMP_TRIGGER
             ? SQLITE_DENY
             : SQLITE_OK;
}

static int count_down(void *data) {
  return --*(int *)data <= 0;
}

static void change(const char *sql) {
  int n_left = MAX_STEPS;
  sqlite3 *db = NULL;
  if (sqlite3_open(index_path, &db) == SQLITE_OK) {
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 1 << 20);
    sqlite3_set_authorizer(db, allow, NULL);
    sqlite3_progress_handler(db, 1000, count_down, &n_left);
    sqlite3_exec(db, sql, NULL, NULL, NULL);
  }
  sqlite3_close(db);
}

static void write_index(const uint8_t *data, size_t n_bytes) {
  clear_state();
  const gboolean is_sql = n_bytes >= 4 && memcmp(data, "SQL ", 4) == 0;
  const char *bytes = is_sql ? good : (const char *)data;
  if (!g_file_set_contents(index_path, bytes, (gssize)(is_sql ? n_good : n_bytes), NULL))
    exit(99);
  if (!is_sql)
    return;
  g_autofree char *sql = g_strndup((const char *)data + 4, n_bytes - 4);
  change(sql);
}

// --- what comes of it ----------------------------------------------------------------------------

static void look_at(LimnerLibrary *library, LimnerEntry *entry) {
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  if (!facts->sha256 || !facts->name || !facts->prompt || !facts->model)
    abort();
  g_autoptr(GPtrArray) children = limner_library_children(library, entry, NULL);
  g_autoptr(GPtrArray) ancestors = limner_library_ancestors(library, entry, NULL);
  g_autofree char *path = limner_library_dup_path(library, entry);
  g_autoptr(LimnerPicture) small = limner_library_load_thumbnail(library, entry, NULL);
  g_autoptr(LimnerPicture) picture = limner_library_load_picture(library, entry, NULL);
  if (!path)
    abort();
}

static void look(LimnerLibrary *library) {
  const LimnerLibraryQuery queries[] = {
      {0}, {.only_deleted = TRUE}, {.text = "house", .only_favourites = TRUE}, {.model = "Demo"}};
  for (guint i = 0; i < G_N_ELEMENTS(queries); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) entries = limner_library_query(library, &queries[i], &error);
    if ((entries == NULL) != (error != NULL))
      abort();
    for (guint k = 0; entries && i < 2 && k < MIN(entries->len, 10); k++)
      look_at(library, entries->pdata[k]);
  }
  g_auto(GStrv) models = limner_library_dup_models(library, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  g_log_set_default_handler(say_nothing, NULL);
  if (!root)
    make_library();
  write_index(data, n_bytes);
  g_autoptr(GError) error = NULL;
  LimnerLibrary *library = limner_library_open(pictures, state);
  g_autofree char *problem = limner_library_dup_problem(library);
  look(library);
  if (!limner_library_rescan(library, NULL, NULL, &error) && !error)
    abort();
  look(library);
  g_autoptr(LimnerPicture) picture = new_picture(N_PICTURES - 1, NULL);
  g_autoptr(LimnerEntry) entry = limner_library_keep(library, picture, NULL, NULL);
  if (!entry) // the file at least
    abort();
  g_clear_object(&entry);
  close_library(library);
  return 0;
}
