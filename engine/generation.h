// SPDX-License-Identifier: MIT
// Inside the engine: the rows of one request. Each sample has one row per class (conditional, and
// unconditional when guidance is on); the rows' prompts are computed once and shared by the
// samples. Knows nothing about drawing: sessions draw, traces follow a list.
#ifndef JANUS_GENERATION_H
#define JANUS_GENERATION_H

#include "engine/llama.h"

// How many rows go through the layers at once. Results do not depend on them.
enum { GENERATION_CHUNK_ROWS = 32, GENERATION_GROUP_ROWS = 48 };

typedef enum GenerationClass {
  GENERATION_COND,
  GENERATION_UNCOND,
  GENERATION_MAX_CLASSES,
} GenerationClass;

typedef struct GenerationPlan {
  int n_samples;
  int n_classes;  // 2, or 1 for the conditional row alone
  int chunk_rows; // prompt rows per pass
  int group_rows; // most rows per pass of picture tokens
} GenerationPlan;

typedef struct Generation {
  const JanusModel *model; // borrowed
  GenerationPlan plan;
  int group_samples;                      // samples per pass of picture tokens
  int n_prompt;                           // positions of the prompt, the same in every class
  int n_prompt_done;                      // of n_classes * n_prompt, class after class
  int32_t *prompt;                        // [n_classes][n_prompt]
  KvCache shared[GENERATION_MAX_CLASSES]; // the prompts
  KvCache *tails;                         // [n_samples][n_classes], picture tokens
  LlamaWorkspace ws;
  LlamaRow *rows; // host, one per row of a pass
  int32_t *fed;   // host, likewise
  float *embed;   // [rows][gen_embed_dim]
  float *first;   // [n_classes][dim] normed hidden state of each prompt's last position
  float *hidden;  // [n_classes][group][dim] normed hidden state of the last pass
  float *head;    // [n_classes][group][gen_head_dim]
  float *logits;  // [n_classes][group][n_codes]
  float *guided;  // [group][n_codes]
} Generation;

// The usual plan for a request.
GenerationPlan generation_plan(int n_samples, bool guided);

// Bytes of activations and of caches that generation_init() takes.
size_t generation_activation_bytes(const JanusModel *model, const GenerationPlan *plan);
size_t generation_kv_bytes(const JanusModel *model, const GenerationPlan *plan, int n_prompt);

// Allocates everything a run needs. `ids` [n_prompt] is the conditional prompt (copied); the
// unconditional row has pads between its first and last id. On failure *g is empty.
bool generation_init(Generation *g, const JanusModel *model, const GenerationPlan *plan,
                     const int32_t *ids, int n_prompt, JanusError *error);
void generation_clear(Generation *g); // an empty one is allowed

// The next chunk of the prompts. All the following: caller holds model->lock; false only when
// `cancel` (NULL is allowed) was set, and then the call can be made again.
bool generation_prefill(Generation *g, const atomic_bool *cancel);
bool generation_is_prefilled(const Generation *g);

// Feeds token number `index` of samples first .. first + n - 1 (n <= group_samples): their hidden
// states go to g->hidden.
bool generation_feed(Generation *g, int first, int n, const int32_t *tokens, int index,
                     const atomic_bool *cancel);

// logits, and guided when there are two classes, of n samples' `hidden` [n_classes][n][dim].
// Returns the guided logits [n][n_codes].
const float *generation_logits(Generation *g, const float *hidden, int n, double cfg);

#endif
