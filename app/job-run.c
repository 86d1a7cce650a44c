// SPDX-License-Identifier: MIT
// Running a job with an opened model: tokens, previews while they come, and the final pictures; in
// batches where memory has no room for all samples together.
#include "app/job-private.h"
#include "app/recipe.h"

#include <string.h>

// Full decodes while painting may take this share of the time painted so far.
#define DECODE_SHARE 0.10
// Painting time before the first full decode of a model whose decoding was never timed.
#define FIRST_DECODE_S 5.0
// Speed is measured over this many last steps.
enum { N_MARKS = 48 };
// What rows show that are not painted yet.
#define BLANK_LEVEL 0x80
// How far the same tokens may decode apart on two devices, in levels of 255.
enum { OTHER_DEVICE_LEVELS = 4 };
#define SPARE_BYTES ((gsize)32 << 20)

// One batch, the whole job where it fits.
typedef struct Run {
  // Borrowed
  LimnerJob *job;
  const LimnerRequest *request; // for this batch
  const JanusModelInfo *info;
  JanusSession *session;
  // Owned
  guint8 *shown;   // [n_samples][size][size][3] what the previews show
  guint8 *scratch; // [size][size][3]
  guint *n_fine;   // [n_samples] rows of `shown` that come from a full decode
  gint32 *newest;  // [n_samples] the last token of each
  // Plain
  int first;        // sample of the job
  int n_steps_done; // of the batches before
  int n_after;      // samples in those to come
  gsize picture_bytes;
  int n_known;       // tokens of every sample that were painted before
  int n_rows;        // complete token rows previewed
  int next_decode;   // the sample whose turn it is
  gint64 start_us;   // of painting
  gint64 decoded_us; // spent in full decodes while painting
  gint64 mark_us[N_MARKS];
  int mark_done[N_MARKS];
  int n_marks; // ever set
} Run;

static double seconds_since(gint64 start_us) {
  return (double)(g_get_monotonic_time() - start_us) * 1e-6;
}

static guint8 *shown_of(Run *run, int sample) {
  return run->shown + (gsize)sample * run->picture_bytes;
}

// Bytes of `n_rows` token rows of a picture.
static gsize rows_bytes(const Run *run, guint n_rows) {
  return run->picture_bytes / (gsize)run->info->grid * n_rows;
}

// --- previews ------------------------------------------------------------------------------------

static LimnerPicture *new_picture(Run *run, const guint8 *rgb) {
  g_autoptr(GBytes) bytes = g_bytes_new(rgb, run->picture_bytes);
  return limner_picture_new(bytes, run->info->image_size_px, run->info->image_size_px);
}

static void report_shown(Run *run, int sample, int n_rows) {
  SampleUpdate update = {.picture = new_picture(run, shown_of(run, sample)),
                         .n_rows = (guint)n_rows,
                         .grid = (guint)run->info->grid};
  limner_job_report_sample(run->job, (guint)(run->first + sample), &update);
}

// The newest rows as mean colours; rows that a full decode has shown stay as they are.
static void preview_sample(Run *run, int sample) {
  const int n_rows = janus_session_preview(run->session, sample, run->scratch);
  const guint n_fine = run->n_fine[sample];
  if (n_rows <= (int)n_fine)
    return;
  const gsize start = rows_bytes(run, n_fine), end = rows_bytes(run, (guint)n_rows);
  memcpy(shown_of(run, sample) + start, run->scratch + start, end - start);
  report_shown(run, sample, n_rows);
}

// One full decode, of which the known rows are shown. A failure here is not the job's: it comes
// back at the end if it lasts.
static void decode_sample(Run *run, int sample, int n_rows) {
  const gint64 start_us = g_get_monotonic_time();
  const gboolean ok = janus_session_decode(run->session, sample, run->scratch, NULL);
  run->decoded_us += g_get_monotonic_time() - start_us;
  if (!ok)
    return;
  limner_job_set_decode_seconds(run->job, seconds_since(start_us));
  memcpy(shown_of(run, sample), run->scratch, rows_bytes(run, (guint)n_rows));
  run->n_fine[sample] = (guint)n_rows;
  report_shown(run, sample, n_rows);
}

static gboolean may_decode(Run *run) {
  const double painting_s = seconds_since(run->start_us);
  const double cost_s = limner_job_get_decode_seconds(run->job);
  if (cost_s <= 0)
    return painting_s >= FIRST_DECODE_S;
  return (double)run->decoded_us * 1e-6 + cost_s <= DECODE_SHARE * painting_s;
}

static void show_rows(Run *run, int n_done) {
  const int n_rows = n_done / run->info->grid;
  if (n_rows == run->n_rows)
    return;
  run->n_rows = n_rows;
  for (int i = 0; i < run->request->n_samples; i++)
    preview_sample(run, i);
  if (n_rows < run->info->grid && may_decode(run)) {
    decode_sample(run, run->next_decode, n_rows);
    run->next_decode = (run->next_decode + 1) % run->request->n_samples;
  }
}

// --- speed ---------------------------------------------------------------------------------------

static void mark(Run *run, int n_done) {
  const int slot = run->n_marks++ % N_MARKS;
  run->mark_us[slot] = g_get_monotonic_time();
  run->mark_done[slot] = n_done;
}

// Tokens per sample and second over the marks, 0 with fewer than two.
static double steps_per_second(const Run *run) {
  if (run->n_marks < 2)
    return 0;
  const int newest = (run->n_marks - 1) % N_MARKS;
  const int oldest = run->n_marks <= N_MARKS ? 0 : run->n_marks % N_MARKS;
  const gint64 us = run->mark_us[newest] - run->mark_us[oldest];
  return us > 0 ? (run->mark_done[newest] - run->mark_done[oldest]) / ((double)us * 1e-6) : 0;
}

// Steps of the batches to come, which are as large as this one or smaller.
static int steps_after(const Run *run) {
  const int n = MAX(run->request->n_samples, 1);
  return (run->n_after + n - 1) / n * run->info->n_image_tokens;
}

// `n_done` steps of this batch are done; `decodes_s` is still to be spent on its pictures.
static void report_steps(Run *run, int n_done, double rate, double decodes_s) {
  const int n_left = run->info->n_image_tokens - n_done + steps_after(run);
  const double later_s = run->n_after * limner_job_get_decode_seconds(run->job);
  const double left = rate > 0                     ? n_left / rate + decodes_s + later_s
                      : n_left == 0 && n_done >= 0 ? decodes_s
                                                   : -1;
  limner_job_report_progress(run->job, (guint)(run->n_steps_done + n_done),
                             (guint)(run->n_steps_done + n_done + n_left),
                             rate * run->request->n_samples, left);
}

static void report_speed(Run *run, int n_done) {
  const double decodes_s = run->request->n_samples * limner_job_get_decode_seconds(run->job);
  report_steps(run, n_done, steps_per_second(run), decodes_s);
}

// --- the recorder --------------------------------------------------------------------------------

static void tell_started(Run *run) {
  gpointer data = NULL;
  const LimnerJobRecorder *recorder = limner_job_get_recorder(run->job, &data);
  g_autofree char *identity = limner_model_dup_identity(run->info);
  if (recorder->started)
    recorder->started(data, identity, (guint)run->first, (guint)run->request->n_samples,
                      (guint)run->n_known, (guint)run->info->n_image_tokens);
}

// Stopped before the next batch: what is left begins there, with nothing known of it.
static void tell_rest(LimnerJob *job, const JanusModelInfo *info, int first, int n) {
  gpointer data = NULL;
  const LimnerJobRecorder *recorder = limner_job_get_recorder(job, &data);
  g_autofree char *identity = limner_model_dup_identity(info);
  if (recorder->started)
    recorder->started(data, identity, (guint)first, (guint)n, 0, (guint)info->n_image_tokens);
}

static void tell_tokens(Run *run, int n_done) {
  gpointer data = NULL;
  const LimnerJobRecorder *recorder = limner_job_get_recorder(run->job, &data);
  if (!recorder->token)
    return;
  for (int i = 0; i < run->request->n_samples; i++) {
    int n = 0;
    const int32_t *tokens = janus_session_get_tokens(run->session, i, &n);
    run->newest[i] = tokens[n_done - 1];
  }
  recorder->token(data, (guint)n_done - 1, run->newest, (guint)run->request->n_samples);
}

static void tell_finished(Run *run, int sample, LimnerPicture *picture) {
  gpointer data = NULL;
  const LimnerJobRecorder *recorder = limner_job_get_recorder(run->job, &data);
  if (recorder->finished)
    recorder->finished(data, (guint)(run->first + sample), picture);
}

static void tell_over(LimnerJob *job, const GError *error) {
  gpointer data = NULL;
  const LimnerJobRecorder *recorder = limner_job_get_recorder(job, &data);
  if (recorder->over)
    recorder->over(data, error);
}

// --- progress ------------------------------------------------------------------------------------

static void start_painting(Run *run) {
  tell_started(run);
  run->start_us = g_get_monotonic_time();
  report_steps(run, 0, 0, 0);
  limner_job_report_state(run->job, LIMNER_JOB_PAINTING);
}

// Blocks of the encoders, or positions of the prompt.
static void report_part(Run *run, LimnerJobState state, const JanusProgress *progress) {
  limner_job_report_progress(run->job, (guint)progress->n_done, (guint)progress->n_total, 0, -1);
  limner_job_report_state(run->job, state);
}

static void paint_step(Run *run, const JanusProgress *progress) {
  if (run->start_us == 0)
    start_painting(run);
  tell_tokens(run, progress->n_done);
  mark(run, progress->n_done);
  report_speed(run, progress->n_done);
  if (limner_job_get_shows_growth(run->job))
    show_rows(run, progress->n_done);
}

static bool on_progress(const JanusProgress *progress, void *data) {
  Run *run = data;
  switch (progress->phase) {
  case JANUS_PHASE_LOOK:
    report_part(run, LIMNER_JOB_LOOKING, progress);
    break;
  case JANUS_PHASE_PREFILL:
    if (progress->n_done < progress->n_total)
      report_part(run, LIMNER_JOB_PREPARING, progress);
    else if (run->start_us == 0)
      start_painting(run);
    break;
  case JANUS_PHASE_DECODE:
    paint_step(run, progress);
    break;
  }
  return !g_cancellable_is_cancelled(limner_job_get_cancellable(run->job));
}

// --- the run -------------------------------------------------------------------------------------

static void report_tokens(Run *run) {
  for (int i = 0; i < run->request->n_samples; i++) {
    int n_tokens = 0;
    const int32_t *tokens = janus_session_get_tokens(run->session, i, &n_tokens);
    SampleUpdate update = {.tokens = g_bytes_new(tokens, (gsize)n_tokens * sizeof *tokens)};
    limner_job_report_sample(run->job, (guint)(run->first + i), &update);
  }
}

// The picture in `scratch` with what made it.
static LimnerPicture *new_final_picture(Run *run, int sample) {
  int n_tokens = 0;
  const int32_t *tokens = janus_session_get_tokens(run->session, sample, &n_tokens);
  const guint index = (guint)(run->request->first_sample + sample);
  g_autoptr(LimnerRecipe) recipe =
      limner_recipe_new(run->request, index, tokens, n_tokens, run->info);
  g_autoptr(GBytes) bytes = g_bytes_new(run->scratch, run->picture_bytes);
  return limner_recipe_dup_picture(recipe, bytes);
}

static gboolean finish_sample(Run *run, int sample, JanusError *error) {
  const gint64 start_us = g_get_monotonic_time();
  if (!janus_session_decode(run->session, sample, run->scratch, error))
    return FALSE;
  const double seconds = seconds_since(start_us);
  limner_job_set_decode_seconds(run->job, seconds);
  SampleUpdate update = {.picture = new_final_picture(run, sample),
                         .n_rows = (guint)run->info->grid,
                         .grid = (guint)run->info->grid,
                         .finished = TRUE};
  tell_finished(run, sample, update.picture);
  limner_job_report_sample(run->job, (guint)(run->first + sample), &update);
  const int n_left = run->request->n_samples - sample - 1;
  report_steps(run, run->info->n_image_tokens, steps_per_second(run), n_left * seconds);
  return TRUE;
}

static gboolean paint_and_finish(Run *run, JanusError *error) {
  if (run->n_known == run->info->n_image_tokens)
    start_painting(run); // which the engine has nothing to say about
  const gboolean painted = janus_session_run(run->session, on_progress, run, error);
  report_tokens(run);
  if (!painted)
    return FALSE;
  limner_job_report_state(run->job, LIMNER_JOB_FINISHING);
  for (int i = 0; i < run->request->n_samples; i++)
    if (!finish_sample(run, i, error))
      return FALSE;
  return TRUE;
}

static JanusImage engine_image(const LimnerRequest *request) {
  LimnerPicture *picture = limner_input_get_picture(request->input);
  return (JanusImage){.rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL),
                      .width_px = limner_picture_get_width(picture),
                      .height_px = limner_picture_get_height(picture),
                      .fit = request->fit};
}

// The picture's own tokens, when they are asked for and do decode to its pixels: a program may have
// changed those and kept the texts. What the model keeps an edit of was seen to do so then. NULL =
// the pixels are to be encoded. Owned.
static GBytes *dup_input_tokens(const LimnerRequest *request, const JanusImage *image,
                                JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  GBytes *tokens = request->input && request->uses_input_tokens
                       ? limner_input_dup_tokens(request->input, info)
                       : NULL;
  if (!tokens || janus_model_keeps(model, image, g_bytes_get_data(tokens, NULL)))
    return tokens;
  const gsize n_bytes = (gsize)info->image_size_px * (gsize)info->image_size_px * 3;
  g_autofree guint8 *rgb = g_malloc(n_bytes);
  const guint8 *pixels =
      g_bytes_get_data(limner_picture_get_bytes(limner_input_get_picture(request->input)), NULL);
  gboolean is_same =
      janus_model_decode(model, g_bytes_get_data(tokens, NULL), info->n_image_tokens, rgb, NULL);
  for (gsize i = 0; i < n_bytes && is_same; i++)
    is_same = ABS(rgb[i] - pixels[i]) <= OTHER_DEVICE_LEVELS;
  if (!is_same)
    g_clear_pointer(&tokens, g_bytes_unref);
  return tokens;
}

static JanusRequest engine_request(const LimnerRequest *request, const JanusImage *image) {
  return (JanusRequest){.prompt = request->prompt ? request->prompt : "",
                        .image = image,
                        .n_samples = request->n_samples,
                        .first_sample = request->first_sample,
                        .seed = request->seed,
                        .cfg = request->cfg,
                        .image_cfg = request->image_cfg,
                        .temperature = request->temperature,
                        .top_k = request->top_k,
                        .top_p = request->top_p};
}

static void on_cancelled(GCancellable *cancellable, gpointer session) {
  janus_session_cancel(session);
}

// What is shown of every sample while it is painted, blank; NULL where that, the pictures that come
// of it and what GLib must not be refused do not fit into memory, also without what the model keeps
// for other edits.
static guint8 *new_previews(JanusModel *model, gsize n, gsize picture_bytes, JanusError *error) {
  const gsize n_bytes = n * picture_bytes, n_needed = 2 * n_bytes + SPARE_BYTES;
  if (!janus_memory_has_room(n_needed, "the pictures", NULL))
    janus_model_drop_kept(model);
  guint8 *shown =
      janus_memory_has_room(n_needed, "the pictures", error) ? g_try_malloc(n_bytes) : NULL;
  if (shown)
    memset(shown, BLANK_LEVEL, n_bytes);
  else if (error->code == JANUS_ERROR_NONE)
    *error = (JanusError){JANUS_ERROR_MEMORY, "not enough memory for the pictures"};
  return shown;
}

// The tokens known of the batch's samples, [n_samples][*n_known]; NULL = none. Owned.
static GBytes *dup_known_tokens(Run *run) {
  guint n_samples = 0;
  GBytes *all = limner_job_get_known_tokens(run->job, run->info, &n_samples);
  const gsize n = (gsize)run->request->n_samples, first = (gsize)run->first;
  run->n_known = 0;
  if (!all || n == 0 || first + n > n_samples)
    return NULL;
  const gsize n_known = g_bytes_get_size(all) / sizeof(gint32) / n_samples;
  run->n_known = (int)n_known;
  return g_bytes_new_from_bytes(all, first * n_known * sizeof(gint32),
                                n * n_known * sizeof(gint32));
}

// `request` says in uses_input_tokens whether it does. NULL and an error on failure.
static JanusSession *new_session(Run *run, JanusModel *model, LimnerRequest *request,
                                 JanusError *error) {
  const JanusImage image = request->input ? engine_image(request) : (JanusImage){0};
  JanusRequest wanted = engine_request(request, request->input ? &image : NULL);
  g_autoptr(GBytes) input_tokens = dup_input_tokens(request, &image, model);
  request->uses_input_tokens = input_tokens != NULL;
  wanted.image_tokens = input_tokens ? g_bytes_get_data(input_tokens, NULL) : NULL;
  g_autoptr(GBytes) known = dup_known_tokens(run);
  wanted.known_tokens = known ? g_bytes_get_data(known, NULL) : NULL;
  wanted.n_known = run->n_known;
  return janus_session_new(model, &wanted, error);
}

static gboolean run_session(Run *run, JanusError *error) {
  const gsize n = (gsize)run->request->n_samples;
  run->scratch = g_malloc(run->picture_bytes);
  run->n_fine = g_new0(guint, n);
  run->newest = g_new0(gint32, n);
  GCancellable *cancellable = limner_job_get_cancellable(run->job);
  const gulong handler =
      g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled), run->session, NULL);
  const gboolean ok = paint_and_finish(run, error);
  // Waits for a handler that is running: the session is not freed under it.
  g_cancellable_disconnect(cancellable, handler);
  g_free(run->scratch);
  g_free(run->n_fine);
  g_free(run->newest);
  return ok;
}

// What run_batch() found.
typedef enum { BATCH_PAINTED, BATCH_TOO_LARGE, BATCH_FAILED } Batch;

// `n` samples from `first` on, and no more of what memory they take when it returns. Too large: to
// begin with them there was no memory.
static Batch run_batch(LimnerJob *job, JanusModel *model, int first, int n, int n_steps_done,
                       JanusError *error) {
  LimnerRequest request = *limner_job_get_request(job); // what it points at stays the job's
  Run run = {.job = job,
             .request = &request,
             .info = janus_model_get_info(model),
             .first = first,
             .n_steps_done = n_steps_done,
             .n_after = request.n_samples - first - n};
  request.first_sample += first;
  request.n_samples = n;
  run.picture_bytes = (gsize)run.info->image_size_px * (gsize)run.info->image_size_px * 3;
  run.session = new_session(&run, model, &request, error);
  if (run.session)
    run.shown = new_previews(model, (gsize)n, run.picture_bytes, error);
  Batch batch = error->code == JANUS_ERROR_MEMORY ? BATCH_TOO_LARGE : BATCH_FAILED;
  if (run.shown)
    batch = run_session(&run, error) ? BATCH_PAINTED : BATCH_FAILED;
  janus_session_free(run.session);
  g_free(run.shown);
  return batch;
}

// How many samples to try at first: those of which the same is known go together.
static int first_batch(LimnerJob *job, JanusModel *model) {
  guint n_known = 0;
  const int n = limner_job_get_request(job)->n_samples;
  const gboolean is_known =
      limner_job_get_known_tokens(job, janus_model_get_info(model), &n_known) && n_known > 0;
  return is_known ? MIN(n, (int)n_known) : n;
}

static gboolean run_batches(LimnerJob *job, JanusModel *model, JanusError *error) {
  const int n = limner_job_get_request(job)->n_samples;
  const int n_tokens = janus_model_get_info(model)->n_image_tokens;
  int n_done = 0, n_steps = 0, most = n, size = first_batch(job, model);
  do {
    *error = (JanusError){0};
    limner_job_report_batch(job, n_done + size >= n);
    switch (run_batch(job, model, n_done, size, n_steps, error)) {
    case BATCH_PAINTED:
      n_done += size;
      n_steps += n_tokens;
      size = MIN(most, n - n_done);
      if (size > 0 && limner_job_stops_after_batch(job)) {
        tell_rest(job, janus_model_get_info(model), n_done, size);
        *error = (JanusError){JANUS_ERROR_CANCELLED, "stopped"};
        return FALSE;
      }
      break;
    case BATCH_TOO_LARGE:
      if (size <= 1)
        return FALSE;
      most = size = (size + 1) / 2;
      break;
    case BATCH_FAILED:
      return FALSE;
    }
  } while (n_done < n);
  return TRUE;
}

gboolean limner_job_run(LimnerJob *self, JanusModel *model, GError **error) {
  g_autoptr(GError) local_error = NULL;
  if (limner_job_claim(self)) {
    JanusError engine_error = {0};
    const gboolean is_edit = limner_job_get_request(self)->input != NULL;
    limner_job_report_state(self, is_edit ? LIMNER_JOB_LOOKING : LIMNER_JOB_PREPARING);
    if (!run_batches(self, model, &engine_error))
      limner_propagate_engine_error(&local_error, &engine_error);
    tell_over(self, local_error);
  } else {
    g_set_error_literal(&local_error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
  }
  limner_job_report_over(self, local_error);
  if (limner_job_is_own_thread(self))
    limner_job_flush(self);
  if (!local_error)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&local_error));
  return FALSE;
}
