// SPDX-License-Identifier: MIT
// Ids to text: what every id stands for, and the text of a list of them.
#include "engine/error.h"
#include "engine/text-stream.h"
#include "engine/tokenizer.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

bool token_texts_reserve(TokenTexts *texts, size_t n_tokens, size_t n_bytes) {
  uint32_t symbols[256];
  byte_alphabet(symbols);
  for (int i = 0; i < BYTE_ALPHABET_END; i++)
    texts->byte_of[i] = -1;
  for (int byte = 0; byte < 256; byte++)
    texts->byte_of[symbols[byte]] = (int16_t)byte;
  texts->entries = calloc(n_tokens ? n_tokens : 1, sizeof *texts->entries);
  texts->bytes = malloc(n_bytes ? n_bytes : 1);
  return texts->entries && texts->bytes;
}

void token_texts_clear(TokenTexts *texts) {
  free(texts->entries);
  free(texts->bytes);
  *texts = (TokenTexts){0};
}

static void add(TokenTexts *texts, int32_t id, bool is_added, const char *bytes, size_t n_bytes) {
  texts->entries[texts->n++] =
      (TokenText){.id = id, .is_added = is_added, .begin = texts->n_bytes, .n_bytes = n_bytes};
  memcpy(texts->bytes + texts->n_bytes, bytes, n_bytes);
  texts->n_bytes += n_bytes;
}

void token_texts_add_plain(TokenTexts *texts, int32_t id, const char *text, size_t n_bytes) {
  add(texts, id, true, text, n_bytes);
}

void token_texts_add_symbols(TokenTexts *texts, int32_t id, const char *symbols, size_t n_bytes) {
  const size_t begin = texts->n_bytes;
  add(texts, id, false, symbols, n_bytes);
  char *bytes = texts->bytes + begin;
  size_t n = 0;
  // In place: a character takes no less than the byte it stands for.
  for (size_t i = 0; i < n_bytes; n++) {
    uint32_t c;
    i += unicode_decode(symbols + i, n_bytes - i, &c);
    const int byte = c < BYTE_ALPHABET_END ? texts->byte_of[c] : -1;
    if (byte < 0) { // a token of other characters is its own text, as in the reference
      memcpy(bytes, symbols, n_bytes);
      return;
    }
    bytes[n] = (char)byte;
  }
  texts->entries[texts->n - 1].n_bytes = n;
  texts->n_bytes = begin + n;
}

static int compare(const void *a, const void *b) {
  const TokenText *x = a, *y = b;
  return x->id != y->id ? (x->id > y->id) - (x->id < y->id) : y->is_added - x->is_added;
}

void token_texts_prepare(TokenTexts *texts) {
  size_t n = 0;
  qsort(texts->entries, texts->n, sizeof *texts->entries, compare);
  for (size_t i = 0; i < texts->n; i++)
    if (n == 0 || texts->entries[n - 1].id != texts->entries[i].id)
      texts->entries[n++] = texts->entries[i];
  texts->n = n;
}

const char *token_texts_find(const TokenTexts *texts, int32_t id, size_t *n_bytes) {
  size_t low = 0, high = texts->n;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (texts->entries[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  const bool is_there = low < texts->n && texts->entries[low].id == id;
  *n_bytes = is_there ? texts->entries[low].n_bytes : 0;
  return texts->bytes + (is_there ? texts->entries[low].begin : 0);
}

bool janus_tokenizer_decode(const JanusTokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                            char **text, size_t *n_bytes, JanusError *error) {
  TextStream stream = {0};
  bool ok = text_stream_add(&stream, "", 0);
  for (size_t i = 0; i < n_ids && ok; i++)
    ok = text_stream_add_token(&stream, tokenizer, ids[i]);
  ok = ok && text_stream_end(&stream);
  *text = ok ? stream.text : NULL;
  *n_bytes = ok ? stream.n_bytes : 0;
  if (!ok)
    text_stream_clear(&stream);
  return ok ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %zu tokens' text", n_ids);
}
