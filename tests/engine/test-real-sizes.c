// SPDX-License-Identifier: MIT
// Checkpoints of the real shapes, their values a hole in a file, with the real tokenizer: they open
// in little memory, and what a request needs is foretold. And what a small model takes is measured.
#include "engine/model.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The side files beside the real tokenizer's folder.
static const char *list_path(const char *name) {
  static char path[1100];
  snprintf(path, sizeof path, "%s", real_tokenizer_path(""));
  char *end = strstr(path, "/tokenizer/");
  snprintf(end, sizeof path - (size_t)(end - path), "/%s", name);
  return path;
}

// --- a folder of holes --------------------------------------------------------------------------

typedef struct Shard {
  char name[64];
  json_t *header;
  int64_t n_bytes;
} Shard;

static void add_tensor(Shard *shard, const char *name, const json_t *shape) {
  int64_t n_bytes = 2;
  for (size_t i = 0; i < json_array_size(shape); i++)
    n_bytes *= json_integer_value(json_array_get(shape, i));
  json_object_set_new(shard->header, name,
                      json_pack("{s:s, s:O, s:[I,I]}", "dtype", "BF16", "shape", shape,
                                "data_offsets", (json_int_t)shard->n_bytes,
                                (json_int_t)(shard->n_bytes + n_bytes)));
  shard->n_bytes += n_bytes;
}

static void write_shard(const TestFolder *folder, const Shard *shard) {
  char *text = json_dumps(shard->header, JSON_COMPACT);
  const size_t n_text = strlen(text), n = (n_text + 7) / 8 * 8; // as the Hub's: data is aligned
  unsigned char *file = malloc(8 + n);
  memset(file, ' ', 8 + n);
  for (int i = 0; i < 8; i++)
    file[i] = (unsigned char)(n >> (8 * i));
  memcpy(file + 8, text, n_text);
  write_bytes(folder, shard->name, file, 8 + n);
  if (truncate(test_path(folder, shard->name), (off_t)(8 + n) + shard->n_bytes) != 0)
    check(false, "%s can be made", shard->name);
  free(file);
  free(text);
}

// Two shards and their index from a list of "name TAB shape".
static void write_weights(const TestFolder *folder, FILE *list) {
  Shard shards[2];
  json_t *map = json_object();
  char line[512];
  for (int i = 0; i < 2; i++) {
    shards[i] = (Shard){.header = json_object()};
    snprintf(shards[i].name, sizeof shards[i].name, "model-0000%d-of-00002.safetensors", i + 1);
  }
  for (int n = 0; fgets(line, sizeof line, list); n++) {
    char *tab = strchr(line, '\t');
    json_t *shape = tab ? json_loads(tab + 1, 0, NULL) : NULL;
    if (!shape)
      continue;
    *tab = '\0';
    add_tensor(&shards[n / 400 > 0], line, shape);
    json_object_set_new(map, line, json_string(shards[n / 400 > 0].name));
    json_decref(shape);
  }
  for (int i = 0; i < 2; i++) {
    write_shard(folder, &shards[i]);
    json_decref(shards[i].header);
  }
  json_t *index = json_pack("{s:o}", "weight_map", map);
  write_json(folder, "model.safetensors.index.json", index);
  json_decref(index);
}

static void write_tokenizer(const TestFolder *folder, const char *added_name) {
  json_t *file = load_json(real_tokenizer_path("janus-4o-7b-tokenizer.json"));
  json_t *added = added_name ? load_json(real_tokenizer_path(added_name)) : NULL;
  if (added)
    json_object_set_new(file, "added_tokens", added);
  write_json(folder, "tokenizer.json", file);
  json_decref(file);
}

// --- the real sizes -----------------------------------------------------------------------------

typedef struct RealModel {
  const char *name, *list, *added;
  const char *language; // of language_config, as the Hub has it
  int dim, n_layers, n_heads;
  // 10^9 bytes as stored, of all but lm_head and the pooling head, which nothing uses yet.
  double stored_gb;
} RealModel;

static const RealModel models[] = {
    {"7B", "tensors-7B.txt", NULL, "\"num_hidden_layers\":30", 4096, 30, 32, 13.977},
    {"1B", "tensors-1B.txt", "janus-pro-1b-added-tokens.json",
     "\"hidden_size\":2048,\"intermediate_size\":5632,\"num_attention_heads\":16,"
     "\"num_key_value_heads\":16,\"num_hidden_layers\":24",
     2048, 24, 16, 3.734},
};

static void write_config(const TestFolder *folder, const RealModel *real) {
  char text[2048];
  snprintf(text, sizeof text,
           "{\"model_type\":\"multi_modality\",\"language_config\":{\"max_position_embeddings\":"
           "16384,\"model_type\":\"llama\",\"torch_dtype\":\"bfloat16\",\"vocab_size\":102400,%s},"
           "\"gen_vision_config\":{\"params\":{\"image_token_size\":16384,\"n_embed\":8}},"
           "\"vision_config\":{\"params\":{\"image_size\":384,\"model_name\":"
           "\"siglip_large_patch16_384\",\"select_layer\":-1}}}",
           real->language);
  write_text(folder, "config.json", text);
  write_text(folder, "processor_config.json", "{\"num_image_tokens\":576}");
  write_text(folder, "preprocessor_config.json", "{\"image_size\":384,\"min_size\":14}");
}

// Kilobytes of /proc/self/status, as bytes; 0 where there is none.
static double status_bytes(const char *key) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0)
      kilobytes = strtod(line + strlen(key), NULL);
  if (file)
    fclose(file);
  return 1024 * kilobytes;
}

// Keys and values in f32 of the prompt (rounded up to 256 for the unconditional row) and of 576
// picture tokens in two rows a sample, from MODEL.md's sizes alone.
static double expected_kv(const RealModel *real, int n_samples, int n_prompt) {
  const double position = 2.0 * 4 * real->dim * real->n_layers;
  const int n_pads = (n_prompt - 1 + 255) / 256 * 256;
  return position * (n_prompt - 1 + n_pads + 2.0 * 576 * n_samples);
}

static void check_estimate(const RealModel *real, const JanusModel *model, int n_samples) {
  const JanusMemory memory = janus_estimate_memory(model, n_samples, 26, false);
  const double kv = expected_kv(real, n_samples, 26);
  check(fabs((double)memory.kv_bytes - kv) <= 0.05 * kv,
        "%s, %d samples: keys and values %.3f GB foretold, %.3f GB by hand (bound 5 %%)",
        real->name, n_samples, (double)memory.kv_bytes / 1e9, kv / 1e9);
  printf("# %s, %d samples: %.2f GB = weights %.2f, keys and values %.2f, activations %.2f\n",
         real->name, n_samples, (double)memory.total_bytes / 1e9,
         (double)memory.weights_bytes / 1e9, (double)memory.kv_bytes / 1e9,
         (double)memory.activation_bytes / 1e9);
}

static void check_opened(const RealModel *real, JanusModel *model, double grown_bytes) {
  const JanusModelInfo *info = janus_model_get_info(model);
  check(info->dim == real->dim && info->n_layers == real->n_layers &&
            info->n_heads == real->n_heads && info->head_dim == 128 && info->vocab == 102400 &&
            info->n_image_tokens == 576 && info->n_codes == 16384,
        "%s: the sizes are the real ones", real->name);
  check(fabs((double)info->weights_bytes / 1e9 - real->stored_gb) < 0.005 * real->stored_gb,
        "%s: %.3f GB of weights in use, expected %.3f (bound 0.5 %%)", real->name,
        (double)info->weights_bytes / 1e9, real->stored_gb);
  // The VQ model is packed in f32 (288 MB), the tokenizer takes some 20 MB; nothing else is read.
  check(grown_bytes < 700e6, "%s: opening took %.0f MB (bound 700; 281 and 271 were seen)",
        real->name, grown_bytes / 1e6);
  check_estimate(real, model, 1);
  check_estimate(real, model, 4);
  const JanusRequest request = text_request("a red house", 4096, 1);
  JanusError error = {0};
  JanusSession *session = janus_session_new(model, &request, &error);
  check(!session && error.code == JANUS_ERROR_MEMORY && strstr(error.message, "GB needed"),
        "%s, 4096 samples: %s", real->name, error.message);
  janus_session_free(session);
}

static void test_real(const RealModel *real) {
  FILE *list = fopen(list_path(real->list), "r");
  if (!list) {
    skip("the lists of tensors are not at hand");
    return;
  }
  TestFolder folder = test_folder_new();
  write_config(&folder, real);
  write_tokenizer(&folder, real->added);
  write_weights(&folder, list);
  fclose(list);
  const JanusModelOptions options = {.folder = folder.path, .device = "cpu", .n_threads = 1};
  JanusError error = {0};
  const double before = status_bytes("VmRSS:"), start = now_ms();
  JanusModel *model = janus_model_open(&options, &error);
  printf("# %s: opened in %.0f ms\n", real->name, now_ms() - start);
  if (check(model != NULL, "%s: opens%s", real->name, error.message))
    check_opened(real, model, status_bytes("VmRSS:") - before);
  janus_model_free(model);
  test_folder_free(&folder);
}

// --- measured -----------------------------------------------------------------------------------

static void test_measured(const char *name, int n_samples) {
  const double before = status_bytes("VmRSS:");
  JanusModel *model = open_checkpoint(name, jk_cpu_best_isa(), 1);
  const JanusRequest request = text_request("a red house on a green hill", n_samples, 7);
  JanusSession *session = new_session(model, &request);
  const size_t size = (size_t)janus_model_get_info(model)->image_size_px;
  uint8_t *rgb = malloc(3 * size * size);
  JanusError error = {0};
  const bool ok = janus_session_run(session, NULL, NULL, &error) &&
                  janus_session_decode(session, 0, rgb, &error);
  const double peak = status_bytes("VmHWM:") - before;
  const double needed = (double)janus_estimate_memory(model, n_samples, 16, false).total_bytes;
  check(ok && fabs(peak - needed) <= fmax(0.05 * needed, 200e6),
        "%s, %d samples: %.1f MB foretold, %.1f MB taken (bound 5 %% or 200 MB)%s", name, n_samples,
        needed / 1e6, peak / 1e6, error.message);
  free(rgb);
  janus_session_free(session);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_measured("tiny-f32", 16); // first: the peak is the process's own
  for (size_t i = 0; i < sizeof models / sizeof *models; i++)
    test_real(&models[i]);
  return finish();
}
