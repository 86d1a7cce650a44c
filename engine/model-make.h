// SPDX-License-Identifier: MIT
// Inside the engine: making a model's layers and convolutions, in the format that it was opened in,
// when a run first needs them; and what they take in any format.
#ifndef JANUS_MODEL_MAKE_H
#define JANUS_MODEL_MAKE_H

#include "engine/memory.h"
#include "engine/model.h"

#define MODEL_COPIES                                                                               \
  "the tensors that must be copied, because they do not begin at multiples of their values' size"

// Room that a part takes.
typedef struct PartBytes {
  size_t owned;  // copies of the model's own
  size_t mapped; // used where it lies in its file
} PartBytes;

// What the device makes of a weight of this role.
jk_format part_format(PartRole role, JanusWeights weights);
PartBytes part_bytes(const ModelPart *part, JanusWeights weights);
// Of everything in `groups`, and of norms, but not of the tables of which a run reads some rows.
// The model need not be open in this format.
PartBytes model_bytes(const JanusModel *model, unsigned groups, JanusWeights weights);

// Copies of `groups` that are still to be made, in the model's format; what comes from a packed
// copy on disk is none.
size_t model_unmade_bytes(const JanusModel *model, unsigned groups);

// Fails when those weights do not fit into memory that are used as stored but must be copied,
// because they do not begin at multiples of their values' size.
bool model_check_copies(const JanusModel *model, JanusError *error);

// Finds where a packed copy on disk lies or would lie, if the options and the model ask for one.
// The model is open but for this.
void model_find_packed(JanusModel *model, const JanusModelOptions *options);

// Who is told how far it is; NULL where nobody is.
typedef struct ModelWatch {
  JanusPrepareFunc func;
  void *user_data;
} ModelWatch;

// What the model's device leaves over: of its own memory, or of the machine's.
MemoryRoom model_memory_room(const JanusModel *model);
// Whether the device is a card, whose memory is not the machine's.
bool model_has_own_memory(const JanusModel *model);

// Makes what is not there yet of `groups`. False with an error: for want of memory, or CANCELLED by
// the watcher, which may come between any two parts; what was made stays. Caller holds model->lock.
bool model_make(JanusModel *model, unsigned groups, const ModelWatch *watch, JanusError *error);
void model_unmake(JanusModel *model);

#endif
