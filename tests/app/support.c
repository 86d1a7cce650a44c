// SPDX-License-Identifier: MIT
// What the tests of the app layer share.
#include "config.h"

#include "tests/app/support.h"

#include <glib/gstdio.h>
#include <time.h>

JanusModel *open_tiny(void) {
  const JanusModelOptions options = {
      .folder = TINY_FOLDER, .device = "cpu", .weights = JANUS_WEIGHTS_F32};
  JanusError error = {0};
  JanusModel *model = janus_model_open(&options, &error);
  if (!model)
    g_error("%s", error.message);
  return model;
}

LimnerJob *new_job(int n_samples) {
  const LimnerRequest request = {.prompt = (char *)"a red house",
                                 .n_samples = n_samples,
                                 .seed = 7,
                                 .cfg = 5,
                                 .temperature = 1,
                                 .top_p = 1};
  return limner_job_new(&request);
}

static gboolean on_too_late(gpointer data) {
  g_error("waited for two minutes in vain");
  return G_SOURCE_REMOVE;
}

void wait_until(Condition is_true, gpointer data) {
  const guint alarm = g_timeout_add_seconds(120, on_too_late, NULL);
  while (!is_true(data))
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(alarm);
}

gboolean is_over(gpointer job) {
  return limner_job_is_over(job);
}

void wait_for_job(LimnerJob *job) {
  wait_until(is_over, job);
}

double cpu_ms(void) {
  struct timespec now = {0};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

LimnerSample *dup_sample(LimnerJob *job, guint index) {
  return g_list_model_get_item(limner_job_get_samples(job), index);
}

GBytes *dup_tokens(LimnerJob *job, guint index) {
  g_autoptr(LimnerSample) sample = dup_sample(job, index);
  int n_tokens = 0;
  const gint32 *tokens = limner_sample_get_tokens(sample, &n_tokens);
  return g_bytes_new(tokens, (gsize)n_tokens * sizeof *tokens);
}

char *make_folder(void) {
  g_autoptr(GError) error = NULL;
  char *folder = g_dir_make_tmp("limner-test-XXXXXX", &error);
  g_assert_no_error(error);
  return folder;
}

void remove_folder(char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name(dir))) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    if (g_remove(path) != 0)
      remove_folder(g_steal_pointer(&path));
  }
  g_rmdir(folder);
  g_free(folder);
}

guint count_entries(const char *folder) {
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  guint n = 0;
  while (g_dir_read_name(dir))
    n++;
  return n;
}
