// SPDX-License-Identifier: MIT
// Inside the engine: what a model has computed of a picture to change, kept for the next edit of
// it.
//
// An edit's prompt has the picture first and the words after it, so the keys and values of its
// first 2 n_image_tokens + 8 or so positions depend on the picture alone:
//
//   BOS <|User|> ": " <begin> features <end> <begin> | tokens, or pads <end> | words ... | <begin>
//   ...
//   ----------------- common ------------------------|------- own, by class ---------|- a sample's
//   -
//
// The row that knows the picture's tokens and the one that has pads in their place are the same up
// to the tokens: those positions are computed once, in `common`. Behind them each class has a cache
// of its own, in which the words of the edit at hand follow the picture's positions; the next edit
// overwrites them with its words. Rows attend to common, own and their sample's tail.
//
// A prefix belongs to one session at a time: taken from the model at its start, whole, half done or
// new, and given back at its end. So words never mix, and a second session of the same picture at
// the same time computes a prefix of its own. What was computed is the same whoever computed it
// (see kernels.h, invariance); a session that finds none, or half of one, computes what is missing.
//
// The model keeps prefixes that no session has, the latest first, up to a budget of bytes, and
// drops them when a session would not fit into memory beside them. Estimates do not know of them:
// what janus_estimate_memory() foretells for an edit includes the prefix, found or made.
#ifndef JANUS_PICTURE_PREFIX_H
#define JANUS_PICTURE_PREFIX_H

#include "engine/kv-cache.h"
#include "engine/memory.h"
#include "engine/vision.h"

// With the picture's tokens; with pads in their place.
enum { PICTURE_OWN_CACHES = 2 };

typedef struct PicturePrefix {
  struct PicturePrefix *next; // the next older one that the model keeps
  // whose it is: pictures are the same when the model sees the same pixels and has the same tokens
  uint8_t *rgb;          // host [size][size][3], fitted
  int32_t *tokens;       // host [n_image_tokens]; before it is seen, only when they are given
  bool tokens_are_given; // not the encoder's
  float *features;       // device [n_image_tokens][dim], aligned; NULL = not seen yet
  KvCache common;
  int n_common_done;
  KvCache own[PICTURE_OWN_CACHES];
  int n_own_done[PICTURE_OWN_CACHES]; // of the picture's positions; words do not count
} PicturePrefix;

// Positions that are common and own, by the prompt of any edit.
int picture_prefix_common(const JanusPrompt *prompt);
int picture_prefix_own(const JanusConfig *config);

// Bytes of a prefix with n_own own caches, for words of n_words positions.
size_t picture_prefix_bytes(const JanusConfig *config, int n_own, int n_words);

// One that nothing is known of; `rgb` (NULL = of no picture that could come again) is taken over,
// also on failure, `known_tokens` (NULL = the encoder's) copied. NULL and an error for want of
// memory.
PicturePrefix *picture_prefix_new(const JanusModel *model, uint8_t *rgb,
                                  const int32_t *known_tokens, JanusError *error);
void picture_prefix_free(PicturePrefix *prefix, jk_device *device); // NULL is allowed

// The kept prefix of a picture, no longer the model's, else a new one, as above. Caller holds
// model->lock, as for all the following.
PicturePrefix *picture_prefix_take(JanusModel *model, uint8_t *rgb, const int32_t *known_tokens,
                                   JanusError *error);
// Gives it back, to be kept if it is worth it. NULL is allowed.
void picture_prefix_give_back(JanusModel *model, PicturePrefix *prefix);

// Takes what was seen of the picture out of `vision`, which is done.
void picture_prefix_see(PicturePrefix *prefix, const JanusModel *model, Vision *vision);
static inline bool picture_prefix_is_seen(const PicturePrefix *prefix) {
  return prefix->features != NULL;
}

// Makes room for the common positions and for n_words words in own cache `i`; what is there stays.
bool picture_prefix_reserve(PicturePrefix *prefix, const JanusModel *model, int n_common, int i,
                            int n_words, JanusError *error);

// --- what a model keeps -------------------------------------------------------------------------

// Bytes that one, or all that the model keeps, take.
size_t picture_prefix_held_bytes(const PicturePrefix *prefix, const JanusModel *model);
size_t picture_prefixes_bytes(const JanusModel *model);

// The default budget: a share of the machine's memory, or of what a card has free.
size_t picture_prefixes_default_budget(const JanusModel *model);

// Drops the oldest until those left take at most n_bytes.
void picture_prefixes_trim(JanusModel *model, size_t n_bytes);

// Whether what is needed fits into memory, of which `held_bytes` are the caller's already; where it
// does not, after dropping all that is kept. Fails with MEMORY.
bool picture_prefixes_make_room(JanusModel *model, const JanusMemory *needed, size_t held_bytes,
                                JanusError *error);

#endif
