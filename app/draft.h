// SPDX-License-Identifier: MIT
// A job as a file, until every picture of it is in the library: its request, and each token as it
// is painted. A program that ends in between, however it ends, finds it at the next start, and the
// job goes on from its last token to the identical pictures.
//
//   draft = limner_library_new_draft(library, &request, "demo")   on a thread: it writes
//   job = limner_draft_new_job(draft)                             on the main thread: it does not
//   limner_job_queue_add(queue, job)
//
// From then on finished pictures are kept by the thread that paints, before the window hears of
// them. The draft goes away by itself when all are kept; a job that failed or was cancelled leaves
// it, to be continued (limner_library_load_draft()) or discarded. Tokens reach the system with
// every step, so that they survive the end of the process; a power cut may take the last seconds.
#ifndef LIMNER_DRAFT_H
#define LIMNER_DRAFT_H

#include "app/library.h"

// A job's file, held by this process until it is freed, or by the job it has become.
typedef struct LimnerDraft LimnerDraft;

// What is shown of one that can be continued. Fields owned.
typedef struct LimnerDraftFacts {
  char *id;
  LimnerRequest request; // its input is NULL
  char *input_sha256;    // NULL = none
  char *model_folder;    // "demo" or a path, as limner_job_queue_set_model() takes it
  gint64 created_us;
  guint n_known; // tokens of every sample
  guint n_total; // 0 = painting had not begun
} LimnerDraftFacts;

void limner_draft_facts_free(LimnerDraftFacts *facts);

// Writes a new one, and the request's input into the library. Never NULL: where nothing can be
// written, the library has a problem to tell, and the job is run without. Owned. Blocks.
LimnerDraft *limner_library_new_draft(LimnerLibrary *self, const LimnerRequest *request,
                                      const char *model_folder);
// LimnerDraftFacts of jobs that no running program works on, newest first. Owned. Blocks.
GPtrArray *limner_library_list_drafts(LimnerLibrary *self, GError **error);
// Opens one to go on with it. NULL with a sentence when it is in use, gone or damaged, or its input
// is not in the library any more. Owned. Blocks.
LimnerDraft *limner_library_load_draft(LimnerLibrary *self, const char *id, GError **error);
// Forgets one; one that is in use goes when its job is freed. Blocks a little.
gboolean limner_library_discard_draft(LimnerLibrary *self, const char *id, GError **error);

const char *limner_draft_get_id(const LimnerDraft *draft); // NULL: it could not be written
const char *limner_draft_get_model_folder(const LimnerDraft *draft); // borrowed
// The job, which takes the draft over: a new one, or one that goes on. On the thread the job is to
// belong to; does not block.
LimnerJob *limner_draft_new_job(LimnerDraft *draft);
// The id of the draft that a job has; NULL = none. Borrowed; does not block.
const char *limner_job_get_draft_id(LimnerJob *job);
void limner_draft_free(LimnerDraft *draft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LimnerDraft, limner_draft_free)

#endif
