// SPDX-License-Identifier: MIT
// What a folder's JSON files say about the model. Keys that the engine does not know are noise.
#include "engine/config.h"

#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CONFIG_BYTES = 16000000, MAX_SIZE = 1 << 24, MAX_IMAGE_PX = 8192 };

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
  const bool is_port = stated->layout == JANUS_LAYOUT_TRANSFORMERS;
  char where[CONFIG_WHERE_BYTES];
  JsonPlace language;
  return config_find_section(root, is_port ? "text_config" : "language_config", where, &language,
                             error) &&
         json_get_number(&language, "rms_norm_eps", 1e-30, 1, &stated->norm_eps, error) &&
         json_get_number(&language, "rope_theta", 1, 1e12, &stated->rope_theta, error) &&
         read_rope(&language, "rope_scaling", stated, error) &&
         read_rope(&language, "rope_parameters", stated, error) &&
         check_llama_variant(&language, error);
}

// --- what the port can vary and no Janus checkpoint does ----------------------------------------

static bool check_word(const JsonPlace *place, const char *key, const char *expected,
                       JanusError *error) {
  const char *found = expected;
  if (!json_get_text(place, key, &found, error))
    return false;
  return strcmp(found, expected) == 0 ||
         janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %s%s: expected %s, found %s", place->path,
                    place->where, key, expected, found);
}

static bool check_flag(const JsonPlace *place, const char *key, bool expected, JanusError *error) {
  bool found = expected;
  if (!json_get_bool(place, key, &found, error))
    return false;
  return found == expected ||
         fail_unsupported(place, key,
                          expected ? "expected true, found false" : "expected false, found true",
                          error);
}

// Layers of an aligner.
static bool check_depth(const JsonPlace *place, const char *key, JanusError *error) {
  int found = 2;
  if (!json_get_int(place, key, 1, MAX_SIZE, &found, error))
    return false;
  return found == 2 || janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %s%s: expected 2, found %d",
                                  place->path, place->where, key, found);
}

static bool check_port(const JsonPlace *root, JanusError *error) {
  char where_vision[CONFIG_WHERE_BYTES], where_vq[CONFIG_WHERE_BYTES];
  JsonPlace vision, vq;
  double eps = 1e-6;
  if (!config_find_section(root, "vision_config", where_vision, &vision, error) ||
      !config_find_section(root, "vq_config", where_vq, &vq, error) ||
      !json_get_number(&vision, "layer_norm_eps", 1e-30, 1, &eps, error))
    return false;
  if (fabs(eps - 1e-6) > 1e-9)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "%s: %slayer_norm_eps: expected 1e-06, found %g", root->path, vision.where,
                      eps);
  return check_word(&vision, "hidden_act", "gelu", error) &&
         check_flag(&vision, "attention_bias", true, error) &&
         check_flag(&vision, "use_qk_norm", false, error) && check_depth(&vision, "depth", error) &&
         check_word(&vq, "hidden_act", "gelu", error) &&
         check_flag(&vq, "double_latent", false, error) &&
         check_depth(&vq, "num_hidden_layers", error);
}

// --- the files ----------------------------------------------------------------------------------

static bool read_layout(const JsonPlace *root, JanusLayout *layout, JanusError *error) {
  const char *type = NULL;
  if (!json_get_text(root, "model_type", &type, error))
    return false;
  if (type && strcmp(type, "janus") == 0)
    *layout = JANUS_LAYOUT_TRANSFORMERS;
  else if (type && strcmp(type, "multi_modality") == 0)
    *layout = JANUS_LAYOUT_ORIGINAL;
  else
    return janus_fail(error, JANUS_ERROR_FORMAT,
                      "%s: model_type: expected multi_modality or janus, found %s", root->path,
                      type ? type : "none");
  return true;
}

static bool read_config(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  return read_layout(root, &stated->layout, error) &&
         config_read_sizes(root, stated->layout, stated, error) &&
         read_language(root, stated, error) &&
         (stated->layout == JANUS_LAYOUT_ORIGINAL || check_port(root, error));
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
  return ok || janus_fail(error, JANUS_ERROR_FORMAT, "%s: %s%s: expected three numbers from %g up",
                          root->path, root->where, key, min);
}

// "size" of the port; a square.
static bool read_size(const JsonPlace *root, int *size_px, JanusError *error) {
  char where[CONFIG_WHERE_BYTES];
  JsonPlace size = {.path = root->path, .where = where};
  int height = *size_px, width = *size_px;
  snprintf(where, sizeof where, "%ssize.", root->where);
  if (!json_get_object(root, "size", &size.object, error) ||
      !json_get_int(&size, "height", 1, MAX_IMAGE_PX, &height, error) ||
      !json_get_int(&size, "width", 1, MAX_IMAGE_PX, &width, error))
    return false;
  *size_px = height;
  return height == width ||
         janus_fail(error, JANUS_ERROR_UNSUPPORTED, "%s: %ssize: expected a square, found %d x %d",
                    root->path, root->where, width, height);
}

static bool read_preprocessor(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  JanusImageRules *rules = &stated->rules;
  const bool is_port = stated->layout == JANUS_LAYOUT_TRANSFORMERS;
  int *size_px = &stated->preprocessor_px;
  return (is_port ? read_size(root, size_px, error)
                  : json_get_int(root, "image_size", 1, MAX_IMAGE_PX, size_px, error)) &&
         json_get_int(root, "min_size", 1, MAX_IMAGE_PX, &rules->min_size_px, error) &&
         json_get_number(root, "rescale_factor", 1e-9, 1e9, &rules->rescale, error) &&
         json_get_bool(root, "do_normalize", &rules->normalizes, error) &&
         read_channels(root, "image_mean", 0, rules->mean, error) &&
         read_channels(root, "image_std", 1e-6, rules->std, error);
}

// Newer versions of the port keep the preprocessor's fields in an object of this file.
static bool read_processor(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  char where[CONFIG_WHERE_BYTES];
  JsonPlace image;
  return json_get_int(root, "num_image_tokens", 1, MAX_SIZE, &stated->n_image_tokens, error) &&
         config_find_section(root, "image_processor", where, &image, error) &&
         read_preprocessor(&image, stated, error);
}

static bool read_generation(const JsonPlace *root, StatedConfig *stated, JanusError *error) {
  const char *cfg = stated->layout == JANUS_LAYOUT_TRANSFORMERS ? "guidance_scale" : "cfg";
  return json_get_number(root, cfg, 0, 1000, &stated->defaults.cfg, error) &&
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

void config_defaults(StatedConfig *stated) {
  *stated = (StatedConfig){.defaults = {.cfg = 5, .image_cfg = 5, .temperature = 1},
                           .describes = true,
                           .rules = {.min_size_px = 14,
                                     .rescale = 1.0 / 255,
                                     .normalizes = true,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.5f, 0.5f, 0.5f}}};
}

bool config_read(const char *folder, StatedConfig *stated, JanusError *error) {
  config_defaults(stated);
  return read_file(folder, "config.json", false, read_config, stated, error) &&
         read_file(folder, "preprocessor_config.json", true, read_preprocessor, stated, error) &&
         read_file(folder, "processor_config.json", true, read_processor, stated, error) &&
         read_file(folder, "generation_config.json", true, read_generation, stated, error);
}
