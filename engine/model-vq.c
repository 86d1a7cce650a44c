// SPDX-License-Identifier: MIT
// Building the picture decoder: its widths and block counts come from the tensors.
#include "engine/config.h"
#include "engine/error.h"
#include "engine/model-parts.h"

#include <math.h>
#include <stdio.h>

#define VQ "gen_vision_model."
#define DECODER VQ "decoder."

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

static void widen_to(ModelBuilder *b, int channels) {
  if (channels > b->model->vq.max_channels)
    b->model->vq.max_channels = channels;
}

// A residual block at `prefix` ("...res.0."), whose input has n_in channels.
static VqResBlock build_res(ModelBuilder *b, int n_in, int width_px, const char *prefix) {
  VqResBlock res = {.n_in = n_in};
  res.n_out = part_dim(b, 0, 4, "%sconv1.weight", prefix);
  if (!builder_ok(b))
    return res;
  res.norm1 = part_norm(b, n_in, "%snorm1.", prefix);
  res.conv1 = part_conv(b, res.n_out, n_in, width_px, "%sconv1.", prefix);
  res.norm2 = part_norm(b, res.n_out, "%snorm2.", prefix);
  res.conv2 = part_conv(b, res.n_out, res.n_out, width_px, "%sconv2.", prefix);
  if (n_in != res.n_out)
    res.shortcut = part_linear(b, PART_CONV_1X1, res.n_out, n_in, "%snin_shortcut.", prefix);
  widen_to(b, res.n_out);
  return res;
}

static VqAttention build_attention(ModelBuilder *b, int channels, const char *prefix) {
  return (VqAttention){
      .norm = part_norm(b, channels, "%snorm.", prefix),
      .q = part_linear(b, PART_CONV_1X1, channels, channels, "%sq.", prefix),
      .k = part_linear(b, PART_CONV_1X1, channels, channels, "%sk.", prefix),
      .v = part_linear(b, PART_CONV_1X1, channels, channels, "%sv.", prefix),
      .proj_out = part_linear(b, PART_CONV_1X1, channels, channels, "%sproj_out.", prefix),
  };
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

// Level i, whose input has n_in channels; returns the channels of its output.
static int build_level(ModelBuilder *b, int i, int n_in) {
  VqDecoder *vq = &b->model->vq;
  VqLevel *level = &vq->levels[i];
  const int width_px = b->model->config.grid << i;
  char prefix[96], block[128];
  snprintf(prefix, sizeof prefix, DECODER "conv_blocks.%d.", i);
  level->n_res = count_blocks(b, prefix);
  level->has_attention = i == 0;
  if (i > 0 && part_exists(b, "%sattn.0.norm.weight", prefix))
    janus_fail(&b->error, JANUS_ERROR_UNSUPPORTED,
               "%s: expected attention in the decoder's first level only, found %sattn.0",
               b->folder, prefix);
  for (int j = 0; j < level->n_res; j++) {
    snprintf(block, sizeof block, "%sres.%d.", prefix, j);
    level->res[j] = build_res(b, n_in, width_px, block);
    n_in = level->res[j].n_out;
    snprintf(block, sizeof block, "%sattn.%d.", prefix, j);
    if (level->has_attention)
      level->attention[j] = build_attention(b, n_in, block);
  }
  if (i < vq->n_levels - 1)
    level->upsample = part_conv(b, n_in, n_in, 2 * width_px, "%supsample.conv.", prefix);
  return n_in;
}

// The decoder's attention workspace is as wide as the middle; all levels begin there.
static void build_middle(ModelBuilder *b, int channels) {
  VqDecoder *vq = &b->model->vq;
  const int grid = b->model->config.grid;
  vq->conv_in = part_conv(b, channels, vq->z_channels, grid, DECODER "conv_in.");
  vq->mid_res1 = build_res(b, channels, grid, DECODER "mid.0.");
  vq->mid_attention = build_attention(b, channels, DECODER "mid.1.");
  vq->mid_res2 = build_res(b, channels, grid, DECODER "mid.2.");
  if (builder_ok(b) && (vq->mid_res1.n_out != channels || vq->mid_res2.n_out != channels))
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: expected %d channels throughout " DECODER "mid, found %d and %d", b->folder,
               channels, vq->mid_res1.n_out, vq->mid_res2.n_out);
}

void model_build_vq(ModelBuilder *b) {
  JanusModel *model = b->model;
  VqDecoder *vq = &model->vq;
  build_codebook(b);
  vq->z_channels = part_dim(b, 0, 4, VQ "post_quant_conv.weight");
  vq->post_quant_conv =
      part_linear(b, PART_CONV_1X1, vq->z_channels, model->config.code_dim, VQ "post_quant_conv.");
  int channels = part_dim(b, 0, 4, DECODER "conv_in.weight");
  widen_to(b, channels);
  if (builder_ok(b))
    build_middle(b, channels);
  vq->n_levels = config_count_children(model->files, DECODER "conv_blocks.");
  for (int i = 0; i < vq->n_levels && builder_ok(b); i++)
    channels = build_level(b, i, channels);
  if (!builder_ok(b))
    return;
  vq->norm_out = part_norm(b, channels, DECODER "norm_out.");
  vq->conv_out = part_conv(b, 3, channels, model->config.image_size_px, DECODER "conv_out.");
}

// --- release ------------------------------------------------------------------------------------

static void clear_res(jk_device *dev, VqResBlock *res) {
  dev->conv_free(dev, res->conv1);
  dev->conv_free(dev, res->conv2);
  dev->linear_free(dev, res->shortcut);
}

static void clear_attention(jk_device *dev, VqAttention *attention) {
  dev->linear_free(dev, attention->q);
  dev->linear_free(dev, attention->k);
  dev->linear_free(dev, attention->v);
  dev->linear_free(dev, attention->proj_out);
}

void model_clear_vq(JanusModel *model) {
  jk_device *dev = model->device;
  VqDecoder *vq = &model->vq;
  dev->linear_free(dev, vq->post_quant_conv);
  dev->conv_free(dev, vq->conv_in);
  clear_res(dev, &vq->mid_res1);
  clear_attention(dev, &vq->mid_attention);
  clear_res(dev, &vq->mid_res2);
  for (int i = 0; i < JANUS_MAX_VQ_LEVELS; i++) {
    for (int j = 0; j < JANUS_MAX_RES_BLOCKS; j++) {
      clear_res(dev, &vq->levels[i].res[j]);
      clear_attention(dev, &vq->levels[i].attention[j]);
    }
    dev->conv_free(dev, vq->levels[i].upsample);
  }
  dev->conv_free(dev, vq->conv_out);
}
