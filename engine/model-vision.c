// SPDX-License-Identifier: MIT
// Building the picture encoder: its widths and block counts come from the tensors. The pooling head
// "attn_pool" that checkpoints carry is never run.
#include "engine/config.h"
#include "engine/error.h"
#include "engine/model-parts.h"

#define TOWER "vision_model.vision_tower."
#define BLOCK TOWER "blocks.%d."

// One tensor of the original's, three of the port's.
static void build_qkv(ModelBuilder *b, SiglipBlock *block, int i) {
  const int dim = b->model->siglip.dim;
  jk_linear **const qkv[3] = {&block->q, &block->k, &block->v};
  if (tensors_get_layout(b->model->files) == JANUS_LAYOUT_TRANSFORMERS) {
    part_linear(b, qkv[0], PART_BIAS, dim, dim, BLOCK "attn.q.", i);
    part_linear(b, qkv[1], PART_BIAS, dim, dim, BLOCK "attn.k.", i);
    part_linear(b, qkv[2], PART_BIAS, dim, dim, BLOCK "attn.v.", i);
  } else {
    part_qkv(b, dim, qkv, BLOCK "attn.qkv.", i);
  }
}

static void build_block(ModelBuilder *b, SiglipBlock *block, int i) {
  const int dim = b->model->siglip.dim, hidden_dim = b->model->siglip.hidden_dim;
  block->norm1 = part_layer_norm(b, dim, BLOCK "norm1.", i);
  build_qkv(b, block, i);
  part_linear(b, &block->proj, PART_BIAS, dim, dim, BLOCK "attn.proj.", i);
  block->norm2 = part_layer_norm(b, dim, BLOCK "norm2.", i);
  part_linear(b, &block->fc1, PART_BIAS, hidden_dim, dim, BLOCK "mlp.fc1.", i);
  part_linear(b, &block->fc2, PART_BIAS, dim, hidden_dim, BLOCK "mlp.fc2.", i);
}

// Heads of 64 unless config.json says how many there are.
static void count_heads(ModelBuilder *b) {
  Siglip *siglip = &b->model->siglip;
  const int stated = b->model->config.n_vision_heads, dim = siglip->dim;
  siglip->n_heads = stated ? stated : dim < 64 ? 1 : dim / 64;
  if (builder_ok(b) && dim % siglip->n_heads != 0)
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s/config.json: %s: expected a divisor of the width %d of the position embeddings, "
               "found %d",
               b->folder, CONFIG_KEY(tensors_get_layout(b->model->files), n_vision_heads), dim,
               siglip->n_heads);
}

static void count_blocks(ModelBuilder *b) {
  enum { MOST = 1024 };
  const int n = config_count_children(b->model->files, TOWER "blocks.");
  if (builder_ok(b) && (n < 1 || n > MOST))
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: expected 1 to %d blocks " TOWER "blocks.*, found %d", b->folder, MOST, n);
  b->model->siglip.n_blocks = builder_ok(b) ? n : 0;
}

void model_build_vision(ModelBuilder *b) {
  const JanusConfig *c = &b->model->config;
  Siglip *siglip = &b->model->siglip;
  const bool is_port = tensors_get_layout(b->model->files) == JANUS_LAYOUT_TRANSFORMERS;
  siglip->dim =
      is_port ? part_dim(b, 1, 2, TOWER "pos_embed") : part_dim(b, 2, 3, TOWER "pos_embed");
  siglip->hidden_dim = part_dim(b, 0, 2, BLOCK "mlp.fc1.weight", 0);
  if (!builder_ok(b))
    return;
  count_heads(b);
  count_blocks(b);
  siglip->pos_embed = part_positions(b, c->n_image_tokens, siglip->dim, TOWER "pos_embed");
  b->group = MODEL_SIGLIP;
  b->role = PART_THIN;
  part_patches(b, &siglip->patch_embed, siglip->dim, c->patch_size_px, TOWER "patch_embed.proj.");
  b->role = PART_VISION;
  siglip->blocks = part_memory(b, (size_t)siglip->n_blocks * sizeof *siglip->blocks);
  for (int i = 0; i < siglip->n_blocks && builder_ok(b); i++)
    siglip->blocks[i] = (SiglipBlock){0};
  for (int i = 0; i < siglip->n_blocks && builder_ok(b); i++)
    build_block(b, &siglip->blocks[i], i);
  siglip->norm = part_layer_norm(b, siglip->dim, TOWER "norm.");
  part_linear(b, &b->model->aligner_in, PART_BIAS, c->dim, siglip->dim, "aligner.layers.0.");
  part_linear(b, &b->model->aligner_out, PART_BIAS, c->dim, c->dim, "aligner.layers.2.");
}
