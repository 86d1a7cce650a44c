// SPDX-License-Identifier: MIT
// Building the language model and the layers between it and picture tokens.
#include "engine/error.h"
#include "engine/model-parts.h"

#include <math.h>
#include <stdlib.h>

#define LAYER "language_model.model.layers.%d."

// Rounded to 4 bits, a weight of attention costs two to six times the squared error of logits that
// one of the feed-forward part costs, where two thirds of the weights are: attention is sensitive.
static void build_layer(ModelBuilder *b, JanusLayer *layer, int i) {
  const JanusConfig *c = &b->model->config;
  const int n_q = c->n_heads * c->head_dim, n_kv = c->n_kv_heads * c->head_dim;
  b->role = PART_SENSITIVE;
  layer->attention_norm = part_floats(b, c->dim, LAYER "input_layernorm.weight", i);
  part_linear(b, &layer->q, PART_PLAIN, n_q, c->dim, LAYER "self_attn.q_proj.", i);
  part_linear(b, &layer->k, PART_PLAIN, n_kv, c->dim, LAYER "self_attn.k_proj.", i);
  part_linear(b, &layer->v, PART_PLAIN, n_kv, c->dim, LAYER "self_attn.v_proj.", i);
  part_linear(b, &layer->o, PART_PLAIN, c->dim, n_q, LAYER "self_attn.o_proj.", i);
  b->role = PART_LAYER;
  layer->ffn_norm = part_floats(b, c->dim, LAYER "post_attention_layernorm.weight", i);
  part_linear(b, &layer->gate, PART_PLAIN, c->hidden_dim, c->dim, LAYER "mlp.gate_proj.", i);
  part_linear(b, &layer->up, PART_PLAIN, c->hidden_dim, c->dim, LAYER "mlp.up_proj.", i);
  part_linear(b, &layer->down, PART_PLAIN, c->dim, c->hidden_dim, LAYER "mlp.down_proj.", i);
}

// Angles as LlamaRotaryEmbedding makes them: every step rounded to f32.
static void build_rope(ModelBuilder *b) {
  JanusModel *model = b->model;
  const int n_positions = model->config.max_positions, half = model->config.head_dim / 2;
  const size_t n_bytes = (size_t)n_positions * (size_t)half * sizeof(float);
  float *cosines = part_memory(b, n_bytes), *sines = part_memory(b, n_bytes);
  if (!builder_ok(b))
    return;
  for (int i = 0; i < half; i++) {
    const float exponent = (float)(2 * i) / (float)model->config.head_dim;
    const float frequency = 1.0f / powf(model->config.rope_theta, exponent);
    for (int position = 0; position < n_positions; position++) {
      const float angle = (float)position * frequency;
      cosines[(size_t)position * (size_t)half + (size_t)i] = cosf(angle);
      sines[(size_t)position * (size_t)half + (size_t)i] = sinf(angle);
    }
  }
  model->rope_cos = part_place(b, cosines, n_bytes);
  model->rope_sin = part_place(b, sines, n_bytes);
}

static void build_generation_side(ModelBuilder *b) {
  JanusModel *model = b->model;
  const int dim = model->config.dim, n_codes = model->config.n_codes;
  const int embed_dim = part_dim(b, 1, 2, "gen_embed.weight");
  const int head_dim = part_dim(b, 0, 2, "gen_head.output_mlp_projector.weight");
  model->gen_embed = part_table(b, n_codes, embed_dim, "gen_embed.weight");
  model->gen_embed.data =
      part_place(b, model->gen_embed.data,
                 (size_t)n_codes * (size_t)embed_dim * jk_dtype_size(model->gen_embed.dtype));
  b->role = PART_THIN;
  part_linear(b, &model->gen_aligner_in, PART_BIAS, dim, embed_dim, "gen_aligner.layers.0.");
  b->role = PART_SENSITIVE;
  part_linear(b, &model->gen_aligner_out, PART_BIAS, dim, dim, "gen_aligner.layers.2.");
  part_linear(b, &model->gen_head_proj, PART_BIAS, head_dim, dim, "gen_head.output_mlp_projector.");
  part_linear(b, &model->gen_head_vision, PART_BIAS, n_codes, head_dim, "gen_head.vision_head.");
  model->gen_head_dim = head_dim;
}

void model_build_llama(ModelBuilder *b) {
  JanusModel *model = b->model;
  const JanusConfig *c = &model->config;
  b->group = MODEL_LANGUAGE;
  model->text_embedding =
      part_table(b, c->vocab, c->dim, "language_model.model.embed_tokens.weight");
  model->layers = part_memory(b, (size_t)c->n_layers * sizeof *model->layers);
  for (int i = 0; i < c->n_layers && builder_ok(b); i++)
    model->layers[i] = (JanusLayer){0};
  for (int i = 0; i < c->n_layers && builder_ok(b); i++)
    build_layer(b, &model->layers[i], i);
  model->final_norm = part_floats(b, c->dim, "language_model.model.norm.weight");
  build_rope(b);
  build_generation_side(b);
}

// --- lm_head ------------------------------------------------------------------------------------

#define LM_HEAD "language_model.lm_head."

bool model_take_lm_head(JanusModel *model, JanusError *error) {
  ModelBuilder b = {
      .model = model, .folder = model->info.folder, .group = MODEL_HEAD, .role = PART_SENSITIVE};
  if (!model->knows_lm_head)
    part_linear(&b, &model->lm_head, PART_PLAIN, model->config.vocab, model->config.dim, LM_HEAD);
  model->knows_lm_head = builder_ok(&b);
  return builder_ok(&b) ? model_make(model, MODEL_HEAD, NULL, error)
                        : janus_fail(error, b.error.code, "%s", b.error.message);
}

PartBytes model_lm_head_bytes(const JanusModel *model, JanusWeights weights) {
  const ModelPart part = {.group = MODEL_HEAD,
                          .role = PART_SENSITIVE,
                          .weight = tensors_find(model->files, LM_HEAD "weight"),
                          .n_out = model->config.vocab,
                          .n_in = model->config.dim};
  return part.weight ? part_bytes(&part, weights) : (PartBytes){0};
}
