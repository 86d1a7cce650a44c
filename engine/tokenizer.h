// SPDX-License-Identifier: MIT
// Inside the engine: the parts of a tokenizer. Text goes through added tokens, then the splitting
// stages, then byte-level BPE, each part in a file of its own.
#ifndef JANUS_TOKENIZER_H
#define JANUS_TOKENIZER_H

#include "engine/engine.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

// --- ids ----------------------------------------------------------------------------------------

// A growing list; after a failure it stays as it is and is_failed is set.
typedef struct IdList {
  int32_t *ids;
  size_t n, capacity;
  bool is_failed;
} IdList;

void id_list_add(IdList *list, int32_t id);

// --- added tokens (tokenizer-added.c) -----------------------------------------------------------

typedef struct AddedToken {
  char *text; // owned
  size_t n_bytes;
  int32_t id;
  bool is_special;
  bool is_normalized; // matched in a second pass, in what the first one left
  bool strips_left, strips_right;
} AddedToken;

typedef struct AddedTokens {
  AddedToken *tokens; // by text, once sorted
  size_t n;
  bool may_begin[256]; // first bytes
} AddedTokens;

// Sorts a filled list and prepares it for matching.
void added_tokens_prepare(AddedTokens *added);
void added_tokens_clear(AddedTokens *added);
const AddedToken *added_tokens_find(const AddedTokens *added, const char *text, size_t n_bytes);

// Which tokens count in a pass.
typedef struct AddedPass {
  bool is_normalized;
  bool skips_special;
} AddedPass;

// The first (leftmost, then longest) token in text[*begin..n), and its place [*begin, *end) with
// the white space that it strips; NULL when there is none.
const AddedToken *added_tokens_next(const AddedTokens *added, AddedPass pass, const char *text,
                                    size_t n, size_t *begin, size_t *end);

// --- splitting (tokenizer-split.c) --------------------------------------------------------------

enum { MAX_SPLIT_STAGES = 32 };

// Regular expressions, each of which cuts out its matches from the pieces of the one before.
typedef struct Splitter {
  pcre2_code *stages[MAX_SPLIT_STAGES];
  int n_stages;
  bool isolates_newlines; // a stage so far is [\r\n]
} Splitter;

// Adds a stage by an Oniguruma pattern, or a literal text. `path` is for messages.
bool splitter_add(Splitter *splitter, const char *pattern, size_t n_bytes, bool is_literal,
                  const char *path, JanusError *error);
void splitter_clear(Splitter *splitter);

typedef struct Piece {
  size_t begin, end;
} Piece;

typedef struct PieceList {
  Piece *pieces;
  size_t n, capacity;
} PieceList;

// The pieces of text[0..n) (valid UTF-8, n > 0) into *pieces; *spare is scratch of the same kind;
// both kept by the caller for the next call.
bool splitter_run(const Splitter *splitter, const char *text, size_t n, PieceList *pieces,
                  PieceList *spare, JanusError *error);

// --- byte-level BPE (tokenizer-bpe.c) -----------------------------------------------------------

// GPT-2's alphabet, the character of every byte: printable Latin-1 stands for itself, the other
// bytes for U+0100 and on.
void byte_alphabet(uint32_t symbols[256]);

typedef struct BpeMerge {
  uint64_t pair; // left id, right id
  int32_t rank;  // -1 in an empty slot
  int32_t id;    // of the result
} BpeMerge;

typedef struct Bpe {
  int32_t byte_ids[256]; // -1 = the vocabulary has no symbol for this byte
  BpeMerge *slots;       // open addressing
  size_t n_slots;        // a power of two
} Bpe;

bool bpe_reserve(Bpe *bpe, size_t n_merges);
// The first of equal pairs counts.
void bpe_add_merge(Bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t id);
void bpe_clear(Bpe *bpe);

// Scratch for one piece after another; all zero at first.
typedef struct BpeScratch {
  struct BpeSymbol *symbols;
  struct BpeCandidate *heap;
  size_t n_symbols, n_heap, symbol_capacity, heap_capacity;
} BpeScratch;

void bpe_scratch_clear(BpeScratch *scratch);
// Appends the ids of one piece; a failure shows in `out`.
void bpe_encode(const Bpe *bpe, const char *piece, size_t n_bytes, BpeScratch *scratch,
                IdList *out);

// --- ids to text (tokenizer-decode.c) -----------------------------------------------------------

typedef struct TokenText {
  int32_t id;
  bool is_added;
  size_t begin, n_bytes; // in TokenTexts.bytes
} TokenText;

enum { BYTE_ALPHABET_END = 324 };

// What every id stands for, as bytes; none for special tokens.
typedef struct TokenTexts {
  int16_t byte_of[BYTE_ALPHABET_END]; // of a character of the alphabet, -1 of others
  TokenText *entries;                 // by id, once prepared
  size_t n;
  char *bytes;
  size_t n_bytes;
} TokenTexts;

// For at most n_tokens with n_bytes of text, which are then added and prepared.
bool token_texts_reserve(TokenTexts *texts, size_t n_tokens, size_t n_bytes);
// A text of the vocabulary, in GPT-2's byte alphabet.
void token_texts_add_symbols(TokenTexts *texts, int32_t id, const char *symbols, size_t n_bytes);
// An added token, whose text stands for itself; it goes before a symbol with its id.
void token_texts_add_plain(TokenTexts *texts, int32_t id, const char *text, size_t n_bytes);
void token_texts_prepare(TokenTexts *texts);
void token_texts_clear(TokenTexts *texts);
// The bytes of an id; 0 of them for one that is not there.
const char *token_texts_find(const TokenTexts *texts, int32_t id, size_t *n_bytes);

// --- the tokenizer ------------------------------------------------------------------------------

struct JanusTokenizer {
  AddedTokens added;
  Splitter splitter;
  Bpe bpe;
  TokenTexts texts;
  int32_t bos; // -1 = none
  int32_t max_id;
  char *path; // for messages
};

// Reads tokenizer.json into an empty tokenizer whose path is set (tokenizer-load.c).
bool tokenizer_load(JanusTokenizer *tokenizer, JanusError *error);

#endif
