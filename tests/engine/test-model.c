// SPDX-License-Identifier: MIT
// Opening models: the parity checkpoints, and copies of one with something wrong, each of which
// must be refused with a sentence that names it.
#include "engine/model.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static JanusModel *open_folder(const char *folder, JanusError *error) {
  const JanusModelOptions options = {.folder = folder, .device = "cpu", .n_threads = 1};
  return janus_model_open(&options, error);
}

// --- good folders -------------------------------------------------------------------------------

static void test_info(void) {
  JanusModel *model = open_checkpoint("tiny-gqa", JK_ISA_GENERIC, 1);
  const JanusModelInfo *info = janus_model_get_info(model);
  check(info->dim == 128 && info->n_layers == 2 && info->n_heads == 4 && info->n_kv_heads == 2 &&
            info->head_dim == 32 && info->hidden_dim == 96 && info->vocab == 371 &&
            info->max_positions == 2048,
        "sizes of the language model");
  check(info->image_size_px == 40 && info->grid == 5 && info->n_image_tokens == 25 &&
            info->n_codes == 200,
        "sizes of the picture");
  check(strcmp(info->name, "tiny-gqa") == 0 && strcmp(info->device, "cpu") == 0 &&
            info->weights == JANUS_WEIGHTS_F32 && strstr(info->device_name, "generic"),
        "name and device: %s, %s", info->name, info->device_name);
  check(info->defaults.cfg == 5 && info->defaults.image_cfg == 5 && info->defaults.temperature == 1,
        "the original's defaults");
  check(info->weights_bytes == 2 * (size_t)info->n_parameters, "%lld parameters of 2 bytes",
        (long long)info->n_parameters);
  check(model->config.norm_eps == 1e-5f && model->config.rope_theta == 50000 &&
            model->config.vq_norm_groups == 32 && model->vq.n_levels == 4,
        "what config.json states and what it leaves out");
  janus_model_free(model);
}

static void test_codebook(void) {
  JanusModel *model = open_checkpoint("tiny-f32", JK_ISA_GENERIC, 1);
  double worst = 0;
  for (int i = 0; i < model->config.n_codes; i++) {
    double sum = 0;
    for (int j = 0; j < model->config.code_dim; j++)
      sum += pow(model->vq.codebook[i * model->config.code_dim + j], 2);
    worst = fmax(worst, fabs(sqrt(sum) - 1));
  }
  check(worst < 1e-6, "codebook rows have length 1, off by at most %.1e (bound 1e-6)", worst);
  janus_model_free(model);
}

static void test_rope(void) {
  JanusModel *model = open_checkpoint("tiny-f32", JK_ISA_GENERIC, 1);
  const int half = model->config.head_dim / 2;
  double worst = 0;
  for (int position = 0; position < model->config.max_positions; position += 97)
    for (int i = 0; i < half; i++) {
      const float frequency = (float)pow(10000, -(double)i / half);
      const double angle = (double)position * frequency;
      worst = fmax(worst, fabs(model->rope_cos[position * half + i] - cos(angle)));
      worst = fmax(worst, fabs(model->rope_sin[position * half + i] - sin(angle)));
    }
  // An angle near 4096 in f32 is off by up to 2.4e-4 already.
  check(worst < 5e-4, "rotary tables, off by at most %.1e (bound 5e-4)", worst);
  janus_model_free(model);
}

// --- variants of a folder -----------------------------------------------------------------------

static const char *const json_names[] = {"config.json", "preprocessor_config.json",
                                         "processor_config.json", "tokenizer.json"};

static TestFolder copy_checkpoint(void) {
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof json_names / sizeof *json_names; i++)
    copy_file(&folder, json_names[i], parity_path("tiny-f32/%s", json_names[i]));
  copy_file(&folder, "model.safetensors", parity_path("tiny-f32/model.safetensors"));
  return folder;
}

static void edit_json(const TestFolder *folder, const char *name, const char *section,
                      const char *key, const char *value) {
  json_t *root = load_json(test_path(folder, name));
  json_t *object = section ? json_object_get(root, section) : root;
  if (section && json_object_get(object, "params"))
    object = json_object_get(object, "params");
  if (value)
    json_object_set_new(object, key, json_loads(value, JSON_DECODE_ANY, NULL));
  else
    json_object_del(object, key);
  write_json(folder, name, root);
  json_decref(root);
}

static void check_opens(const TestFolder *folder, const char *title) {
  JanusError error = {0};
  JanusModel *model = open_folder(folder->path, &error);
  check(model != NULL, "opens: %s%s", title, error.message);
  janus_model_free(model);
}

static void check_refused(const TestFolder *folder, const char *words) {
  JanusError error = {0};
  JanusModel *model = open_folder(folder->path, &error);
  check(!model && strstr(error.message, words), "refused: %s", error.message);
  janus_model_free(model);
}

// One member of a JSON file (absent with NULL); `words` as in check_refused(), NULL = it opens.
typedef struct JsonVariant {
  const char *name, *section, *key, *value, *words;
} JsonVariant;

#define CONFIG "config.json"
#define LANGUAGE CONFIG, "language_config"
#define PREPROCESSOR "preprocessor_config.json"

static const JsonVariant json_variants[] = {
    {CONFIG, NULL, "model_type", "\"janus\"", "model_type: expected multi_modality as there is"},
    {CONFIG, NULL, "model_type", "\"llava\"", "found llava"},
    {CONFIG, NULL, "model_type", NULL, "found none"},
    {CONFIG, NULL, "language_config", "[]", "expected an object, found a list"},
    {LANGUAGE, "hidden_size", "128", "language_config.hidden_size: expected 64"},
    {LANGUAGE, "hidden_size", "\"64\"", "expected a whole number, found a string"},
    {LANGUAGE, "hidden_size", "0", "expected 1 to"},
    {LANGUAGE, "intermediate_size", "175", "intermediate_size: expected 176"},
    {LANGUAGE, "num_hidden_layers", "3", "num_hidden_layers is 3"},
    {LANGUAGE, "vocab_size", "383", "vocab_size: expected 384"},
    {LANGUAGE, "num_attention_heads", "5", "num_attention_heads"},
    {LANGUAGE, "num_attention_heads", "64", "even width"},
    {LANGUAGE, "num_key_value_heads", "3", "num_key_value_heads"},
    {LANGUAGE, "num_key_value_heads", "2",
     "k_proj.weight: expected shape [32, 64], found [64, 64]"},
    {LANGUAGE, "head_dim", "8", "q_proj.weight: expected shape [32, 64], found [64, 64]"},
    {LANGUAGE, "max_position_embeddings", "36", "max_position_embeddings"},
    {LANGUAGE, "rms_norm_eps", "\"x\"", "rms_norm_eps"},
    {LANGUAGE, "rope_theta", "-1", "rope_theta"},
    {LANGUAGE, "rope_scaling", "{\"type\":\"linear\",\"factor\":2}", "rope_scaling"},
    {LANGUAGE, "rope_parameters", "{\"rope_type\":\"yarn\"}", "rope_parameters.rope_type"},
    {LANGUAGE, "hidden_act", "\"gelu\"", "hidden_act"},
    {LANGUAGE, "attention_bias", "true", "attention_bias"},
    {CONFIG, "gen_vision_config", "image_token_size", "16384", "expected 256"},
    {CONFIG, "gen_vision_config", "n_embed", "9", "gen_vision_config.params.n_embed"},
    {CONFIG, "gen_vision_config", "norm_groups", "3", "norm_groups: expected a divisor"},
    {CONFIG, "gen_head_config", "image_token_embed", "65", "image_token_embed: expected 64"},
    {CONFIG, "gen_aligner_config", "input_dim", "7", "gen_aligner_config.params.input_dim"},
    {CONFIG, "vision_config", "image_size", "384", "preprocessor_config.json: image_size"},
    {CONFIG, "aligner_config", "input_dim", "1024", "aligner_config.params.input_dim: expected 48"},
    {CONFIG, "aligner_config", "n_embed", "65", "aligner_config.params.n_embed: expected 64"},
    {CONFIG, "vision_config", "num_heads", "5", "num_heads: expected a divisor of the width 48"},
    {PREPROCESSOR, NULL, "image_size", "97", "expected 96"},
    {PREPROCESSOR, NULL, "min_size", "97", "min_size: expected at most image_size 96, found 97"},
    {PREPROCESSOR, NULL, "min_size", "0", "min_size: expected 1 to"},
    {PREPROCESSOR, NULL, "image_mean", "[0.5,0.5]", "image_mean: expected three numbers"},
    {PREPROCESSOR, NULL, "image_mean", "0.5", "image_mean: expected three numbers"},
    {PREPROCESSOR, NULL, "image_std", "[0.5,0,0.5]", "image_std: expected three numbers"},
    {PREPROCESSOR, NULL, "rescale_factor", "0", "rescale_factor: expected"},
    {PREPROCESSOR, NULL, "do_normalize", "1", "do_normalize: expected true or false"},
    {"processor_config.json", NULL, "num_image_tokens", "576", "num_image_tokens: expected 36"},
    {LANGUAGE, "hidden_size", NULL, NULL},
    {LANGUAGE, "intermediate_size", "null", NULL},
    {LANGUAGE, "num_hidden_layers", NULL, NULL},
    {LANGUAGE, "vocab_size", NULL, NULL},
    {LANGUAGE, "num_key_value_heads", "4", NULL},
    {LANGUAGE, "head_dim", "16", NULL},
    {LANGUAGE, "rope_scaling", "null", NULL},
    {LANGUAGE, "rope_parameters", "{\"rope_type\":\"default\",\"rope_theta\":10000.0}", NULL},
    {LANGUAGE, "max_position_embeddings", "1000000", NULL},
    {LANGUAGE, "_attn_implementation_autoset", "true", NULL},
    {CONFIG, NULL, "hidden_size", "5", NULL},
    {CONFIG, NULL, "gen_head_config", NULL, NULL},
    {CONFIG, "gen_vision_config", "n_embed", NULL, NULL},
    {CONFIG, NULL, "aligner_config", NULL, NULL},
    {CONFIG, "vision_config", "num_heads", NULL, NULL},
    {PREPROCESSOR, NULL, "image_mean", NULL, NULL},
    {PREPROCESSOR, NULL, "background_color", "[1,2,3]", NULL},
};

static void test_json_variants(void) {
  for (size_t i = 0; i < sizeof json_variants / sizeof *json_variants; i++) {
    const JsonVariant *v = &json_variants[i];
    TestFolder folder = copy_checkpoint();
    edit_json(&folder, v->name, v->section, v->key, v->value);
    if (v->words)
      check_refused(&folder, v->words);
    else
      check_opens(&folder, v->key);
    test_folder_free(&folder);
  }
}

static void test_files(void) {
  TestFolder folder = copy_checkpoint();
  write_text(&folder, "generation_config.json", "{\"cfg\":3,\"temperature\":0.8,\"top_k\":50}");
  JanusError error = {0};
  JanusModel *model = open_folder(folder.path, &error);
  const JanusDefaults defaults = model ? janus_model_get_info(model)->defaults : (JanusDefaults){0};
  check(defaults.cfg == 3 && defaults.image_cfg == 5 && defaults.temperature == 0.8,
        "a folder's own defaults%s", error.message);
  janus_model_free(model);
  write_text(&folder, "generation_config.json", "{\"cfg\":\"high\"}");
  check_refused(&folder, "generation_config.json: cfg");
  write_text(&folder, "generation_config.json", "{\"temperature\":-1}");
  check_refused(&folder, "temperature");
  remove_file(&folder, "generation_config.json");
  remove_file(&folder, "processor_config.json");
  remove_file(&folder, "preprocessor_config.json");
  check_opens(&folder, "without the processor's files");
  write_text(&folder, "config.json", "{\"model_type\": ");
  check_refused(&folder, "not valid JSON");
  remove_file(&folder, "config.json");
  check_refused(&folder, "config.json: cannot be opened");
  test_folder_free(&folder);
  check_refused(&folder, "no such model folder");
  folder = copy_checkpoint();
  remove_file(&folder, "tokenizer.json");
  check_refused(&folder, "tokenizer.json: cannot be opened");
  test_folder_free(&folder);
}

// --- variants of the weights --------------------------------------------------------------------

// The checkpoint's file with its header changed: `name` renamed, given another shape or type, or
// left out (new_name NULL).
static void edit_header(const TestFolder *folder, const char *name, const char *new_name,
                        const char *key, const char *value) {
  enum { CAPACITY = 1 << 23 };
  unsigned char *data = malloc(CAPACITY);
  const size_t n = read_bytes(parity_path("tiny-f32/model.safetensors"), data, CAPACITY);
  size_t n_header = 0;
  for (int i = 0; i < 8; i++)
    n_header |= (size_t)data[i] << (8 * i);
  json_t *header = json_loadb((char *)data + 8, n_header, 0, NULL);
  json_t *entry = json_deep_copy(json_object_get(header, name));
  json_object_del(header, name);
  if (key)
    json_object_set_new(entry, key, json_loads(value, JSON_DECODE_ANY, NULL));
  if (new_name)
    json_object_set(header, new_name, entry);
  char *text = json_dumps(header, JSON_COMPACT);
  const size_t n_text = strlen(text);
  unsigned char *out = malloc(8 + n_text + n);
  for (int i = 0; i < 8; i++)
    out[i] = (unsigned char)(n_text >> (8 * i));
  memcpy(out + 8, text, n_text);
  memcpy(out + 8 + n_text, data + 8 + n_header, n - 8 - n_header);
  write_bytes(folder, "model.safetensors", out, n_text + n - n_header);
  free(out);
  free(text);
  json_decref(entry);
  json_decref(header);
  free(data);
}

#define LAYER "language_model.model.layers.1."
#define DECODER "gen_vision_model.decoder."
#define ENCODER "gen_vision_model.encoder."
#define TOWER "vision_model.vision_tower."

static void test_missing_tensors(void) {
  static const char *const names[] = {
      "language_model.model.embed_tokens.weight",
      "language_model.model.norm.weight",
      LAYER "input_layernorm.weight",
      LAYER "self_attn.q_proj.weight",
      LAYER "mlp.down_proj.weight",
      "gen_embed.weight",
      "gen_aligner.layers.0.bias",
      "gen_aligner.layers.2.weight",
      "gen_head.output_mlp_projector.weight",
      "gen_head.vision_head.bias",
      "gen_vision_model.quantize.embedding.weight",
      "gen_vision_model.post_quant_conv.weight",
      DECODER "conv_in.weight",
      DECODER "mid.0.conv1.weight",
      DECODER "mid.1.q.weight",
      DECODER "mid.2.norm2.bias",
      DECODER "conv_blocks.0.attn.0.norm.weight",
      DECODER "conv_blocks.0.attn.2.proj_out.bias",
      DECODER "conv_blocks.1.res.0.conv1.weight",
      DECODER "conv_blocks.2.upsample.conv.weight",
      DECODER "norm_out.weight",
      DECODER "conv_out.bias",
      "gen_vision_model.quant_conv.weight",
      ENCODER "conv_in.weight",
      ENCODER "conv_blocks.0.res.1.norm2.bias",
      ENCODER "conv_blocks.1.downsample.conv.weight",
      ENCODER "conv_blocks.3.res.0.nin_shortcut.weight",
      ENCODER "conv_blocks.4.attn.1.k.bias",
      ENCODER "mid.1.norm.weight",
      ENCODER "norm_out.bias",
      ENCODER "conv_out.weight",
      TOWER "pos_embed",
      TOWER "patch_embed.proj.bias",
      TOWER "blocks.0.mlp.fc1.weight",
      TOWER "blocks.1.attn.qkv.bias",
      TOWER "blocks.1.norm2.weight",
      TOWER "norm.bias",
      "aligner.layers.0.weight",
      "aligner.layers.2.bias",
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    TestFolder folder = copy_checkpoint();
    edit_header(&folder, names[i], NULL, NULL, NULL);
    check_refused(&folder, names[i]);
    test_folder_free(&folder);
  }
}

static void test_wrong_tensors(void) {
  static const struct {
    const char *name, *key, *value, *words;
  } cases[] = {
      {LAYER "mlp.down_proj.weight", "shape", "[176,64]",
       "down_proj.weight: expected shape [64, 176], found [176, 64]"},
      {LAYER "self_attn.o_proj.weight", "shape", "[4096]",
       "o_proj.weight: expected shape [64, 64], found [4096]"},
      {LAYER "input_layernorm.weight", "shape", "[8,8]", "expected shape [64], found [8, 8]"},
      {LAYER "input_layernorm.weight", "dtype", "\"I32\"", "expected F32, BF16 or F16 values"},
      {"gen_embed.weight", "shape", "[128,16]", "gen_embed.weight"},
      {"gen_head.vision_head.weight", "shape", "[64,256]", "image_token_size: expected 64"},
      {"gen_vision_model.quantize.embedding.weight", "shape", "[8,256]", "quantize.embedding"},
      {"gen_vision_model.quantize.embedding.weight", "shape", "[2048]", "expected 2 dimensions"},
      {"gen_vision_model.post_quant_conv.weight", "shape", "[12,8]", "expected 4 dimensions"},
      {DECODER "conv_out.weight", "shape", "[8,3,3,3]", "conv_out.weight: expected shape [3, 8"},
      {ENCODER "conv_in.weight", "shape", "[3,8,3,3]",
       "encoder.conv_in.weight: expected shape [3, 3"},
      {ENCODER "conv_out.weight", "shape", "[16,12,3,3]",
       "conv_out.weight: expected shape [12, 16"},
      {TOWER "pos_embed", "shape", "[1,48,36]", "pos_embed: expected shape [1, 36, 36], found"},
      {TOWER "pos_embed", "shape", "[36,48]", "pos_embed: expected 3 dimensions"},
      {TOWER "patch_embed.proj.weight", "shape", "[48,3,8,32]",
       "patch_embed.proj.weight: expected shape [48, 3, 16, 16], found [48, 3, 8, 32]"},
      {TOWER "blocks.0.attn.qkv.weight", "shape", "[48,144]",
       "attn.qkv.weight: expected shape [144, 48], found [48, 144]"},
      {"aligner.layers.2.weight", "shape", "[32,128]", "aligner.layers.2.weight: expected shape"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    TestFolder folder = copy_checkpoint();
    edit_header(&folder, cases[i].name, cases[i].name, cases[i].key, cases[i].value);
    check_refused(&folder, cases[i].words);
    test_folder_free(&folder);
  }
}

static uint8_t *decode_some(const char *folder, size_t *n_bytes) {
  JanusError error = {0};
  JanusModel *model = open_folder(folder, &error);
  if (!check(model != NULL, "the folder opens%s", error.message))
    return NULL;
  const JanusModelInfo *info = janus_model_get_info(model);
  int32_t *tokens = malloc((size_t)info->n_image_tokens * sizeof *tokens);
  for (int i = 0; i < info->n_image_tokens; i++)
    tokens[i] = i * 7 % info->n_codes;
  *n_bytes = 3 * (size_t)info->image_size_px * (size_t)info->image_size_px;
  uint8_t *rgb = calloc(1, *n_bytes);
  janus_model_decode(model, tokens, info->n_image_tokens, rgb, NULL);
  free(tokens);
  janus_model_free(model);
  return rgb;
}

// Unknown tensors and a header of an odd length, which leaves no tensor aligned, change nothing.
static void test_tolerated(void) {
  TestFolder folder = copy_checkpoint();
  edit_header(&folder, "vision_model.vision_tower.attn_pool.kv.bias", "model.some_new_part.bias1",
              NULL, NULL);
  const size_t n_even = strlen("model.some_new_part.bias1");
  size_t n[2] = {0};
  uint8_t *plain = decode_some(parity_path("tiny-f32"), &n[0]);
  uint8_t *changed = decode_some(folder.path, &n[1]);
  check(plain && changed && n[0] == n[1] && memcmp(plain, changed, n[0]) == 0,
        "an unknown tensor changes nothing");
  free(changed);
  for (size_t extra = 1; extra < 4; extra++) {
    char name[64];
    snprintf(name, sizeof name, "model.some_new_part.bias1%.*s", (int)extra, "xxx");
    edit_header(&folder, "vision_model.vision_tower.attn_pool.kv.bias", name, NULL, NULL);
    changed = decode_some(folder.path, &n[1]);
    check(plain && changed && memcmp(plain, changed, n[0]) == 0,
          "a header longer by %zu than %zu changes nothing", extra, n_even);
    free(changed);
  }
  free(plain);
  test_folder_free(&folder);
}

// --- options ------------------------------------------------------------------------------------

static void check_option(JanusModelOptions options, JanusErrorCode code, const char *words) {
  JanusError error = {0};
  char folder[1024];
  snprintf(folder, sizeof folder, "%s", parity_path("tiny-f32"));
  if (!options.folder)
    options.folder = folder;
  JanusModel *model = janus_model_open(&options, &error);
  if (words)
    check(!model && error.code == code && strstr(error.message, words), "refused: %s",
          error.message);
  else
    check(model != NULL, "opens on %s%s", model ? janus_model_get_info(model)->device_name : "",
          error.message);
  janus_model_free(model);
}

static void test_options(void) {
  unsetenv("LIMNER_CPU_ISA");
  check_option((JanusModelOptions){0}, JANUS_ERROR_NONE, NULL);
  check_option((JanusModelOptions){.device = "auto", .n_threads = 3}, JANUS_ERROR_NONE, NULL);
  check_option((JanusModelOptions){.device = "cuda"}, JANUS_ERROR_UNSUPPORTED, "device cuda");
  check_option((JanusModelOptions){.device = "cuda:1"}, JANUS_ERROR_UNSUPPORTED, "cuda:1");
  check_option((JanusModelOptions){.device = "tpu"}, JANUS_ERROR_REQUEST, "found tpu");
  check_option((JanusModelOptions){.weights = JANUS_WEIGHTS_FP8}, JANUS_ERROR_UNSUPPORTED, "fp8");
  check_option((JanusModelOptions){.n_threads = -1}, JANUS_ERROR_REQUEST, "threads");
  check_option((JanusModelOptions){.folder = ""}, JANUS_ERROR_REQUEST, "folder");
  check_option((JanusModelOptions){.folder = "/dev/null"}, JANUS_ERROR_IO, "found a file");
  setenv("LIMNER_CPU_ISA", "mmx", 1);
  check_option((JanusModelOptions){0}, JANUS_ERROR_REQUEST, "LIMNER_CPU_ISA");
  static const char *const words[] = {"avx512", "avx2", "generic"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    setenv("LIMNER_CPU_ISA", words[i], 1);
    check_option((JanusModelOptions){0}, JANUS_ERROR_NONE, NULL);
  }
  check(!janus_model_open(&(JanusModelOptions){.folder = "nowhere"}, NULL),
        "no error is asked for");
}

static void test_vocabulary(void) {
  TestFolder folder = copy_checkpoint();
  json_t *root = load_json(test_path(&folder, "tokenizer.json"));
  json_t *last = json_array_get(json_object_get(root, "added_tokens"), 0);
  json_object_set_new(last, "id", json_integer(384));
  write_json(&folder, "tokenizer.json", root);
  check_refused(&folder, "expected ids below the 384 rows");
  json_decref(root);
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_info();
  test_codebook();
  test_rope();
  test_json_variants();
  test_files();
  test_missing_tensors();
  test_wrong_tensors();
  test_tolerated();
  test_options();
  test_vocabulary();
  return finish();
}
