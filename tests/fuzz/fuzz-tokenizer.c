// SPDX-License-Identifier: MIT
// Any bytes as tokenizer.json, and after a NUL as a text and a prompt: refused with a sentence, or
// ids of the vocabulary.
#include "engine/prompt.h"
#include "engine/unicode.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_ids(const JanusTokenizer *tokenizer, const int32_t *ids, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] > janus_tokenizer_get_max_id(tokenizer))
      abort();
}

static void check_error(const JanusError *error) {
  if (error->code == JANUS_ERROR_NONE || error->message[0] == '\0')
    abort();
}

// Ids back to text, those that no token has included: valid UTF-8.
static void decode(const JanusTokenizer *tokenizer, const int32_t *ids, size_t n) {
  JanusError error = {0};
  char *text = NULL;
  size_t n_text = 0, n_valid = 0;
  if (!janus_tokenizer_decode(tokenizer, ids, n, &text, &n_text, &error)) {
    check_error(&error);
    return;
  }
  char *valid = unicode_dup_valid(text, n_text, &n_valid);
  if (valid && (n_valid != n_text || memcmp(valid, text, n_text) != 0))
    abort();
  free(valid);
  free(text);
}

static void decode_all(const JanusTokenizer *tokenizer) {
  int32_t ids[1000];
  for (int i = 0; i < 1000; i++)
    ids[i] = i - 10;
  decode(tokenizer, ids, 1000);
}

static void encode(const JanusTokenizer *tokenizer, const char *text, size_t n_bytes) {
  for (unsigned flags = 0; flags <= (JANUS_TOKENIZE_PLAIN_SPECIAL | JANUS_TOKENIZE_BOS); flags++) {
    JanusError error = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    if (janus_tokenizer_encode(tokenizer, text, n_bytes, flags, &ids, &n, &error)) {
      check_ids(tokenizer, ids, n);
      decode(tokenizer, ids, n);
    } else {
      check_error(&error);
    }
    free(ids);
  }
}

static void prompt(const JanusTokenizer *tokenizer, const char *text) {
  JanusError error = {0};
  JanusTags tags;
  JanusPrompt made = {0};
  if (!janus_tags_find(tokenizer, "folder", &tags, &error))
    return;
  if (janus_prompt_text_to_image(tokenizer, &tags, text, &made, &error))
    check_ids(tokenizer, made.ids, (size_t)made.n_ids);
  janus_prompt_clear(&made);
  if (janus_prompt_edit(tokenizer, &tags, text, 9, &made, &error))
    check_ids(tokenizer, made.ids, (size_t)made.n_ids);
  janus_prompt_clear(&made);
  if (janus_prompt_describe(tokenizer, &tags, text, 9, &made, &error))
    check_ids(tokenizer, made.ids, (size_t)made.n_ids);
  janus_prompt_clear(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  const uint8_t *end = n_bytes ? memchr(data, 0, n_bytes) : NULL;
  const size_t n_json = end ? (size_t)(end - data) : n_bytes;
  const size_t n_text = end ? n_bytes - n_json - 1 : 0;
  JanusError error = {0};
  char *text = malloc(n_text + 1);
  if (!text)
    return 0;
  if (n_text)
    memcpy(text, end + 1, n_text);
  text[n_text] = '\0';
  fuzz_write("tokenizer.json", data, n_json);
  JanusTokenizer *tokenizer = janus_tokenizer_open(fuzz_folder(), &error);
  if (tokenizer) {
    encode(tokenizer, text, n_text);
    prompt(tokenizer, text);
    decode_all(tokenizer);
  } else {
    check_error(&error);
  }
  janus_tokenizer_free(tokenizer);
  free(text);
  return 0;
}
