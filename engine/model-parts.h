// SPDX-License-Identifier: MIT
// Inside the engine: taking checked tensors from the files and making the model's parts of them.
// A builder keeps its first error; after it every call does nothing and gives NULL.
#ifndef JANUS_MODEL_PARTS_H
#define JANUS_MODEL_PARTS_H

#include "engine/model-make.h"

typedef struct ModelBuilder {
  JanusModel *model;
  const char *folder; // for messages
  ModelGroup group;   // of the parts that follow
  PartRole role;      // likewise
  JanusError error;
} ModelBuilder;

bool builder_ok(const ModelBuilder *b);

// Names are printf formats: "layers.%d." and so on.
#define PART_FORMAT(string, first) __attribute__((format(printf, string, first)))

// Dimension `index` of a tensor that must have n_dims; 0 after a failure.
int part_dim(ModelBuilder *b, int index, int n_dims, const char *name, ...) PART_FORMAT(4, 5);
bool part_exists(const ModelBuilder *b, const char *name, ...) PART_FORMAT(2, 3);

// --- made at once -------------------------------------------------------------------------------

// A table [n_rows][n_cols] as it lies in its file.
jk_weight part_table(ModelBuilder *b, int n_rows, int n_cols, const char *name, ...)
    PART_FORMAT(4, 5);
// A vector of n values, widened to memory that the model owns.
const float *part_floats(ModelBuilder *b, int n, const char *name, ...) PART_FORMAT(3, 4);
// A table [1][n][dim] ([n][dim] in the transformers port), likewise.
const float *part_positions(ModelBuilder *b, int n, int dim, const char *name);
LayerNorm part_layer_norm(ModelBuilder *b, int dim, const char *prefix, ...) PART_FORMAT(3, 4);
VqNorm part_norm(ModelBuilder *b, int channels, const char *prefix, ...) PART_FORMAT(3, 4);

// --- checked at once, made when needed
// ------------------------------------------------------------

// These take a place, which must stay where it is, and a prefix, to which "weight" and "bias" are
// added.
typedef enum PartKind {
  PART_PLAIN,    // [n_out][n_in], no bias
  PART_BIAS,     // the same with a bias
  PART_CONV_1X1, // [n_out][n_in][1][1] with a bias
} PartKind;
void part_linear(ModelBuilder *b, jk_linear **place, PartKind kind, int n_out, int n_in,
                 const char *prefix, ...) PART_FORMAT(6, 7);
// [n_out][n_in][3][3] with a bias; for outputs of at most max_width_px.
void part_conv(ModelBuilder *b, jk_conv **place, int n_out, int n_in, int max_width_px,
               const char *prefix, ...) PART_FORMAT(6, 7);
// Layers from the thirds of a fused qkv [3 * dim][dim] with a bias.
void part_qkv(ModelBuilder *b, int dim, jk_linear **const places[3], const char *prefix, ...)
    PART_FORMAT(4, 5);
// A convolution [dim][3][patch][patch] with a bias whose step is its size: a layer over patches.
void part_patches(ModelBuilder *b, jk_linear **place, int dim, int patch_px, const char *prefix);

// Where the device's operations can read n_bytes of host memory that is released with the model;
// NULL after a failure.
const void *part_place(ModelBuilder *b, const void *host, size_t n_bytes);
// Memory of n_bytes that is released with the model; NULL after a failure.
void *part_memory(ModelBuilder *b, size_t n_bytes);

// model-llama.c: the language model and the layers around it; model-vq.c: the picture tokens'
// encoder and decoder; model-vision.c: SigLIP and its aligner.
void model_build_llama(ModelBuilder *b);
void model_build_vq(ModelBuilder *b);
void model_build_vision(ModelBuilder *b);

// Makes lm_head, which only describing needs, where it is not there yet. Caller holds model->lock.
bool model_take_lm_head(JanusModel *model, JanusError *error);
// What it takes; nothing where it is in no file.
PartBytes model_lm_head_bytes(const JanusModel *model, JanusWeights weights);

#endif
