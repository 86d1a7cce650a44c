// SPDX-License-Identifier: MIT
// Text to ids: added tokens, then splitting, then BPE.
#include "engine/tokenizer.h"

#include "engine/error.h"
#include "engine/file.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

static const char bos_text[] = "<｜begin▁of▁sentence｜>";

// --- opening ------------------------------------------------------------------------------------

JanusTokenizer *janus_tokenizer_open(const char *folder, JanusError *error) {
  JanusTokenizer *tokenizer = calloc(1, sizeof *tokenizer);
  if (tokenizer)
    tokenizer->path = file_join(folder, "tokenizer.json");
  if (!tokenizer || !tokenizer->path) {
    janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", folder);
    janus_tokenizer_free(tokenizer);
    return NULL;
  }
  if (!tokenizer_load(tokenizer, error)) {
    janus_tokenizer_free(tokenizer);
    return NULL;
  }
  tokenizer->bos = janus_tokenizer_find_added(tokenizer, bos_text);
  return tokenizer;
}

void janus_tokenizer_free(JanusTokenizer *tokenizer) {
  if (!tokenizer)
    return;
  added_tokens_clear(&tokenizer->added);
  splitter_clear(&tokenizer->splitter);
  bpe_clear(&tokenizer->bpe);
  token_texts_clear(&tokenizer->texts);
  free(tokenizer->path);
  free(tokenizer);
}

int32_t janus_tokenizer_find_added(const JanusTokenizer *tokenizer, const char *text) {
  const AddedToken *token = added_tokens_find(&tokenizer->added, text, strlen(text));
  return token ? token->id : -1;
}

int32_t janus_tokenizer_get_max_id(const JanusTokenizer *tokenizer) {
  return tokenizer->max_id;
}

// --- encoding -----------------------------------------------------------------------------------

void id_list_add(IdList *list, int32_t id) {
  if (list->is_failed)
    return;
  if (list->n == list->capacity) {
    const size_t capacity = list->capacity ? 2 * list->capacity : 64;
    int32_t *grown = realloc(list->ids, capacity * sizeof *grown);
    if (!grown) {
      list->is_failed = true;
      return;
    }
    list->ids = grown;
    list->capacity = capacity;
  }
  list->ids[list->n++] = id;
}

// One call's working memory.
typedef struct Encoding {
  const JanusTokenizer *tokenizer;
  bool skips_special;
  IdList out;
  PieceList pieces, spare;
  BpeScratch scratch;
  JanusError *error;
} Encoding;

static void clear(Encoding *e) {
  free(e->pieces.pieces);
  free(e->spare.pieces);
  bpe_scratch_clear(&e->scratch);
}

static bool encode_plain(Encoding *e, const char *text, size_t n) {
  if (n == 0)
    return true;
  if (!splitter_run(&e->tokenizer->splitter, text, n, &e->pieces, &e->spare, e->error))
    return false;
  for (size_t i = 0; i < e->pieces.n; i++) {
    const Piece piece = e->pieces.pieces[i];
    bpe_encode(&e->tokenizer->bpe, text + piece.begin, piece.end - piece.begin, &e->scratch,
               &e->out);
  }
  return true;
}

// Cuts added tokens out of the text; what is between goes through the pass for `normalized` ones
// and then on as plain text.
static bool encode_pass(Encoding *e, const char *text, size_t n, bool is_normalized) {
  const AddedPass pass = {.is_normalized = is_normalized, .skips_special = e->skips_special};
  size_t done = 0;
  while (done <= n) {
    size_t begin = done, end = n;
    const AddedToken *token = added_tokens_next(&e->tokenizer->added, pass, text, n, &begin, &end);
    const size_t n_before = (token ? begin : n) - done;
    if (is_normalized ? !encode_plain(e, text + done, n_before)
                      : !encode_pass(e, text + done, n_before, true))
      return false;
    if (!token)
      break;
    id_list_add(&e->out, token->id);
    done = end;
  }
  return true;
}

static bool encode_text(Encoding *e, const char *text, size_t n_bytes, unsigned flags) {
  size_t n_valid = 0;
  if (flags & JANUS_TOKENIZE_BOS) {
    if (e->tokenizer->bos < 0)
      return janus_fail(e->error, JANUS_ERROR_FORMAT, "%s: expected an added token %s, found none",
                        e->tokenizer->path, bos_text);
    id_list_add(&e->out, e->tokenizer->bos);
  }
  char *valid = unicode_dup_valid(text, n_bytes, &n_valid);
  const bool ok = valid && encode_pass(e, valid, n_valid, false);
  free(valid);
  // An empty result is memory all the same.
  if (ok && !e->out.ids && !e->out.is_failed)
    e->out.ids = calloc(1, sizeof *e->out.ids);
  if (!valid || e->out.is_failed || (ok && !e->out.ids))
    return janus_fail(e->error, JANUS_ERROR_MEMORY, "not enough memory for %zu bytes of text",
                      n_bytes);
  return ok;
}

bool janus_tokenizer_encode(const JanusTokenizer *tokenizer, const char *text, size_t n_bytes,
                            unsigned flags, int32_t **ids, size_t *n_ids, JanusError *error) {
  Encoding encoding = {.tokenizer = tokenizer,
                       .skips_special = (flags & JANUS_TOKENIZE_PLAIN_SPECIAL) != 0,
                       .error = error};
  const bool ok = encode_text(&encoding, text, n_bytes, flags);
  clear(&encoding);
  if (!ok) {
    free(encoding.out.ids);
    encoding.out = (IdList){0};
  }
  *ids = encoding.out.ids;
  *n_ids = encoding.out.n;
  return ok;
}
