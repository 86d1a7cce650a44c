// SPDX-License-Identifier: MIT
// Inside the engine: the rows of one request. Each sample has one row per class; the rows' prompts
// are computed once and shared by the samples. Knows nothing about drawing: sessions draw, traces
// follow a list.
//
// A class's prompt but for its last position is a prefix that all samples share. That last
// position, <begin_of_image>, and the picture tokens behind it are a sample's own, in its tails.
// Prompts are computed as a list of stretches: of an edit what both its rows have in common, what
// is each one's own (see picture-prefix.h), and the unconditional row's (see pad-prefix.h); of a
// text its words and the unconditional row's. What a stretch has from runs before is not computed
// again.
#ifndef JANUS_GENERATION_H
#define JANUS_GENERATION_H

#include "engine/llama.h"
#include "engine/pad-prefix.h"
#include "engine/picture-prefix.h"
#include "engine/prompt.h"

// How many rows go through the layers at once. Results do not depend on them.
enum { GENERATION_CHUNK_ROWS = 32, GENERATION_GROUP_ROWS = 48 };

// What a row knows.
typedef enum GenerationClass {
  GENERATION_COND,   // the whole prompt; of an edit also the picture's features and tokens ("full")
  GENERATION_PART,   // of an edit: the same with pads for the tokens
  GENERATION_UNCOND, // BOS, pads, <begin_of_image>
  GENERATION_MAX_CLASSES,
} GenerationClass;

typedef struct GenerationPlan {
  bool is_edit;
  int n_samples;
  int n_classes;
  GenerationClass classes[GENERATION_MAX_CLASSES]; // ascending, the first is COND
  int chunk_rows;                                  // prompt rows per pass
  int group_rows;                                  // most rows per pass of picture tokens
} GenerationPlan;

// Positions of a class's prompt that stand one after another in one cache.
typedef struct GenerationStretch {
  GenerationClass class;
  const KvCache *root, *cache; // `root` has the positions before `first`, where there are any
  int first, n;
  int n_done; // from the first on
  int *kept;  // how many of them outlive the run, at most `n_keepable`; NULL = none
  int n_keepable;
} GenerationStretch;

enum { GENERATION_MAX_STRETCHES = GENERATION_MAX_CLASSES + 1 };

typedef struct Generation {
  const JanusModel *model; // borrowed
  GenerationPlan plan;
  PicturePrefix *picture; // of an edit, else NULL; borrowed, seen before prefill
  JanusPrompt prompt;     // owned
  int group_samples;      // samples per pass of picture tokens
  int n_prefix;           // positions of a prompt that samples share
  int n_common;           // of those, the ones that the rows of an edit have in common; else 0
  KvCache words;          // the prefix of a text
  PadPrefix *pads;
  GenerationStretch stretches[GENERATION_MAX_STRETCHES];
  int n_stretches;
  int n_prefilled; // positions that this run computed
  KvCache *tails;  // [n_samples][n_classes], from <begin_of_image> on
  LlamaWorkspace ws;
  LlamaRow *rows; // host, one per row of a pass
  int32_t *fed;   // host, likewise
  float *embed;   // [rows][gen_embed_dim]
  float *hidden;  // [n_classes][group][dim] normed hidden state of the last pass
  float *head;    // [n_classes][group][gen_head_dim]
  float *logits;  // [n_classes][group][n_codes]
  float *guided;  // [group][n_codes]
} Generation;

// The rows that a request needs: a cfg of 1 needs no unconditional row, an image_cfg of 0 no part.
GenerationPlan generation_plan(int n_samples, bool is_edit, double cfg, double image_cfg);

// Bytes of activations and of caches that generation_init() takes.
size_t generation_activation_bytes(const JanusModel *model, const GenerationPlan *plan);
size_t generation_kv_bytes(const JanusModel *model, const GenerationPlan *plan, int n_prompt);

// Allocates everything a run needs and takes the prompt over; `picture` (NULL for a text) is
// borrowed, nobody else's meanwhile, and need not be seen yet. On failure *g is empty and the
// prompt still the caller's. Caller holds model->lock, as for all the following.
bool generation_init(Generation *g, JanusModel *model, const GenerationPlan *plan,
                     JanusPrompt *prompt, PicturePrefix *picture, JanusError *error);
void generation_clear(Generation *g); // an empty one is allowed

// The next chunk of the prompts. False only when `cancel` (NULL is allowed) was set, and then the
// call can be made again.
bool generation_prefill(Generation *g, const atomic_bool *cancel);
// Positions computed, by this run or before it, and wanted, over all stretches.
int generation_prefill_done(const Generation *g);
int generation_prefill_total(const Generation *g);

// Feeds slot number `slot` of samples first .. first + n - 1 (n <= group_samples): slot 0 is
// <begin_of_image> (`tokens` is not read), slot i + 1 picture token i. Their hidden states, which
// tell token number `slot`, go to g->hidden. False as above.
bool generation_feed(Generation *g, int first, int n, const int32_t *tokens, int slot,
                     const atomic_bool *cancel);

// Feeds slots slot .. slot + n - 1 (slot >= 1) of one sample at once, whose tokens are known: the
// keys and values are those that as many calls of generation_feed() write. At most
// generation_max_refed() slots. False as above.
bool generation_refeed(Generation *g, int sample, const int32_t *tokens, int slot, int n,
                       const atomic_bool *cancel);
int generation_max_refed(const Generation *g);

// Logits of the n samples last fed, and the guided ones [n][n_codes], which are returned:
// c = (full + image_cfg part) / (1 + image_cfg), uncond + cfg (c - uncond).
const float *generation_logits(Generation *g, int n, double cfg, double image_cfg);

#endif
