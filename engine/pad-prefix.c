// SPDX-License-Identifier: MIT
// The unconditional row's prompt, kept with the model.
#include "engine/pad-prefix.h"

#include "engine/error.h"

#include <stdlib.h>

// Prompts differ by some words: rounding up lets one cache serve most of them.
enum { ROUND_POSITIONS = 256 };

static int rounded(const JanusConfig *config, int n_positions) {
  const int n = (n_positions + ROUND_POSITIONS - 1) / ROUND_POSITIONS * ROUND_POSITIONS;
  return n < config->max_positions ? n : config->max_positions;
}

size_t pad_prefix_bytes(const JanusConfig *config, int n_positions) {
  return kv_cache_bytes(config, rounded(config, n_positions));
}

static PadPrefix *pad_prefix_new(const JanusModel *model, int n_positions, JanusError *error) {
  PadPrefix *prefix = calloc(1, sizeof *prefix);
  if (!prefix) {
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for the unconditional prompt");
    return NULL;
  }
  prefix->n_holders = 1;
  if (kv_cache_init(&prefix->cache, model, rounded(&model->config, n_positions),
                    "keys and values of the unconditional prompt", error))
    return prefix;
  free(prefix);
  return NULL;
}

PadPrefix *pad_prefix_hold(JanusModel *model, int n_positions, JanusError *error) {
  if (!model->pads || model->pads->cache.capacity < n_positions) {
    pad_prefix_release(model->pads, model->device);
    model->pads = pad_prefix_new(model, n_positions, error);
  }
  if (model->pads)
    model->pads->n_holders++;
  return model->pads;
}

void pad_prefix_release(PadPrefix *prefix, jk_device *device) {
  if (!prefix || --prefix->n_holders > 0)
    return;
  kv_cache_clear(&prefix->cache, device);
  free(prefix);
}
