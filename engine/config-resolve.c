// SPDX-License-Identifier: MIT
// The model's sizes: from tensor shapes and counts where these tell them, else from config.json,
// else the defaults of LlamaConfig and of the original.
#include "engine/config.h"

#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CHILDREN = 4096, MAX_DIM = 1 << 24, MAX_ROPE_POSITIONS = 16384 };

typedef struct Resolver {
  const char *folder;
  const StatedConfig *stated;
  const TensorSet *files;
  JanusConfig *config;
  JanusError *error;
} Resolver;

int config_count_children(const TensorSet *files, const char *prefix) {
  char stored[LAYOUT_NAME_BYTES];
  tensors_stored_name(files, prefix, stored);
  const size_t n_prefix = strlen(stored);
  long most = 0;
  for (size_t i = 0; i < tensors_count(files); i++) {
    const char *name = tensors_get(files, i)->name;
    char *end = NULL;
    if (strncmp(name, stored, n_prefix) != 0 || name[n_prefix] < '0' || name[n_prefix] > '9')
      continue;
    const long index = strtol(name + n_prefix, &end, 10);
    if (*end == '.' && index >= most)
      most = index < MAX_CHILDREN ? index + 1 : MAX_CHILDREN + 1;
  }
  return (int)most;
}

static const Tensor *find(const Resolver *r, const char *name, int n_dims) {
  const Tensor *tensor = tensors_find(r->files, name);
  char shape[TENSOR_SHAPE_TEXT], stored[LAYOUT_NAME_BYTES];
  if (!tensor) {
    janus_fail(r->error, JANUS_ERROR_FORMAT, "%s: expected a tensor %s, found none", r->folder,
               tensors_stored_name(r->files, name, stored));
    return NULL;
  }
  bool ok = tensor->n_dims == n_dims;
  for (int i = 0; i < n_dims && ok; i++)
    ok = tensor->dims[i] > 0 && tensor->dims[i] <= MAX_DIM;
  if (ok)
    return tensor;
  janus_fail(r->error, JANUS_ERROR_FORMAT, "%s: tensor %s: expected %d dimensions, found shape %s",
             tensor->file, tensor->name, n_dims,
             tensor_shape_text(tensor->dims, tensor->n_dims, shape));
  return NULL;
}

// A size that a tensor's shape tells, where config.json states it too.
static bool agree_field(const Resolver *r, size_t field, int64_t found, const Tensor *tensor) {
  char shape[TENSOR_SHAPE_TEXT];
  const int stated = *(const int *)(const void *)((const char *)r->stated + field);
  if (stated == 0 || stated == found)
    return true;
  return janus_fail(r->error, JANUS_ERROR_FORMAT,
                    "%s/config.json: %s: expected %lld as tensor %s has shape %s, found %d",
                    r->folder, config_key(r->stated->layout, field), (long long)found, tensor->name,
                    tensor_shape_text(tensor->dims, tensor->n_dims, shape), stated);
}

#define AGREE(r, field, found, tensor) agree_field(r, offsetof(StatedConfig, field), found, tensor)
#define KEY(r, field) CONFIG_KEY((r)->stated->layout, field)

static bool resolve_llama_sizes(const Resolver *r) {
  const StatedConfig *s = r->stated;
  JanusConfig *c = r->config;
  const Tensor *embed = find(r, "language_model.model.embed_tokens.weight", 2);
  const Tensor *gate = find(r, "language_model.model.layers.0.mlp.gate_proj.weight", 2);
  if (!embed || !gate)
    return false;
  c->vocab = (int)embed->dims[0];
  c->dim = (int)embed->dims[1];
  c->hidden_dim = (int)gate->dims[0];
  c->n_layers = config_count_children(r->files, "language_model.model.layers.");
  if (c->n_layers > MAX_CHILDREN)
    return janus_fail(r->error, JANUS_ERROR_FORMAT, "%s: expected at most %d layers, found more",
                      r->folder, MAX_CHILDREN);
  if (s->n_layers && s->n_layers != c->n_layers)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s is %d, but the weights hold %d layers", r->folder,
                      KEY(r, n_layers), s->n_layers, c->n_layers);
  return AGREE(r, vocab, c->vocab, embed) && AGREE(r, dim, c->dim, embed) &&
         AGREE(r, hidden_dim, c->hidden_dim, gate);
}

// Shapes do not tell how many heads share a row; they only have to fit (model.c checks that).
static bool resolve_heads(const Resolver *r) {
  const StatedConfig *s = r->stated;
  JanusConfig *c = r->config;
  c->n_heads = s->n_heads ? s->n_heads : 32;
  c->n_kv_heads = s->n_kv_heads ? s->n_kv_heads : c->n_heads;
  if (!s->head_dim && c->dim % c->n_heads != 0)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s: expected a divisor of the width %d, found %d", r->folder,
                      KEY(r, n_heads), c->dim, c->n_heads);
  c->head_dim = s->head_dim ? s->head_dim : c->dim / c->n_heads;
  if (c->head_dim > MAX_DIM / c->n_heads)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s and head_dim: expected a product of at most %d, found %d "
                      "times %d",
                      r->folder, KEY(r, n_heads), MAX_DIM, c->n_heads, c->head_dim);
  if (c->head_dim % 2 != 0)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: expected an even width of attention heads, found %d",
                      r->folder, c->head_dim);
  if (c->n_heads % c->n_kv_heads != 0)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s: expected a divisor of the %d heads, found %d", r->folder,
                      KEY(r, n_kv_heads), c->n_heads, c->n_kv_heads);
  c->max_positions = s->max_positions ? s->max_positions : 2048;
  if (c->max_positions > MAX_ROPE_POSITIONS)
    c->max_positions = MAX_ROPE_POSITIONS;
  c->norm_eps = s->norm_eps > 0 ? (float)s->norm_eps : 1e-6f;
  c->rope_theta = s->rope_theta > 0 ? (float)s->rope_theta : 10000.0f;
  return true;
}

static bool resolve_codes(const Resolver *r) {
  const StatedConfig *s = r->stated;
  JanusConfig *c = r->config;
  const Tensor *book = find(r, "gen_vision_model.quantize.embedding.weight", 2);
  const Tensor *embed = find(r, "gen_embed.weight", 2);
  const Tensor *proj = find(r, "gen_head.output_mlp_projector.weight", 2);
  const Tensor *head = find(r, "gen_head.vision_head.weight", 2);
  if (!book || !embed || !proj || !head)
    return false;
  c->n_codes = (int)book->dims[0];
  c->code_dim = (int)book->dims[1];
  c->vq_norm_groups = s->vq_norm_groups ? s->vq_norm_groups : 32;
  c->vq_norm_eps = 1e-6f;
  return AGREE(r, n_codes, c->n_codes, book) && AGREE(r, code_dim, c->code_dim, book) &&
         AGREE(r, gen_embed_dim, embed->dims[1], embed) &&
         AGREE(r, gen_aligner_dim, proj->dims[1], proj) &&
         AGREE(r, gen_head_input, proj->dims[1], proj) &&
         AGREE(r, gen_head_dim, proj->dims[0], proj) && AGREE(r, n_head_codes, head->dims[0], head);
}

static bool resolve_aligner(const Resolver *r) {
  const Tensor *in = find(r, "aligner.layers.0.weight", 2);
  return in && AGREE(r, aligner_input, in->dims[1], in) && AGREE(r, aligner_dim, in->dims[0], in);
}

static bool resolve_picture(const Resolver *r) {
  const StatedConfig *s = r->stated;
  JanusConfig *c = r->config;
  static const char levels[] = "gen_vision_model.decoder.conv_blocks.";
  const int n_levels = config_count_children(r->files, levels);
  char stored[LAYOUT_NAME_BYTES];
  if (n_levels < 1 || n_levels > JANUS_MAX_VQ_LEVELS)
    return janus_fail(r->error, JANUS_ERROR_FORMAT, "%s: expected 1 to %d levels %s*, found %d",
                      r->folder, JANUS_MAX_VQ_LEVELS, tensors_stored_name(r->files, levels, stored),
                      n_levels);
  c->image_size_px = s->image_size_px ? s->image_size_px : 384;
  c->patch_size_px = 1 << (n_levels - 1);
  if (s->preprocessor_px && s->preprocessor_px != c->image_size_px)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/preprocessor_config.json: %ssize: expected %d as %s of config.json, "
                      "found %d",
                      r->folder, s->layout == JANUS_LAYOUT_ORIGINAL ? "image_" : "",
                      c->image_size_px, KEY(r, image_size_px), s->preprocessor_px);
  if (c->image_size_px % c->patch_size_px != 0)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s: expected a multiple of %d for a decoder of %d levels, "
                      "found %d",
                      r->folder, KEY(r, image_size_px), c->patch_size_px, n_levels,
                      c->image_size_px);
  c->grid = c->image_size_px / c->patch_size_px;
  c->n_image_tokens = c->grid * c->grid;
  if (s->n_image_tokens && s->n_image_tokens != c->n_image_tokens)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/processor_config.json: num_image_tokens: expected %d (%d x %d, pictures "
                      "of %d pixels in patches of %d), found %d",
                      r->folder, c->n_image_tokens, c->grid, c->grid, c->image_size_px,
                      c->patch_size_px, s->n_image_tokens);
  if (c->rules.min_size_px > c->image_size_px)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/preprocessor_config.json: min_size: expected at most image_size %d, "
                      "found %d",
                      r->folder, c->image_size_px, c->rules.min_size_px);
  if (c->n_image_tokens >= c->max_positions)
    return janus_fail(r->error, JANUS_ERROR_FORMAT,
                      "%s/config.json: %s: expected more than the %d tokens of a picture, found %d",
                      r->folder, KEY(r, max_positions), c->n_image_tokens, c->max_positions);
  return true;
}

bool config_resolve(const char *folder, const StatedConfig *stated, const TensorSet *files,
                    JanusConfig *config, JanusError *error) {
  const Resolver r = {folder, stated, files, config, error};
  *config = (JanusConfig){.defaults = stated->defaults,
                          .describes = stated->describes,
                          .rules = stated->rules,
                          .n_vision_heads = stated->n_vision_heads};
  return resolve_llama_sizes(&r) && resolve_heads(&r) && resolve_codes(&r) && resolve_aligner(&r) &&
         resolve_picture(&r);
}
