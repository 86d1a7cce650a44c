// SPDX-License-Identifier: MIT
// Splitting text by the pre-tokenizer's regular expressions. These are written for Oniguruma (Ruby
// syntax); what differs in PCRE2 is translated.
#include "engine/error.h"
#include "engine/tokenizer.h"

#include <stdlib.h>
#include <string.h>

// --- patterns -----------------------------------------------------------------------------------

// Oniguruma's \s is the property White_Space; PCRE2's also takes U+180E.
static char *translate(const char *pattern, size_t n, size_t *n_out) {
  static const char space[] = "\\p{White_Space}", other[] = "\\P{White_Space}";
  char *out = malloc(n * sizeof space + 1);
  size_t used = 0;
  if (!out)
    return NULL;
  for (size_t i = 0; i < n; i++) {
    const bool is_escape = pattern[i] == '\\' && i + 1 < n;
    const char *word = NULL;
    if (is_escape && (pattern[i + 1] == 's' || pattern[i + 1] == 'S'))
      word = pattern[i + 1] == 's' ? space : other;
    if (word) {
      memcpy(out + used, word, sizeof space - 1);
      used += sizeof space - 1;
    } else {
      out[used++] = pattern[i];
      if (is_escape)
        out[used++] = pattern[i + 1];
    }
    i += is_escape;
  }
  *n_out = used;
  return out;
}

static bool equals(const char *pattern, size_t n, const char *text) {
  return n == strlen(text) && memcmp(pattern, text, n) == 0;
}

// `$` is the end of a line in Ruby syntax: MULTILINE here, with lines ending in LF alone. \\C would
// cut characters apart.
static pcre2_code *compile(const char *pattern, size_t n, bool is_literal, const char *path,
                           JanusError *error) {
  int number = 0;
  PCRE2_SIZE place = 0;
  pcre2_compile_context *context = pcre2_compile_context_create(NULL);
  if (context)
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  const uint32_t options =
      PCRE2_UTF | PCRE2_NO_UTF_CHECK |
      (is_literal ? PCRE2_LITERAL : PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C);
  pcre2_code *code =
      context ? pcre2_compile((PCRE2_SPTR)pattern, n, options, &number, &place, context) : NULL;
  pcre2_compile_context_free(context);
  if (code) {
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // without it, the same matches more slowly
    return code;
  }
  PCRE2_UCHAR text[128] = "not enough memory";
  if (number)
    pcre2_get_error_message(number, text, sizeof text);
  janus_fail(error, JANUS_ERROR_FORMAT, "%s: pre_tokenizer: pattern %.*s: %s", path,
             (int)(n < 60 ? n : 60), pattern, (const char *)text);
  return NULL;
}

bool splitter_add(Splitter *splitter, const char *pattern, size_t n_bytes, bool is_literal,
                  const char *path, JanusError *error) {
  // Pieces without line ends let the trailing white space be found in linear time.
  static const char trailing[] = "(?<!\\s)\\s++\\z";
  if (splitter->n_stages == MAX_SPLIT_STAGES)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "%s: pre_tokenizer: expected at most %d stages, found more", path,
                      MAX_SPLIT_STAGES);
  if (!is_literal && splitter->isolates_newlines && equals(pattern, n_bytes, "\\s+$")) {
    pattern = trailing;
    n_bytes = sizeof trailing - 1;
  }
  size_t n_translated = n_bytes;
  char *translated = is_literal ? NULL : translate(pattern, n_bytes, &n_translated);
  if (!is_literal && !translated)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", path);
  pcre2_code *code =
      compile(is_literal ? pattern : translated, n_translated, is_literal, path, error);
  free(translated);
  if (!code)
    return false;
  splitter->stages[splitter->n_stages++] = code;
  if (!is_literal && (equals(pattern, n_bytes, "[\r\n]") || equals(pattern, n_bytes, "[\\r\\n]")))
    splitter->isolates_newlines = true;
  return true;
}

void splitter_clear(Splitter *splitter) {
  for (int i = 0; i < splitter->n_stages; i++)
    pcre2_code_free(splitter->stages[i]);
  *splitter = (Splitter){0};
}

// --- pieces -------------------------------------------------------------------------------------

static bool add_piece(PieceList *list, size_t begin, size_t end) {
  if (begin == end)
    return true;
  if (list->n == list->capacity) {
    const size_t capacity = list->capacity ? 2 * list->capacity : 64;
    Piece *grown = realloc(list->pieces, capacity * sizeof *grown);
    if (!grown)
      return false;
    list->pieces = grown;
    list->capacity = capacity;
  }
  list->pieces[list->n++] = (Piece){begin, end};
  return true;
}

// PCRE2's code; when its small compiled stack does not suffice, the interpreter does it.
static int match(const pcre2_code *code, const char *text, size_t n, size_t start,
                 pcre2_match_data *data) {
  const int rc = pcre2_match(code, (PCRE2_SPTR)text, n, start, PCRE2_NO_UTF_CHECK, data, NULL);
  if (rc != PCRE2_ERROR_JIT_STACKLIMIT)
    return rc;
  return pcre2_match(code, (PCRE2_SPTR)text, n, start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data,
                     NULL);
}

static size_t next_character(const char *text, size_t n, size_t at) {
  do
    at++;
  while (at < n && ((unsigned char)text[at] & 0xc0) == 0x80);
  return at;
}

// Cuts one piece: matches and what is between them. Each piece is a subject of its own, so that
// anchors and looking back stop at its ends. Returns PCRE2's code; 0 for success.
static int cut(const pcre2_code *code, const char *text, Piece piece, pcre2_match_data *data,
               PieceList *out) {
  const char *subject = text + piece.begin;
  const size_t n = piece.end - piece.begin;
  const PCRE2_SIZE *place = pcre2_get_ovector_pointer(data);
  size_t done = 0, start = 0;
  while (start < n) {
    const int rc = match(code, subject, n, start, data);
    if (rc == PCRE2_ERROR_NOMATCH)
      break;
    if (rc < 0)
      return rc;
    if (!add_piece(out, piece.begin + done, piece.begin + place[0]) ||
        !add_piece(out, piece.begin + place[0], piece.begin + place[1]))
      return PCRE2_ERROR_NOMEMORY;
    done = place[1];
    start = place[1] > place[0] ? done : next_character(subject, n, done);
  }
  return add_piece(out, piece.begin + done, piece.end) ? 0 : PCRE2_ERROR_NOMEMORY;
}

static bool run_stage(const pcre2_code *code, const char *text, const PieceList *in, PieceList *out,
                      JanusError *error) {
  pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
  int rc = data ? 0 : PCRE2_ERROR_NOMEMORY;
  out->n = 0;
  for (size_t i = 0; i < in->n && rc == 0; i++)
    rc = cut(code, text, in->pieces[i], data, out);
  pcre2_match_data_free(data);
  if (rc == 0)
    return true;
  PCRE2_UCHAR message[128] = "";
  pcre2_get_error_message(rc, message, sizeof message);
  return janus_fail(error, rc == PCRE2_ERROR_NOMEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_REQUEST,
                    "the text cannot be split into words: %s", (const char *)message);
}

bool splitter_run(const Splitter *splitter, const char *text, size_t n, PieceList *pieces,
                  PieceList *spare, JanusError *error) {
  pieces->n = 0;
  if (!add_piece(pieces, 0, n))
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %zu bytes of text", n);
  for (int i = 0; i < splitter->n_stages; i++) {
    if (!run_stage(splitter->stages[i], text, pieces, spare, error))
      return false;
    const PieceList done = *spare;
    *spare = *pieces;
    *pieces = done;
  }
  return true;
}
