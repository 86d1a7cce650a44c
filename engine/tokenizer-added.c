// SPDX-License-Identifier: MIT
// Finding added tokens in raw text.
#include "engine/tokenizer.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

static int compare_bytes(const char *a, size_t n_a, const char *b, size_t n_b) {
  const int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
  return order ? order : (n_a > n_b) - (n_a < n_b);
}

static int compare_tokens(const void *a, const void *b) {
  const AddedToken *x = a, *y = b;
  return compare_bytes(x->text, x->n_bytes, y->text, y->n_bytes);
}

void added_tokens_prepare(AddedTokens *added) {
  if (added->n > 1)
    qsort(added->tokens, added->n, sizeof *added->tokens, compare_tokens);
  for (size_t i = 0; i < added->n; i++)
    added->may_begin[(unsigned char)added->tokens[i].text[0]] = true;
}

void added_tokens_clear(AddedTokens *added) {
  for (size_t i = 0; i < added->n; i++)
    free(added->tokens[i].text);
  free(added->tokens);
  *added = (AddedTokens){0};
}

const AddedToken *added_tokens_find(const AddedTokens *added, const char *text, size_t n_bytes) {
  const AddedToken key = {.text = (char *)text, .n_bytes = n_bytes};
  if (added->n == 0)
    return NULL;
  return bsearch(&key, added->tokens, added->n, sizeof key, compare_tokens);
}

// The first token in [low, high) whose byte at `depth` is at least `byte`; all share what is
// before.
static size_t lower_bound(const AddedTokens *added, size_t low, size_t high, size_t depth,
                          int byte) {
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const AddedToken *token = &added->tokens[middle];
    const int found = depth < token->n_bytes ? (unsigned char)token->text[depth] : -1;
    if (found < byte)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool counts(const AddedToken *token, AddedPass pass) {
  return token->is_normalized == pass.is_normalized && !(pass.skips_special && token->is_special);
}

// The longest token that counts and begins at text[0]: walks the sorted list like a trie.
static const AddedToken *longest_at(const AddedTokens *added, AddedPass pass, const char *text,
                                    size_t n) {
  const AddedToken *best = NULL;
  size_t low = 0, high = added->n;
  for (size_t depth = 0; depth < n && low < high; depth++) {
    const int byte = (unsigned char)text[depth];
    low = lower_bound(added, low, high, depth, byte);
    high = lower_bound(added, low, high, depth, byte + 1);
    for (size_t i = low; i < high && added->tokens[i].n_bytes == depth + 1; i++)
      if (counts(&added->tokens[i], pass))
        best = &added->tokens[i];
  }
  return best;
}

static size_t strip_left(const char *text, size_t first, size_t begin) {
  while (begin > first) {
    const size_t start = unicode_previous(text, begin);
    uint32_t c;
    unicode_decode(text + start, begin - start, &c);
    if (!unicode_is_white_space(c))
      break;
    begin = start;
  }
  return begin;
}

static size_t strip_right(const char *text, size_t n, size_t end) {
  while (end < n) {
    uint32_t c;
    const size_t length = unicode_decode(text + end, n - end, &c);
    if (!unicode_is_white_space(c))
      break;
    end += length;
  }
  return end;
}

const AddedToken *added_tokens_next(const AddedTokens *added, AddedPass pass, const char *text,
                                    size_t n, size_t *begin, size_t *end) {
  for (size_t i = *begin; i < n; i++) {
    if (!added->may_begin[(unsigned char)text[i]])
      continue;
    const AddedToken *token = longest_at(added, pass, text + i, n - i);
    if (!token)
      continue;
    *end = i + token->n_bytes;
    if (token->strips_right)
      *end = strip_right(text, n, *end);
    *begin = token->strips_left ? strip_left(text, *begin, i) : i;
    return token;
  }
  return NULL;
}
