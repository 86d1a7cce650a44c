// SPDX-License-Identifier: MIT
// Inside the engine: the unconditional row's prompt. BOS and pads depend on their number alone, so
// one cache of a model serves every prompt of its length and less, texts and edits.
#ifndef JANUS_PAD_PREFIX_H
#define JANUS_PAD_PREFIX_H

#include "engine/kv-cache.h"

// Shared by the model and by runs that use it; released by the last. Positions from n_done on are
// computed when a run first needs them (see generation.c).
typedef struct PadPrefix {
  KvCache cache;
  int n_done;
  int n_holders;
} PadPrefix;

// Bytes of a cache for that many positions.
size_t pad_prefix_bytes(const JanusConfig *config, int n_positions);

// The model's cache, made anew when it is too short. NULL and an error for want of memory. The
// caller holds model->lock, and lets go with pad_prefix_release(), holding it too.
PadPrefix *pad_prefix_hold(JanusModel *model, int n_positions, JanusError *error);
void pad_prefix_release(PadPrefix *prefix, jk_device *device); // NULL is allowed

#endif
