// SPDX-License-Identifier: MIT
// The SFT template "deepseek" as token ids.
#include "engine/prompt.h"

#include "engine/error.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

bool janus_tags_find(const JanusTokenizer *tokenizer, const char *folder, JanusTags *tags,
                     JanusError *error) {
  const struct {
    const char *text;
    int32_t *id;
  } wanted[] = {
      {"<｜begin▁of▁sentence｜>", &tags->bos},
      {"<｜end▁of▁sentence｜>", &tags->eos},
      {"<｜▁pad▁｜>", &tags->pad},
      {"<begin_of_image>", &tags->begin_of_image},
      {"<end_of_image>", &tags->end_of_image},
      {"<image_placeholder>", &tags->image_placeholder},
      {"<|User|>", &tags->user},
      {"<|Assistant|>", &tags->assistant},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    *wanted[i].id = janus_tokenizer_find_added(tokenizer, wanted[i].text);
    if (*wanted[i].id < 0)
      return janus_fail(error, JANUS_ERROR_FORMAT,
                        "%s/tokenizer.json: expected an added token %s, found none", folder,
                        wanted[i].text);
  }
  return true;
}

// ": " + prompt + "\n\n", or ":" for an empty prompt; malloc'd.
static char *dup_turn(const char *prompt, size_t *n_bytes) {
  size_t n = 0;
  char *valid = unicode_dup_valid(prompt, strlen(prompt), &n);
  const char *text = valid;
  if (!valid)
    return NULL;
  unicode_strip(&text, &n);
  char *turn = malloc(n + 5);
  if (turn && n == 0) {
    strcpy(turn, ":");
    *n_bytes = 1;
  } else if (turn) {
    memcpy(turn, ": ", 2);
    memcpy(turn + 2, text, n);
    memcpy(turn + 2 + n, "\n\n", 3);
    *n_bytes = n + 4;
  }
  free(valid);
  return turn;
}

static bool encode(const JanusTokenizer *tokenizer, const char *text, size_t n_bytes, int32_t **ids,
                   size_t *n_ids, JanusError *error) {
  return janus_tokenizer_encode(tokenizer, text, n_bytes, JANUS_TOKENIZE_PLAIN_SPECIAL, ids, n_ids,
                                error);
}

// The ids between the tags, put together; malloc'd.
static int32_t *join(const JanusTags *tags, const int32_t *turn, size_t n_turn,
                     const int32_t *colon, size_t n_colon) {
  int32_t *ids = malloc((n_turn + n_colon + 4) * sizeof *ids);
  if (!ids)
    return NULL;
  int32_t *next = ids;
  *next++ = tags->bos;
  *next++ = tags->user;
  memcpy(next, turn, n_turn * sizeof *ids);
  next += n_turn;
  *next++ = tags->assistant;
  memcpy(next, colon, n_colon * sizeof *ids);
  next[n_colon] = tags->begin_of_image;
  return ids;
}

bool janus_prompt_text_to_image(const JanusTokenizer *tokenizer, const JanusTags *tags,
                                const char *prompt, int32_t **ids, int *n_ids, JanusError *error) {
  size_t n_bytes = 0, n_turn = 0, n_colon = 0;
  int32_t *turn = NULL, *colon = NULL;
  char *text = dup_turn(prompt, &n_bytes);
  *ids = NULL;
  *n_ids = 0;
  if (!text)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the prompt");
  bool ok = encode(tokenizer, text, n_bytes, &turn, &n_turn, error) &&
            encode(tokenizer, ":", 1, &colon, &n_colon, error);
  if (ok && n_turn > INT32_MAX / 2)
    ok = janus_fail(error, JANUS_ERROR_REQUEST, "the prompt is too long: %zu tokens", n_turn);
  if (ok) {
    *ids = join(tags, turn, n_turn, colon, n_colon);
    *n_ids = (int)(n_turn + n_colon + 4);
    ok = *ids || janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the prompt");
  }
  free(text);
  free(turn);
  free(colon);
  return ok;
}
