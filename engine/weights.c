// SPDX-License-Identifier: MIT
// Names of weight formats.
#include "engine/engine.h"

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
