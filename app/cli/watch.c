// SPDX-License-Identifier: MIT
// Running a job under the eyes of a terminal.
#include "app/cli/watch.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

typedef struct Watch {
  LimnerJob *job;
  JanusModel *model;
  GMainLoop *loop;
  guint interrupt; // source id, 0 after the first SIGINT
  gboolean is_terminal;
} Watch;

static gpointer run(gpointer data) {
  Watch *watch = data;
  limner_job_run(watch->job, watch->model, NULL); // the job knows how it ended
  return NULL;
}

static gboolean on_interrupt(gpointer data) {
  Watch *watch = data;
  watch->interrupt = 0;
  limner_job_cancel(watch->job);
  return G_SOURCE_REMOVE; // with it GLib gives SIGINT back its power to kill
}

static void show_progress(Watch *watch) {
  LimnerJob *job = watch->job;
  const LimnerJobState state = limner_job_get_state(job);
  const double left = limner_job_get_seconds_left(job);
  if (state == LIMNER_JOB_PREPARING)
    fprintf(stderr, "\r\033[Kreading the prompt");
  if (state == LIMNER_JOB_PAINTING)
    fprintf(stderr, "\r\033[K%u of %u tokens, %.1f tokens/s", limner_job_get_n_done(job),
            limner_job_get_n_total(job), limner_job_get_tokens_per_second(job));
  if (state == LIMNER_JOB_FINISHING)
    fprintf(stderr, "\r\033[Kfinishing");
  if (left >= 0 && !limner_job_is_over(job))
    fprintf(stderr, ", %.0f s left", left);
  if (limner_job_is_over(job))
    fprintf(stderr, "\r\033[K");
}

static void on_notify(LimnerJob *job, GParamSpec *pspec, Watch *watch) {
  if (watch->is_terminal)
    show_progress(watch);
  if (limner_job_is_over(job))
    g_main_loop_quit(watch->loop);
}

static void say_timings(LimnerJob *job) {
  fprintf(stderr, "time: prompt %.2f s, painting %.2f s, finishing %.2f s\n",
          limner_job_get_state_seconds(job, LIMNER_JOB_PREPARING),
          limner_job_get_state_seconds(job, LIMNER_JOB_PAINTING),
          limner_job_get_state_seconds(job, LIMNER_JOB_FINISHING));
}

void cli_watch_job(LimnerJob *job, JanusModel *model, gboolean verbose) {
  Watch watch = {.job = job, .model = model, .is_terminal = isatty(STDERR_FILENO)};
  watch.loop = g_main_loop_new(NULL, FALSE);
  watch.interrupt = g_unix_signal_add(SIGINT, on_interrupt, &watch);
  const gulong handler = g_signal_connect(job, "notify", G_CALLBACK(on_notify), &watch);
  GThread *thread = g_thread_new("paint", run, &watch);
  g_main_loop_run(watch.loop);
  g_thread_join(thread);
  g_signal_handler_disconnect(job, handler);
  if (watch.interrupt)
    g_source_remove(watch.interrupt);
  g_main_loop_unref(watch.loop);
  if (verbose)
    say_timings(job);
}
