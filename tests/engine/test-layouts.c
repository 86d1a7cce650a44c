// SPDX-License-Identifier: MIT
// The tiny checkpoints in every layout and kind of file: each computes what the original's
// safetensors do, to the bit; and what is wrong in one is said in its own words.
#include "engine/model.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"
#include "tests/engine/weight-files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- the same weights in other files ------------------------------------------------------------

// tests/parity/port/CHECKPOINT/tensors.json: {"port's name": ["original's name", third or null]}
static TensorList port_list(const TensorSet *set, const char *checkpoint, const char *skipped) {
  TensorList list = {0};
  json_t *parts = load_json(parity_path("port/%s/tensors.json", checkpoint));
  const char *name;
  json_t *part;
  json_object_foreach(parts, name, part) {
    const json_t *third = json_array_get(part, 1);
    const Tensor *stored = tensors_find(set, json_string_value(json_array_get(part, 0)));
    if (!stored)
      continue;
    Tensor tensor =
        json_is_null(third) ? *stored : third_of(stored, (int)json_integer_value(third));
    if (strstr(stored->name, "pos_embed"))
      memmove(tensor.dims, tensor.dims + 1, (size_t)--tensor.n_dims * sizeof *tensor.dims);
    const size_t n_skipped = strncmp(name, skipped, strlen(skipped)) == 0 ? strlen(skipped) : 0;
    add_to_list(&list, name + n_skipped, &tensor);
  }
  json_decref(parts);
  return list;
}

static TensorList original_list(const TensorSet *set) {
  TensorList list = {0};
  for (size_t i = 0; i < tensors_count(set); i++)
    add_to_list(&list, tensors_get(set, i)->name, tensors_get(set, i));
  return list;
}

typedef void (*WriteFunc)(const TestFolder *folder, const char *name, const Tensor *tensors,
                          size_t n_tensors);

// One file, or shards of equal numbers of tensors and their index.
static void write_weights(const TestFolder *folder, const TensorList *list, bool is_torch,
                          size_t n_shards) {
  const WriteFunc write = is_torch ? write_torch : write_safetensors;
  const char *single = is_torch ? "pytorch_model.bin" : "model.safetensors";
  const char *index = is_torch ? "pytorch_model.bin.index.json" : "model.safetensors.index.json";
  json_t *map = json_object();
  if (n_shards == 1)
    write(folder, single, list->tensors, list->n);
  for (size_t i = 0; n_shards > 1 && i < n_shards; i++) {
    const size_t first = list->n * i / n_shards, end = list->n * (i + 1) / n_shards;
    char name[64];
    snprintf(name, sizeof name, is_torch ? "pytorch_model-%zu.bin" : "model-%zu.safetensors", i);
    write(folder, name, list->tensors + first, end - first);
    for (size_t j = first; j < end; j++)
      json_object_set_new(map, list->tensors[j].name, json_string(name));
  }
  json_t *root = json_pack("{s:o}", "weight_map", map);
  if (n_shards > 1)
    write_json(folder, index, root);
  json_decref(root);
}

typedef struct Variant {
  const char *title, *checkpoint;
  bool is_port, is_torch;
  size_t n_shards;
  const char *skipped; // beginning of the port's names that is left out
} Variant;

// A folder of a variant; release it.
static TestFolder write_variant(const Variant *v) {
  static const char *const own[] = {"config.json", "preprocessor_config.json"};
  TestFolder folder = test_folder_new();
  JanusError error = {0};
  TensorSet *set = tensors_open_folder(parity_path("%s", v->checkpoint), &error);
  if (!check(set != NULL, "%s: the weights are read%s", v->title, error.message))
    exit(1);
  TensorList list =
      v->is_port ? port_list(set, v->checkpoint, v->skipped ? v->skipped : "") : original_list(set);
  write_weights(&folder, &list, v->is_torch, v->n_shards);
  for (size_t i = 0; i < 2; i++)
    copy_file(&folder, own[i],
              v->is_port ? parity_path("port/%s/%s", v->checkpoint, own[i])
                         : parity_path("%s/%s", v->checkpoint, own[i]));
  if (v->is_port)
    write_text(&folder, "generation_config.json", "{\"guidance_scale\": 3}");
  else
    copy_file(&folder, "processor_config.json",
              parity_path("%s/processor_config.json", v->checkpoint));
  copy_file(&folder, "tokenizer.json", parity_path("%s/tokenizer.json", v->checkpoint));
  free_list(&list);
  tensors_free(set);
  return folder;
}

// --- what they compute --------------------------------------------------------------------------

static JanusModel *open_folder(const char *path, JanusError *error) {
  const JanusModelOptions options = {.folder = path, .device = "cpu", .n_threads = 2};
  return janus_model_open(&options, error);
}

// Everything that an edit computes along a whole picture's tokens, as the bytes of a trace.
static unsigned char *trace(JanusModel *model, const char *checkpoint, size_t *n_bytes) {
  enum { MOST = 1 << 22 };
  TestFolder folder = test_folder_new();
  JanusError error = {0};
  JanusImage image = load_picture("portrait.png");
  JanusRequest request = text_request("make it blue", 1, 1);
  int32_t *tokens = NULL;
  int n_tokens = 0;
  char out[300];
  snprintf(out, sizeof out, "%s", test_path(&folder, "trace"));
  request.image = &image;
  request.image_cfg = 5;
  unsigned char *bytes = malloc(MOST);
  const bool ok = janus_tokens_load(parity_path("golden/%s/full.tokens.json", checkpoint), 0,
                                    &tokens, &n_tokens, &error) &&
                  janus_trace(model, &request, tokens, n_tokens, out, &error);
  *n_bytes = ok ? read_bytes(out, bytes, MOST) : 0;
  check(ok && *n_bytes > 10000 && *n_bytes < MOST, "traced, %zu bytes%s", *n_bytes, error.message);
  free(tokens);
  free((void *)image.rgb);
  test_folder_free(&folder);
  return bytes;
}

static void check_info(const Variant *v, const JanusModelInfo *info,
                       const JanusModelInfo *original) {
  check(strcmp(info->layout, v->is_port ? "transformers" : "original") == 0 &&
            strcmp(info->file_kind, v->is_torch ? "pytorch" : "safetensors") == 0,
        "%s: is told to be %s, %s", v->title, info->layout, info->file_kind);
  check(info->n_parameters == original->n_parameters &&
            info->weights_bytes == original->weights_bytes && info->n_heads == original->n_heads &&
            info->n_kv_heads == original->n_kv_heads && info->vocab == original->vocab,
        "%s: the sizes are the same", v->title);
  check(info->defaults.cfg == (v->is_port ? 3 : 5), "%s: its own default of cfg, found %g",
        v->title, info->defaults.cfg);
}

static void test_variant(const Variant *v) {
  TestFolder folder = write_variant(v);
  JanusError error = {0};
  JanusModel *original = open_folder(parity_path("%s", v->checkpoint), &error);
  JanusModel *model = open_folder(folder.path, &error);
  if (check(original && model, "%s: opens%s", v->title, error.message)) {
    size_t n = 0, n_expected = 0;
    unsigned char *expected = trace(original, v->checkpoint, &n_expected);
    unsigned char *found = trace(model, v->checkpoint, &n);
    check(n == n_expected && memcmp(found, expected, n) == 0,
          "%s: what an edit computes is the same to the bit, pixels included", v->title);
    check_info(v, janus_model_get_info(model), janus_model_get_info(original));
    free(expected);
    free(found);
  }
  janus_model_free(original);
  janus_model_free(model);
  test_folder_free(&folder);
}

static const Variant variants[] = {
    {"original, .bin", "tiny-f32", .is_torch = true, .n_shards = 1},
    {"original, three .bin", "tiny-gqa", .is_torch = true, .n_shards = 3},
    {"original, BF16 .bin", "tiny-bf16", .is_torch = true, .n_shards = 1},
    {"port, safetensors", "tiny-f32", .is_port = true, .n_shards = 1},
    {"port, two safetensors", "tiny-gqa", .is_port = true, .n_shards = 2},
    {"port, two .bin", "tiny-f32", .is_port = true, .is_torch = true, .n_shards = 2},
    {"port without model.", "tiny-gqa", .is_port = true, .n_shards = 1, .skipped = "model."},
};

// --- what is wrong ------------------------------------------------------------------------------

static void check_refused(const TestFolder *folder, const char *words) {
  JanusError error = {0};
  JanusModel *model = open_folder(folder->path, &error);
  check(!model && strstr(error.message, words) && !strchr(error.message, '\n'), "refused: %s",
        error.message);
  janus_model_free(model);
}

static void test_port_config(void) {
  static const struct {
    const char *old, *new, *words;
  } cases[] = {
      {"\"vocab_size\":384", "\"vocab_size\":385",
       "text_config.vocab_size: expected 384 as tensor model.language_model.embed_tokens.weight"},
      {"\"num_hidden_layers\":2,\"num_key", "\"num_hidden_layers\":3,\"num_key",
       "text_config.num_hidden_layers is 3"},
      {"\"num_attention_heads\":3", "\"num_attention_heads\":5",
       "vision_config.num_attention_heads: expected a divisor of the width 48"},
      {"\"projection_dim\":64,\"proj", "\"projection_dim\":32,\"proj",
       "vision_config.projection_dim: expected 64"},
      {"\"num_embeddings\":256", "\"num_embeddings\":16384", "vq_config.num_embeddings"},
      {"\"norm_groups\":4", "\"norm_groups\":3", "vq_config.norm_groups: expected a divisor"},
      {"\"use_qk_norm\":false", "\"use_qk_norm\":true", "vision_config.use_qk_norm"},
      {"\"use_qk_norm\":false", "\"layer_norm_eps\":1e-5", "vision_config.layer_norm_eps"},
      {"\"double_latent\":false", "\"double_latent\":true", "vq_config.double_latent"},
      {"\"hidden_act\":\"gelu\"", "\"hidden_act\":\"gelu_new\"", "hidden_act: expected gelu"},
      {"\"hidden_act\":\"silu\"", "\"hidden_act\":\"gelu\"", "text_config.hidden_act"},
      {"\"model_type\":\"janus\"", "\"model_type\":\"llava\"", "multi_modality or janus"},
      {"\"model_type\":\"janus\"", "\"model_type\":\"multi_modality\"",
       "model_type: expected janus as there is a tensor model.language_model.embed_tokens.weight"},
  };
  TestFolder folder = write_variant(&variants[3]);
  json_t *root = load_json(test_path(&folder, "config.json"));
  json_object_del(json_object_get(root, "vision_config"), "layer_norm_eps");
  char *good = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = replace_text(good, cases[i].old, cases[i].new);
    write_text(&folder, "config.json", text);
    check_refused(&folder, cases[i].words);
    free(text);
  }
  write_text(&folder, "config.json", good);
  write_text(&folder, "processor_config.json",
             "{\"image_processor\":{\"size\":{\"height\":80,\"width\":80}}}");
  check_refused(&folder, "size: expected 96 as vision_config.image_size");
  write_text(&folder, "processor_config.json",
             "{\"image_processor\":{\"size\":{\"height\":96,\"width\":80}}}");
  check_refused(&folder, "image_processor.size: expected a square, found 80 x 96");
  free(good);
  json_decref(root);
  test_folder_free(&folder);
}

// Each tensor that is left out is named as the port names it.
static void test_port_missing(void) {
  static const char *const names[] = {
      "model.language_model.norm.weight", "model.vision_model.embeddings.position_embedding.weight",
      "model.vision_model.encoder.layers.1.self_attn.k_proj.bias",
      "model.vqmodel.decoder.mid.attn_1.q.weight", "model.generation_embeddings.weight"};
  TestFolder folder = write_variant(&variants[3]);
  TensorSet *set = tensors_open_folder(parity_path("tiny-f32"), NULL);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    TensorList list = port_list(set, "tiny-f32", "");
    for (size_t j = 0; j < list.n; j++)
      if (strcmp(list.tensors[j].name, names[i]) == 0)
        ((char *)list.tensors[j].name)[0] = 'x';
    write_weights(&folder, &list, false, 1);
    check_refused(&folder, names[i]);
    free_list(&list);
  }
  tensors_free(set);
  test_folder_free(&folder);
}

// A .bin file that is cut off while its model runs: the pages behind the cut read as zeros, the
// run fails and says why.
static void test_shortened(void) {
  TestFolder folder = write_variant(&variants[0]);
  JanusError error = {0}, run_error = {0};
  JanusModel *model = open_folder(folder.path, &error);
  const JanusRequest request = text_request("a red house", 1, 1);
  JanusSession *session = model ? janus_session_new(model, &request, &error) : NULL;
  check(session && truncate(test_path(&folder, "pytorch_model.bin"), 65536) == 0,
        "the weights are cut off%s", error.message);
  check(session && !janus_session_run(session, NULL, NULL, &run_error) &&
            run_error.code == JANUS_ERROR_IO && strstr(run_error.message, "pytorch_model.bin"),
        "noticed: %s", run_error.message);
  janus_session_free(session);
  janus_model_free(model);
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
    test_variant(&variants[i]);
  test_port_config();
  test_port_missing();
  test_shortened();
  return finish();
}
