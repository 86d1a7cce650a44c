// SPDX-License-Identifier: MIT
// Any bytes as one of a draft's two files: as tokens if they begin as such, else as the request.
// The sums of the records are put right first, or hardly any would be read.
#include "app/draft-file.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define HEAD "LIMNER TOKENS"
enum { MAX_SAMPLES = 64 };

static guint32 crc_of(const guint8 *bytes, gsize n_bytes) {
  guint32 crc = 0xffffffffu;
  for (gsize i = 0; i < n_bytes * 8; i++) {
    crc ^= i % 8 ? 0 : bytes[i / 8];
    crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

// Where the records begin, and the number of samples that the file states; 0 = nowhere.
static gsize find_records(const guint8 *file, gsize n_bytes, guint32 *n_samples) {
  const guint8 *end = memchr(file, '\n', n_bytes);
  const gsize at = end ? (gsize)(end - file) + 1 : n_bytes;
  const gsize n_counts =
      (n_bytes > strlen(HEAD " 2") && file[strlen(HEAD " ")] == '2' ? 3 : 2) * sizeof *n_samples;
  if (n_bytes - at < n_counts)
    return 0;
  memcpy(n_samples, file + at, sizeof *n_samples);
  return at + n_counts;
}

// A record whose sum is 0 stays as it is, to be the end of the file.
static void put_sums_right(guint8 *file, gsize n_bytes, gsize at, guint32 n_samples) {
  const gsize n = n_samples * sizeof(gint32);
  for (; n_bytes - at >= n + sizeof(guint32); at += n + sizeof(guint32)) {
    const guint32 crc = crc_of(file + at, n);
    if (memcmp(file + at + n, "\0\0\0\0", sizeof crc) != 0)
      memcpy(file + at + n, &crc, sizeof crc);
  }
}

// Token `at` of sample `i` is where the file has it.
static void check_tokens(const guint8 *records, GBytes *tokens, guint n_samples, guint n_known) {
  gsize n_bytes = 0;
  const char *all = g_bytes_get_data(tokens, &n_bytes);
  if (n_bytes != (gsize)n_samples * n_known * sizeof(gint32))
    abort();
  for (gsize i = 0; i < n_samples; i++)
    for (gsize at = 0; at < n_known; at++)
      if (memcmp(all + 4 * (i * n_known + at), records + 4 * (at * (n_samples + 1) + i), 4) != 0)
        abort();
}

static void read_tokens(guint8 *file, gsize n_bytes) {
  guint32 n_samples = 0;
  const gsize first = find_records(file, n_bytes, &n_samples);
  if (n_samples > MAX_SAMPLES)
    return;
  if (first)
    put_sums_right(file, n_bytes, first, n_samples);
  fuzz_write("x.tokens", file, n_bytes);
  for (guint n = n_samples; n <= n_samples + 1; n++) {
    DraftTokens found;
    if (!draft_load_tokens(fuzz_folder(), "x", n, &found))
      continue;
    if (found.n_samples != n_samples || found.n_samples > n || !found.identity ||
        found.n_known > found.n_total || found.first > n - found.n_samples)
      abort();
    check_tokens(file + first, found.tokens, n_samples, found.n_known);
    draft_tokens_clear(&found);
  }
}

static void read_request(const char *json) {
  g_autoptr(GError) error = NULL;
  LimnerDraftFacts *facts = draft_parse(json, "x", &error);
  if ((facts == NULL) != (error != NULL) || (error && strchr(error->message, '\n')))
    abort();
  if (!facts)
    return;
  g_autofree char *told = draft_dup_json(&facts->request, facts->model_folder, facts->created_us);
  LimnerDraftFacts *again = told ? draft_parse(told, "x", NULL) : NULL;
  if (!again || facts->request.n_samples < 1 || again->request.cfg != facts->request.cfg ||
      g_strcmp0(again->request.prompt, facts->request.prompt) != 0)
    abort();
  g_autofree char *told_again =
      draft_dup_json(&again->request, again->model_folder, again->created_us);
  if (g_strcmp0(told, told_again) != 0)
    abort();
  limner_draft_facts_free(facts);
  limner_draft_facts_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  g_autofree char *copy = g_strndup((const char *)data, n_bytes);
  if (n_bytes)
    memcpy(copy, data, n_bytes);
  if (n_bytes >= strlen(HEAD) && memcmp(data, HEAD, strlen(HEAD)) == 0)
    read_tokens((guint8 *)copy, n_bytes);
  else
    read_request(copy);
  return 0;
}
