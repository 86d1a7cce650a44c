// SPDX-License-Identifier: MIT
// Building the halves of the picture tokens' autoencoder: widths and block counts come from the
// tensors.
#include "engine/config.h"
#include "engine/error.h"
#include "engine/model-parts.h"

#include <math.h>
#include <stdio.h>

#define VQ "gen_vision_model."
#define DECODER VQ "decoder."
#define ENCODER VQ "encoder."

// F.normalize over each row with eps 1e-12.
static void build_codebook(ModelBuilder *b) {
  const JanusConfig *c = &b->model->config;
  const jk_weight table = part_table(b, c->n_codes, c->code_dim, VQ "quantize.embedding.weight");
  const size_t n_codes = (size_t)c->n_codes, width = (size_t)c->code_dim;
  float *book = part_memory(b, n_codes * width * sizeof *book);
  if (!builder_ok(b))
    return;
  jk_widen(book, table.data, table.dtype, n_codes * width);
  for (size_t i = 0; i < n_codes; i++) {
    float *row = book + i * width;
    double sum = 0;
    for (size_t j = 0; j < width; j++)
      sum += (double)row[j] * (double)row[j];
    const float length = fmaxf((float)sqrt(sum), 1e-12f);
    for (size_t j = 0; j < width; j++)
      row[j] /= length;
  }
  b->model->vq.codebook = book;
}

// A residual block at `prefix` ("...res.0."), whose input has n_in channels.
static void build_res(ModelBuilder *b, VqResBlock *res, int n_in, int width_px,
                      const char *prefix) {
  *res = (VqResBlock){.n_in = n_in, .n_out = part_dim(b, 0, 4, "%sconv1.weight", prefix)};
  if (!builder_ok(b))
    return;
  res->norm1 = part_norm(b, n_in, "%snorm1.", prefix);
  part_conv(b, &res->conv1, res->n_out, n_in, width_px, "%sconv1.", prefix);
  res->norm2 = part_norm(b, res->n_out, "%snorm2.", prefix);
  part_conv(b, &res->conv2, res->n_out, res->n_out, width_px, "%sconv2.", prefix);
  if (n_in != res->n_out)
    part_linear(b, &res->shortcut, PART_CONV_1X1, res->n_out, n_in, "%snin_shortcut.", prefix);
}

static void build_attention(ModelBuilder *b, VqAttention *attention, int channels,
                            const char *prefix) {
  attention->norm = part_norm(b, channels, "%snorm.", prefix);
  part_linear(b, &attention->q, PART_CONV_1X1, channels, channels, "%sq.", prefix);
  part_linear(b, &attention->k, PART_CONV_1X1, channels, channels, "%sk.", prefix);
  part_linear(b, &attention->v, PART_CONV_1X1, channels, channels, "%sv.", prefix);
  part_linear(b, &attention->proj_out, PART_CONV_1X1, channels, channels, "%sproj_out.", prefix);
}

static int count_blocks(ModelBuilder *b, const char *level) {
  char prefix[128];
  snprintf(prefix, sizeof prefix, "%sres.", level);
  const int n = config_count_children(b->model->files, prefix);
  if (builder_ok(b) && (n < 1 || n > JANUS_MAX_RES_BLOCKS))
    janus_fail(&b->error, JANUS_ERROR_FORMAT, "%s: expected 1 to %d blocks %s*, found %d",
               b->folder, JANUS_MAX_RES_BLOCKS, prefix, n);
  return builder_ok(b) ? n : 0;
}

// Where a level lies, and what it does.
typedef struct LevelPlace {
  const char *half;     // "gen_vision_model.decoder."
  const char *resample; // "upsample.conv.", or NULL on the last level
  int index;
  int width_px, next_width_px; // of the output, and after resampling
  bool has_attention;
} LevelPlace;

// A level whose input has n_in channels; returns the channels of its output.
static int build_level(ModelBuilder *b, VqLevel *level, const LevelPlace *place, int n_in) {
  char prefix[96], block[128];
  snprintf(prefix, sizeof prefix, "%sconv_blocks.%d.", place->half, place->index);
  level->n_res = count_blocks(b, prefix);
  level->has_attention = place->has_attention;
  if (!place->has_attention && part_exists(b, "%sattn.0.norm.weight", prefix))
    janus_fail(&b->error, JANUS_ERROR_UNSUPPORTED,
               "%s: expected attention in the deepest level of %s only, found %sattn.0", b->folder,
               place->half, prefix);
  for (int j = 0; j < level->n_res; j++) {
    snprintf(block, sizeof block, "%sres.%d.", prefix, j);
    build_res(b, &level->res[j], n_in, place->width_px, block);
    n_in = level->res[j].n_out;
    snprintf(block, sizeof block, "%sattn.%d.", prefix, j);
    if (level->has_attention)
      build_attention(b, &level->attention[j], n_in, block);
  }
  if (place->resample)
    part_conv(b, &level->resample, n_in, n_in, place->next_width_px, "%s%s", prefix,
              place->resample);
  return n_in;
}

static void build_middle(ModelBuilder *b, VqMiddle *middle, int channels, const char *half) {
  const int grid = b->model->config.grid;
  char block[96];
  snprintf(block, sizeof block, "%smid.0.", half);
  build_res(b, &middle->res1, channels, grid, block);
  snprintf(block, sizeof block, "%smid.1.", half);
  build_attention(b, &middle->attention, channels, block);
  snprintf(block, sizeof block, "%smid.2.", half);
  build_res(b, &middle->res2, channels, grid, block);
  if (builder_ok(b) && (middle->res1.n_out != channels || middle->res2.n_out != channels))
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: expected %d channels throughout %smid, found %d and %d", b->folder, channels,
               half, middle->res1.n_out, middle->res2.n_out);
}

static void build_decoder(ModelBuilder *b) {
  JanusModel *model = b->model;
  VqDecoder *vq = &model->vq;
  const int grid = model->config.grid;
  vq->z_channels = part_dim(b, 0, 4, VQ "post_quant_conv.weight");
  b->group = MODEL_DECODER;
  b->role = PART_THIN;
  part_linear(b, &vq->post_quant_conv, PART_CONV_1X1, vq->z_channels, model->config.code_dim,
              VQ "post_quant_conv.");
  b->role = PART_VISION;
  int channels = part_dim(b, 0, 4, DECODER "conv_in.weight");
  if (!builder_ok(b))
    return;
  part_conv(b, &vq->conv_in, channels, vq->z_channels, grid, DECODER "conv_in.");
  build_middle(b, &vq->middle, channels, DECODER);
  vq->n_levels = config_count_children(model->files, DECODER "conv_blocks.");
  for (int i = 0; i < vq->n_levels && builder_ok(b); i++) {
    const LevelPlace place = {.half = DECODER,
                              .resample = i < vq->n_levels - 1 ? "upsample.conv." : NULL,
                              .index = i,
                              .width_px = grid << i,
                              .next_width_px = grid << (i + 1),
                              .has_attention = i == 0};
    channels = build_level(b, &vq->levels[i], &place, channels);
  }
  if (!builder_ok(b))
    return;
  vq->norm_out = part_norm(b, channels, DECODER "norm_out.");
  b->role = PART_THIN; // what it rounded would be seen, and three outputs fill no vector
  part_conv(b, &vq->conv_out, 3, channels, model->config.image_size_px, DECODER "conv_out.");
}

static void build_encoder(ModelBuilder *b) {
  JanusModel *model = b->model;
  VqEncoder *vq = &model->vq_encoder;
  const int n_levels = config_count_children(model->files, ENCODER "conv_blocks.");
  const int size = model->config.image_size_px;
  int channels = part_dim(b, 0, 4, ENCODER "conv_in.weight");
  if (builder_ok(b) && n_levels != model->vq.n_levels)
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: expected %d levels " ENCODER "conv_blocks as the decoder has, found %d",
               b->folder, model->vq.n_levels, n_levels);
  if (!builder_ok(b))
    return;
  vq->n_levels = n_levels;
  b->group = MODEL_ENCODER;
  b->role = PART_THIN; // three channels of pixels, which have more than eight bits here
  part_conv(b, &vq->conv_in, channels, 3, size, ENCODER "conv_in.");
  b->role = PART_VISION;
  for (int i = 0; i < n_levels && builder_ok(b); i++) {
    const LevelPlace place = {.half = ENCODER,
                              .resample = i < n_levels - 1 ? "downsample.conv." : NULL,
                              .index = i,
                              .width_px = size >> i,
                              .next_width_px = size >> (i + 1),
                              .has_attention = i == n_levels - 1};
    channels = build_level(b, &vq->levels[i], &place, channels);
  }
  if (!builder_ok(b))
    return;
  build_middle(b, &vq->middle, channels, ENCODER);
  vq->norm_out = part_norm(b, channels, ENCODER "norm_out.");
  part_conv(b, &vq->conv_out, model->vq.z_channels, channels, model->config.grid,
            ENCODER "conv_out.");
  b->role = PART_THIN;
  part_linear(b, &vq->quant_conv, PART_CONV_1X1, model->config.code_dim, model->vq.z_channels,
              VQ "quant_conv.");
}

void model_build_vq(ModelBuilder *b) {
  build_codebook(b);
  build_decoder(b);
  if (builder_ok(b))
    build_encoder(b);
}
