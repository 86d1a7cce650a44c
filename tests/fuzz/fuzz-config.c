// SPDX-License-Identifier: MIT
// Any bytes as config.json, preprocessor_config.json, processor_config.json and
// generation_config.json, a NUL between them: refused with a sentence, or sizes that fit each other
// and the tensors.
#include "engine/config.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"config.json", "preprocessor_config.json",
                                    "processor_config.json", "generation_config.json"};
enum { N_NAMES = sizeof names / sizeof *names };

// Shapes that config_resolve() looks at; the values are a hole in the file.
static const struct {
  const char *name;
  int n_rows, n_cols;
} tensors[] = {
    {"language_model.model.embed_tokens.weight", 384, 64},
    {"language_model.model.layers.0.mlp.gate_proj.weight", 176, 64},
    {"language_model.model.layers.1.mlp.gate_proj.weight", 176, 64},
    {"gen_vision_model.quantize.embedding.weight", 256, 8},
    {"gen_vision_model.decoder.conv_blocks.4.x", 1, 1},
    {"gen_embed.weight", 256, 8},
    {"gen_head.output_mlp_projector.weight", 64, 64},
    {"gen_head.vision_head.weight", 256, 64},
    {"aligner.layers.0.weight", 64, 48},
};

static TensorSet *make_tensors(void) {
  char header[4096];
  size_t n = 1, at = 0;
  header[0] = '{';
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
    const size_t n_bytes = 2 * (size_t)tensors[i].n_rows * (size_t)tensors[i].n_cols;
    n += (size_t)snprintf(
        header + n, sizeof header - n,
        "%s\"%s\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[%zu,%zu]}", i ? "," : "",
        tensors[i].name, tensors[i].n_rows, tensors[i].n_cols, at, at + n_bytes);
    at += n_bytes;
  }
  header[n++] = '}';
  char file[4096 + 8] = {(char)(n & 255), (char)(n >> 8)};
  memcpy(file + 8, header, n);
  fuzz_write("tensors", file, 8 + n);
  if (truncate(fuzz_path("tensors"), (off_t)(8 + n + at)) != 0)
    exit(99);
  return tensors_open_file(fuzz_path("tensors"), NULL);
}

static void write_files(const uint8_t *data, size_t n_bytes) {
  for (int i = 0; i < N_NAMES; i++) {
    const uint8_t *end = n_bytes ? memchr(data, 0, n_bytes) : NULL;
    const size_t n = end ? (size_t)(end - data) : n_bytes;
    if (n > 0 || i == 0)
      fuzz_write(names[i], data, n);
    else
      unlink(fuzz_path(names[i]));
    data = end ? end + 1 : data + n;
    n_bytes -= end ? n + 1 : n;
  }
}

static void check_sizes(const JanusConfig *c) {
  const int widest = 1 << 24;
  bool ok = c->n_heads > 0 && c->n_kv_heads > 0 && c->n_heads % c->n_kv_heads == 0 &&
            c->head_dim > 0 && c->head_dim <= widest / c->n_heads && c->n_layers == 2;
  ok = ok && c->grid > 0 && c->grid * c->patch_size_px == c->image_size_px &&
       c->n_image_tokens == c->grid * c->grid && c->n_image_tokens < c->max_positions;
  ok = ok && c->norm_eps > 0 && isfinite(c->norm_eps) && c->rope_theta > 0 &&
       isfinite(c->rope_theta) && isfinite(c->defaults.cfg) && isfinite(c->defaults.image_cfg) &&
       c->defaults.temperature >= 0 && c->rules.min_size_px <= c->image_size_px;
  for (int i = 0; i < 3; i++)
    ok = ok && isfinite(c->rules.mean[i]) && c->rules.std[i] > 0;
  if (!ok)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  static TensorSet *files;
  StatedConfig stated;
  JanusConfig config;
  JanusError error = {0};
  if (!files && !(files = make_tensors()))
    exit(99);
  write_files(data, n_bytes);
  const bool ok = config_read(fuzz_folder(), &stated, &error) &&
                  config_resolve(fuzz_folder(), &stated, files, &config, &error);
  if (ok)
    check_sizes(&config);
  else if (error.code == JANUS_ERROR_NONE || error.message[0] == '\0')
    abort();
  return 0;
}
