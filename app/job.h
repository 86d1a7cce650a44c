// SPDX-License-Identifier: MIT
// One request to paint and what came of it. A LimnerJob belongs to the thread that made it (the
// main thread in the window); the worker reports to it through one coalesced update, so properties
// change and signals fire on that thread's main context alone.
#ifndef LIMNER_JOB_H
#define LIMNER_JOB_H

#include "app/input.h"
#include "app/picture.h"
#include "engine/engine.h"

#include <gio/gio.h>

// GError domain for everything the engine reports; codes are JanusErrorCode. CANCELLED becomes
// G_IO_ERROR_CANCELLED.
#define LIMNER_ENGINE_ERROR (limner_engine_error_quark())
GQuark limner_engine_error_quark(void);
// The one place that turns a JanusError into a GError.
void limner_propagate_engine_error(GError **error, const JanusError *engine_error);
// Whether it is the device that failed or lacked memory, where another might do.
gboolean limner_engine_error_is_of_device(const GError *error);
// Its message without what it advises at the command line. Owned.
char *limner_engine_error_dup_sentence(const GError *error);

// What to paint. A plain value.
typedef struct LimnerRequest {
  char *prompt;       // owned
  LimnerInput *input; // owned reference; the picture to change, or NULL
  JanusFit fit;       // of the input
  // The tokens that a picture of our own was painted from stand for its pixels where they fit the
  // model (see limner_input_dup_tokens()): nothing drifts. FALSE: its pixels are encoded again.
  gboolean uses_input_tokens;
  int n_samples;
  int first_sample; // index of the first of them, usually 0; "sample 4 of that seed, alone"
  guint64 seed;     // 0 .. 2^53-1
  double cfg;
  double image_cfg; // with an input
  double temperature;
  int top_k;
  double top_p;
} LimnerRequest;

LimnerRequest *limner_request_copy(const LimnerRequest *request);
void limner_request_free(LimnerRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerRequest, limner_request_free)
// A fresh random seed below 2^32, short enough to read out.
guint64 limner_random_seed(void);

typedef enum {
  LIMNER_JOB_QUEUED,
  LIMNER_JOB_LOADING,   // waiting for the model
  LIMNER_JOB_LOOKING,   // the encoders look at the input; n-done of n-total blocks
  LIMNER_JOB_PREPARING, // the prompt is being read
  LIMNER_JOB_PAINTING,  // picture tokens
  LIMNER_JOB_FINISHING, // tokens to pixels
  LIMNER_JOB_DONE,
  LIMNER_JOB_CANCELLED,
  LIMNER_JOB_FAILED,
} LimnerJobState;

#define LIMNER_TYPE_JOB_STATE (limner_job_state_get_type())
GType limner_job_state_get_type(void);

// One picture of a job. Properties (notify on the job's thread):
//   "picture"    LimnerPicture boxed: the newest preview, or the final picture; NULL at first
//   "n-rows"     guint: complete token rows (0 .. grid)
//   "finished"   gboolean: `picture` is final
#define LIMNER_TYPE_SAMPLE (limner_sample_get_type())
G_DECLARE_FINAL_TYPE(LimnerSample, limner_sample, LIMNER, SAMPLE, GObject)

LimnerPicture *limner_sample_get_picture(LimnerSample *self); // borrowed, may be NULL
guint limner_sample_get_index(LimnerSample *self);
guint limner_sample_get_n_rows(LimnerSample *self);
guint limner_sample_get_grid(LimnerSample *self); // rows when finished; 0 = not known yet
gboolean limner_sample_get_finished(LimnerSample *self);
const gint32 *limner_sample_get_tokens(LimnerSample *self, int *n_tokens); // final or at cancel
// The request it was made from; borrowed.
const LimnerRequest *limner_sample_get_request(LimnerSample *self);
// "limner-SEED_K.png"; owned.
char *limner_sample_dup_file_name(LimnerSample *self);

// A job. Properties:
//   "state"       LimnerJobState
//   "n-done", "n-total"     guint: tokens per sample, of all batches one after the other (prompt
//                           positions while PREPARING)
//   "tokens-per-second"     double: tokens of all samples together per second; 0 = not known yet
//   "seconds-left"          double: estimate for the whole job; negative = not known yet
#define LIMNER_TYPE_JOB (limner_job_get_type())
G_DECLARE_FINAL_TYPE(LimnerJob, limner_job, LIMNER, JOB, GObject)

LimnerJob *limner_job_new(const LimnerRequest *request);
const LimnerRequest *limner_job_get_request(LimnerJob *self); // borrowed
LimnerJobState limner_job_get_state(LimnerJob *self);
gboolean limner_job_is_over(LimnerJob *self);        // DONE, CANCELLED or FAILED
GListModel *limner_job_get_samples(LimnerJob *self); // borrowed, of LimnerSample, fixed length
guint limner_job_get_n_done(LimnerJob *self);
guint limner_job_get_n_total(LimnerJob *self);
double limner_job_get_tokens_per_second(LimnerJob *self);
double limner_job_get_seconds_left(LimnerJob *self);
// How long the job has been in this state so far, over states that run. Any thread.
double limner_job_get_state_seconds(LimnerJob *self, LimnerJobState state);
const GError *limner_job_get_error(LimnerJob *self);       // set when FAILED
GCancellable *limner_job_get_cancellable(LimnerJob *self); // borrowed
// Stops it wherever it is, within one step of the engine. Any thread.
void limner_job_cancel(LimnerJob *self);
// Ends it as cancelled when the samples that are painted together now are finished, if those are
// not all; whether more come behind them is the answer, as far as that is known yet. Any thread.
gboolean limner_job_stop_after_batch(LimnerJob *self);

// Whether pictures are shown while they grow (they are, unless told otherwise before the run). The
// final pictures are the same.
void limner_job_set_shows_growth(LimnerJob *self, gboolean shows_growth);

// --- what outlives a job
// --------------------------------------------------------------------------

// Hears of a run on the thread that runs it and before anyone else does, so that what is done can
// be kept at once (see app/library.h, which does). Members may be NULL.
typedef struct LimnerJobRecorder {
  // Painting of `n_samples` samples from `first` on begins behind `n_known` tokens of each;
  // `identity` is what else than the request the tokens depend on, as limner_model_dup_identity()
  // says. Once for all of them, or for one batch after the other, each when those of the one before
  // are finished.
  void (*started)(gpointer data, const char *identity, guint first, guint n_samples, guint n_known,
                  guint n_total);
  // Token number `position` of every sample of the batch: [n_samples]
  void (*token)(gpointer data, guint position, const gint32 *tokens, guint n_samples);
  // A final picture; `index` counts from the request's first sample.
  void (*finished)(gpointer data, guint index, LimnerPicture *picture);
  // The run has ended; NULL = every sample was finished.
  void (*over)(gpointer data, const GError *error);
  GDestroyNotify free; // with the job, on any thread
} LimnerJobRecorder;

// Before the run; once.
void limner_job_set_recorder(LimnerJob *self, const LimnerJobRecorder *recorder, gpointer data);
// Tokens of a run that was stopped, gint32 [n_samples][n_known] of its first `n_samples` samples,
// with the identity that run had. The job goes on behind them and ends in the same pictures; with
// another model it begins anew. Before the run.
void limner_job_set_known_tokens(LimnerJob *self, const char *identity, GBytes *tokens,
                                 guint n_samples);
// The model's name, weight format and device with its instruction set, in one line. Owned.
char *limner_model_dup_identity(const JanusModelInfo *info);

// Runs the whole job here and now with an opened model: what the worker thread does, and what a
// test or the command line calls. Samples that do not fit into memory together are painted in
// batches, to the same pictures. Updates reach the job's properties when its main context runs;
// the final state is there on return when called on the job's own thread. FALSE = cancelled or
// failed.
gboolean limner_job_run(LimnerJob *self, JanusModel *model, GError **error);

#endif
