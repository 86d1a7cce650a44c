// SPDX-License-Identifier: MIT
// Models of random weights with a real one's dimensions: their tensors' names and shapes, where the
// values lie, and a tokenizer that needs no file.
#include "engine/synthetic.h"

#include "engine/error.h"
#include "engine/tensors-files.h"
#include "engine/tokenizer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// What the sizes of the family share.
enum {
  VOCAB = 102400,
  MAX_POSITIONS = 16384,
  N_CODES = 16384,
  CODE_DIM = 8,
  SIGLIP_DIM = 1024,
  SIGLIP_BLOCKS = 24,
  GRID = 24,
  PATCH_PX = 16,
  Z_CHANNELS = 256,
  N_LEVELS = 5,
};

static const int level_channels[N_LEVELS] = {128, 128, 256, 256, 512};

typedef struct SyntheticSizes {
  const char *name;
  int dim, hidden_dim, n_layers, n_heads;
} SyntheticSizes;

static const SyntheticSizes known_sizes[] = {
    {"janus-pro-1b", 2048, 5632, 24, 16},
    {"janus-pro-7b", 4096, 11008, 30, 32},
};

// --- names and shapes ---------------------------------------------------------------------------

// Adds tensors one after another; the first failure stays.
typedef struct Lister {
  TensorFile file;
  size_t n_bytes; // of the tensors so far, each on pages of its own
  bool ok;
  JanusError *error;
} Lister;

typedef struct Shape {
  int n_dims;
  int64_t dims[4];
} Shape;

#define SHAPE(...)                                                                                 \
  (Shape) {                                                                                        \
    sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), {                                          \
      __VA_ARGS__                                                                                  \
    }                                                                                              \
  }

// `data` is the place behind the beginning until there is memory.
static void add(Lister *l, Shape shape, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(Lister *l, Shape shape, const char *format, ...) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char name[LAYOUT_NAME_BYTES];
  va_list args;
  va_start(args, format);
  vsnprintf(name, sizeof name, format, args);
  va_end(args);
  Tensor tensor = {.data = (const void *)(uintptr_t)l->n_bytes,
                   .is_aligned = true,
                   .dtype_text = "BF16",
                   .is_float = true,
                   .dtype = JK_BF16,
                   .n_dims = shape.n_dims};
  memcpy(tensor.dims, shape.dims, sizeof shape.dims);
  tensor_count_bytes(shape.dims, shape.n_dims, sizeof(uint16_t), &tensor.n_bytes);
  l->n_bytes += (tensor.n_bytes + page - 1) / page * page;
  l->ok = l->ok && tensors_add(&l->file, name, &tensor, l->error);
}

static void add_linear(Lister *l, int n_out, int n_in, const char *prefix) {
  add(l, SHAPE(n_out, n_in), "%sweight", prefix);
  add(l, SHAPE(n_out), "%sbias", prefix);
}

static void add_norm(Lister *l, int channels, const char *prefix, const char *name) {
  add(l, SHAPE(channels), "%s%s.weight", prefix, name);
  add(l, SHAPE(channels), "%s%s.bias", prefix, name);
}

static void add_conv(Lister *l, int n_out, int n_in, int size, const char *prefix,
                     const char *name) {
  add(l, SHAPE(n_out, n_in, size, size), "%s%s.weight", prefix, name);
  add(l, SHAPE(n_out), "%s%s.bias", prefix, name);
}

static void list_llama(Lister *l, const SyntheticSizes *s) {
  add(l, SHAPE(VOCAB, s->dim), "language_model.model.embed_tokens.weight");
  for (int i = 0; i < s->n_layers; i++) {
    char prefix[64];
    snprintf(prefix, sizeof prefix, "language_model.model.layers.%d.", i);
    add(l, SHAPE(s->dim), "%sinput_layernorm.weight", prefix);
    add(l, SHAPE(s->dim), "%spost_attention_layernorm.weight", prefix);
    for (const char *c = "qkvo"; *c; c++)
      add(l, SHAPE(s->dim, s->dim), "%sself_attn.%c_proj.weight", prefix, *c);
    add(l, SHAPE(s->hidden_dim, s->dim), "%smlp.gate_proj.weight", prefix);
    add(l, SHAPE(s->hidden_dim, s->dim), "%smlp.up_proj.weight", prefix);
    add(l, SHAPE(s->dim, s->hidden_dim), "%smlp.down_proj.weight", prefix);
  }
  add(l, SHAPE(s->dim), "language_model.model.norm.weight");
}

static void list_borders(Lister *l, const SyntheticSizes *s) {
  add(l, SHAPE(N_CODES, CODE_DIM), "gen_embed.weight");
  add_linear(l, s->dim, CODE_DIM, "gen_aligner.layers.0.");
  add_linear(l, s->dim, s->dim, "gen_aligner.layers.2.");
  add_linear(l, s->dim, s->dim, "gen_head.output_mlp_projector.");
  add_linear(l, N_CODES, s->dim, "gen_head.vision_head.");
  add_linear(l, s->dim, SIGLIP_DIM, "aligner.layers.0.");
  add_linear(l, s->dim, s->dim, "aligner.layers.2.");
}

#define TOWER "vision_model.vision_tower."

static void list_siglip(Lister *l) {
  const int dim = SIGLIP_DIM;
  add(l, SHAPE(1, GRID * GRID, dim), TOWER "pos_embed");
  add_conv(l, dim, 3, PATCH_PX, TOWER, "patch_embed.proj");
  for (int i = 0; i < SIGLIP_BLOCKS; i++) {
    char prefix[64], layer[96];
    snprintf(prefix, sizeof prefix, TOWER "blocks.%d.", i);
    add_norm(l, dim, prefix, "norm1");
    add_norm(l, dim, prefix, "norm2");
    snprintf(layer, sizeof layer, "%sattn.qkv.", prefix);
    add_linear(l, 3 * dim, dim, layer);
    snprintf(layer, sizeof layer, "%sattn.proj.", prefix);
    add_linear(l, dim, dim, layer);
    snprintf(layer, sizeof layer, "%smlp.fc1.", prefix);
    add_linear(l, 4 * dim, dim, layer);
    snprintf(layer, sizeof layer, "%smlp.fc2.", prefix);
    add_linear(l, dim, 4 * dim, layer);
  }
  add_norm(l, dim, TOWER, "norm");
}

static void list_res(Lister *l, int n_in, int n_out, const char *prefix) {
  add_norm(l, n_in, prefix, "norm1");
  add_conv(l, n_out, n_in, 3, prefix, "conv1");
  add_norm(l, n_out, prefix, "norm2");
  add_conv(l, n_out, n_out, 3, prefix, "conv2");
  if (n_in != n_out)
    add_conv(l, n_out, n_in, 1, prefix, "nin_shortcut");
}

static void list_attention(Lister *l, int channels, const char *prefix) {
  static const char *const names[] = {"q", "k", "v", "proj_out"};
  add_norm(l, channels, prefix, "norm");
  for (int i = 0; i < 4; i++)
    add_conv(l, channels, channels, 1, prefix, names[i]);
}

static void list_middle(Lister *l, const char *half) {
  char prefix[64];
  const int channels = level_channels[N_LEVELS - 1];
  for (int i = 0; i < 3; i++) {
    snprintf(prefix, sizeof prefix, "%smid.%d.", half, i);
    if (i == 1)
      list_attention(l, channels, prefix);
    else
      list_res(l, channels, channels, prefix);
  }
}

// The levels of one half, the encoder's finest first, the decoder's deepest first; returns the
// channels of the last one.
static int list_levels(Lister *l, const char *half, bool is_decoder, int n_in) {
  for (int i = 0; i < N_LEVELS; i++) {
    const int depth = is_decoder ? N_LEVELS - 1 - i : i, n_out = level_channels[depth];
    char level[64], prefix[96];
    snprintf(level, sizeof level, "%sconv_blocks.%d.", half, i);
    for (int j = 0; j < (is_decoder ? 3 : 2); j++, n_in = n_out) {
      snprintf(prefix, sizeof prefix, "%sres.%d.", level, j);
      list_res(l, n_in, n_out, prefix);
      snprintf(prefix, sizeof prefix, "%sattn.%d.", level, j);
      if (depth == N_LEVELS - 1)
        list_attention(l, n_out, prefix);
    }
    if (i < N_LEVELS - 1)
      add_conv(l, n_out, n_out, 3, level, is_decoder ? "upsample.conv" : "downsample.conv");
  }
  return n_in;
}

#define VQ "gen_vision_model."

static void list_vq(Lister *l) {
  const int deepest = level_channels[N_LEVELS - 1];
  add(l, SHAPE(N_CODES, CODE_DIM), VQ "quantize.embedding.weight");
  add_conv(l, CODE_DIM, Z_CHANNELS, 1, VQ, "quant_conv");
  add_conv(l, Z_CHANNELS, CODE_DIM, 1, VQ, "post_quant_conv");
  add_conv(l, level_channels[0], 3, 3, VQ, "encoder.conv_in");
  list_levels(l, VQ "encoder.", false, level_channels[0]);
  list_middle(l, VQ "encoder.");
  add_norm(l, deepest, VQ, "encoder.norm_out");
  add_conv(l, Z_CHANNELS, deepest, 3, VQ, "encoder.conv_out");
  add_conv(l, deepest, Z_CHANNELS, 3, VQ, "decoder.conv_in");
  list_middle(l, VQ "decoder.");
  const int finest = list_levels(l, VQ "decoder.", true, deepest);
  add_norm(l, finest, VQ, "decoder.norm_out");
  add_conv(l, 3, finest, 3, VQ, "decoder.conv_out");
}

// --- values -------------------------------------------------------------------------------------

// Tokens: the bytes, then the tags. The embedding has rows for these only; the others are never
// read, and no memory is spent on them.
static const char *const tags[] = {
    "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<begin_of_image>",
    "<end_of_image>",          "<image_placeholder>",   "<|User|>",    "<|Assistant|>",
};
enum { N_BYTES = 256, N_TAGS = sizeof tags / sizeof *tags, N_TOKENS = N_BYTES + N_TAGS };

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), n_end = strlen(end);
  return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static uint64_t hash_of(const char *name) { // FNV-1a
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (; *name; name++)
    hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
  return hash;
}

// Weights of deviation 1 / sqrt(inputs) keep activations at the size of what goes in; norms are
// near 1; tables are normal.
static void make_values(const Tensor *tensor) {
  uint16_t *values = (uint16_t *)tensor->data;
  const bool is_vector = tensor->n_dims == 1, is_bias = ends_with(tensor->name, "bias");
  const bool is_table = ends_with(tensor->name, "embed.weight") ||
                        ends_with(tensor->name, "embed_tokens.weight") ||
                        ends_with(tensor->name, "embedding.weight");
  size_t n = tensor->n_bytes / sizeof *values, n_in = n / (size_t)tensor->dims[0];
  if (ends_with(tensor->name, "embed_tokens.weight"))
    n = (size_t)N_TOKENS * n_in;
  if (ends_with(tensor->name, "pos_embed"))
    n_in = 100;
  const float deviation = is_vector ? 0.05f : is_table ? 1 : (float)(1 / sqrt((double)n_in));
  synthetic_fill(values, n, hash_of(tensor->name), is_vector && !is_bias ? 1 : 0, deviation);
}

static bool give_memory(TensorSet *set, size_t n_bytes, JanusError *error) {
  void *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char text[BYTES_TEXT];
  if (memory == MAP_FAILED)
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough addresses for %s of random weights",
                      janus_bytes_text(n_bytes, text));
  set->memory = memory;
  set->memory_bytes = n_bytes;
  set->make = make_values;
  for (size_t i = 0; i < set->n_tensors; i++)
    set->tensors[i].data = (char *)memory + (uintptr_t)set->tensors[i].data;
  return true;
}

static TensorSet *list_tensors(const SyntheticSizes *sizes, JanusError *error) {
  TensorSet *set = tensors_new(0, error);
  Lister l = {.file = {.set = set, .path = sizes->name}, .ok = set, .error = error};
  if (!set)
    return NULL;
  list_llama(&l, sizes);
  list_borders(&l, sizes);
  list_siglip(&l);
  list_vq(&l);
  tensors_sort(set);
  if (l.ok && give_memory(set, l.n_bytes, error))
    return set;
  tensors_free(set);
  return NULL;
}

// --- the tokenizer ------------------------------------------------------------------------------

static bool fill_tokenizer(JanusTokenizer *tokenizer, const char *name) {
  AddedTokens *added = &tokenizer->added;
  tokenizer->path = strdup(name);
  added->tokens = calloc(N_TAGS, sizeof *added->tokens);
  if (!tokenizer->path || !added->tokens || !bpe_reserve(&tokenizer->bpe, 0))
    return false;
  for (int i = 0; i < N_BYTES; i++)
    tokenizer->bpe.byte_ids[i] = i;
  for (int i = 0; i < N_TAGS; i++) {
    char *text = strdup(tags[i]);
    if (!text)
      return false;
    added->tokens[added->n++] =
        (AddedToken){.text = text, .n_bytes = strlen(text), .id = N_BYTES + i, .is_special = true};
  }
  added_tokens_prepare(added);
  tokenizer->bos = N_BYTES;
  tokenizer->max_id = N_TOKENS - 1;
  return true;
}

static JanusTokenizer *make_tokenizer(const char *name, JanusError *error) {
  JanusTokenizer *tokenizer = calloc(1, sizeof *tokenizer);
  if (tokenizer && fill_tokenizer(tokenizer, name))
    return tokenizer;
  janus_tokenizer_free(tokenizer);
  janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a tokenizer");
  return NULL;
}

// --- opening ------------------------------------------------------------------------------------

static const SyntheticSizes *find_sizes(const char *name, JanusError *error) {
  for (size_t i = 0; i < sizeof known_sizes / sizeof *known_sizes; i++)
    if (strcmp(name, known_sizes[i].name) == 0)
      return &known_sizes[i];
  janus_fail(error, JANUS_ERROR_REQUEST,
             "synthetic: expected janus-pro-1b or janus-pro-7b, found %s", name);
  return NULL;
}

bool synthetic_open(const char *name, Synthetic *synthetic, JanusError *error) {
  *synthetic = (Synthetic){0};
  const SyntheticSizes *sizes = find_sizes(name, error);
  if (!sizes)
    return false;
  config_defaults(&synthetic->stated);
  synthetic->stated.n_heads = sizes->n_heads;
  synthetic->stated.max_positions = MAX_POSITIONS;
  synthetic->stated.describes = false; // there is no lm_head
  synthetic->files = list_tensors(sizes, error);
  synthetic->tokenizer = synthetic->files ? make_tokenizer(name, error) : NULL;
  if (synthetic->tokenizer)
    return true;
  tensors_free(synthetic->files);
  *synthetic = (Synthetic){0};
  return false;
}
