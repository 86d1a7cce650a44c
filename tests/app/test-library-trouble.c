// SPDX-License-Identifier: MIT
// What goes wrong around a library: lost, damaged and later indexes, files changed behind its back,
// folders that are gone or cannot be written to, full disks, hostile files, two at once.
#include "config.h"

#include "app/png-text.h"
#include "tests/app/library-support.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static const LimnerLibraryQuery all = {0};

// STATE/XXXX/name of the only library. Owned.
static char *dup_state_path(const Place *place, const char *name) {
  g_autoptr(GDir) dir = g_dir_open(place->state, 0, NULL);
  return g_build_filename(place->state, g_dir_read_name(dir), name, NULL);
}

// --- the index -----------------------------------------------------------------------------------

// A house, red made of it, a favourite, and a deleted boat.
static void fill(const Place *place) {
  LimnerLibrary *library = open_library(place);
  g_autoptr(LimnerEntry) house = keep_small(library, "a house", 1, NULL);
  g_autoptr(LimnerEntry) red = keep_small(library, "make it red", 2, house);
  g_autoptr(LimnerEntry) boat = keep_small(library, "a boat", 3, NULL);
  g_assert_true(limner_library_set_favourite(library, red, TRUE, NULL));
  g_assert_true(limner_library_delete(library, boat, NULL));
  close_library(library);
}

static void assert_filled(LimnerLibrary *library) {
  const LimnerLibraryQuery favourites = {.only_favourites = TRUE}, deleted = {.only_deleted = TRUE};
  g_assert_cmpuint(count_matches(library, &all), ==, 2);
  g_assert_cmpuint(count_matches(library, &deleted), ==, 1);
  g_autoptr(GPtrArray) found = limner_library_query(library, &favourites, NULL);
  g_assert_cmpuint(found->len, ==, 1);
  g_assert_cmpstr(limner_entry_get_facts(found->pdata[0])->prompt, ==, "make it red");
  g_autoptr(GPtrArray) chain = limner_library_ancestors(library, found->pdata[0], NULL);
  g_assert_cmpuint(chain->len, ==, 1);
}

static void test_rebuilt(void) {
  Place place = place_new();
  fill(&place);
  g_free(place.state);
  place.state = g_build_filename(place.root, "another-state", NULL); // the old one is lost
  LimnerLibrary *library = open_library(&place);
  assert_filled(library);
  close_library(library);
  place_clear(&place);
}

// Opens with a problem that says this, and works all the same.
static void assert_repaired(const Place *place, const char *word) {
  LimnerLibrary *library = limner_library_open(place->pictures, place->state);
  g_autofree char *problem = limner_library_dup_problem(library);
  g_test_message("%s", problem);
  g_assert_nonnull(problem);
  g_assert_nonnull(strstr(problem, word));
  g_assert_true(limner_library_rescan(library, NULL, NULL, NULL));
  assert_filled(library);
  close_library(library);
}

static void test_damaged(void) {
  Place place = place_new();
  fill(&place);
  g_autofree char *path = dup_state_path(&place, "index.sqlite");
  for (guint round = 0; round < 12; round++) {
    g_autofree char *bytes = NULL;
    gsize n = 0;
    g_assert_true(g_file_get_contents(path, &bytes, &n, NULL));
    if (round == 0)
      memset(bytes, 'x', n); // no database at all
    else
      memset(bytes + 4096, g_test_rand_int_range(1, 256), n - 4096); // every page but the first
    g_assert_true(g_file_set_contents(path, bytes, (gssize)n, NULL));
    assert_repaired(&place, "damaged");
    LimnerLibrary *library = open_library(&place); // and well again
    assert_filled(library);
    close_library(library);
  }
  place_clear(&place);
}

static void test_later_version(void) {
  Place place = place_new();
  fill(&place);
  g_autofree char *path = dup_state_path(&place, "index.sqlite");
  sqlite3 *db = NULL;
  g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_exec(db, "PRAGMA user_version = 999", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close(db);
  assert_repaired(&place, "later Limner");
  g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK); // which was not touched
  sqlite3_stmt *row = NULL;
  sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &row, NULL);
  g_assert_cmpint(sqlite3_step(row), ==, SQLITE_ROW);
  g_assert_cmpint(sqlite3_column_int(row, 0), ==, 999);
  sqlite3_finalize(row);
  sqlite3_close(db);
  place_clear(&place);
}

static void test_damaged_thumbnails(void) {
  Place place = place_new();
  fill(&place);
  g_autofree char *path = dup_state_path(&place, "thumbnails.sqlite");
  g_assert_true(g_file_set_contents(path, "no database, but text of some length", -1, NULL));
  LimnerLibrary *library = open_library(&place);
  g_autoptr(GPtrArray) entries = limner_library_query(library, &all, NULL);
  for (guint i = 0; i < 2; i++) {
    g_autoptr(LimnerPicture) small =
        limner_library_load_thumbnail(library, entries->pdata[0], NULL);
    g_assert_nonnull(small);
  }
  close_library(library);
  place_clear(&place);
}

// --- behind its back -----------------------------------------------------------------------------

static void test_behind_its_back(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) gone = keep_small(library, "gone", 1, NULL);
  g_autoptr(LimnerEntry) renamed = keep_small(library, "renamed", 2, NULL);
  g_autoptr(LimnerEntry) copied = keep_small(library, "copied", 3, NULL);
  g_autoptr(LimnerEntry) replaced = keep_small(library, "replaced", 4, NULL);
  g_assert_true(limner_library_set_favourite(library, renamed, TRUE, NULL));
  g_assert_true(limner_library_set_favourite(library, gone, TRUE, NULL));
  g_autofree char *gone_path = limner_library_dup_path(library, gone);
  g_autofree char *renamed_path = limner_library_dup_path(library, renamed);
  g_autofree char *copied_path = limner_library_dup_path(library, copied);
  g_autofree char *replaced_path = limner_library_dup_path(library, replaced);
  g_autofree char *new_name = g_build_filename(place.pictures, "Holiday.png", NULL);
  g_autofree char *copy = g_build_filename(place.pictures, "copy.png", NULL);
  g_autoptr(GFile) from = g_file_new_for_path(copied_path);
  g_autoptr(GFile) to = g_file_new_for_path(copy);
  g_assert_cmpint(g_remove(gone_path), ==, 0);
  g_assert_cmpint(g_rename(renamed_path, new_name), ==, 0);
  g_assert_true(g_file_copy(from, to, 0, NULL, NULL, NULL, NULL));
  g_autoptr(LimnerPicture) other = new_small("another", "Demo", 99, NULL);
  g_assert_true(limner_picture_save_png(other, replaced_path, NULL));
  LimnerRescan result;
  g_assert_true(limner_library_rescan(library, NULL, &result, NULL));
  g_assert_cmpuint(result.n_missing, ==, 1);
  g_assert_cmpuint(result.n_moved, ==, 1);
  g_assert_cmpuint(result.n_new, ==, 1);
  g_autoptr(LimnerEntry) now_gone = find_again(library, gone);
  g_assert_true(limner_entry_get_facts(now_gone)->is_missing);
  g_autoptr(LimnerEntry) now_renamed = find_again(library, renamed);
  g_assert_cmpstr(limner_entry_get_facts(now_renamed)->name, ==, "Holiday.png");
  g_assert_true(limner_entry_get_facts(now_renamed)->is_favourite);
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_load_picture(library, gone, &error));
  g_assert_nonnull(strstr(error->message, "limner-1_0.png"));
  // Painted again, it is back, and still a favourite.
  g_autoptr(LimnerEntry) again = keep_small(library, "gone", 1, NULL);
  g_assert_true(limner_entry_get_facts(again)->is_favourite);
  g_assert_true(limner_library_rescan(library, NULL, &result, NULL));
  g_assert_cmpuint(result.n_new + result.n_moved + result.n_missing, ==, 0);
  close_library(library);
  place_clear(&place);
}

static void write_png(const Place *place, const char *name, const char *recipe, gsize n_kept) {
  g_autoptr(GBytes) rgb = g_bytes_new_static("abcdef", 6);
  g_autoptr(LimnerPicture) picture = limner_picture_new_with_texts(rgb, 2, 1, NULL, recipe);
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
  g_autofree char *path = g_build_filename(place->pictures, name, NULL);
  const gsize n = MIN(n_kept, g_bytes_get_size(png));
  g_assert_true(g_file_set_contents(path, g_bytes_get_data(png, NULL), (gssize)n, NULL));
}

// Other people's files are left alone, whatever they hold, and read once.
static void test_hostile(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) good = keep_small(library, "good", 1, NULL);
  g_autoptr(LimnerPicture) picture = new_small("cut", "Demo", 2, NULL);
  g_autofree char *huge = g_strnfill(20 << 20, ' ');
  write_png(&place, "plain.png", NULL, G_MAXSIZE);
  write_png(&place, "no-json.png", "{\"format\": 1", G_MAXSIZE);
  write_png(&place, "later.png", "{\"format\": 9}", G_MAXSIZE);
  write_png(&place, "huge.png", huge, G_MAXSIZE);
  write_png(&place, "cut.png", limner_picture_get_recipe(picture), 400);
  write_png(&place, "empty.png", NULL, 0);
  g_autofree char *link = g_build_filename(place.pictures, "link.png", NULL);
  g_autofree char *folder = g_build_filename(place.pictures, "folder.png", NULL);
  g_assert_cmpint(symlink("/dev/zero", link), ==, 0);
  g_assert_cmpint(g_mkdir(folder, 0755), ==, 0);
  LimnerRescan result;
  g_autoptr(GError) error = NULL;
  g_assert_true(limner_library_rescan(library, NULL, &result, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(result.n_files, ==, 7);
  g_assert_cmpuint(result.n_new, ==, 0);
  g_assert_cmpuint(count_matches(library, &all), ==, 1);
  const double start = cpu_ms();
  g_assert_true(limner_library_rescan(library, NULL, &result, &error));
  g_test_message("the second time: %.1f ms of computing", cpu_ms() - start); // observed 0.5
  g_assert_cmpfloat(cpu_ms() - start, <, 50);
  close_library(library);
  place_clear(&place);
}

// --- folders and disks ---------------------------------------------------------------------------

// Keeping fails with a sentence, and what is there can still be looked at.
static void test_cannot_write(void) {
  g_autoptr(LimnerPicture) picture = new_small("a house", "Demo", 1, NULL);
  const char *folders[] = {"/proc/limner-library", "/dev/null/pictures"};
  for (guint i = 0; i < G_N_ELEMENTS(folders); i++) {
    Place place = place_new();
    LimnerLibrary *library = limner_library_open(folders[i], i ? folders[i] : place.state);
    g_autofree char *problem = limner_library_dup_problem(library);
    g_test_message("%s", problem);
    g_assert_nonnull(strstr(problem, folders[i]));
    g_autoptr(GError) error = NULL;
    g_assert_true(limner_library_rescan(library, NULL, NULL, &error));
    g_assert_no_error(error);
    g_assert_null(limner_library_keep(library, picture, NULL, &error));
    g_assert_nonnull(strstr(error->message, folders[i]));
    g_assert_cmpuint(count_matches(library, &all), ==, 0);
    close_library(library);
    place_clear(&place);
  }
}

// Files as somebody sees them who may read them and no more; root may write everywhere otherwise.
static void see_as_nobody(gboolean is_nobody) {
  if (geteuid() == 0)
    setfsuid(is_nobody ? NOBODY : 0);
}

// A folder with pictures that cannot be written to: a share, a stick with its lock on.
static void test_read_only(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) house = keep_small(library, "a house", 1, NULL);
  g_autoptr(LimnerEntry) boat = keep_small(library, "a boat", 2, NULL);
  close_library(library);
  g_autofree char *fresh = g_build_filename(place.root, "fresh-state", NULL);
  g_assert_cmpint(g_mkdir(fresh, 0777), ==, 0);
  g_assert_cmpint(chmod(fresh, 0777), ==, 0);
  g_assert_cmpint(chmod(place.root, 0755), ==, 0);
  g_assert_cmpint(chmod(place.pictures, 0555), ==, 0);
  see_as_nobody(TRUE);
  library = limner_library_open(place.pictures, fresh);
  g_autoptr(GError) error = NULL;
  g_assert_true(limner_library_rescan(library, NULL, NULL, &error));
  g_assert_no_error(error);
  const LimnerLibraryQuery words = {.text = "boat"};
  g_assert_cmpuint(count_matches(library, &all), ==, 2);
  g_assert_cmpuint(count_matches(library, &words), ==, 1);
  g_autoptr(LimnerEntry) there = find_again(library, boat);
  g_autoptr(LimnerPicture) picture = limner_library_load_picture(library, there, &error);
  g_autoptr(LimnerPicture) small = limner_library_load_thumbnail(library, there, &error);
  g_assert_no_error(error);
  g_assert_true(picture && small);
  g_assert_true(limner_library_set_favourite(library, there, TRUE, &error)); // here, at least
  g_assert_false(limner_library_delete(library, there, &error));
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, place.pictures));
  g_clear_error(&error);
  g_autoptr(LimnerPicture) other = new_small("a tree", "Demo", 3, NULL);
  g_assert_null(limner_library_keep(library, other, NULL, &error));
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, place.pictures));
  g_assert_cmpuint(count_matches(library, &all), ==, 2); // and nothing is lost
  close_library(library);
  see_as_nobody(FALSE);
  g_assert_cmpint(chmod(place.pictures, 0755), ==, 0);
  place_clear(&place);
}

static void test_folder_gone(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) entry = keep_small(library, "a house", 1, NULL);
  g_autofree char *away = g_build_filename(place.root, "away", NULL);
  g_assert_cmpint(g_rename(place.pictures, away), ==, 0);
  g_assert_true(g_file_set_contents(place.pictures, "no folder", -1, NULL));
  g_autoptr(LimnerPicture) picture = new_small("a boat", "Demo", 2, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_keep(library, picture, NULL, &error));
  g_test_message("%s", error->message);
  g_clear_error(&error);
  g_assert_true(limner_library_rescan(library, NULL, NULL, NULL));
  g_assert_cmpuint(count_matches(library, &all), ==, 1); // missing, not forgotten
  g_assert_cmpint(g_remove(place.pictures), ==, 0);
  g_assert_cmpint(g_rename(away, place.pictures), ==, 0); // the stick is back
  g_assert_true(limner_library_rescan(library, NULL, NULL, NULL));
  g_autoptr(LimnerEntry) back = find_again(library, entry);
  g_assert_false(limner_entry_get_facts(back)->is_missing);
  g_autoptr(LimnerEntry) boat = limner_library_keep(library, picture, NULL, &error);
  g_assert_no_error(error);
  close_library(library);
  place_clear(&place);
}

// A limit on the size of files stands for a disk that is full: nothing half written is left, and
// what was kept before is whole.
static void test_full(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) entry = keep_small(library, "a house", 1, NULL);
  const guint n_before = count_entries(place.pictures);
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight = {200, before.rlim_max};
  g_autoptr(LimnerPicture) picture = new_small("a boat", "Demo", 2, NULL);
  g_autoptr(GError) error = NULL;
  setrlimit(RLIMIT_FSIZE, &tight);
  LimnerEntry *kept = limner_library_keep(library, picture, NULL, &error);
  setrlimit(RLIMIT_FSIZE, &before);
  g_assert_null(kept);
  g_test_message("%s", error->message);
  g_assert_cmpuint(count_entries(place.pictures), ==, n_before);
  g_clear_error(&error);
  kept = limner_library_keep(library, picture, NULL, &error); // there is room again
  g_assert_no_error(error);
  g_clear_object(&kept);
  g_assert_cmpuint(count_matches(library, &all), ==, 2);
  close_library(library);
  place_clear(&place);
}

// The pictures' disk has room, the index's has not: no picture is lost.
static void test_full_index(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerEntry) entry = keep_small(library, "a house", 1, NULL);
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight = {4000, before.rlim_max}; // less than the index's log, more than a PNG
  g_autoptr(LimnerPicture) picture = new_small("a boat", "Demo", 2, NULL);
  g_autoptr(GError) error = NULL;
  setrlimit(RLIMIT_FSIZE, &tight);
  g_autoptr(LimnerEntry) kept = limner_library_keep(library, picture, NULL, &error);
  setrlimit(RLIMIT_FSIZE, &before);
  g_assert_no_error(error);
  g_assert_cmpint(limner_entry_get_facts(kept)->id, ==, 0);
  g_assert_true(limner_library_rescan(library, NULL, NULL, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(count_matches(library, &all), ==, 2);
  close_library(library);
  place_clear(&place);
}

// --- two at once ---------------------------------------------------------------------------------

enum { N_EACH = 60 };

typedef struct Writer {
  const Place *place;
  guint64 first_seed;
} Writer;

static gpointer keep_many(gpointer data) {
  const Writer *writer = data;
  GMainContext *context = g_main_context_new();
  g_main_context_push_thread_default(context);
  LimnerLibrary *library = limner_library_open(writer->place->pictures, writer->place->state);
  for (guint i = 0; i < N_EACH; i++) {
    g_autoptr(LimnerEntry) entry = keep_small(library, "two", writer->first_seed + i, NULL);
    if (i % 5 == 0)
      g_assert_true(limner_library_set_favourite(library, entry, TRUE, NULL));
    if (i % 7 == 0) {
      g_autoptr(GError) error = NULL;
      limner_library_rescan(library, NULL, NULL, &error);
      g_assert_no_error(error);
    }
  }
  while (g_main_context_iteration(context, FALSE))
    ;
  g_object_unref(library);
  g_main_context_pop_thread_default(context);
  g_main_context_unref(context);
  return NULL;
}

static void test_two_at_once(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  Writer writers[] = {{&place, 0}, {&place, N_EACH / 2}}; // half of them are the same pictures
  GThread *threads[G_N_ELEMENTS(writers)];
  for (guint i = 0; i < G_N_ELEMENTS(writers); i++)
    threads[i] = g_thread_new("library", keep_many, &writers[i]);
  for (guint i = 0; i < G_N_ELEMENTS(writers); i++)
    g_thread_join(threads[i]);
  g_assert_cmpuint(count_matches(library, &all), ==, N_EACH * 3 / 2); // seen without a rescan
  const LimnerLibraryQuery favourites = {.only_favourites = TRUE};
  g_assert_cmpuint(count_matches(library, &favourites), >=, N_EACH / 5);
  g_assert_true(limner_library_rescan(library, NULL, NULL, NULL));
  g_assert_cmpuint(count_matches(library, &all), ==, N_EACH * 3 / 2);
  close_library(library);
  place_clear(&place);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/trouble/rebuilt", test_rebuilt);
  g_test_add_func("/trouble/damaged", test_damaged);
  g_test_add_func("/trouble/later-version", test_later_version);
  g_test_add_func("/trouble/damaged-thumbnails", test_damaged_thumbnails);
  g_test_add_func("/trouble/behind-its-back", test_behind_its_back);
  g_test_add_func("/trouble/hostile", test_hostile);
  g_test_add_func("/trouble/cannot-write", test_cannot_write);
  g_test_add_func("/trouble/read-only", test_read_only);
  g_test_add_func("/trouble/folder-gone", test_folder_gone);
  g_test_add_func("/trouble/full", test_full);
  g_test_add_func("/trouble/full-index", test_full_index);
  g_test_add_func("/trouble/two-at-once", test_two_at_once);
  return g_test_run();
}
