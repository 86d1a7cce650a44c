// SPDX-License-Identifier: MIT
// Running a job under the eyes of a terminal.
#include "app/cli/watch.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

// --- Ctrl+C --------------------------------------------------------------------------------------

static gboolean on_interrupt(gpointer data) {
  CliInterrupt *interrupt = data;
  interrupt->source = 0;
  interrupt->seen = TRUE;
  limner_job_cancel(interrupt->job);
  return G_SOURCE_REMOVE; // with it GLib gives SIGINT back its power to kill
}

void cli_interrupt_begin(CliInterrupt *interrupt, LimnerJob *job) {
  *interrupt = (CliInterrupt){.job = job};
  interrupt->source = g_unix_signal_add(SIGINT, on_interrupt, interrupt);
}

void cli_interrupt_end(CliInterrupt *interrupt) {
  if (interrupt->source)
    g_source_remove(interrupt->source);
}

gboolean cli_interrupt_seen(CliInterrupt *interrupt) {
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  return interrupt->seen;
}

// --- the job -------------------------------------------------------------------------------------

typedef struct Watch {
  LimnerJob *job;
  JanusModel *model;
  GMainLoop *loop;
  gboolean is_terminal;
  char *shown; // the line on the terminal
} Watch;

static gpointer run(gpointer data) {
  Watch *watch = data;
  limner_job_run(watch->job, watch->model, NULL); // the job knows how it ended
  return NULL;
}

static char *dup_progress(LimnerJob *job) {
  const double left = limner_job_get_seconds_left(job);
  g_autofree char *rest = left >= 0 ? g_strdup_printf(", %.0f s left", left) : g_strdup("");
  switch (limner_job_get_state(job)) {
  case LIMNER_JOB_LOOKING:
    return g_strdup_printf("looking at the picture, %u of %u blocks", limner_job_get_n_done(job),
                           limner_job_get_n_total(job));
  case LIMNER_JOB_PREPARING:
    return g_strdup("reading the prompt");
  case LIMNER_JOB_PAINTING:
    return g_strdup_printf("%u of %u tokens, %.1f tokens/s%s", limner_job_get_n_done(job),
                           limner_job_get_n_total(job), limner_job_get_tokens_per_second(job),
                           rest);
  case LIMNER_JOB_FINISHING:
    return g_strdup_printf("finishing%s", rest);
  default:
    return g_strdup("");
  }
}

// One line, written again only when it says something else.
static void show_progress(Watch *watch) {
  g_autofree char *line = dup_progress(watch->job);
  if (g_strcmp0(line, watch->shown) == 0)
    return;
  fprintf(stderr, "\r\033[K%s", line);
  g_free(watch->shown);
  watch->shown = g_steal_pointer(&line);
}

static void on_notify(LimnerJob *job, GParamSpec *pspec, Watch *watch) {
  if (watch->is_terminal)
    show_progress(watch);
  if (limner_job_is_over(job))
    g_main_loop_quit(watch->loop);
}

static void say_timings(LimnerJob *job) {
  fprintf(stderr, "time: ");
  if (limner_job_get_request(job)->input)
    fprintf(stderr, "looking %.2f s, ", limner_job_get_state_seconds(job, LIMNER_JOB_LOOKING));
  fprintf(stderr, "prompt %.2f s, painting %.2f s, finishing %.2f s\n",
          limner_job_get_state_seconds(job, LIMNER_JOB_PREPARING),
          limner_job_get_state_seconds(job, LIMNER_JOB_PAINTING),
          limner_job_get_state_seconds(job, LIMNER_JOB_FINISHING));
}

void cli_watch_job(LimnerJob *job, JanusModel *model, gboolean verbose) {
  Watch watch = {.job = job, .model = model, .is_terminal = isatty(STDERR_FILENO)};
  watch.loop = g_main_loop_new(NULL, FALSE);
  const gulong handler = g_signal_connect(job, "notify", G_CALLBACK(on_notify), &watch);
  GThread *thread = g_thread_new("paint", run, &watch);
  g_main_loop_run(watch.loop);
  g_thread_join(thread);
  g_signal_handler_disconnect(job, handler);
  g_main_loop_unref(watch.loop);
  g_free(watch.shown);
  if (verbose)
    say_timings(job);
}
