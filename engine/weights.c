// SPDX-License-Identifier: MIT
// Names of weight formats, and which one suits a machine.
#include "engine/weights.h"

#include "engine/model-make.h"

#include <string.h>

static const char *const texts[] = {
    [JANUS_WEIGHTS_AUTO] = "auto", [JANUS_WEIGHTS_F32] = "f32", [JANUS_WEIGHTS_BF16] = "bf16",
    [JANUS_WEIGHTS_Q8] = "q8",     [JANUS_WEIGHTS_Q4] = "q4",   [JANUS_WEIGHTS_FP8] = "fp8",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

const char *janus_weights_text(JanusWeights weights) {
  return (unsigned)weights < N_TEXTS ? texts[weights] : "unknown";
}

bool janus_weights_parse(const char *text, JanusWeights *weights) {
  for (int i = 0; i < N_TEXTS; i++) {
    if (strcmp(text, texts[i]) != 0)
      continue;
    *weights = (JanusWeights)i;
    return true;
  }
  return false;
}

enum { SMALL_MODEL_BYTES = 500000000, USUAL_PROMPT_TOKENS = 64, CARD_PARTS = 10 };

static uint64_t bytes_of_edit(const JanusModel *model, JanusWeights weights) {
  return janus_estimate_memory_in(model, weights, 1, USUAL_PROMPT_TOKENS, true).total_bytes;
}

static JanusWeights choose_on_card(const JanusModel *model, uint64_t total_bytes) {
  static const JanusWeights largest_first[] = {JANUS_WEIGHTS_BF16, JANUS_WEIGHTS_Q8};
  for (size_t i = 0; i < sizeof largest_first / sizeof *largest_first; i++)
    if (bytes_of_edit(model, largest_first[i]) <= total_bytes / CARD_PARTS * (CARD_PARTS - 1))
      return largest_first[i];
  return JANUS_WEIGHTS_Q4;
}

JanusWeights weights_choose(const JanusModel *model, uint64_t total_bytes) {
  if (model->info.weights_bytes < SMALL_MODEL_BYTES)
    return JANUS_WEIGHTS_F32;
  if (model_has_own_memory(model))
    return choose_on_card(model, total_bytes);
  const uint64_t bf16 = bytes_of_edit(model, JANUS_WEIGHTS_BF16);
  const uint64_t q8 = bytes_of_edit(model, JANUS_WEIGHTS_Q8);
  if (bf16 <= total_bytes / 2)
    return JANUS_WEIGHTS_BF16;
  return total_bytes == 0 || q8 <= total_bytes / 3 * 2 ? JANUS_WEIGHTS_Q8 : JANUS_WEIGHTS_Q4;
}
