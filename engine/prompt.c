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

// --- pieces -------------------------------------------------------------------------------------

// Ids that grow; the first failure stays.
typedef struct Ids {
  const JanusTokenizer *tokenizer;
  int32_t *ids;
  size_t n, capacity;
  bool failed;
  JanusError *error;
} Ids;

static int32_t *grow(Ids *ids, size_t n) {
  if (!ids->failed && ids->n + n > ids->capacity) {
    const size_t capacity = 2 * (ids->n + n);
    int32_t *grown = realloc(ids->ids, capacity * sizeof *grown);
    if (grown) {
      ids->ids = grown;
      ids->capacity = capacity;
    } else {
      ids->failed = true;
      janus_fail(ids->error, JANUS_ERROR_MEMORY, "not enough memory for the prompt");
    }
  }
  if (ids->failed)
    return NULL;
  ids->n += n;
  return ids->ids + ids->n - n;
}

static void add_many(Ids *ids, int32_t id, size_t n) {
  int32_t *place = grow(ids, n);
  for (size_t i = 0; place && i < n; i++)
    place[i] = id;
}

static void add(Ids *ids, int32_t id) {
  add_many(ids, id, 1);
}

// One run of text between two tags; special tokens in it are plain text.
static void add_text(Ids *ids, const char *text, size_t n_bytes) {
  int32_t *found = NULL;
  size_t n_found = 0;
  if (ids->failed)
    return;
  ids->failed = !janus_tokenizer_encode(ids->tokenizer, text, n_bytes, JANUS_TOKENIZE_PLAIN_SPECIAL,
                                        &found, &n_found, ids->error);
  int32_t *place = grow(ids, n_found);
  if (place && n_found > 0)
    memcpy(place, found, n_found * sizeof *found);
  free(found);
}

// The assistant's turn is opened, for a picture up to its start.
static bool conclude(Ids *ids, const JanusTags *tags, bool is_painted, JanusPrompt *prompt) {
  add(ids, tags->assistant);
  add_text(ids, ":", 1);
  if (is_painted)
    add(ids, tags->begin_of_image);
  if (!ids->failed && ids->n > INT32_MAX / 2)
    ids->failed =
        !janus_fail(ids->error, JANUS_ERROR_REQUEST, "the prompt is too long: %zu tokens", ids->n);
  if (ids->failed) {
    free(ids->ids);
    *prompt = (JanusPrompt){0};
    return false;
  }
  prompt->ids = ids->ids;
  prompt->n_ids = (int)ids->n;
  return true;
}

// before + text + "\n\n"; malloc'd.
static char *dup_turn(const char *before, const char *text, size_t n, size_t *n_bytes) {
  const size_t n_before = strlen(before);
  char *turn = malloc(n_before + n + 2);
  if (!turn)
    return NULL;
  memcpy(turn, before, n_before);
  memcpy(turn + n_before, text, n);
  memcpy(turn + n_before + n, "\n\n", 2);
  *n_bytes = n_before + n + 2;
  return turn;
}

static void add_turn(Ids *ids, const char *before, const char *text, size_t n) {
  size_t n_bytes = 0;
  char *turn = dup_turn(before, text, n, &n_bytes);
  if (turn)
    add_text(ids, turn, n_bytes);
  else
    ids->failed = !janus_fail(ids->error, JANUS_ERROR_MEMORY, "not enough memory for the prompt");
  free(turn);
}

// `text` as valid UTF-8, malloc'd; *stripped is the part of n bytes without white space around it.
static char *dup_valid(const char *text, const char **stripped, size_t *n, JanusError *error) {
  char *valid = unicode_dup_valid(text, strlen(text), n);
  *stripped = valid;
  if (valid)
    unicode_strip(stripped, n);
  else
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the prompt");
  return valid;
}

// --- prompts ------------------------------------------------------------------------------------

bool janus_prompt_text_to_image(const JanusTokenizer *tokenizer, const JanusTags *tags,
                                const char *text, JanusPrompt *prompt, JanusError *error) {
  Ids ids = {.tokenizer = tokenizer, .error = error};
  const char *stripped = NULL;
  size_t n = 0;
  char *valid = dup_valid(text, &stripped, &n, error);
  *prompt = (JanusPrompt){0};
  if (!valid)
    return false;
  add(&ids, tags->bos);
  add(&ids, tags->user);
  if (n > 0)
    add_turn(&ids, ": ", stripped, n);
  else
    add_text(&ids, ":", 1);
  free(valid);
  return conclude(&ids, tags, true, prompt);
}

// A slot between its two tags; where it begins.
static int add_slot(Ids *ids, const JanusTags *tags, int32_t id, int n) {
  add(ids, tags->begin_of_image);
  const int at = (int)ids->n;
  add_many(ids, id, (size_t)n);
  add(ids, tags->end_of_image);
  return at;
}

bool janus_prompt_edit(const JanusTokenizer *tokenizer, const JanusTags *tags, const char *text,
                       int n_image_tokens, JanusPrompt *prompt, JanusError *error) {
  Ids ids = {.tokenizer = tokenizer, .error = error};
  const char *stripped = NULL;
  size_t n = 0;
  char *valid = dup_valid(text, &stripped, &n, error);
  *prompt = (JanusPrompt){0};
  if (!valid)
    return false;
  if (n == 0) {
    free(valid);
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "an edit needs a prompt that says what to change, found an empty one");
  }
  add(&ids, tags->bos);
  add(&ids, tags->user);
  add_text(&ids, ": ", 2);
  prompt->features_at = add_slot(&ids, tags, tags->image_placeholder, n_image_tokens);
  prompt->codes_at = add_slot(&ids, tags, tags->pad, n_image_tokens);
  add_turn(&ids, "", valid, (size_t)(stripped - valid) + n);
  free(valid);
  return conclude(&ids, tags, true, prompt);
}

bool janus_prompt_describe(const JanusTokenizer *tokenizer, const JanusTags *tags,
                           const char *question, int n_image_tokens, JanusPrompt *prompt,
                           JanusError *error) {
  static const char system_text[] =
      "You are a helpful language and vision assistant. You are able to understand the visual "
      "content that the user provides, and assist the user with a variety of tasks using natural "
      "language.\n\n";
  Ids ids = {.tokenizer = tokenizer, .error = error};
  const char *stripped = NULL;
  size_t n = 0;
  char *valid = dup_valid(question, &stripped, &n, error);
  *prompt = (JanusPrompt){0};
  if (!valid)
    return false;
  add(&ids, tags->bos);
  add_text(&ids, system_text, sizeof system_text - 1);
  add(&ids, tags->user);
  add_text(&ids, ": ", 2);
  prompt->features_at = add_slot(&ids, tags, tags->image_placeholder, n_image_tokens);
  if (n > 0)
    add_turn(&ids, "\n", valid, (size_t)(stripped - valid) + n);
  else
    add_turn(&ids, "", "", 0);
  free(valid);
  return conclude(&ids, tags, false, prompt);
}

void janus_prompt_clear(JanusPrompt *prompt) {
  free(prompt->ids);
  *prompt = (JanusPrompt){0};
}
