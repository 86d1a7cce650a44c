// SPDX-License-Identifier: MIT
// The two ways in which checkpoints name their tensors. The port in transformers also splits
// SigLIP's attn.qkv in three and drops the first dimension of pos_embed (model-vision.c).
#include "engine/layout.h"

#include <stdio.h>
#include <string.h>

typedef struct Rename {
  const char *from, *to;
} Rename;

static const Rename vision_parts[] = {
    {".norm1.", ".layer_norm1."},
    {".norm2.", ".layer_norm2."},
    {".attn.q.", ".self_attn.q_proj."},
    {".attn.k.", ".self_attn.k_proj."},
    {".attn.v.", ".self_attn.v_proj."},
    {".attn.proj.", ".self_attn.projection_layer."},
    {0},
};

static const Rename vq_parts[] = {
    {".res.", ".block."},
    {".mid.0.", ".mid.block_1."},
    {".mid.1.", ".mid.attn_1."},
    {".mid.2.", ".mid.block_2."},
    {0},
};

// How names begin, and which of the rest's parts differ too. The first that fits counts.
static const struct {
  Rename beginning;
  const Rename *parts;
} renames[] = {
    {{"language_model.model.", "model.language_model."}, NULL},
    {{"language_model.lm_head.", "lm_head."}, NULL},
    {{"vision_model.vision_tower.blocks.", "model.vision_model.encoder.layers."}, vision_parts},
    {{"vision_model.vision_tower.pos_embed",
      "model.vision_model.embeddings.position_embedding.weight"},
     NULL},
    {{"vision_model.vision_tower.patch_embed.proj.",
      "model.vision_model.embeddings.patch_embedding."},
     NULL},
    {{"vision_model.vision_tower.norm.", "model.vision_model.post_layernorm."}, NULL},
    {{"aligner.layers.0.", "model.aligner.fc1."}, NULL},
    {{"aligner.layers.2.", "model.aligner.hidden_layers.0."}, NULL},
    {{"gen_aligner.layers.0.", "model.generation_aligner.fc1."}, NULL},
    {{"gen_aligner.layers.2.", "model.generation_aligner.hidden_layers.0."}, NULL},
    {{"gen_head.output_mlp_projector.", "model.generation_head.proj_out."}, NULL},
    {{"gen_head.vision_head.", "model.generation_head.vision_head."}, NULL},
    {{"gen_embed.", "model.generation_embeddings."}, NULL},
    {{"gen_vision_model.decoder.conv_blocks.", "model.vqmodel.decoder.up."}, vq_parts},
    {{"gen_vision_model.encoder.conv_blocks.", "model.vqmodel.encoder.down."}, vq_parts},
    {{"gen_vision_model.", "model.vqmodel."}, vq_parts},
};

const char *layout_text(JanusLayout layout) {
  return layout == JANUS_LAYOUT_TRANSFORMERS ? "transformers" : "original";
}

// Puts the first of `parts` that stands in `text` right.
static void rename_part(const Rename *parts, char text[LAYOUT_NAME_BYTES]) {
  for (; parts && parts->from; parts++) {
    char *found = strstr(text, parts->from);
    if (!found)
      continue;
    char rest[LAYOUT_NAME_BYTES];
    snprintf(rest, sizeof rest, "%s", found + strlen(parts->from));
    snprintf(found, LAYOUT_NAME_BYTES - (size_t)(found - text), "%s%s", parts->to, rest);
    return;
  }
}

const char *layout_name(JanusLayout layout, const char *name, char text[LAYOUT_NAME_BYTES]) {
  const char *beginning = "", *rest = name;
  const Rename *parts = NULL;
  for (size_t i = 0; layout != JANUS_LAYOUT_ORIGINAL && i < sizeof renames / sizeof *renames; i++) {
    const Rename *rename = &renames[i].beginning;
    if (strncmp(name, rename->from, strlen(rename->from)) != 0)
      continue;
    beginning = rename->to;
    rest = name + strlen(rename->from);
    parts = renames[i].parts;
    break;
  }
  snprintf(text, LAYOUT_NAME_BYTES, "%s%s", beginning, rest);
  rename_part(parts, text);
  return text;
}
