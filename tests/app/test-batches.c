// SPDX-License-Identifier: MIT
// More samples than there is memory for: painted in batches, to the same pictures; stopped in one
// and continued, also with other memory than before.
#include "config.h"

#include "app/job-private.h"
#include "tests/app/library-support.h"

#include <string.h>
#include <sys/resource.h>

enum { N_SAMPLES = 300 };
// Room for some of them, beside the 32 MB that a job leaves for everything else.
#define LEAST_BYTES ((gsize)42 << 20)

static LimnerRequest request_for(guint64 seed) {
  return (LimnerRequest){.prompt = (char *)"a red house",
                         .n_samples = N_SAMPLES,
                         .seed = seed,
                         .cfg = 5,
                         .temperature = 1,
                         .top_p = 1};
}

// Their runtimes take address space as they please.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED TRUE
#else
#define IS_SANITIZED FALSE
#endif

// --- little memory -------------------------------------------------------------------------------

static struct rlimit unlimited;

static gsize address_space(void) {
  g_autofree char *text = NULL;
  g_assert_true(g_file_get_contents("/proc/self/statm", &text, NULL, NULL));
  return (gsize)g_ascii_strtoull(text, NULL, 10) * (gsize)sysconf(_SC_PAGESIZE);
}

// The shell's limit stands for a small machine; the engine looks at both.
static void leave_bytes(gsize n_bytes) {
  const struct rlimit tight = {address_space() + n_bytes, unlimited.rlim_max};
  g_assert_cmpint(setrlimit(RLIMIT_AS, &tight), ==, 0);
}

static void leave_all(void) {
  g_assert_cmpint(setrlimit(RLIMIT_AS, &unlimited), ==, 0);
}

// --- what a run tells ----------------------------------------------------------------------------

typedef struct Heard {
  LimnerJob *job;
  guint n_batches, largest, next; // next: sample that is to be finished
  gboolean is_in_order;
  guint n_done, n_total;
  gboolean goes_on; // progress does not go back
} Heard;

static void on_started(gpointer data, const char *identity, guint first, guint n_samples,
                       guint n_known, guint n_total) {
  Heard *heard = data;
  heard->n_batches++;
  heard->largest = MAX(heard->largest, n_samples);
  heard->is_in_order &= first == heard->next;
}

static void on_finished(gpointer data, guint index, LimnerPicture *picture) {
  Heard *heard = data;
  heard->is_in_order &= index == heard->next++;
}

static void on_progress(LimnerJob *job, GParamSpec *pspec, Heard *heard) {
  if (limner_job_get_state(job) != LIMNER_JOB_PAINTING)
    return;
  const guint n_done = limner_job_get_n_done(job), n_total = limner_job_get_n_total(job);
  heard->goes_on &= n_done >= heard->n_done && n_done <= n_total;
  heard->n_done = n_done;
  heard->n_total = MAX(heard->n_total, n_total);
}

static void listen(Heard *heard, LimnerJob *job) {
  static const LimnerJobRecorder recorder = {.started = on_started, .finished = on_finished};
  *heard = (Heard){.job = job, .is_in_order = TRUE, .goes_on = TRUE};
  limner_job_set_recorder(job, &recorder, heard);
  g_signal_connect(job, "notify::n-done", G_CALLBACK(on_progress), heard);
}

// A run on a thread, with no more memory than that from when it begins; 0 = all there is.
typedef struct Run {
  LimnerJob *job;
  JanusModel *model;
  gsize room_bytes;
  GError *error; // owned
} Run;

static gpointer run_on_thread(gpointer data) {
  Run *run = data;
  g_free(g_malloc0(1 << 16)); // the thread's heap is there
  if (run->room_bytes)
    leave_bytes(run->room_bytes);
  limner_job_run(run->job, run->model, &run->error);
  leave_all();
  return NULL;
}

static void run(Run *run) {
  GThread *thread = g_thread_new("run", run_on_thread, run);
  wait_for_job(run->job);
  g_thread_join(thread);
  while (g_main_context_iteration(NULL, FALSE))
    ;
}

static LimnerJob *paint_whole(JanusModel *model, guint64 seed) {
  const LimnerRequest request = request_for(seed);
  LimnerJob *job = limner_job_new(&request);
  limner_job_set_shows_growth(job, FALSE);
  g_assert_true(limner_job_run(job, model, NULL));
  return job;
}

static void assert_same(LimnerJob *a, LimnerJob *b) {
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(LimnerSample) one = dup_sample(a, i);
    g_autoptr(LimnerSample) two = dup_sample(b, i);
    g_assert_true(limner_sample_get_finished(two));
    g_autoptr(GBytes) x = dup_tokens(a, i);
    g_autoptr(GBytes) y = dup_tokens(b, i);
    g_assert_true(g_bytes_equal(x, y));
    g_assert_true(g_bytes_equal(limner_picture_get_bytes(limner_sample_get_picture(one)),
                                limner_picture_get_bytes(limner_sample_get_picture(two))));
  }
}

// --- the tests -----------------------------------------------------------------------------------

static void test_batches(void) {
  JanusModel *model = open_tiny();
  LimnerJob *whole = paint_whole(model, 7);
  const LimnerRequest request = request_for(7);
  LimnerJob *job = limner_job_new(&request);
  Heard heard;
  listen(&heard, job);
  Run tight = {job, model, LEAST_BYTES, NULL};
  run(&tight);
  g_assert_no_error(tight.error);
  g_test_message("%u batches of at most %u samples; %u of %u steps", heard.n_batches, heard.largest,
                 heard.n_done, heard.n_total);
  g_assert_cmpuint(heard.n_batches, >, 1);
  g_assert_cmpuint(heard.largest, <, N_SAMPLES);
  g_assert_true(heard.is_in_order && heard.goes_on);
  g_assert_cmpuint(heard.next, ==, N_SAMPLES);
  g_assert_cmpuint(heard.n_total, ==, heard.n_batches * TINY_TOKENS);
  assert_same(whole, job);
  g_assert_finalize_object(job);
  g_assert_finalize_object(whole);
  janus_model_free(model);
}

// Not even one fits: the engine's sentence, and soon.
static void test_none_fits(void) {
  JanusModel *model = open_tiny();
  const LimnerRequest request = request_for(7);
  LimnerJob *job = limner_job_new(&request);
  Run tight = {job, model, 1 << 20, NULL};
  run(&tight);
  g_assert_error(tight.error, LIMNER_ENGINE_ERROR, JANUS_ERROR_MEMORY);
  g_test_message("%s", tight.error->message);
  g_clear_error(&tight.error);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_FAILED);
  g_assert_finalize_object(job);
  janus_model_free(model);
}

// --- drafts of batches ---------------------------------------------------------------------------

static void on_kept(LimnerLibrary *library, LimnerJob *job, guint index, LimnerEntry *entry,
                    guint *n_kept) {
  (*n_kept)++;
}

// Stops when samples of the first batch are finished and the next one is being painted.
static void on_done(LimnerJob *job, GParamSpec *pspec, gpointer data) {
  if (limner_job_get_n_done(job) > TINY_TOKENS + TINY_TOKENS / 3)
    limner_job_cancel(job);
}

// The same in the first batch, which is to be finished.
static void on_some_done(LimnerJob *job, GParamSpec *pspec, gboolean *has_more) {
  if (limner_job_get_state(job) == LIMNER_JOB_PAINTING && limner_job_get_n_done(job) > 0)
    *has_more |= limner_job_stop_after_batch(job);
}

static void run_and_stop(LimnerLibrary *library, JanusModel *model, const LimnerRequest *request,
                         gboolean after_batch) {
  LimnerJob *job = limner_draft_new_job(limner_library_new_draft(library, request, "demo"));
  gboolean has_more = FALSE;
  if (after_batch)
    g_signal_connect(job, "notify::n-done", G_CALLBACK(on_some_done), &has_more);
  else
    g_signal_connect(job, "notify::n-done", G_CALLBACK(on_done), NULL);
  Run tight = {job, model, LEAST_BYTES, NULL};
  run(&tight);
  g_clear_error(&tight.error);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_CANCELLED);
  g_assert_true(has_more == after_batch);
  g_assert_finalize_object(job);
}

static void assert_all_kept(LimnerLibrary *library, LimnerJob *whole) {
  for (guint i = 0; i < N_SAMPLES; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(whole, i);
    g_autoptr(GBytes) png = limner_picture_dup_png(limner_sample_get_picture(sample), NULL);
    g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png);
    g_autoptr(LimnerEntry) entry = limner_library_find(library, sha256, NULL);
    g_assert_nonnull(entry);
  }
  const LimnerLibraryQuery all = {0};
  g_assert_cmpuint(count_matches(library, &all), ==, N_SAMPLES);
}

typedef struct Stop {
  gboolean has_room;    // the second time
  gboolean after_batch; // else in the middle of one
} Stop;

static void test_continued(gconstpointer data) {
  const Stop *stop = data;
  Place place = place_new();
  JanusModel *model = open_tiny();
  LimnerJob *whole = paint_whole(model, 9);
  LimnerLibrary *library = open_library(&place);
  guint n_kept = 0;
  g_signal_connect(library, "kept", G_CALLBACK(on_kept), &n_kept);
  const LimnerRequest request = request_for(9);
  run_and_stop(library, model, &request, stop->after_batch);
  g_autoptr(GPtrArray) drafts = limner_library_list_drafts(library, NULL);
  g_assert_cmpuint(drafts->len, ==, 1);
  const LimnerDraftFacts *facts = drafts->pdata[0];
  g_test_message("stopped with %u samples kept; samples %d to %d know %u of %u tokens", n_kept,
                 facts->request.first_sample,
                 facts->request.first_sample + facts->request.n_samples - 1, facts->n_known,
                 facts->n_total);
  g_assert_cmpuint(n_kept, >, 0);
  g_assert_cmpint(facts->request.first_sample, ==, (int)n_kept);
  g_assert_cmpint(facts->request.n_samples, ==, N_SAMPLES - (int)n_kept);
  g_assert_true((facts->n_known > 0) == !stop->after_batch); // no other one was begun
  g_autoptr(GError) error = NULL;
  LimnerDraft *draft = limner_library_load_draft(library, facts->id, &error);
  g_assert_no_error(error);
  LimnerJob *job = limner_draft_new_job(draft);
  limner_job_set_shows_growth(job, FALSE);
  Run rest = {job, model, stop->has_room ? 0 : LEAST_BYTES, NULL};
  run(&rest);
  g_assert_no_error(rest.error);
  assert_all_kept(library, whole);
  g_autoptr(GPtrArray) left = limner_library_list_drafts(library, NULL);
  g_assert_cmpuint(left->len, ==, 0);
  g_assert_finalize_object(job);
  g_assert_finalize_object(whole);
  close_library(library);
  janus_model_free(model);
  place_clear(&place);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  getrlimit(RLIMIT_AS, &unlimited);
  if (IS_SANITIZED) {
    g_print("1..0 # SKIP a limit on address space means nothing to a sanitizer\n");
    return 0;
  }
  g_test_add_func("/batches/same", test_batches);
  g_test_add_func("/batches/none-fits", test_none_fits);
  static const Stop tight = {FALSE, FALSE}, roomy = {TRUE, FALSE}, after = {FALSE, TRUE};
  g_test_add_data_func("/batches/continued", &tight, test_continued);
  g_test_add_data_func("/batches/continued-with-room", &roomy, test_continued);
  g_test_add_data_func("/batches/stopped-after-one", &after, test_continued);
  return g_test_run();
}
