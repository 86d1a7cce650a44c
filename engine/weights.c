// SPDX-License-Identifier: MIT
// Names of weight formats, and which one suits a machine.
#include "engine/weights.h"

#include "engine/error.h"
#include "engine/memory.h"
#include "engine/model-make.h"

#include <stdio.h>
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

enum { SMALL_MODEL_BYTES = 500000000 };

static uint64_t bytes_of_edit(const JanusModel *model, JanusWeights weights) {
  return janus_estimate_memory_in(model, weights, 1, USUAL_PROMPT_TOKENS, true).total_bytes;
}

// How much of the memory a format may take, and those words.
typedef struct Share {
  uint64_t parts, of;
  const char *words;
} Share;

static bool fits(const JanusModel *model, JanusWeights weights, uint64_t total_bytes,
                 const Share *share, char why[WEIGHTS_WHY]) {
  char needed[BYTES_TEXT], found[BYTES_TEXT];
  const uint64_t n_bytes = bytes_of_edit(model, weights);
  if (n_bytes <= total_bytes / share->of * share->parts)
    return true;
  snprintf(why, WEIGHTS_WHY, "%s would take %s to change a picture, more than %s of %s's %s",
           janus_weights_text(weights), janus_bytes_text(n_bytes, needed), share->words,
           model_has_own_memory(model) ? "the card" : "this machine",
           janus_bytes_text(total_bytes, found));
  return false;
}

JanusWeights weights_choose(const JanusModel *model, uint64_t total_bytes, char why[WEIGHTS_WHY]) {
  static const Share shares[2][2] = {{{1, 2, "half"}, {2, 3, "two thirds"}},
                                     {{9, 10, "nine tenths"}, {9, 10, "nine tenths"}}};
  const Share *share = shares[model_has_own_memory(model)];
  why[0] = '\0';
  if (model->info.weights_bytes < SMALL_MODEL_BYTES)
    return JANUS_WEIGHTS_F32;
  if (total_bytes == 0)
    return JANUS_WEIGHTS_Q8;
  if (fits(model, JANUS_WEIGHTS_BF16, total_bytes, &share[0], why))
    return JANUS_WEIGHTS_BF16;
  return fits(model, JANUS_WEIGHTS_Q8, total_bytes, &share[1], why) ? JANUS_WEIGHTS_Q8
                                                                    : JANUS_WEIGHTS_Q4;
}
