// SPDX-License-Identifier: MIT
// Drafts: the recorder of a job, which writes its tokens down and keeps its pictures.
#include "app/draft-file.h"
#include "app/library-private.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define DRAFT_KEY "limner-draft-id"

struct LimnerDraft {
  // Owned
  LimnerLibrary *library;
  LimnerRequest *request;
  char *id; // NULL: nothing can be written
  char *model_folder;
  DraftTokens known; // its tokens NULL = none
  int lock;          // of ID.job; -1 = none
  int tokens;        // ID.tokens; -1 = not open
  // Borrowed
  LimnerJob *job; // which owns this
  // Plain
  guint n_samples; // of the job as it was asked for, of which `request` may be the end
  guint n_kept;
};

void limner_draft_facts_free(LimnerDraftFacts *facts) {
  if (!facts)
    return;
  g_free(facts->id);
  g_free(facts->request.prompt);
  g_free(facts->input_sha256);
  g_free(facts->model_folder);
  g_free(facts);
}

static void close_fd(int *fd) {
  if (*fd >= 0)
    close(*fd);
  *fd = -1;
}

void limner_draft_free(LimnerDraft *draft) {
  if (!draft)
    return;
  const gboolean is_held = draft->id && draft->lock >= 0;
  close_fd(&draft->tokens);
  if (is_held)
    draft_sweep(draft->library->drafts, draft->id);
  close_fd(&draft->lock);
  if (is_held)
    library_tell_changed(draft->library); // what nobody holds is listed
  limner_request_free(draft->request);
  g_free(draft->id);
  g_free(draft->model_folder);
  draft_tokens_clear(&draft->known);
  g_object_unref(draft->library);
  g_free(draft);
}

static LimnerDraft *draft_new(LimnerLibrary *library, const LimnerRequest *request,
                              const char *model_folder) {
  LimnerDraft *draft = g_new0(LimnerDraft, 1);
  draft->library = g_object_ref(library);
  draft->request = limner_request_copy(request);
  draft->n_samples = (guint)request->n_samples;
  draft->model_folder = g_strdup(model_folder);
  draft->lock = draft->tokens = -1;
  return draft;
}

const char *limner_draft_get_id(const LimnerDraft *draft) {
  return draft->id;
}

const char *limner_draft_get_model_folder(const LimnerDraft *draft) {
  return draft->model_folder;
}

// --- new, listed, opened -------------------------------------------------------------------------

LimnerDraft *limner_library_new_draft(LimnerLibrary *self, const LimnerRequest *request,
                                      const char *model_folder) {
  LimnerDraft *draft = draft_new(self, request, model_folder);
  g_autofree char *id = g_uuid_string_random();
  g_autofree char *json = draft_dup_json(request, model_folder, g_get_real_time());
  g_autoptr(GError) error = NULL;
  if (json && library_folder_make(self->drafts, &error))
    draft->lock = draft_create(self->drafts, id, json, &error);
  if (draft->lock >= 0)
    draft->id = g_steal_pointer(&id);
  if (!error && request->input)
    limner_library_keep_input(self, request->input, &error);
  if (error)
    library_tell_problem(self, error->message);
  library_tell_changed(self);
  return draft;
}

// "ID" of "ID.job"; NULL for other files. Owned.
static char *dup_id(const char *name) {
  return g_str_has_suffix(name, ".job") && name[0] != '.' ? g_strndup(name, strlen(name) - 4)
                                                          : NULL;
}

// What was painted of it. Batches that are in the library are no part of the job any more.
static void load_tokens(LimnerLibrary *self, const char *id, LimnerDraftFacts *facts,
                        DraftTokens *known) {
  LimnerRequest *request = &facts->request;
  draft_load_tokens(self->drafts, id, (guint)request->n_samples, known);
  request->first_sample += (int)known->first;
  request->n_samples -= (int)known->first;
  facts->n_known = known->n_known;
  facts->n_total = known->n_total;
}

// What there is to say of one; NULL when somebody works on it or it is damaged.
static LimnerDraftFacts *load_facts(LimnerLibrary *self, const char *id) {
  g_autofree char *json = NULL;
  int fd = draft_open(self->drafts, id, &json, NULL);
  LimnerDraftFacts *facts = fd >= 0 ? draft_parse(json, id, NULL) : NULL;
  if (facts) {
    DraftTokens known;
    load_tokens(self, id, facts, &known);
    draft_tokens_clear(&known);
  }
  close_fd(&fd);
  return facts;
}

static gint compare_newest(gconstpointer a, gconstpointer b) {
  const LimnerDraftFacts *one = *(LimnerDraftFacts *const *)a;
  const LimnerDraftFacts *two = *(LimnerDraftFacts *const *)b;
  return one->created_us < two->created_us ? 1 : one->created_us > two->created_us ? -1 : 0;
}

GPtrArray *limner_library_list_drafts(LimnerLibrary *self, GError **error) {
  GPtrArray *drafts = g_ptr_array_new_with_free_func((GDestroyNotify)limner_draft_facts_free);
  g_autoptr(GDir) dir = g_dir_open(self->drafts, 0, NULL); // none where none was written
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *id = dup_id(name);
    LimnerDraftFacts *facts = id ? load_facts(self, id) : NULL;
    if (facts)
      g_ptr_array_add(drafts, facts);
  }
  g_ptr_array_sort(drafts, compare_newest);
  return drafts;
}

static gboolean is_id(const char *id) {
  return g_uuid_string_is_valid(id);
}

LimnerDraft *limner_library_load_draft(LimnerLibrary *self, const char *id, GError **error) {
  g_autofree char *json = NULL;
  if (!is_id(id)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "expected a draft's id, found %s",
                id);
    return NULL;
  }
  int fd = draft_open(self->drafts, id, &json, error);
  LimnerDraftFacts *facts = fd >= 0 ? draft_parse(json, id, error) : NULL;
  g_autoptr(LimnerInput) input = facts && facts->input_sha256
                                     ? limner_library_load_input(self, facts->input_sha256, error)
                                     : NULL;
  if (!facts || (facts->input_sha256 && !input)) {
    limner_draft_facts_free(facts);
    close_fd(&fd);
    return NULL;
  }
  DraftTokens known;
  const guint n_samples = (guint)facts->request.n_samples;
  load_tokens(self, id, facts, &known);
  facts->request.input = input;
  LimnerDraft *draft = draft_new(self, &facts->request, facts->model_folder);
  draft->id = g_strdup(id);
  draft->lock = fd;
  draft->known = known;
  draft->n_samples = n_samples;
  facts->request.input = NULL;
  limner_draft_facts_free(facts);
  return draft;
}

gboolean limner_library_discard_draft(LimnerLibrary *self, const char *id, GError **error) {
  if (is_id(id))
    draft_remove(self->drafts, id);
  else
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "expected a draft's id, found %s",
                id);
  library_tell_changed(self);
  return is_id(id);
}

// --- the recorder, on the thread that paints -----------------------------------------------------

// Without its file the job goes on; it is told once.
static void give_up_tokens(LimnerDraft *draft) {
  const int code = errno;
  g_autofree char *sentence =
      g_strdup_printf("%s: the job is not written down while it is painted: %s",
                      draft->library->drafts, g_strerror(code));
  close_fd(&draft->tokens);
  library_tell_problem(draft->library, sentence);
}

static void on_started(gpointer data, const char *identity, guint first, guint n_samples,
                       guint n_known, guint n_total) {
  LimnerDraft *draft = data;
  if (!draft->id)
    return;
  close_fd(&draft->tokens); // of the batch before
  const guint n_before = draft->n_samples - (guint)draft->request->n_samples;
  const DraftTokens batch = {.identity = (char *)identity,
                             .first = n_before + first,
                             .n_samples = n_samples,
                             .n_known = n_known,
                             .n_total = n_total};
  draft->tokens = draft_open_tokens(draft->library->drafts, draft->id, draft->n_samples, &batch);
  if (draft->tokens < 0)
    give_up_tokens(draft);
}

static void on_token(gpointer data, guint position, const gint32 *tokens, guint n_samples) {
  LimnerDraft *draft = data;
  if (draft->tokens >= 0 && !draft_append(draft->tokens, tokens, n_samples))
    give_up_tokens(draft);
}

static void on_finished(gpointer data, guint index, LimnerPicture *picture) {
  LimnerDraft *draft = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerEntry) entry =
      limner_library_keep(draft->library, picture, draft->request->input, &error);
  if (entry) {
    draft->n_kept++;
    library_tell_kept(draft->library, draft->job, index, entry);
  } else {
    library_tell_problem(draft->library, error->message);
  }
}

static void on_over(gpointer data, const GError *error) {
  LimnerDraft *draft = data;
  close_fd(&draft->tokens);
  if (draft->id && !error && draft->n_kept == (guint)draft->request->n_samples)
    draft_remove(draft->library->drafts, draft->id);
  library_tell_changed(draft->library);
}

static void on_free(gpointer data) {
  limner_draft_free(data);
}

LimnerJob *limner_draft_new_job(LimnerDraft *draft) {
  static const LimnerJobRecorder recorder = {.started = on_started,
                                             .token = on_token,
                                             .finished = on_finished,
                                             .over = on_over,
                                             .free = on_free};
  LimnerJob *job = limner_job_new(draft->request);
  draft->job = job;
  if (draft->id)
    g_object_set_data_full(G_OBJECT(job), DRAFT_KEY, g_strdup(draft->id), g_free);
  if (draft->known.tokens)
    limner_job_set_known_tokens(job, draft->known.identity, draft->known.tokens,
                                draft->known.n_samples);
  limner_job_set_recorder(job, &recorder, draft);
  return job;
}

const char *limner_job_get_draft_id(LimnerJob *job) {
  return g_object_get_data(G_OBJECT(job), DRAFT_KEY);
}
