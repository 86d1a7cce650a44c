// SPDX-License-Identifier: MIT
// Inside the engine: taking checked tensors from the files and making the model's parts of them.
// A builder keeps its first error; after it every call does nothing and gives NULL.
#ifndef JANUS_MODEL_PARTS_H
#define JANUS_MODEL_PARTS_H

#include "engine/model.h"

typedef struct ModelBuilder {
  JanusModel *model;
  const char *folder; // for messages
  bool is_late;       // the model is open and in use: what is made now does not count in its info
  JanusError error;
} ModelBuilder;

bool builder_ok(const ModelBuilder *b);

// Notes whether there are tensors that cannot be used where they lie in their files; fails when
// those do not fit into memory.
void part_check_copies(ModelBuilder *b);

// Names are printf formats: "layers.%d." and so on.
#define PART_FORMAT(string, first) __attribute__((format(printf, string, first)))

// Dimension `index` of a tensor that must have n_dims; 0 after a failure.
int part_dim(ModelBuilder *b, int index, int n_dims, const char *name, ...) PART_FORMAT(4, 5);
bool part_exists(const ModelBuilder *b, const char *name, ...) PART_FORMAT(2, 3);

// A table [n_rows][n_cols] as it lies in its file.
jk_weight part_table(ModelBuilder *b, int n_rows, int n_cols, const char *name, ...)
    PART_FORMAT(4, 5);
// A vector of n values, widened to memory that the model owns.
const float *part_floats(ModelBuilder *b, int n, const char *name, ...) PART_FORMAT(3, 4);

// The following take a prefix, to which "weight" and "bias" are added.
typedef enum PartKind {
  PART_PLAIN,    // [n_out][n_in], no bias
  PART_BIAS,     // the same with a bias
  PART_CONV_1X1, // [n_out][n_in][1][1] with a bias
} PartKind;
jk_linear *part_linear(ModelBuilder *b, PartKind kind, int n_out, int n_in, const char *prefix, ...)
    PART_FORMAT(5, 6);
// [n_out][n_in][3][3] with a bias; packed for outputs of at most max_width_px.
jk_conv *part_conv(ModelBuilder *b, int n_out, int n_in, int max_width_px, const char *prefix, ...)
    PART_FORMAT(5, 6);
// Layers from the thirds of a fused qkv [3 * dim][dim] with a bias.
void part_qkv(ModelBuilder *b, int dim, jk_linear *out[3], const char *prefix, ...)
    PART_FORMAT(4, 5);
// A table [1][n][dim] ([n][dim] in the transformers port), widened to memory that the model owns.
const float *part_positions(ModelBuilder *b, int n, int dim, const char *name);
// A convolution [dim][3][patch][patch] with a bias whose step is its size: a layer over patches.
jk_linear *part_patches(ModelBuilder *b, int dim, int patch_px, const char *prefix);
LayerNorm part_layer_norm(ModelBuilder *b, int dim, const char *prefix, ...) PART_FORMAT(3, 4);
VqNorm part_norm(ModelBuilder *b, int channels, const char *prefix, ...) PART_FORMAT(3, 4);

// Where the device's operations can read n_bytes of host memory that is released with the model;
// NULL after a failure.
const void *part_place(ModelBuilder *b, const void *host, size_t n_bytes);
// Memory of n_bytes that is released with the model; NULL after a failure.
void *part_memory(ModelBuilder *b, size_t n_bytes);

// model-llama.c: the language model and the layers around it; model-vq.c: the picture tokens'
// encoder and decoder; model-vision.c: SigLIP and its aligner.
void model_build_llama(ModelBuilder *b);
// Takes lm_head where it is not there yet. Caller holds model->lock.
bool model_take_lm_head(JanusModel *model, JanusError *error);
// Bytes of it; 0 where it is in no file.
size_t model_lm_head_bytes(const JanusModel *model);
void model_clear_llama(JanusModel *model);
void model_build_vq(ModelBuilder *b);
void model_clear_vq(JanusModel *model);
void model_build_vision(ModelBuilder *b);
void model_clear_vision(JanusModel *model);

#endif
