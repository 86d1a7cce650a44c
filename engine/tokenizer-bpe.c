// SPDX-License-Identifier: MIT
// Byte-level BPE (Sennrich et al. 2016; the byte alphabet is GPT-2's, resolved when loading): in a
// piece, the pair of lowest rank is merged, leftmost first, until none is left. A heap keeps long
// pieces from costing the square of their length.
#include "engine/tokenizer.h"

#include <stdlib.h>

// A symbol of the piece in a linked list by place; id -1 once merged into its left neighbour.
typedef struct BpeSymbol {
  int32_t id;
  int32_t previous, next; // -1 = none
} BpeSymbol;

// A pair that could be merged; stale when its left symbol or the pair is no longer the same.
typedef struct BpeCandidate {
  int32_t rank, place, id;
} BpeCandidate;

void byte_alphabet(uint32_t symbols[256]) {
  uint32_t next_hidden = 256;
  for (uint32_t byte = 0; byte < 256; byte++) {
    const bool is_printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
    symbols[byte] = is_printable ? byte : next_hidden++;
  }
}

// --- merges -------------------------------------------------------------------------------------

static uint64_t make_pair(int32_t left, int32_t right) {
  return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t slot_of(const Bpe *bpe, uint64_t pair) {
  // Fibonacci hashing; then the first slot that is empty or holds the pair.
  size_t slot = (size_t)((pair * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (bpe->n_slots - 1);
  while (bpe->slots[slot].rank >= 0 && bpe->slots[slot].pair != pair)
    slot = (slot + 1) & (bpe->n_slots - 1);
  return slot;
}

bool bpe_reserve(Bpe *bpe, size_t n_merges) {
  bpe->n_slots = 16;
  while (bpe->n_slots < 2 * n_merges)
    bpe->n_slots *= 2;
  bpe->slots = malloc(bpe->n_slots * sizeof *bpe->slots);
  if (!bpe->slots)
    return false;
  for (size_t i = 0; i < bpe->n_slots; i++)
    bpe->slots[i].rank = -1;
  return true;
}

void bpe_add_merge(Bpe *bpe, int32_t left, int32_t right, int32_t rank, int32_t id) {
  const uint64_t pair = make_pair(left, right);
  BpeMerge *slot = &bpe->slots[slot_of(bpe, pair)];
  if (slot->rank < 0)
    *slot = (BpeMerge){.pair = pair, .rank = rank, .id = id};
}

void bpe_clear(Bpe *bpe) {
  free(bpe->slots);
  bpe->slots = NULL;
}

// --- the heap -----------------------------------------------------------------------------------

static bool is_before(BpeCandidate a, BpeCandidate b) {
  return a.rank != b.rank ? a.rank < b.rank : a.place < b.place;
}

static bool push(BpeScratch *s, BpeCandidate candidate) {
  if (s->n_heap == s->heap_capacity) {
    const size_t capacity = s->heap_capacity ? 2 * s->heap_capacity : 64;
    BpeCandidate *grown = realloc(s->heap, capacity * sizeof *grown);
    if (!grown)
      return false;
    s->heap = grown;
    s->heap_capacity = capacity;
  }
  size_t i = s->n_heap++;
  for (; i > 0 && is_before(candidate, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
    s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = candidate;
  return true;
}

static BpeCandidate pop(BpeScratch *s) {
  const BpeCandidate top = s->heap[0], last = s->heap[--s->n_heap];
  size_t i = 0;
  for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
    if (child + 1 < s->n_heap && is_before(s->heap[child + 1], s->heap[child]))
      child++;
    if (!is_before(s->heap[child], last))
      break;
    s->heap[i] = s->heap[child];
  }
  s->heap[i] = last;
  return top;
}

// --- one piece ----------------------------------------------------------------------------------

void bpe_scratch_clear(BpeScratch *scratch) {
  free(scratch->symbols);
  free(scratch->heap);
  *scratch = (BpeScratch){0};
}

static bool reserve_symbols(BpeScratch *s, size_t n) {
  if (n <= s->symbol_capacity)
    return true;
  BpeSymbol *grown = n < INT32_MAX ? realloc(s->symbols, n * sizeof *grown) : NULL;
  if (!grown)
    return false;
  s->symbols = grown;
  s->symbol_capacity = n;
  return true;
}

// Bytes without a symbol are left out, as the reference does without an unknown token.
static void place_symbols(const Bpe *bpe, const char *piece, size_t n_bytes, BpeScratch *s) {
  s->n_symbols = 0;
  for (size_t i = 0; i < n_bytes; i++) {
    const int32_t id = bpe->byte_ids[(unsigned char)piece[i]];
    const int32_t place = (int32_t)s->n_symbols;
    if (id >= 0)
      s->symbols[s->n_symbols++] = (BpeSymbol){id, place - 1, place + 1};
  }
  if (s->n_symbols > 0)
    s->symbols[s->n_symbols - 1].next = -1;
}

static const BpeMerge *merge_at(const Bpe *bpe, const BpeScratch *s, int32_t place) {
  const BpeSymbol *left = &s->symbols[place];
  if (left->id < 0 || left->next < 0)
    return NULL;
  const BpeMerge *merge = &bpe->slots[slot_of(bpe, make_pair(left->id, s->symbols[left->next].id))];
  return merge->rank >= 0 ? merge : NULL;
}

static bool consider(const Bpe *bpe, BpeScratch *s, int32_t place) {
  const BpeMerge *merge = place >= 0 ? merge_at(bpe, s, place) : NULL;
  return !merge || push(s, (BpeCandidate){merge->rank, place, merge->id});
}

static bool merge_all(const Bpe *bpe, BpeScratch *s) {
  s->n_heap = 0;
  for (size_t i = 0; i < s->n_symbols; i++)
    if (!consider(bpe, s, (int32_t)i))
      return false;
  while (s->n_heap > 0) {
    const BpeCandidate top = pop(s);
    const BpeMerge *merge = merge_at(bpe, s, top.place);
    if (!merge || merge->rank != top.rank)
      continue;
    BpeSymbol *left = &s->symbols[top.place], *right = &s->symbols[left->next];
    left->id = top.id;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
      s->symbols[left->next].previous = top.place;
    if (!consider(bpe, s, left->previous) || !consider(bpe, s, top.place))
      return false;
  }
  return true;
}

void bpe_encode(const Bpe *bpe, const char *piece, size_t n_bytes, BpeScratch *scratch,
                IdList *out) {
  if (out->is_failed || !reserve_symbols(scratch, n_bytes)) {
    out->is_failed = true;
    return;
  }
  place_symbols(bpe, piece, n_bytes, scratch);
  if (!merge_all(bpe, scratch)) {
    out->is_failed = true;
    return;
  }
  for (int32_t i = scratch->n_symbols > 0 ? 0 : -1; i >= 0; i = scratch->symbols[i].next)
    id_list_add(out, scratch->symbols[i].id);
}
