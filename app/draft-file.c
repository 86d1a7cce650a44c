// SPDX-License-Identifier: MIT
// Drafts as bytes.
#include "app/draft-file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HEAD "LIMNER TOKENS 1; "
#define BATCH_HEAD "LIMNER TOKENS 2; "
enum { FORMAT = 1, MAX_SAMPLES = 4096, MAX_TOKENS = 1 << 20, MAX_IDENTITY_BYTES = 4096 };

static char *dup_path(const char *folder, const char *id, const char *extension) {
  return g_strdup_printf("%s/%s.%s", folder, id, extension);
}

static int fail(GError **error, const char *path, int code, const char *what) {
  g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code), "%s: %s: %s", path, what,
              g_strerror(code));
  return -1;
}

// --- JSON ----------------------------------------------------------------------------------------

char *draft_dup_json(const LimnerRequest *request, const char *model_folder, gint64 created_us) {
  g_autofree char *prompt = g_utf8_make_valid(request->prompt ? request->prompt : "", -1);
  g_autofree char *folder = g_utf8_make_valid(model_folder, -1);
  json_t *object =
      json_pack("{s:i, s:s, s:s, s:I, s:i, s:i, s:I, s:f, s:f, s:f, s:i, s:f, s:s, s:b}", "format",
                FORMAT, "model_folder", folder, "prompt", prompt, "seed", (json_int_t)request->seed,
                "n_samples", request->n_samples, "first_sample", request->first_sample,
                "created_us", (json_int_t)created_us, "cfg", request->cfg, "image_cfg",
                request->image_cfg, "temperature", request->temperature, "top_k", request->top_k,
                "top_p", request->top_p, "fit", request->fit == JANUS_FIT_CROP ? "crop" : "pad",
                "uses_input_tokens", request->uses_input_tokens);
  if (!object)
    return NULL;
  const char *sha256 = request->input ? limner_input_get_sha256(request->input) : NULL;
  if (sha256)
    json_object_set_new(object, "input_sha256", json_string(sha256));
  char *dumped = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  char *json = g_strdup(dumped);
  free(dumped);
  json_decref(object);
  return json;
}

static gboolean is_sha256(const char *text) {
  return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static gboolean is_sane(const LimnerDraftFacts *facts, const char *fit) {
  const LimnerRequest *r = &facts->request;
  return r->first_sample <= MAX_SAMPLES - r->n_samples && isfinite(r->cfg) &&
         isfinite(r->image_cfg) && isfinite(r->temperature) && isfinite(r->top_p) &&
         (strcmp(fit, "pad") == 0 || strcmp(fit, "crop") == 0) &&
         (!facts->input_sha256 || is_sha256(facts->input_sha256));
}

// Whole numbers as the file has them: an int would hold another number than a huge one.
typedef struct Integers {
  json_int_t format, seed, n_samples, first_sample, created_us, top_k;
} Integers;

static gboolean take_integers(LimnerDraftFacts *facts, const Integers *integers) {
  LimnerRequest *r = &facts->request;
  if (integers->format != FORMAT || integers->seed < 0 || integers->n_samples < 1 ||
      integers->n_samples > MAX_SAMPLES || integers->first_sample < 0 ||
      integers->first_sample > MAX_SAMPLES || integers->top_k < 0 || integers->top_k > G_MAXINT)
    return FALSE;
  r->seed = (guint64)integers->seed;
  r->n_samples = (int)integers->n_samples;
  r->first_sample = (int)integers->first_sample;
  r->top_k = (int)integers->top_k;
  facts->created_us = integers->created_us;
  return TRUE;
}

LimnerDraftFacts *draft_parse(const char *json, const char *id, GError **error) {
  json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, NULL);
  LimnerDraftFacts *facts = g_new0(LimnerDraftFacts, 1);
  LimnerRequest *r = &facts->request;
  const char *folder = NULL, *prompt = NULL, *fit = NULL, *sha256 = NULL;
  Integers integers = {0};
  int uses_tokens = 0;
  const int found = json_unpack(
      object, "{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:F, s:F, s:F, s:I, s:F, s:s, s:b, s?s}",
      "format", &integers.format, "model_folder", &folder, "prompt", &prompt, "seed",
      &integers.seed, "n_samples", &integers.n_samples, "first_sample", &integers.first_sample,
      "created_us", &integers.created_us, "cfg", &r->cfg, "image_cfg", &r->image_cfg, "temperature",
      &r->temperature, "top_k", &integers.top_k, "top_p", &r->top_p, "fit", &fit,
      "uses_input_tokens", &uses_tokens, "input_sha256", &sha256);
  const gboolean is_read = found == 0 && take_integers(facts, &integers);
  if (is_read) {
    facts->id = g_strdup(id);
    facts->model_folder = g_strdup(folder);
    facts->input_sha256 = g_strdup(sha256);
    r->prompt = g_strdup(prompt);
    r->uses_input_tokens = uses_tokens;
    r->fit = strcmp(fit, "crop") == 0 ? JANUS_FIT_CROP : JANUS_FIT_PAD;
  }
  const gboolean ok = is_read && is_sane(facts, fit);
  json_decref(object);
  if (ok)
    return facts;
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "draft %s: expected a job's request, found something else", id);
  limner_draft_facts_free(facts);
  return NULL;
}

// --- ID.job --------------------------------------------------------------------------------------

static int lock(int fd, const char *path, GError **error) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  const int code = errno == EWOULDBLOCK ? EBUSY : errno;
  close(fd);
  return fail(error, path, code, "the draft cannot be worked on");
}

// Written under another name and locked before it gets its own: nobody finds half of one, or one
// without a lock.
int draft_create(const char *folder, const char *id, const char *json, GError **error) {
  g_autofree char *path = dup_path(folder, id, "job");
  g_autofree char *beside = dup_path(folder, id, "new");
  const size_t n = strlen(json);
  int fd = g_open(beside, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail(error, folder, errno, "the draft cannot be written");
  const gboolean is_written = write(fd, json, n) == (ssize_t)n && fsync(fd) == 0;
  const int code = errno;
  if (!is_written) {
    close(fd);
    fd = fail(error, folder, code ? code : ENOSPC, "the draft cannot be written");
  } else {
    fd = lock(fd, path, error);
  }
  if (fd >= 0 && g_rename(beside, path) == 0)
    return fd;
  if (fd >= 0) {
    fail(error, path, errno, "the draft cannot be written");
    close(fd);
  }
  g_unlink(beside);
  return -1;
}

int draft_open(const char *folder, const char *id, char **json, GError **error) {
  g_autofree char *path = dup_path(folder, id, "job");
  *json = NULL;
  int fd = g_open(path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0)
    return fail(error, path, errno, "the draft cannot be read");
  fd = lock(fd, path, error);
  if (fd >= 0 && !g_file_get_contents(path, json, NULL, error)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

void draft_remove(const char *folder, const char *id) {
  static const char *const extensions[] = {"tokens", "job"}; // what makes it one goes last
  for (gsize i = 0; i < G_N_ELEMENTS(extensions); i++) {
    g_autofree char *path = dup_path(folder, id, extensions[i]);
    g_unlink(path);
  }
}

void draft_sweep(const char *folder, const char *id) {
  g_autofree char *path = dup_path(folder, id, "job");
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    draft_remove(folder, id);
}

// --- ID.tokens -----------------------------------------------------------------------------------

static guint32 crc_of(gconstpointer data, gsize n_bytes) {
  const guint8 *bytes = data;
  guint32 crc = 0xffffffffu;
  for (gsize i = 0; i < n_bytes; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static gsize record_bytes(guint n_samples) {
  return ((gsize)n_samples + 1) * sizeof(gint32);
}

static char *dup_head(guint n_samples, const DraftTokens *batch, gsize *n_bytes) {
  const guint32 counts[3] = {batch->n_samples, batch->n_total, batch->first};
  const gboolean is_whole = batch->n_samples == n_samples;
  const gsize n_counts = sizeof counts - (is_whole ? sizeof *counts : 0);
  const gsize n_text = strlen(HEAD) + strlen(batch->identity) + 1;
  *n_bytes = n_text + n_counts;
  char *head = g_malloc(*n_bytes + 1);
  g_snprintf(head, n_text + 1, "%s%s\n", is_whole ? HEAD : BATCH_HEAD, batch->identity);
  memcpy(head + n_text, counts, n_counts);
  return head;
}

// Bytes before the first record; 0 = not such a file.
static gsize parse_head(const char *bytes, gsize n_bytes, guint n_samples, DraftTokens *found) {
  const gsize n_start = strlen(HEAD);
  const char *end =
      n_bytes > n_start ? memchr(bytes, '\n', MIN(n_bytes, MAX_IDENTITY_BYTES)) : NULL;
  const gboolean is_whole = end && memcmp(bytes, HEAD, n_start) == 0;
  guint32 counts[3] = {0};
  const gsize n_counts = sizeof counts - (is_whole ? sizeof *counts : 0);
  if (!end || (!is_whole && memcmp(bytes, BATCH_HEAD, n_start) != 0) ||
      n_bytes - (gsize)(end + 1 - bytes) < n_counts)
    return 0;
  memcpy(counts, end + 1, n_counts);
  if (counts[0] == 0 || counts[0] > n_samples || counts[2] > n_samples - counts[0] ||
      (is_whole && counts[0] != n_samples) || counts[1] == 0 || counts[1] > MAX_TOKENS)
    return 0;
  found->identity = g_strndup(bytes + n_start, (gsize)(end - bytes) - n_start);
  found->n_samples = counts[0];
  found->n_total = counts[1];
  found->first = counts[2];
  return (gsize)(end + 1 - bytes) + n_counts;
}

// Records as they follow each other, to [n_samples][n_known].
static GBytes *transpose(const char *records, guint n_samples, guint n_known) {
  gint32 *tokens = g_new0(gint32, (gsize)n_samples * n_known + 1);
  for (guint at = 0; at < n_known; at++)
    for (guint i = 0; i < n_samples; i++)
      memcpy(&tokens[(gsize)i * n_known + at],
             records + at * record_bytes(n_samples) + i * sizeof *tokens, sizeof *tokens);
  return g_bytes_new_take(tokens, (gsize)n_samples * n_known * sizeof *tokens);
}

gboolean draft_load_tokens(const char *folder, const char *id, guint n_samples,
                           DraftTokens *found) {
  g_autofree char *path = dup_path(folder, id, "tokens");
  g_autofree char *bytes = NULL;
  gsize n_bytes = 0;
  *found = (DraftTokens){0};
  if (!g_file_get_contents(path, &bytes, &n_bytes, NULL))
    return FALSE;
  const gsize start = parse_head(bytes, n_bytes, n_samples, found);
  if (!start)
    return FALSE;
  const gsize record = record_bytes(found->n_samples);
  const char *at = bytes + start;
  while (found->n_known < found->n_total && (gsize)(bytes + n_bytes - at) >= record) {
    guint32 crc;
    memcpy(&crc, at + record - sizeof crc, sizeof crc);
    if (crc != crc_of(at, record - sizeof crc))
      break;
    at += record;
    found->n_known++;
  }
  found->tokens = transpose(bytes + start, found->n_samples, found->n_known);
  return TRUE;
}

void draft_tokens_clear(DraftTokens *found) {
  g_free(found->identity);
  g_clear_pointer(&found->tokens, g_bytes_unref);
  *found = (DraftTokens){0};
}

int draft_open_tokens(const char *folder, const char *id, guint n_samples,
                      const DraftTokens *batch) {
  g_autofree char *path = dup_path(folder, id, "tokens");
  gsize n_head = 0;
  g_autofree char *head = dup_head(n_samples, batch, &n_head);
  const int fd = g_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return -1;
  const off_t n_kept = (off_t)(n_head + batch->n_known * record_bytes(batch->n_samples));
  const gboolean ok = (batch->n_known > 0 || ftruncate(fd, 0) == 0) &&
                      pwrite(fd, head, n_head, 0) == (ssize_t)n_head &&
                      ftruncate(fd, n_kept) == 0 && lseek(fd, n_kept, SEEK_SET) == n_kept;
  if (ok)
    return fd;
  const int code = errno;
  close(fd);
  errno = code ? code : ENOSPC;
  return -1;
}

gboolean draft_append(int fd, const gint32 *tokens, guint n_samples) {
  const gsize n_bytes = n_samples * sizeof *tokens;
  g_autofree char *record = g_malloc(record_bytes(n_samples));
  const guint32 crc = crc_of(tokens, n_bytes);
  memcpy(record, tokens, n_bytes);
  memcpy(record + n_bytes, &crc, sizeof crc);
  const ssize_t n = write(fd, record, record_bytes(n_samples));
  if (n >= 0 && n < (ssize_t)record_bytes(n_samples))
    errno = ENOSPC;
  return n == (ssize_t)record_bytes(n_samples);
}
