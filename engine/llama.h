// SPDX-License-Identifier: MIT
// Inside the engine: the language model's layers over a batch of rows, each row one position of
// some sequence. Touvron et al. 2023; the numerics of LlamaModel in f32.
#ifndef JANUS_LLAMA_H
#define JANUS_LLAMA_H

#include "engine/kv-cache.h"
#include "engine/model.h"

#include <stdatomic.h>

// One position of one sequence: it attends to n_root and n_prefix positions of caches that it only
// reads (though other rows of the batch may be writing them), then to slots 0..slot of `cache`,
// where its own key goes. Its position is n_root + n_prefix + slot.
typedef struct LlamaRow {
  const KvCache *root, *prefix; // NULL where there are 0 positions
  const KvCache *cache;
  int n_root, n_prefix;
  int slot;
} LlamaRow;

// Activations of up to max_rows rows; allocated once, used by every pass.
typedef struct LlamaWorkspace {
  int max_rows;
  float *x;        // [rows][dim] the residual stream: embeddings in, last layer's output out
  float *normed;   // [rows][dim]
  float *q;        // [rows][n_heads][head_dim]
  float *k, *v;    // [rows][n_kv_heads][head_dim]
  float *attended; // [rows][n_heads][head_dim]
  float *gate;     // [rows][hidden_dim]
  float *up;       // [rows][hidden_dim]
  // host memory, one a row
  jk_kv *caches;
  jk_context *contexts;
  int32_t *slots;
  int32_t *positions;
} LlamaWorkspace;

// Bytes of activations that llama_workspace_init() takes.
size_t llama_workspace_bytes(const JanusConfig *config, int max_rows);

// On failure the workspace is empty.
bool llama_workspace_init(LlamaWorkspace *ws, const JanusModel *model, int max_rows,
                          JanusError *error);
void llama_workspace_clear(LlamaWorkspace *ws, jk_device *device); // an empty one is allowed

// Runs all layers over ws->x, n_rows <= max_rows. Rows of one sequence may stand in one batch, in
// any number. Caller holds model->lock. Returns false when `cancel` was set (checked every layer).
bool llama_forward(const JanusModel *model, LlamaWorkspace *ws, const LlamaRow *rows, int n_rows,
                   const atomic_bool *cancel);

#endif
