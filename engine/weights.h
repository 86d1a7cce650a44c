// SPDX-License-Identifier: MIT
// Inside the engine: which format of the weights suits a machine.
#ifndef JANUS_WEIGHTS_H
#define JANUS_WEIGHTS_H

#include "engine/model.h"

// What --weights auto means on a machine with total_bytes of memory (0 = unknown), whatever of it
// is free now: the same model is opened alike every time. A model of less than half a gigabyte
// stays in f32, which is exact and fast enough. Larger ones take bf16 where the change of a picture
// needs no more than half of the memory, which leaves a desktop its share and the files' pages
// theirs; q8, hardly less exact and twice as fast, where it needs no more than two thirds; else q4.
// A card serves pictures alone: the largest of bf16, q8 and q4 in which the change of a picture
// needs no more than nine tenths of its memory; the rest is the driver's and the screen's.
// `why` becomes a sentence that says which larger format does not fit, or empty.
enum { WEIGHTS_WHY = 160 };
JanusWeights weights_choose(const JanusModel *model, uint64_t total_bytes, char why[WEIGHTS_WHY]);

#endif
