// SPDX-License-Identifier: MIT
// Inside the engine: the whole model on one page, with the shapes of its parts. Built by model.c
// from config.c (what the JSON says) and tensors.c (where the weights lie); read by everything
// else. Layers and convolutions are NULL until model_make() makes their group.
#ifndef JANUS_MODEL_H
#define JANUS_MODEL_H

#include "engine/engine.h"
#include "engine/prompt.h"
#include "engine/tensors.h"
#include "kernels/kernels.h"

#include <pthread.h>

enum { JANUS_MAX_VQ_LEVELS = 8, JANUS_MAX_RES_BLOCKS = 8 };

// How a picture to change becomes numbers: value = ((double)byte * rescale - mean) / std.
typedef struct JanusImageRules {
  int min_size_px; // least side of the fitted picture
  double rescale;
  bool normalizes;
  float mean[3], std[3];
} JanusImageRules;

// What config.json and the processor files say, with the original's defaults for what they omit.
// Sizes that tensor shapes tell are taken from the shapes and must agree with these.
typedef struct JanusConfig {
  int dim, hidden_dim, n_layers, n_heads, n_kv_heads, head_dim, vocab, max_positions;
  float norm_eps, rope_theta;
  int image_size_px;  // side of the picture
  int patch_size_px;  // pixels per token side = 2^(VQ levels - 1)
  int grid;           // image_size_px / patch_size_px
  int n_image_tokens; // grid * grid
  int n_codes;        // VQ codebook entries
  int code_dim;       // width of one VQ code
  int vq_norm_groups; // GroupNorm groups of the VQ model
  float vq_norm_eps;
  int n_vision_heads; // 0 = one per 64 of the vision tower's width
  JanusImageRules rules;
  JanusDefaults defaults;
  bool describes;
  jk_dtype kv_dtype; // of keys and values, as the weights' format says
} JanusConfig;

typedef struct JanusLayer {
  jk_linear *q;                // [n_heads * head_dim][dim]
  jk_linear *k, *v;            // [n_kv_heads * head_dim][dim]
  jk_linear *o;                // [dim][n_heads * head_dim]
  jk_linear *gate, *up;        // [hidden_dim][dim]
  jk_linear *down;             // [dim][hidden_dim]
  const float *attention_norm; // [dim]
  const float *ffn_norm;       // [dim]
} JanusLayer;

typedef struct LayerNorm {
  const float *weight, *bias; // [dim]
} LayerNorm;

// norm1, attention, norm2, MLP; Dosovitskiy et al. 2021.
typedef struct SiglipBlock {
  LayerNorm norm1, norm2;
  jk_linear *q, *k, *v; // [dim][dim], from the fused qkv
  jk_linear *proj;      // [dim][dim]
  jk_linear *fc1;       // [hidden_dim][dim]
  jk_linear *fc2;       // [dim][hidden_dim]
} SiglipBlock;

// The encoder that looks at a picture; Zhai et al. 2023.
typedef struct Siglip {
  jk_linear *patch_embed; // [dim][3 * patch * patch]
  const float *pos_embed; // [n_image_tokens][dim]
  SiglipBlock *blocks;    // [n_blocks]
  LayerNorm norm;
  int n_blocks, dim, hidden_dim, n_heads;
} Siglip;

typedef struct VqNorm {
  const float *weight, *bias; // [channels]
  int channels;
} VqNorm;

// norm, swish, 3x3, norm, swish, 3x3, plus the input (through a 1x1 when the width changes).
typedef struct VqResBlock {
  VqNorm norm1, norm2;
  jk_conv *conv1, *conv2;
  jk_linear *shortcut; // NULL when n_in == n_out
  int n_in, n_out;
} VqResBlock;

// Single-head attention over all positions.
typedef struct VqAttention {
  VqNorm norm;
  jk_linear *q, *k, *v, *proj_out; // [channels][channels]
} VqAttention;

// One resolution: of the decoder deepest first, of the encoder deepest last.
typedef struct VqLevel {
  VqResBlock res[JANUS_MAX_RES_BLOCKS];
  VqAttention attention[JANUS_MAX_RES_BLOCKS]; // the deepest level only
  int n_res;
  bool has_attention;
  jk_conv *resample; // up or down to the next level; NULL on the last
} VqLevel;

// The blocks between the deepest levels and the latents.
typedef struct VqMiddle {
  VqResBlock res1, res2;
  VqAttention attention;
} VqMiddle;

typedef struct VqDecoder {
  float *codebook;            // [n_codes][code_dim], rows L2-normalised
  jk_linear *post_quant_conv; // [z_channels][code_dim]
  jk_conv *conv_in;           // z_channels -> channels of the deepest level
  VqMiddle middle;
  VqLevel levels[JANUS_MAX_VQ_LEVELS];
  int n_levels;
  int z_channels;
  VqNorm norm_out;
  jk_conv *conv_out; // -> 3
} VqDecoder;

typedef struct VqEncoder {
  jk_conv *conv_in; // 3 -> channels of the finest level
  VqLevel levels[JANUS_MAX_VQ_LEVELS];
  int n_levels;
  VqMiddle middle;
  VqNorm norm_out;
  jk_conv *conv_out;     // -> z_channels
  jk_linear *quant_conv; // [code_dim][z_channels]
} VqEncoder;

// What is made of tensors together, when a run first needs it.
typedef enum ModelGroup {
  MODEL_LANGUAGE = 1, // the language model and the layers between it and picture tokens
  MODEL_DECODER = 2,  // picture tokens to pixels
  MODEL_ENCODER = 4,  // pixels to picture tokens
  MODEL_SIGLIP = 8,   // and its aligner
  MODEL_HEAD = 16,    // lm_head
} ModelGroup;

// What a model's format means for a weight; see part_format().
typedef enum PartRole {
  PART_LAYER,     // the format itself
  PART_SENSITIVE, // 8 bits at least
  PART_VISION,    // bf16 at least
  PART_THIN,      // as stored: layers that cost nothing and see pixels or codes
  PART_N_ROLES,
} PartRole;

// A layer's or a convolution's weights: where they come from and where the device's handle goes.
typedef struct ModelPart {
  ModelGroup group;
  PartRole role;
  const Tensor *weight, *bias; // borrowed from the files; no bias = NULL
  int first_row;               // of the tensors' rows; n_out of them are the part's
  int n_out, n_in;             // n_in: all columns of a row
  int max_width_px;            // of a convolution
  jk_linear **linear;          // borrowed: the place in the model
  jk_conv **conv;              // or this one
  void *copy;                  // owned: values that lie askew, where they are used as stored
} ModelPart;

struct JanusModel {
  JanusConfig config;
  JanusModelInfo info;
  jk_device *device;
  JanusTokenizer *tokenizer;
  TensorSet *files; // mapped for the life of the model

  // language model
  jk_weight text_embedding;         // [vocab][dim]
  JanusLayer *layers;               // [n_layers]
  const float *final_norm;          // [dim]
  const float *rope_cos, *rope_sin; // [max_positions][head_dim / 2]
  jk_linear *lm_head;               // [vocab][dim], which only describing needs
  bool knows_lm_head;               // it is among the parts

  // generation side
  jk_weight gen_embed;        // [n_codes][gen_embed_dim], not the VQ codebook
  jk_linear *gen_aligner_in;  // [dim][gen_embed_dim]
  jk_linear *gen_aligner_out; // [dim][dim]
  jk_linear *gen_head_proj;   // [gen_head_dim][dim]
  jk_linear *gen_head_vision; // [n_codes][gen_head_dim]
  int gen_head_dim;
  VqDecoder vq;

  // looking at a picture
  Siglip siglip;
  jk_linear *aligner_in;  // [dim][siglip.dim]
  jk_linear *aligner_out; // [dim][dim]
  VqEncoder vq_encoder;

  struct PadPrefix *pads; // the unconditional prompt, made by the first session that needs it
  struct PicturePrefix *pictures; // to change, of which something is kept, the latest first
  size_t pictures_budget_bytes;   // for those
  struct PreviewTable *preview;   // colours of codes, made by the first session; has its own lock

  JanusTags tags; // ids of the template's tags, looked up by text

  ModelPart *parts; // [n_parts] all that is made of tensors when it is first needed
  size_t n_parts, parts_capacity;
  size_t owned_bytes;         // of memory that opening took: norms, biases, copies of tables
  struct PackedCache *packed; // packed copies on disk; NULL = none is kept

  char *owned_text[5];  // folder, name, device name, weights_why, fallback: what info points at
  char device_text[16]; // "cpu" or "cuda:N", likewise
  float **owned_floats; // norms and biases widened to f32, released with the model
  size_t n_owned_floats;
  pthread_mutex_t lock; // of the device, which does one thing at a time, and of the parts
};

// The lock of a model that is only looked at.
static inline pthread_mutex_t *model_lock(const JanusModel *model) {
  return &((JanusModel *)model)->lock;
}

// Whether the weights still are what was opened: false, with a sentence naming the file, when one
// was shortened, written to or could not be read. Any thread; a system call a file.
bool janus_model_check_files(const JanusModel *model, JanusError *error);

#endif
