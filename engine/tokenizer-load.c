// SPDX-License-Identifier: MIT
// Reading tokenizer.json: added tokens, the pre-tokenizer's stages, vocabulary and merges. What the
// file asks for and the engine does not do is refused by name.
#include "engine/error.h"
#include "engine/json.h"
#include "engine/tokenizer.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENIZER_BYTES = 256000000, MAX_ID = 1 << 24 };

typedef struct Loader {
  JanusTokenizer *tokenizer;
  const json_t *root;
  const json_t *vocab;
  char *joined; // scratch for the text of a merge
  size_t joined_capacity;
  JanusError *error;
} Loader;

static bool refuse(const Loader *l, const char *what, const char *expected, const char *found) {
  return janus_fail(l->error, JANUS_ERROR_UNSUPPORTED, "%s: %s: expected %s, found %s",
                    l->tokenizer->path, what, expected, found);
}

static const char *type_of(const json_t *object) {
  const char *type = json_string_value(json_object_get(object, "type"));
  return type ? type : "none";
}

static bool no_memory(const Loader *l) {
  return janus_fail(l->error, JANUS_ERROR_MEMORY, "%s: not enough memory", l->tokenizer->path);
}

// --- added tokens -------------------------------------------------------------------------------

static bool load_added(const Loader *l, const json_t *entry) {
  AddedTokens *added = &l->tokenizer->added;
  const char *text = json_string_value(json_object_get(entry, "content"));
  const json_t *id = json_object_get(entry, "id");
  if (!text || !*text || strlen(text) != json_string_length(json_object_get(entry, "content")) ||
      !json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > MAX_ID)
    return janus_fail(l->error, JANUS_ERROR_FORMAT,
                      "%s: added_tokens[%zu]: expected a content without NUL and an id of 0 to %d, "
                      "found %s and %lld",
                      l->tokenizer->path, added->n, MAX_ID, text ? text : "no content",
                      json_is_integer(id) ? json_integer_value(id) : -1LL);
  if (json_is_true(json_object_get(entry, "single_word")))
    return refuse(l, text, "an added token without single_word", "one with it");
  AddedToken *token = &added->tokens[added->n];
  *token = (AddedToken){
      .text = strdup(text),
      .n_bytes = strlen(text),
      .id = (int32_t)json_integer_value(id),
      .is_special = json_is_true(json_object_get(entry, "special")),
      .is_normalized = json_is_true(json_object_get(entry, "normalized")),
      .strips_left = json_is_true(json_object_get(entry, "lstrip")),
      .strips_right = json_is_true(json_object_get(entry, "rstrip")),
  };
  if (!token->text)
    return no_memory(l);
  added->n++;
  if (token->id > l->tokenizer->max_id)
    l->tokenizer->max_id = token->id;
  return true;
}

static bool load_added_tokens(const Loader *l) {
  AddedTokens *added = &l->tokenizer->added;
  const json_t *list = json_object_get(l->root, "added_tokens");
  if (list && !json_is_array(list) && !json_is_null(list))
    return refuse(l, "added_tokens", "a list", json_kind(list));
  const size_t n = json_array_size(list);
  added->tokens = calloc(n ? n : 1, sizeof *added->tokens);
  if (!added->tokens)
    return no_memory(l);
  for (size_t i = 0; i < n; i++)
    if (!load_added(l, json_array_get(list, i)))
      return false;
  added_tokens_prepare(added);
  return true;
}

// --- stages -------------------------------------------------------------------------------------

static bool add_stage(const Loader *l, const char *pattern, size_t n_bytes, bool is_literal) {
  return splitter_add(&l->tokenizer->splitter, pattern, n_bytes, is_literal, l->tokenizer->path,
                      l->error);
}

static bool add_pattern(const Loader *l, const char *pattern) {
  return add_stage(l, pattern, strlen(pattern), false);
}

static bool load_split(const Loader *l, const json_t *stage) {
  const json_t *pattern = json_object_get(stage, "pattern");
  const json_t *regex = json_object_get(pattern, "Regex");
  const json_t *text = json_is_string(regex) ? regex : json_object_get(pattern, "String");
  const char *behavior = json_string_value(json_object_get(stage, "behavior"));
  if (!behavior || strcmp(behavior, "Isolated") != 0)
    return refuse(l, "pre_tokenizer: Split: behavior", "Isolated", behavior ? behavior : "none");
  if (json_string_length(text) == 0)
    return refuse(l, "pre_tokenizer: Split: pattern", "a Regex or a String", "neither");
  return add_stage(l, json_string_value(text), json_string_length(text), text != regex);
}

static bool load_digits(const Loader *l, const json_t *stage) {
  // Rust's char::is_numeric: Nd, Nl and No.
  const bool is_individual = json_is_true(json_object_get(stage, "individual_digits"));
  return add_pattern(l, is_individual ? "\\p{N}" : "\\p{N}+");
}

static bool load_byte_level(const Loader *l, const json_t *stage) {
  static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                             "\\s+(?!\\S)|\\s+";
  const json_t *use_regex = json_object_get(stage, "use_regex");
  const json_t *prefix = json_object_get(stage, "add_prefix_space");
  // Both are true where they are not written.
  if (!json_is_false(prefix))
    return refuse(l, "pre_tokenizer: ByteLevel: add_prefix_space", "false", "true");
  return json_is_false(use_regex) || add_pattern(l, gpt2);
}

static bool load_stage(const Loader *l, const json_t *stage, bool is_last) {
  const char *type = type_of(stage);
  if (is_last != (strcmp(type, "ByteLevel") == 0))
    return refuse(l, "pre_tokenizer", "a sequence that ends in its only ByteLevel", type);
  if (is_last)
    return load_byte_level(l, stage);
  if (strcmp(type, "Split") == 0)
    return load_split(l, stage);
  if (strcmp(type, "Digits") == 0)
    return load_digits(l, stage);
  return refuse(l, "pre_tokenizer", "Split, Digits or ByteLevel", type);
}

static bool load_stages(const Loader *l) {
  const json_t *pre_tokenizer = json_object_get(l->root, "pre_tokenizer");
  const json_t *list = json_object_get(pre_tokenizer, "pretokenizers");
  if (strcmp(type_of(pre_tokenizer), "Sequence") != 0)
    return load_stage(l, pre_tokenizer, true);
  const size_t n = json_array_size(list);
  if (n == 0)
    return refuse(l, "pre_tokenizer", "a sequence that ends in ByteLevel", "an empty one");
  for (size_t i = 0; i < n; i++)
    if (!load_stage(l, json_array_get(list, i), i == n - 1))
      return false;
  return true;
}

static bool check_normalizer(const Loader *l) {
  const json_t *normalizer = json_object_get(l->root, "normalizer");
  const json_t *list = json_object_get(normalizer, "normalizers");
  if (!normalizer || json_is_null(normalizer) ||
      (strcmp(type_of(normalizer), "Sequence") == 0 && json_array_size(list) == 0))
    return true;
  return refuse(l, "normalizer", "none", type_of(normalizer));
}

// --- vocabulary and merges ----------------------------------------------------------------------

// The id of a token, or -1.
static int32_t id_of(const Loader *l, const char *text, size_t n_bytes) {
  const json_t *id = json_object_getn(l->vocab, text, n_bytes);
  return id ? (int32_t)json_integer_value(id) : -1;
}

static bool fail_id(const Loader *l, const char *text, const json_t *id) {
  if (json_is_integer(id))
    return janus_fail(l->error, JANUS_ERROR_FORMAT,
                      "%s: model.vocab: %s: expected an id of 0 to %d, found %lld",
                      l->tokenizer->path, text, MAX_ID, (long long)json_integer_value(id));
  return janus_fail(l->error, JANUS_ERROR_FORMAT,
                    "%s: model.vocab: %s: expected an id of 0 to %d, found %s", l->tokenizer->path,
                    text, MAX_ID, json_kind(id));
}

static bool check_vocab(Loader *l) {
  const char *text;
  json_t *id;
  json_object_foreach((json_t *)l->vocab, text, id) {
    const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    if (value < 0 || value > MAX_ID)
      return fail_id(l, text, id);
    if (value > l->tokenizer->max_id)
      l->tokenizer->max_id = (int32_t)value;
  }
  return true;
}

// Notes whose id this is. Two texts with one id would make merges go in circles.
static bool claim(const Loader *l, const char **owners, const char *text, int32_t id) {
  if (!owners[id] || strcmp(owners[id], text) == 0) {
    owners[id] = text;
    return true;
  }
  return janus_fail(l->error, JANUS_ERROR_FORMAT,
                    "%s: token %s: expected an id of its own, found %d, which is that of %s",
                    l->tokenizer->path, text, (int)id, owners[id]);
}

static bool claim_all(const Loader *l, const char **owners) {
  const AddedTokens *added = &l->tokenizer->added;
  const char *text;
  json_t *id;
  json_object_foreach((json_t *)l->vocab, text, id) {
    if (!claim(l, owners, text, (int32_t)json_integer_value(id)))
      return false;
  }
  for (size_t i = 0; i < added->n; i++) {
    const AddedToken *token = &added->tokens[i];
    const json_t *other = json_object_getn(l->vocab, token->text, token->n_bytes);
    const AddedToken *next = i + 1 < added->n ? token + 1 : token;
    const int32_t wrong = next->n_bytes == token->n_bytes && strcmp(next->text, token->text) == 0
                              ? next->id
                              : token->id;
    if (wrong != token->id || (other && json_integer_value(other) != token->id))
      return janus_fail(l->error, JANUS_ERROR_FORMAT,
                        "%s: token %s: expected one id, found %d and %lld", l->tokenizer->path,
                        token->text, (int)token->id,
                        wrong != token->id ? wrong : (long long)json_integer_value(other));
    if (!claim(l, owners, token->text, token->id))
      return false;
  }
  return true;
}

// Every token has one id and every id one token.
static bool check_ids(const Loader *l) {
  const char **owners = calloc((size_t)l->tokenizer->max_id + 1, sizeof *owners);
  const bool ok = owners ? claim_all(l, owners) : no_memory(l);
  free(owners);
  return ok;
}

static void find_byte_ids(const Loader *l) {
  uint32_t symbols[256];
  byte_alphabet(symbols);
  for (int byte = 0; byte < 256; byte++) {
    char text[4];
    const size_t n = unicode_encode(symbols[byte], text);
    l->tokenizer->bpe.byte_ids[byte] = id_of(l, text, n);
  }
}

// What ids stand for. Added tokens that are marked special are no text.
static bool load_texts(const Loader *l) {
  const AddedTokens *added = &l->tokenizer->added;
  TokenTexts *texts = &l->tokenizer->texts;
  size_t n_bytes = 0;
  const char *text;
  json_t *id;
  json_object_foreach((json_t *)l->vocab, text, id) {
    n_bytes += strlen(text);
  }
  for (size_t i = 0; i < added->n; i++)
    n_bytes += added->tokens[i].n_bytes;
  if (!token_texts_reserve(texts, json_object_size(l->vocab) + added->n, n_bytes))
    return no_memory(l);
  json_object_foreach((json_t *)l->vocab, text, id) {
    token_texts_add_symbols(texts, (int32_t)json_integer_value(id), text, strlen(text));
  }
  for (size_t i = 0; i < added->n; i++) {
    const AddedToken *token = &added->tokens[i];
    token_texts_add_plain(texts, token->id, token->text, token->is_special ? 0 : token->n_bytes);
  }
  token_texts_prepare(texts);
  return true;
}

static bool fail_merge(const Loader *l, size_t rank, const char *what) {
  return janus_fail(l->error, JANUS_ERROR_FORMAT, "%s: model.merges[%zu]: %s", l->tokenizer->path,
                    rank, what);
}

static bool add_merge(Loader *l, size_t rank, const char *left, size_t n_left, const char *right,
                      size_t n_right) {
  if (n_left + n_right > l->joined_capacity) {
    const size_t capacity = 2 * (n_left + n_right);
    char *grown = realloc(l->joined, capacity);
    if (!grown)
      return no_memory(l);
    l->joined = grown;
    l->joined_capacity = capacity;
  }
  memcpy(l->joined, left, n_left);
  memcpy(l->joined + n_left, right, n_right);
  const int32_t left_id = id_of(l, left, n_left), right_id = id_of(l, right, n_right);
  const int32_t id = id_of(l, l->joined, n_left + n_right);
  if (left_id < 0 || right_id < 0 || id < 0 || n_left == 0 || n_right == 0)
    return fail_merge(l, rank, "expected two tokens whose joined text is a token too");
  bpe_add_merge(&l->tokenizer->bpe, left_id, right_id, (int32_t)rank, id);
  return true;
}

// "a b", or ["a", "b"] in newer files.
static bool load_merge(Loader *l, size_t rank, const json_t *merge) {
  const json_t *first = json_array_get(merge, 0), *second = json_array_get(merge, 1);
  if (json_is_string(merge)) {
    const char *left = json_string_value(merge), *space = strchr(left, ' ');
    const size_t n = json_string_length(merge);
    if (!space || strchr(space + 1, ' '))
      return fail_merge(l, rank, "expected two tokens with one space between");
    const size_t n_left = (size_t)(space - left);
    return add_merge(l, rank, left, n_left, space + 1, n - n_left - 1);
  }
  if (json_array_size(merge) != 2 || !json_is_string(first) || !json_is_string(second))
    return fail_merge(l, rank, "expected a string or two strings");
  return add_merge(l, rank, json_string_value(first), json_string_length(first),
                   json_string_value(second), json_string_length(second));
}

// Options of the BPE model that change its result.
static bool check_model(const Loader *l, const json_t *model) {
  const char *type = json_string_value(json_object_get(model, "type"));
  if (!json_is_object(model) || (type && strcmp(type, "BPE") != 0))
    return refuse(l, "model.type", "BPE", type ? type : json_kind(model));
  static const char *const flags[] = {"byte_fallback", "ignore_merges"};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (json_is_true(json_object_get(model, flags[i])))
      return refuse(l, flags[i], "false", "true");
  static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (json_string_length(json_object_get(model, texts[i])) > 0)
      return refuse(l, texts[i], "none", "one");
  return true;
}

static bool load_model(Loader *l) {
  const json_t *model = json_object_get(l->root, "model");
  const json_t *merges = json_object_get(model, "merges");
  if (!check_model(l, model))
    return false;
  l->vocab = json_object_get(model, "vocab");
  if (!json_is_object(l->vocab) || json_object_size(l->vocab) == 0 || !json_is_array(merges))
    return janus_fail(l->error, JANUS_ERROR_FORMAT,
                      "%s: model: expected an object vocab and a list merges, found %s and %s",
                      l->tokenizer->path, json_kind(l->vocab), json_kind(merges));
  const size_t n = json_array_size(merges);
  if (!check_vocab(l) || !check_ids(l) || !load_texts(l))
    return false;
  if (!bpe_reserve(&l->tokenizer->bpe, n))
    return no_memory(l);
  find_byte_ids(l);
  for (size_t i = 0; i < n; i++)
    if (!load_merge(l, i, json_array_get(merges, i)))
      return false;
  return true;
}

bool tokenizer_load(JanusTokenizer *tokenizer, JanusError *error) {
  json_t *root = json_open(tokenizer->path, MAX_TOKENIZER_BYTES, error);
  if (!root)
    return false;
  Loader loader = {.tokenizer = tokenizer, .root = root, .error = error};
  const bool ok = check_normalizer(&loader) && load_added_tokens(&loader) && load_stages(&loader) &&
                  load_model(&loader);
  free(loader.joined);
  json_decref(root);
  return ok;
}
