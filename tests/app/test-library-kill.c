// SPDX-License-Identifier: MIT
// The end of the process at any moment: a child that paints, saves, deletes, restores, stops jobs
// and quits is killed 50 times with SIGKILL. Each time the library is whole and holds all that was
// finished, and no saved file is half a one; what was interrupted goes on, and every picture is
// that of an uninterrupted run.
#include "config.h"

#include "app/export.h"

#include "tests/app/library-support.h"

#include <gio/gunixinputstream.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_KILLS = 50, N_SAMPLES = 2, MAX_LIFE_MS = 500, JOBS_PER_LIFE = 3, STOP_MS = 40 };

static LimnerRequest request_for(guint64 seed) {
  return (LimnerRequest){.prompt = (char *)"a red house",
                         .n_samples = N_SAMPLES,
                         .seed = seed,
                         .cfg = 5,
                         .temperature = 1,
                         .top_p = 1};
}

// --- the child -----------------------------------------------------------------------------------

// "kept SHA256" for what is finished, said when it is so.
static void on_kept(LimnerLibrary *library, LimnerJob *job, guint index, LimnerEntry *entry,
                    gpointer data) {
  g_autofree char *line = g_strdup_printf("%s\n", limner_entry_get_facts(entry)->sha256);
  if (write(STDOUT_FILENO, line, strlen(line)) < 0)
    _exit(1);
}

static void paint(LimnerDraft *draft, JanusModel *model) {
  g_autoptr(LimnerJob) job = limner_draft_new_job(draft);
  limner_job_run(job, model, NULL);
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

// Deletes or restores some of what is there.
static void shuffle(LimnerLibrary *library, guint64 seed) {
  const LimnerLibraryQuery all = {0}, deleted = {.only_deleted = TRUE};
  g_autoptr(GPtrArray) here = limner_library_query(library, &all, NULL);
  g_autoptr(GPtrArray) gone = limner_library_query(library, &deleted, NULL);
  if (here && here->len > 2)
    limner_library_delete(library, here->pdata[seed % here->len], NULL);
  if (gone && gone->len > 1)
    limner_library_restore(library, gone->pdata[seed % gone->len], NULL);
  if (here && here->len > 0)
    limner_library_set_favourite(library, here->pdata[seed % here->len], seed % 2, NULL);
}

// A picture of the library into another folder, over what an earlier life saved there.
static void save(LimnerLibrary *library, const char *pictures, guint64 seed) {
  const LimnerLibraryQuery newest = {.limit = 1};
  g_autoptr(GPtrArray) here = limner_library_query(library, &newest, NULL);
  g_autoptr(LimnerPicture) picture =
      here && here->len > 0 ? limner_library_load_picture(library, here->pdata[0], NULL) : NULL;
  const LimnerExportOptions options = {.format = seed % 2 ? LIMNER_FORMAT_JPEG : LIMNER_FORMAT_PNG};
  g_autofree char *path = g_strdup_printf("%s-saved/%u.%s", pictures, (guint)(seed % 3),
                                          limner_format_get_extension(options.format));
  if (picture)
    limner_picture_export(picture, path, &options, NULL);
}

static gpointer stop_soon(gpointer job) {
  g_usleep((gulong)g_random_int_range(0, STOP_MS * 1000));
  limner_job_cancel(job);
  g_object_unref(job);
  return NULL;
}

// As Ctrl+Q does: the job is stopped, its draft stays, and everything is let go of.
static void quit(LimnerLibrary *library, JanusModel *model, guint64 seed) {
  const LimnerRequest request = request_for(seed);
  g_autoptr(LimnerJob) job =
      limner_draft_new_job(limner_library_new_draft(library, &request, "demo"));
  GThread *stopper = g_thread_new("stop", stop_soon, g_object_ref(job));
  limner_job_run(job, model, NULL);
  g_thread_join(stopper);
  g_clear_object(&job);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_object_unref(library);
}

// One life, from opening the library to leaving it.
static guint64 live_once(const char *pictures, const char *state, JanusModel *model, guint64 seed) {
  LimnerLibrary *library = limner_library_open(pictures, state);
  g_signal_connect(library, "kept", G_CALLBACK(on_kept), NULL);
  limner_library_rescan(library, NULL, NULL, NULL);
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  for (guint i = 0; i < drafts->len; i++) {
    const LimnerDraftFacts *facts = drafts->pdata[i];
    LimnerDraft *draft = limner_library_load_draft(library, facts->id, NULL);
    if (draft)
      paint(draft, model);
  }
  for (guint i = 0; i < JOBS_PER_LIFE; i++, seed++) {
    const LimnerRequest request = request_for(seed);
    paint(limner_library_new_draft(library, &request, "demo"), model);
    save(library, pictures, seed);
    shuffle(library, seed);
  }
  quit(library, model, seed++);
  return seed;
}

G_NORETURN static void live(const char *pictures, const char *state, guint64 seed) {
  JanusModel *model = open_tiny();
  for (;;)
    seed = live_once(pictures, state, model, seed);
}

// --- the parent ----------------------------------------------------------------------------------

// Lets a child live for so long; adds what it said was kept.
static void live_and_die(const Place *place, guint round, guint life_ms, GHashTable *kept) {
  g_autofree char *seed = g_strdup_printf("%u", round * 1000);
  const char *argv[] = {"/proc/self/exe", "--child", place->pictures, place->state, seed, NULL};
  g_autoptr(GError) error = NULL;
  GPid pid = 0;
  int out = -1;
  g_spawn_async_with_pipes(NULL, (char **)argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid,
                           NULL, &out, NULL, &error);
  g_assert_no_error(error);
  g_usleep(life_ms * 1000);
  kill(pid, SIGKILL);
  int status = 0;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  g_autoptr(GInputStream) stream = g_unix_input_stream_new(out, TRUE);
  g_autoptr(GDataInputStream) lines = g_data_input_stream_new(stream);
  char *line;
  while ((line = g_data_input_stream_read_line(lines, NULL, NULL, NULL)))
    g_hash_table_add(kept, line);
}

// What was saved is whole, whatever its writer was doing; what is beside has another kind of name.
static guint assert_saved_whole(const Place *place) {
  g_autofree char *folder = g_strdup_printf("%s-saved", place->pictures);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  guint n = 0;
  while ((name = g_dir_read_name(dir))) {
    LimnerFormat format;
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (!limner_format_from_name(name, &format))
      continue;
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerInput) input = limner_input_load(path, &error);
    g_assert_no_error(error);
    n++;
  }
  return n;
}

static guint count_pngs(const char *folder, const char *below) {
  g_autofree char *path = g_build_filename(folder, below, NULL);
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;
  guint n = 0;
  while (dir && (name = g_dir_read_name(dir)))
    n += name[0] != '.' && g_str_has_suffix(name, ".png");
  return n;
}

static gpointer copy_entry(gconstpointer entry, gpointer data) {
  return g_object_ref((gpointer)entry);
}

// Every file is an entry, every entry a whole file, and nothing that was finished is missing.
static void assert_whole(const Place *place, GHashTable *kept) {
  LimnerLibrary *library = open_library(place);
  const LimnerLibraryQuery all = {0}, deleted = {.only_deleted = TRUE};
  g_autoptr(GPtrArray) here = limner_library_query(library, &all, NULL);
  g_autoptr(GPtrArray) gone = limner_library_query(library, &deleted, NULL);
  // A file that was ended on its way to the trash may have both names.
  g_assert_cmpuint(count_pngs(place->pictures, "."), >=, here->len);
  g_assert_cmpuint(count_pngs(place->pictures, "."), <=, here->len + gone->len);
  g_assert_cmpuint(count_pngs(place->pictures, ".trash"), >=, gone->len);
  g_ptr_array_extend(here, gone, copy_entry, NULL);
  for (guint i = 0; i < here->len; i++) {
    const LimnerEntryFacts *facts = limner_entry_get_facts(here->pdata[i]);
    g_autofree char *path = limner_library_dup_path(library, here->pdata[i]);
    g_autofree char *data = NULL;
    gsize n_bytes = 0;
    g_assert_false(facts->is_missing);
    g_assert_true(g_file_get_contents(path, &data, &n_bytes, NULL));
    g_autofree char *sum =
        g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guint8 *)data, n_bytes);
    g_assert_cmpstr(sum, ==, facts->sha256);
    g_hash_table_remove(kept, sum);
  }
  g_assert_cmpuint(g_hash_table_size(kept), ==, 0);
  for (guint i = 0; i < here->len; i++)
    g_hash_table_add(kept, g_strdup(limner_entry_get_facts(here->pdata[i])->sha256));
  close_library(library);
}

// That each sample of a job is in the library as an uninterrupted run makes it.
static void assert_same_as_whole(LimnerLibrary *library, JanusModel *model, guint64 seed) {
  const LimnerRequest request = request_for(seed);
  LimnerJob *job = limner_job_new(&request);
  g_assert_true(limner_job_run(job, model, NULL));
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(job, i);
    g_autoptr(GBytes) png = limner_picture_dup_png(limner_sample_get_picture(sample), NULL);
    g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png);
    g_autofree char *path = limner_library_find_file(library, sum);
    g_assert_nonnull(path);
  }
  g_assert_finalize_object(job);
}

static guint go_on(const Place *place, JanusModel *model) {
  LimnerLibrary *library = open_library(place);
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  guint n_begun = 0;
  for (guint i = 0; i < drafts->len; i++) {
    const LimnerDraftFacts *facts = drafts->pdata[i];
    n_begun += facts->n_known > 0;
    g_autoptr(GError) error = NULL;
    LimnerDraft *draft = limner_library_load_draft(library, facts->id, &error);
    g_assert_no_error(error);
    paint(draft, model);
    assert_same_as_whole(library, model, facts->request.seed);
  }
  g_autoptr(GPtrArray) left = limner_library_list_drafts(library, NULL);
  g_assert_cmpuint(left->len, ==, 0);
  close_library(library);
  return n_begun;
}

static void test_killed(void) {
  Place place = place_new();
  JanusModel *model = open_tiny();
  g_autoptr(GHashTable) kept = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  guint n_begun = 0, n_saved = 0;
  g_autofree char *saved = g_strdup_printf("%s-saved", place.pictures);
  g_assert_cmpint(g_mkdir(saved, 0700), ==, 0);
  for (guint round = 0; round < N_KILLS; round++) {
    // Longer as long as nothing was saved: a busy machine or a slow build lets none get so far.
    const guint times = n_saved > 0 ? 1 : round + 1;
    live_and_die(&place, round + 1, times * (guint)g_test_rand_int_range(5, MAX_LIFE_MS), kept);
    assert_whole(&place, kept);
    n_saved = assert_saved_whole(&place);
    if (round % 3 == 2) // else the next child goes on with it
      n_begun += go_on(&place, model);
  }
  n_begun += go_on(&place, model);
  g_test_message("%u pictures; %u jobs were interrupted while tokens were painted; %u files saved",
                 g_hash_table_size(kept), n_begun, n_saved);
  g_assert_cmpuint(g_hash_table_size(kept), >, 0);
  g_assert_cmpuint(n_begun, >, 0); // observed 13
  g_assert_cmpuint(n_saved, >, 0); // observed 6
  janus_model_free(model);
  place_clear(&place);
}

int main(int argc, char **argv) {
  if (argc == 5 && strcmp(argv[1], "--child") == 0)
    live(argv[2], argv[3], g_ascii_strtoull(argv[4], NULL, 10));
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/library/killed", test_killed);
  return g_test_run();
}
