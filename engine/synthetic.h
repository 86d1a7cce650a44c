// SPDX-License-Identifier: MIT
// Inside the engine: models of random weights with a real one's dimensions, made in memory for
// benches: no checkpoint, no file, and no tensor's values before the model takes them.
#ifndef JANUS_SYNTHETIC_H
#define JANUS_SYNTHETIC_H

#include "engine/config.h"

// What a folder would give.
typedef struct Synthetic {
  StatedConfig stated;
  TensorSet *files;          // owned
  JanusTokenizer *tokenizer; // owned: a byte is a token, the tags are there
} Synthetic;

// "janus-pro-1b" or "janus-pro-7b". On failure (REQUEST for another name) *synthetic is empty.
bool synthetic_open(const char *name, Synthetic *synthetic, JanusError *error);

// Fills n bf16 values: normally distributed with this mean and deviation, none of them zero or
// denormal, the same for the same seed. Any thread.
void synthetic_fill(uint16_t *values, size_t n, uint64_t seed, float mean, float deviation);

#endif
