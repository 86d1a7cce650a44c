// SPDX-License-Identifier: MIT
// The sentences of the window. Spaces inside a quantity do not break.
#include "ui/limner-words.h"

#include <glib/gi18n.h>
#include <math.h>

// "2 s left", "3 min left"; NULL when not known. Owned.
static char *words_left(double seconds) {
  if (seconds < 0)
    return NULL;
  if (seconds < 100)
    // Translators: time until the pictures are finished
    return g_strdup_printf(_("%.0f s left"), fmax(1, ceil(seconds)));
  return g_strdup_printf(_("%.0f min left"), ceil(seconds / 60));
}

static char *words_painting(LimnerJob *job) {
  GString *words = g_string_new(NULL);
  g_string_printf(words, _("%u of %u tokens"), limner_job_get_n_done(job),
                  limner_job_get_n_total(job));
  const double tokens_per_second = limner_job_get_tokens_per_second(job);
  if (tokens_per_second > 0) {
    g_string_append(words, " – ");
    g_string_append_printf(words, _("%.*f tokens/s"), tokens_per_second < 10 ? 1 : 0,
                           tokens_per_second);
  }
  g_autofree char *left = words_left(limner_job_get_seconds_left(job));
  if (left)
    g_string_append_printf(words, " – %s", left);
  return g_string_free(words, FALSE);
}

static char *words_done(LimnerJob *job) {
  const LimnerRequest *request = limner_job_get_request(job);
  double seconds = 0;
  for (int state = LIMNER_JOB_LOOKING; state <= LIMNER_JOB_FINISHING; state++)
    seconds += limner_job_get_state_seconds(job, state);
  g_autofree char *made = g_strdup_printf(
      ngettext("%d picture in %.1f s", "%d pictures in %.1f s", (gulong)request->n_samples),
      request->n_samples, seconds);
  g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, request->seed);
  g_autofree char *seed = g_strdup_printf(_("seed %s"), number);
  return g_strdup_printf("%s – %s", made, seed);
}

static char *words_cancelled(LimnerJob *job) {
  const guint n_done = limner_job_get_n_done(job);
  const gboolean has_painted = limner_job_get_state_seconds(job, LIMNER_JOB_PAINTING) > 0;
  if (!has_painted || n_done == 0)
    return g_strdup(_("Stopped before the first token"));
  return g_strdup_printf(_("Stopped after %u of %u tokens"), n_done, limner_job_get_n_total(job));
}

static char *words_looking(LimnerJob *job) {
  const guint n_total = limner_job_get_n_total(job);
  if (n_total == 0)
    return g_strdup(_("Looking at the picture…"));
  return g_strdup_printf(_("Looking at the picture… block %u of %u"), limner_job_get_n_done(job),
                         n_total);
}

char *limner_words_for_job(LimnerJob *job) {
  switch (limner_job_get_state(job)) {
  case LIMNER_JOB_QUEUED:
    return g_strdup(_("Waiting for its turn"));
  case LIMNER_JOB_LOADING:
    return g_strdup(_("Waiting for the model to open"));
  case LIMNER_JOB_LOOKING:
    return words_looking(job);
  case LIMNER_JOB_PREPARING:
    return g_strdup(_("Reading the prompt"));
  case LIMNER_JOB_PAINTING:
    return words_painting(job);
  case LIMNER_JOB_FINISHING:
    return g_strdup(_("Turning tokens into pixels"));
  case LIMNER_JOB_DONE:
    return words_done(job);
  case LIMNER_JOB_CANCELLED:
    return words_cancelled(job);
  case LIMNER_JOB_FAILED:
    break;
  }
  return g_strdup(_("This did not work"));
}

double limner_words_get_fraction(LimnerJob *job) {
  const LimnerJobState state = limner_job_get_state(job);
  const guint n_total = limner_job_get_n_total(job);
  if (state == LIMNER_JOB_FINISHING || state == LIMNER_JOB_DONE)
    return 1;
  const gboolean is_counted = state == LIMNER_JOB_LOOKING || state == LIMNER_JOB_PAINTING;
  if (!is_counted || n_total == 0)
    return 0;
  return CLAMP((double)limner_job_get_n_done(job) / n_total, 0, 1);
}

// Rows of one sample in a step: what a picture is changed by is looked at in one more.
static double cost(const LimnerRequest *request) {
  return (request->input ? 3 : 2) * (double)request->n_samples;
}

// Seconds that a job will take by the speed of the one that runs; negative = not known.
static double estimate(LimnerJobQueue *queue, LimnerJob *job) {
  LimnerJob *running = limner_job_queue_get_running(queue);
  const double per_s = running ? limner_job_get_tokens_per_second(running) : 0;
  const LimnerModelSummary *model = limner_job_queue_get_model(queue);
  if (per_s <= 0 || !model)
    return -1;
  const LimnerRequest *present = limner_job_get_request(running);
  const double sample_s = model->n_image_tokens / per_s * present->n_samples / cost(present);
  return sample_s * cost(limner_job_get_request(job));
}

static char *dup_duration(double seconds) {
  return seconds < 100 ? g_strdup_printf(_("%.0f s"), fmax(1, ceil(seconds)))
                       : g_strdup_printf(_("%.0f min"), ceil(seconds / 60));
}

char *limner_words_for_turn(LimnerJobQueue *queue, LimnerJob *job) {
  const gboolean waits = limner_job_get_state(job) <= LIMNER_JOB_LOADING;
  const double seconds = waits ? estimate(queue, job) : limner_job_get_seconds_left(job);
  if (seconds < 0)
    return limner_words_for_job(job);
  g_autofree char *duration = waits ? dup_duration(seconds) : words_left(seconds);
  // Translators: how long a job will take
  return waits ? g_strdup_printf(_("Waiting – about %s"), duration)
               : g_strdup_printf(_("%.0f %% – %s"), 100 * limner_words_get_fraction(job), duration);
}

char *limner_words_for_queue(LimnerJobQueue *queue) {
  LimnerJob *running = limner_job_queue_get_running(queue);
  double seconds = running ? limner_job_get_seconds_left(running) : -1;
  if (seconds < 0)
    return NULL;
  for (guint i = 0; i < g_list_model_get_n_items(G_LIST_MODEL(queue)); i++) {
    g_autoptr(LimnerJob) job = g_list_model_get_item(G_LIST_MODEL(queue), i);
    const double more = job == running ? 0 : estimate(queue, job);
    if (more < 0)
      return NULL;
    seconds += more;
  }
  g_autofree char *duration = dup_duration(seconds);
  // Translators: until all jobs are done: "About 3 min left in all"
  return g_strdup_printf(_("About %s left in all"), duration);
}

char *limner_words_for_sample(LimnerSample *sample) {
  const LimnerRequest *request = limner_sample_get_request(sample);
  const char *prompt = *request->prompt ? request->prompt : _("no prompt");
  return g_strdup_printf(_("Sample %u of %d, %s"), limner_sample_get_index(sample) + 1,
                         request->n_samples, prompt);
}

char *limner_words_for_entry(LimnerEntry *entry) {
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  const char *state = facts->is_missing     ? _("the file is missing")
                      : facts->is_deleted   ? _("deleted")
                      : facts->is_favourite ? _("favourite")
                                            : NULL;
  const char *prompt = *facts->prompt ? facts->prompt : _("no prompt");
  return state ? g_strdup_printf("%s, %s", prompt, state) : g_strdup(prompt);
}

char *limner_words_for_time(gint64 time_us) {
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(time_us / G_USEC_PER_SEC);
  // Translators: when a picture was made, for g_date_time_format()
  return time ? g_date_time_format(time, _("%e %B %Y, %H:%M")) : g_strdup("");
}

char *limner_words_for_bytes(guint64 n_bytes) {
  if (n_bytes >= 1000000000)
    return g_strdup_printf(_("%.1f GB"), (double)n_bytes / 1e9);
  return g_strdup_printf(_("%.*f MB"), n_bytes < 10000000 ? 1 : 0, (double)n_bytes / 1e6);
}

static char *words_loading(const LimnerModelSummary *plan, double loaded) {
  g_autofree char *needed =
      limner_words_for_bytes(limner_model_summary_get_plan(plan)->paint_bytes);
  g_autofree char *total = limner_words_for_bytes(plan->total_bytes);
  // Translators: a model, how much of it is loaded, the format of its weights, and memory
  return g_strdup_printf(_("Loading %s… %.0f %% – %s needs %s of %s"), plan->name, 100 * loaded,
                         plan->weights, needed, total);
}

char *limner_words_for_model(LimnerJobQueue *queue) {
  const LimnerModelSummary *model = limner_job_queue_get_model(queue);
  const LimnerModelSummary *plan = limner_job_queue_get_plan(queue);
  if (plan)
    return words_loading(plan, limner_job_queue_get_loaded(queue));
  if (limner_job_queue_get_model_state(queue) == LIMNER_MODEL_LOADING)
    return g_strdup(_("Opening the model…"));
  if (!model)
    return g_strdup(_("No model"));
  return g_strdup_printf("%s – %s", model->name, model->device_name);
}
