// SPDX-License-Identifier: MIT
// What a folder's JSON files say about the model. Keys that the engine does not know are noise.
#include "engine/config.h"

#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 16000000, MAX_SIZE = 1 << 24, MAX_IMAGE_PX = 8192 };

// A whole number somewhere in config.json.
typedef struct ConfigEntry {
  const char *section;
  bool in_params; // in the section's "params"
  const char *key;
  size_t offset; // in StatedConfig
  int max;
} ConfigEntry;

#define LANGUAGE(key, field, max)                                                                  \
  { "language_config", false, key, offsetof(StatedConfig, field), max }
#define PARAM(section, key, field, max)                                                            \
  { section, true, key, offsetof(StatedConfig, field), max }

static const ConfigEntry entries[] = {
    LANGUAGE("hidden_size", dim, MAX_SIZE),
    LANGUAGE("intermediate_size", hidden_dim, MAX_SIZE),
    LANGUAGE("num_hidden_layers", n_layers, MAX_SIZE),
    LANGUAGE("num_attention_heads", n_heads, 65536),
    LANGUAGE("num_key_value_heads", n_kv_heads, 65536),
    LANGUAGE("head_dim", head_dim, 65536),
    LANGUAGE("vocab_size", vocab, MAX_SIZE),
    LANGUAGE("max_position_embeddings", max_positions, 1 << 30),
    PARAM("gen_vision_config", "image_token_size", n_codes, MAX_SIZE),
    PARAM("gen_vision_config", "n_embed", code_dim, MAX_SIZE),
    PARAM("gen_vision_config", "norm_groups", vq_norm_groups, MAX_SIZE),
    PARAM("gen_head_config", "image_token_size", n_head_codes, MAX_SIZE),
    PARAM("gen_head_config", "image_token_embed", gen_head_dim, MAX_SIZE),
    PARAM("gen_head_config", "n_embed", gen_head_input, MAX_SIZE),
    PARAM("gen_aligner_config", "input_dim", gen_embed_dim, MAX_SIZE),
    PARAM("gen_aligner_config", "n_embed", gen_aligner_dim, MAX_SIZE),
    PARAM("aligner_config", "input_dim", aligner_input, MAX_SIZE),
    PARAM("aligner_config", "n_embed", aligner_dim, MAX_SIZE),
    PARAM("vision_config", "image_size", image_size_px, MAX_IMAGE_PX),
    PARAM("vision_config", "num_heads", n_vision_heads, 65536),
};

// The section of an entry, absent ones included, named for messages in `where`.
static bool find_place(const JsonPlace *root, const char *section, bool in_params, char where[64],
                       JsonPlace *place, JanusError *error) {
  *place = (JsonPlace){.path = root->path, .where = where};
  snprintf(where, 64, "%s.", section);
  if (!json_get_object(root, section, &place->object, error))
    return false;
  if (!in_params)
    return true;
  const JsonPlace outer = *place;
  if (!json_get_object(&outer, "params", &place->object, error))
    return false;
  snprintf(where, 64, "%s.params.", section);
  return true;
}

static bool read_sizes(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    const ConfigEntry *entry = &entries[i];
    char where[64];
    JsonPlace place;
    int *value = (int *)(void *)((char *)stated + entry->offset);
    if (!find_place(root, entry->section, entry->in_params, where, &place, error) ||
        !json_get_int(&place, entry->key, 1, entry->max, value, error))
      return false;
  }
  return true;
}

static bool fail_unsupported(const JsonPlace *place, const char *key, const char *what,
                             JanusError *error) {
  return janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %s%s: %s", place->path, place->where, key,
                    what);
}

// The variants of LLaMA that no Janus checkpoint uses.
static bool check_llama_variant(const JsonPlace *language, JanusError *error) {
  const char *activation = "silu", *model_type = "llama";
  bool attention_bias = false, mlp_bias = false;
  if (!json_get_text(language, "hidden_act", &activation, error) ||
      !json_get_text(language, "model_type", &model_type, error) ||
      !json_get_bool(language, "attention_bias", &attention_bias, error) ||
      !json_get_bool(language, "mlp_bias", &mlp_bias, error))
    return false;
  if (strcmp(activation, "silu") != 0)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %shidden_act: expected silu, found %s",
                      language->path, language->where, activation);
  if (strcmp(model_type, "llama") != 0)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %smodel_type: expected llama, found %s",
                      language->path, language->where, model_type);
  if (attention_bias || mlp_bias)
    return fail_unsupported(language, attention_bias ? "attention_bias" : "mlp_bias",
                            "expected false, found true", error);
  return true;
}

// "rope_scaling", or "rope_parameters" as newer files have it: plain rotary positions only.
static bool read_rope(const JsonPlace *language, const char *key, StatedConfig *stated,
                      JanusError *error) {
  char where[64];
  const char *type = "default", *old_type = "default";
  JsonPlace rope = {.path = language->path, .where = where};
  snprintf(where, sizeof where, "%s%s.", language->where, key);
  if (!json_get_object(language, key, &rope.object, error) ||
      !json_get_number(&rope, "rope_theta", 1, 1e12, &stated->rope_theta, error) ||
      !json_get_text(&rope, "rope_type", &type, error) ||
      !json_get_text(&rope, "type", &old_type, error))
    return false;
  if (strcmp(type, "default") == 0 && strcmp(old_type, "default") == 0)
    return true;
  return fail_unsupported(&rope, "rope_type", "expected default, found another", error);
}

static bool read_language(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  char where[64];
  JsonPlace language;
  return find_place(root, "language_config", false, where, &language, error) &&
         json_get_number(&language, "rms_norm_eps", 1e-30, 1, &stated->norm_eps, error) &&
         json_get_number(&language, "rope_theta", 1, 1e12, &stated->rope_theta, error) &&
         read_rope(&language, "rope_scaling", stated, error) &&
         read_rope(&language, "rope_parameters", stated, error) &&
         check_llama_variant(&language, error);
}

static bool check_model_type(const JsonPlace *root, JanusError *error) {
  const char *type = NULL;
  if (!json_get_text(root, "model_type", &type, error))
    return false;
  if (type && strcmp(type, "multi_modality") == 0)
    return true;
  if (type && strcmp(type, "janus") == 0)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "%s: model_type: expected multi_modality, found janus: checkpoints in the "
                      "naming of the transformers port are not in this build",
                      root->path);
  return janus_fail(error, JANUS_ERROR_FORMAT, "%s: model_type: expected multi_modality, found %s",
                    root->path, type ? type : "none");
}

static bool read_config(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  return check_model_type(root, error) && read_sizes(root, stated, error) &&
         read_language(root, stated, error);
}

// A list of three numbers, one a channel.
static bool read_channels(const JsonPlace *root, const char *key, double min, float values[3],
                          JanusError *error) {
  const json_t *list = json_object_get(root->object, key);
  if (!list || json_is_null(list))
    return true;
  bool ok = json_array_size(list) == 3; // 0 for what is no list
  for (size_t i = 0; i < 3 && ok; i++) {
    const double value = json_number_value(json_array_get(list, i));
    ok = json_is_number(json_array_get(list, i)) && value >= min && value <= 1e6;
    values[i] = (float)value;
  }
  return ok || janus_fail(error, JANUS_ERROR_FORMAT, "%s: %s: expected three numbers from %g up",
                          root->path, key, min);
}

static bool read_preprocessor(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  JanusImageRules *rules = &stated->rules;
  return json_get_int(root, "image_size", 1, MAX_IMAGE_PX, &stated->preprocessor_px, error) &&
         json_get_int(root, "min_size", 1, MAX_IMAGE_PX, &rules->min_size_px, error) &&
         json_get_number(root, "rescale_factor", 1e-9, 1e9, &rules->rescale, error) &&
         json_get_bool(root, "do_normalize", &rules->normalizes, error) &&
         read_channels(root, "image_mean", 0, rules->mean, error) &&
         read_channels(root, "image_std", 1e-6, rules->std, error);
}

static bool read_processor(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  return json_get_int(root, "num_image_tokens", 1, MAX_SIZE, &stated->n_image_tokens, error);
}

static bool read_generation(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  return json_get_number(root, "cfg", 0, 1000, &stated->defaults.cfg, error) &&
         json_get_number(root, "image_cfg", 0, 1000, &stated->defaults.image_cfg, error) &&
         json_get_number(root, "temperature", 0, 1000, &stated->defaults.temperature, error) &&
         json_get_bool(root, "describes", &stated->describes, error);
}

typedef bool (*ReadFunc)(const JsonPlace *root, StatedConfig *stated, JanusError *error);

static bool read_file(const char *folder, const char *name, bool is_optional, ReadFunc read,
                      StatedConfig *stated, JanusError *error) {
  char *path = file_join(folder, name);
  if (!path)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", folder);
  bool ok = is_optional && !file_exists(path);
  json_t *root = ok ? NULL : json_open(path, MAX_CONFIG_BYTES, error);
  if (root) {
    const JsonPlace place = {.path = path, .where = "", .object = root};
    ok = read(&place, stated, error);
    json_decref(root);
  }
  free(path);
  return ok;
}

bool config_read(const char *folder, StatedConfig *stated, JanusError *error) {
  *stated = (StatedConfig){.defaults = {.cfg = 5, .image_cfg = 5, .temperature = 1},
                           .describes = true,
                           .rules = {.min_size_px = 14,
                                     .rescale = 1.0 / 255,
                                     .normalizes = true,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.5f, 0.5f, 0.5f}}};
  return read_file(folder, "config.json", false, read_config, stated, error) &&
         read_file(folder, "preprocessor_config.json", true, read_preprocessor, stated, error) &&
         read_file(folder, "processor_config.json", true, read_processor, stated, error) &&
         read_file(folder, "generation_config.json", true, read_generation, stated, error);
}
