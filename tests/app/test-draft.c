// SPDX-License-Identifier: MIT
// Drafts: a job that ended in between is found, goes on, and ends in the identical files; and what
// happens to one that is damaged, in use or discarded.
#include "config.h"

#include "tests/app/library-support.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

enum { N_SAMPLES = 2 };

static LimnerRequest request_for(LimnerInput *input, guint64 seed) {
  return (LimnerRequest){.prompt = (char *)"a red house",
                         .input = input,
                         .n_samples = N_SAMPLES,
                         .first_sample = 1,
                         .seed = seed,
                         .cfg = 4.3,
                         .image_cfg = 2.7,
                         .temperature = 0.9,
                         .top_k = 50,
                         .top_p = 0.95};
}

static LimnerInput *load_input(void) {
  return limner_input_load(LIMNER_SOURCE_DATA_DIR "/../tests/parity/inputs/portrait.png", NULL);
}

// The tokens' file of a draft. Owned.
static char *dup_tokens_path(const Place *place, const char *id) {
  g_autoptr(GDir) state = g_dir_open(place->state, 0, NULL);
  g_autofree char *name = g_strconcat(id, ".tokens", NULL);
  return g_build_filename(place->state, g_dir_read_name(state), "drafts", name, NULL);
}

static gpointer run_here(gpointer data) {
  gpointer *both = data;
  limner_job_run(both[0], both[1], NULL);
  return NULL;
}

// Runs a job on a thread of its own and stops it when about so many tokens are written down, as if
// the program had ended. Whether it was stopped in time.
static gboolean run_until(const Place *place, LimnerJob *job, JanusModel *model, guint stop_at) {
  enum { HEAD_BYTES = 60, RECORD_BYTES = (N_SAMPLES + 1) * 4 };
  gpointer both[] = {job, model};
  g_autofree char *path = dup_tokens_path(place, limner_job_get_draft_id(job));
  GThread *thread = g_thread_new("job", run_here, both);
  GStatBuf found = {0};
  while (!g_main_context_iteration(NULL, FALSE) || !limner_job_is_over(job))
    if (limner_job_is_over(job) || (g_stat(path, &found) == 0 &&
                                    found.st_size >= (off_t)(HEAD_BYTES + stop_at * RECORD_BYTES)))
      break;
  limner_job_cancel(job);
  wait_for_job(job);
  g_thread_join(thread);
  return limner_job_get_state(job) == LIMNER_JOB_CANCELLED;
}

static void drop_job(LimnerJob *job) {
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_assert_finalize_object(job);
}

// The SHA-256s of the pictures of an uninterrupted run without a library.
static GStrv dup_expected(JanusModel *model, const LimnerRequest *request) {
  LimnerJob *job = limner_job_new(request);
  g_assert_true(limner_job_run(job, model, NULL));
  GStrv sums = g_new0(char *, N_SAMPLES + 1);
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(job, i);
    g_autoptr(GBytes) png = limner_picture_dup_png(limner_sample_get_picture(sample), NULL);
    sums[i] = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png);
  }
  drop_job(job);
  return sums;
}

static void assert_has_all(LimnerLibrary *library, GStrv sums) {
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autofree char *path = limner_library_find_file(library, sums[i]);
    g_assert_nonnull(path);
  }
}

static guint count_drafts(LimnerLibrary *library) {
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  return drafts->len;
}

typedef struct Told {
  guint n_kept;
  GStrv expected;
} Told;

static void on_kept(LimnerLibrary *library, LimnerJob *job, guint index, LimnerEntry *entry,
                    Told *told) {
  g_assert_nonnull(limner_job_get_draft_id(job));
  g_assert_cmpstr(limner_entry_get_facts(entry)->sha256, ==, told->expected[index]);
  told->n_kept++;
}

static void test_whole(void) {
  Place place = place_new();
  JanusModel *model = open_tiny();
  LimnerLibrary *library = open_library(&place);
  const LimnerRequest request = request_for(NULL, 3);
  g_auto(GStrv) expected = dup_expected(model, &request);
  Told told = {.expected = expected};
  g_signal_connect(library, "kept", G_CALLBACK(on_kept), &told);
  LimnerJob *job = limner_draft_new_job(limner_library_new_draft(library, &request, "demo"));
  g_assert_cmpuint(count_drafts(library), ==, 0); // it is in use
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_load_draft(library, limner_job_get_draft_id(job), &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_true(limner_job_run(job, model, NULL));
  assert_has_all(library, expected);
  drop_job(job);
  g_assert_cmpuint(told.n_kept, ==, N_SAMPLES);
  g_assert_cmpuint(count_drafts(library), ==, 0);
  close_library(library);
  place_clear(&place);
  janus_model_free(model);
}

static void assert_facts(LimnerLibrary *library, const LimnerRequest *request, char **id) {
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  g_assert_cmpuint(drafts->len, ==, 1);
  const LimnerDraftFacts *facts = drafts->pdata[0];
  g_assert_cmpstr(facts->model_folder, ==, "demo");
  g_assert_cmpstr(facts->request.prompt, ==, request->prompt);
  g_assert_true(facts->request.seed == request->seed && facts->request.cfg == request->cfg &&
                facts->request.image_cfg == request->image_cfg &&
                facts->request.temperature == request->temperature &&
                facts->request.top_k == request->top_k && facts->request.top_p == request->top_p &&
                facts->request.n_samples == N_SAMPLES && facts->request.first_sample == 1);
  g_assert_true((facts->input_sha256 != NULL) == (request->input != NULL));
  g_assert_cmpuint(facts->n_known, <=, TINY_TOKENS);
  *id = g_strdup(facts->id);
}

// Stopped, forgotten, found by another library object, and ended; `n_stops` times on the way.
static guint stop_and_go_on(JanusModel *model, LimnerInput *input, guint64 seed, guint n_stops) {
  guint n_stopped = 0;
  Place place = place_new();
  const LimnerRequest request = request_for(input, seed);
  g_auto(GStrv) expected = dup_expected(model, &request);
  LimnerLibrary *library = open_library(&place);
  LimnerJob *job = limner_draft_new_job(limner_library_new_draft(library, &request, "demo"));
  for (guint i = 0; i < n_stops; i++) {
    n_stopped += run_until(&place, job, model, (guint)g_test_rand_int_range(0, TINY_TOKENS));
    drop_job(job);
    close_library(library);
    library = open_library(&place);
    g_autofree char *id = NULL;
    if (count_drafts(library) == 0)
      break; // the stop came too late
    assert_facts(library, &request, &id);
    g_autoptr(GError) error = NULL;
    LimnerDraft *draft = limner_library_load_draft(library, id, &error);
    g_assert_no_error(error);
    job = limner_draft_new_job(draft);
    if (i + 1 == n_stops) {
      g_assert_true(limner_job_run(job, model, NULL));
      drop_job(job);
    }
  }
  assert_has_all(library, expected);
  g_assert_cmpuint(count_drafts(library), ==, 0);
  close_library(library);
  place_clear(&place);
  return n_stopped;
}

static void test_stopped(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerInput) input = load_input();
  guint n_stopped = 0;
  for (guint i = 0; i < 10; i++)
    n_stopped += stop_and_go_on(model, i % 2 ? input : NULL, 10 + i, 1 + i / 3);
  g_test_message("stopped %u times of at most 22", n_stopped);
  g_assert_cmpuint(n_stopped, >, 0);
  janus_model_free(model);
}

// Whatever becomes of the tokens' file, the job ends in the right pictures.
static void test_damaged(void) {
  JanusModel *model = open_tiny();
  const LimnerRequest request = request_for(NULL, 5);
  g_auto(GStrv) expected = dup_expected(model, &request);
  guint n_stopped = 0;
  for (guint round = 0; round < 40; round++) {
    Place place = place_new();
    LimnerLibrary *library = open_library(&place);
    LimnerJob *job = limner_draft_new_job(limner_library_new_draft(library, &request, "demo"));
    n_stopped += run_until(&place, job, model, (guint)g_test_rand_int_range(1, 30));
    g_autofree char *id = g_strdup(limner_job_get_draft_id(job));
    drop_job(job);
    g_autofree char *path = dup_tokens_path(&place, id);
    g_autofree char *bytes = NULL;
    gsize n = 0;
    if (g_file_get_contents(path, &bytes, &n, NULL) && n > 0) {
      const gsize at = (gsize)g_test_rand_int_range(0, (gint32)n);
      bytes[at] = (char)(bytes[at] ^ (1 << g_test_rand_int_range(0, 8)));
      g_assert_true(g_file_set_contents(path, bytes, (gssize)(round % 2 ? n : at), NULL));
      LimnerDraft *draft = limner_library_load_draft(library, id, NULL);
      LimnerJob *again = limner_draft_new_job(draft);
      g_assert_true(limner_job_run(again, model, NULL));
      drop_job(again);
    }
    assert_has_all(library, expected);
    close_library(library);
    place_clear(&place);
  }
  g_test_message("stopped %u of 40", n_stopped);
  g_assert_cmpuint(n_stopped, >, 0);
  janus_model_free(model);
}

// The request in the file `job` with the number `key` as 2^32 more, where an int would see nothing.
static void assert_refuses_huge(LimnerLibrary *library, const char *job, const char *id,
                                const char *key) {
  g_autofree char *good = NULL;
  g_assert_true(g_file_get_contents(job, &good, NULL, NULL));
  g_autofree char *pattern = g_strdup_printf("(?<=\"%s\": )-?[0-9]+", key);
  g_autoptr(GRegex) regex = g_regex_new(pattern, 0, 0, NULL);
  g_autofree char *huge = g_regex_replace_literal(regex, good, -1, 0, "4294967297", 0, NULL);
  g_assert_cmpstr(huge, !=, good);
  g_assert_true(g_file_set_contents(job, huge, -1, NULL));
  g_assert_cmpuint(count_drafts(library), ==, 0);
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_load_draft(library, id, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  g_assert_true(g_file_set_contents(job, good, -1, NULL));
  g_assert_cmpuint(count_drafts(library), ==, 1);
}

static void test_bad_drafts(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  const LimnerRequest request = request_for(NULL, 6);
  limner_draft_free(limner_library_new_draft(library, &request, "demo"));
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  g_assert_cmpuint(drafts->len, ==, 1); // never begun, but there
  const char *id = ((LimnerDraftFacts *)drafts->pdata[0])->id;
  g_autofree char *tokens = dup_tokens_path(&place, id);
  g_autofree char *path = g_strndup(tokens, strlen(tokens) - strlen("tokens"));
  g_autofree char *job = g_strconcat(path, "job", NULL);
  static const char *const bad[] = {"",
                                    "{}",
                                    "[1]",
                                    "not JSON",
                                    "{\"format\": 1, \"prompt\": 5}",
                                    "{\"format\": 2, \"model_folder\": \"demo\"}"};
  static const char *const integers[] = {"format", "n_samples", "first_sample", "top_k"};
  for (guint i = 0; i < G_N_ELEMENTS(integers); i++)
    assert_refuses_huge(library, job, id, integers[i]);
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_assert_true(g_file_set_contents(job, bad[i], -1, NULL));
    g_autoptr(GError) error = NULL;
    g_assert_cmpuint(count_drafts(library), ==, 0);
    g_assert_null(limner_library_load_draft(library, id, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
  }
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_load_draft(library, "../../etc/passwd", &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_false(limner_library_discard_draft(library, "../x", NULL));
  close_library(library);
  place_clear(&place);
}

static void test_input_gone(void) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerInput) input = load_input();
  const LimnerRequest request = request_for(input, 6);
  LimnerDraft *draft = limner_library_new_draft(library, &request, "demo");
  g_autofree char *id = g_strdup(limner_draft_get_id(draft));
  limner_draft_free(draft);
  g_autofree char *path = limner_library_find_file(library, limner_input_get_sha256(input));
  g_remove(path);
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_library_load_draft(library, id, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpuint(count_drafts(library), ==, 1); // it can still be discarded, or its input found
  close_library(library);
  place_clear(&place);
}

static void on_changed(LimnerLibrary *library, gboolean *is_told) {
  *is_told = TRUE;
}

static gboolean is_true(gpointer value) {
  return *(gboolean *)value;
}

static void test_discarded(void) {
  Place place = place_new();
  JanusModel *model = open_tiny();
  LimnerLibrary *library = open_library(&place);
  const LimnerRequest request = request_for(NULL, 7);
  LimnerDraft *draft = limner_library_new_draft(library, &request, "demo");
  g_autofree char *id = g_strdup(limner_draft_get_id(draft));
  while (g_main_context_iteration(NULL, FALSE))
    ;
  gboolean is_told = FALSE;
  g_signal_connect(library, "changed", G_CALLBACK(on_changed), &is_told);
  limner_draft_free(draft);
  wait_until(is_true, &is_told); // from now on it can be listed
  g_assert_cmpuint(count_drafts(library), ==, 1);
  g_assert_true(limner_library_discard_draft(library, id, NULL));
  g_assert_cmpuint(count_drafts(library), ==, 0);
  // One that is being painted: nothing of it stays.
  LimnerJob *job = limner_draft_new_job(limner_library_new_draft(library, &request, "demo"));
  g_autofree char *tokens = dup_tokens_path(&place, limner_job_get_draft_id(job));
  g_autofree char *folder = g_path_get_dirname(tokens);
  g_assert_true(limner_library_discard_draft(library, limner_job_get_draft_id(job), NULL));
  run_until(&place, job, model, 5);
  drop_job(job);
  g_assert_cmpuint(count_entries(folder), ==, 0);
  close_library(library);
  place_clear(&place);
  janus_model_free(model);
}

// --- a hundred at once ---------------------------------------------------------------------------

enum { N_JOBS = 100, N_COMPARED = 3 };

static LimnerRequest numbered_request(guint i) {
  LimnerRequest request = request_for(NULL, 1000 + i);
  request.first_sample = 0;
  return request;
}

static gboolean is_empty(gpointer queue) {
  return limner_job_queue_get_n_active(queue) == 0;
}

static gboolean is_gone(gpointer pointer) {
  return *(gpointer *)pointer == NULL;
}

// Lets go of jobs that are over, as the queue does a moment later; then their drafts can be loaded.
static void drop_jobs(GPtrArray *jobs) {
  for (guint i = 0; i < jobs->len; i++) {
    gpointer job = jobs->pdata[i];
    g_assert_true(limner_job_is_over(job));
    g_object_add_weak_pointer(job, &job);
    g_object_unref(job);
    wait_until(is_gone, &job);
  }
  g_ptr_array_set_size(jobs, 0);
}

static void queue_draft(LimnerJobQueue *queue, LimnerDraft *draft, GPtrArray *jobs) {
  LimnerJob *job = limner_draft_new_job(draft);
  limner_job_queue_add(queue, job);
  g_ptr_array_add(jobs, job);
}

// Stopped together at any moment; then all that is left goes on. Each picture is there, once.
static void test_hundred(void) {
  Place place = place_new();
  JanusModel *model = open_tiny();
  LimnerLibrary *library = open_library(&place);
  LimnerJobQueue *queue = limner_job_queue_new();
  g_autoptr(GPtrArray) jobs = g_ptr_array_new();
  const LimnerLibraryQuery all = {0};
  limner_job_queue_set_model(queue, TINY_FOLDER, "cpu");
  for (guint i = 0; i < N_JOBS; i++) {
    const LimnerRequest request = numbered_request(i);
    queue_draft(queue, limner_library_new_draft(library, &request, TINY_FOLDER), jobs);
  }
  const gint64 end_us = g_get_monotonic_time() + g_test_rand_int_range(0, 300000);
  while (g_get_monotonic_time() < end_us)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
  limner_job_queue_cancel_all(queue);
  wait_until(is_empty, queue);
  drop_jobs(jobs);
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  g_test_message("%u of %d jobs are left", drafts->len, N_JOBS);
  g_assert_cmpuint(drafts->len, >, 0);
  for (guint i = 0; i < drafts->len; i++) {
    const LimnerDraftFacts *facts = drafts->pdata[i];
    g_autoptr(GError) error = NULL;
    LimnerDraft *draft = limner_library_load_draft(library, facts->id, &error);
    g_assert_no_error(error);
    queue_draft(queue, draft, jobs);
  }
  wait_until(is_empty, queue);
  drop_jobs(jobs);
  g_assert_cmpuint(count_drafts(library), ==, 0);
  g_assert_cmpuint(count_matches(library, &all), ==, N_JOBS * N_SAMPLES);
  for (guint i = 0; i < N_COMPARED; i++) {
    const LimnerRequest request = numbered_request(i * (N_JOBS - 1) / (N_COMPARED - 1));
    g_auto(GStrv) expected = dup_expected(model, &request);
    assert_has_all(library, expected);
  }
  limner_job_queue_shutdown(queue);
  g_assert_finalize_object(queue);
  close_library(library);
  place_clear(&place);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/draft/whole", test_whole);
  g_test_add_func("/draft/stopped", test_stopped);
  g_test_add_func("/draft/damaged", test_damaged);
  g_test_add_func("/draft/bad", test_bad_drafts);
  g_test_add_func("/draft/input-gone", test_input_gone);
  g_test_add_func("/draft/discarded", test_discarded);
  g_test_add_func("/draft/hundred", test_hundred);
  return g_test_run();
}
