// SPDX-License-Identifier: MIT
// Inside the app: the two files of a draft. ID.job is JSON, written once and whole, and locked by
// whoever works on it. ID.tokens is appended to:
//
//   "LIMNER TOKENS 1; IDENTITY\n"                  the model, see limner_model_dup_identity()
//   n_samples n_total                              two u32 in the machine's order
//   {token of each sample, CRC-32}[n_known]        a record a step; the first wrong one is the end
//
// A job in batches begins the file anew with each: "LIMNER TOKENS 2; ...", and a third u32, how
// many of its samples came before and are in the library.
#ifndef LIMNER_DRAFT_FILE_H
#define LIMNER_DRAFT_FILE_H

#include "app/draft.h"

// The JSON of what a draft is about; NULL when a number of it is none. Owned.
char *draft_dup_json(const LimnerRequest *request, const char *model_folder, gint64 created_us);
// Back from it; NULL with a sentence. Owned.
LimnerDraftFacts *draft_parse(const char *json, const char *id, GError **error);

// Creates ID.job, or opens it, and locks it. -1 with an error; G_IO_ERROR_BUSY = somebody works on
// it. close() unlocks.
int draft_create(const char *folder, const char *id, const char *json, GError **error);
int draft_open(const char *folder, const char *id, char **json, GError **error);
void draft_remove(const char *folder, const char *id);
// Removes what is left of one that was discarded while somebody worked on it.
void draft_sweep(const char *folder, const char *id);

// What ID.tokens holds of `n_samples` of a job, from `first` on: gint32 [n_samples][n_known] and
// whose they are. Fields owned; all zero = nothing of use.
typedef struct DraftTokens {
  char *identity;
  GBytes *tokens;
  guint first, n_samples, n_known, n_total;
} DraftTokens;
// FALSE = nothing of use for a job of `n_samples`.
gboolean draft_load_tokens(const char *folder, const char *id, guint n_samples, DraftTokens *found);
void draft_tokens_clear(DraftTokens *found);
// Opens ID.tokens to append record number `batch->n_known`; 0 begins it anew. Its tokens are not
// looked at. `n_samples` is the job's. -1 with errno.
int draft_open_tokens(const char *folder, const char *id, guint n_samples,
                      const DraftTokens *batch);
// One record, by one call of the system. FALSE with errno.
gboolean draft_append(int fd, const gint32 *tokens, guint n_samples);

#endif
