// SPDX-License-Identifier: MIT
// Opening and releasing a model.
#include "engine/config.h"
#include "engine/device.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/memory.h"
#include "engine/model-make.h"
#include "engine/model-parts.h"
#include "engine/packed-cache.h"
#include "engine/pad-prefix.h"
#include "engine/picture-prefix.h"
#include "engine/preview.h"
#include "engine/synthetic.h"
#include "engine/weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// --- the device ---------------------------------------------------------------------------------

static bool check_options(const JanusModelOptions *options, JanusError *error) {
  if (options->weights < JANUS_WEIGHTS_AUTO || options->weights > JANUS_WEIGHTS_FP8)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "weights %s: expected f32, bf16, q8, q4 or fp8",
                      janus_weights_text(options->weights));
  return device_check_options(options, error);
}

bool janus_model_has_format(const JanusModel *model, JanusWeights weights) {
  return weights != JANUS_WEIGHTS_FP8 || model->device->has_fp8;
}

static bool open_device(JanusModel *model, const JanusModelOptions *options, JanusError *error) {
  if (!device_open(options, &model->device, model->device_text, error))
    return false;
  return janus_model_has_format(model, options->weights) ||
         janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                    "weights %s: expected f32, bf16, q8 or q4 on %s; NVIDIA cards alone have %s",
                    janus_weights_text(options->weights), model->device->name,
                    janus_weights_text(options->weights));
}

// --- the folder ---------------------------------------------------------------------------------

static bool check_folder(const char *folder, JanusError *error) {
  struct stat info;
  if (!folder || !*folder)
    return janus_fail(error, JANUS_ERROR_REQUEST, "model: expected a folder, found no name");
  if (stat(folder, &info) != 0)
    return janus_fail(error, JANUS_ERROR_IO, "%s: there is no such model folder", folder);
  if (!S_ISDIR(info.st_mode))
    return janus_fail(error, JANUS_ERROR_IO, "%s: expected a model folder, found a file", folder);
  return true;
}

// Every id that a text can give must have a row in the embedding.
static bool check_vocabulary(const JanusModel *model, const char *folder, JanusError *error) {
  const int32_t highest = janus_tokenizer_get_max_id(model->tokenizer);
  return highest < model->config.vocab ||
         janus_fail(
             error, JANUS_ERROR_FORMAT,
             "%s/tokenizer.json: expected ids below the %d rows of embed_tokens.weight, found "
             "%d",
             folder, model->config.vocab, (int)highest);
}

// Refuses files in the names of the layout that config.json does not tell.
static bool settle_layout(TensorSet *files, JanusLayout layout, const char *folder,
                          JanusError *error) {
  static const char *const model_types[] = {
      [JANUS_LAYOUT_ORIGINAL] = "multi_modality", [JANUS_LAYOUT_TRANSFORMERS] = "janus"};
  const JanusLayout other =
      layout == JANUS_LAYOUT_ORIGINAL ? JANUS_LAYOUT_TRANSFORMERS : JANUS_LAYOUT_ORIGINAL;
  tensors_set_layout(files, other);
  const Tensor *embedding = tensors_find(files, "language_model.model.embed_tokens.weight");
  tensors_set_layout(files, layout);
  return !embedding || janus_fail(error, JANUS_ERROR_FORMAT,
                                  "%s/config.json: model_type: expected %s as there is a tensor "
                                  "%s, found %s",
                                  folder, model_types[other], embedding->name, model_types[layout]);
}

static bool open_folder(JanusModel *model, const char *folder, JanusError *error) {
  StatedConfig stated;
  if (!config_read(folder, &stated, error))
    return false;
  model->files = tensors_open_folder(folder, error);
  if (!model->files)
    return false;
  if (!settle_layout(model->files, stated.layout, folder, error) ||
      !config_resolve(folder, &stated, model->files, &model->config, error))
    return false;
  model->tokenizer = janus_tokenizer_open(folder, error);
  return model->tokenizer != NULL;
}

static bool open_synthetic(JanusModel *model, const char *name, JanusError *error) {
  Synthetic synthetic;
  if (!synthetic_open(name, &synthetic, error))
    return false;
  model->files = synthetic.files;
  model->tokenizer = synthetic.tokenizer;
  return config_resolve(name, &synthetic.stated, model->files, &model->config, error);
}

// `folder` is the synthetic model's name where there is none.
static bool open_files(JanusModel *model, const JanusModelOptions *options, const char *folder,
                       JanusError *error) {
  JanusConfig *config = &model->config;
  if (!(options->synthetic ? open_synthetic(model, folder, error)
                           : open_folder(model, folder, error)))
    return false;
  if (options->max_layers > 0 && options->max_layers < config->n_layers)
    config->n_layers = options->max_layers;
  return janus_tags_find(model->tokenizer, folder, &model->tags, error) &&
         check_vocabulary(model, folder, error);
}

static bool build(JanusModel *model, const char *folder, JanusError *error) {
  ModelBuilder builder = {.model = model, .folder = folder};
  model_build_llama(&builder);
  if (builder_ok(&builder))
    model_build_vq(&builder);
  if (builder_ok(&builder))
    model_build_vision(&builder);
  return builder_ok(&builder) || janus_fail(error, builder.error.code, "%s", builder.error.message);
}

static bool choose_format(JanusModel *model, const JanusModelOptions *options, JanusError *error) {
  JanusModelInfo *info = &model->info;
  const MemoryRoom room = model_memory_room(model);
  char why[WEIGHTS_WHY] = "";
  info->total_bytes = room.total_bytes;
  info->weights_chosen = options->weights == JANUS_WEIGHTS_AUTO;
  info->weights =
      info->weights_chosen ? weights_choose(model, room.total_bytes, why) : options->weights;
  if (*why && !(info->weights_why = model->owned_text[3] = strdup(why)))
    return janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a model");
  model->config.kv_dtype = info->weights == JANUS_WEIGHTS_F32 ? JK_F32 : JK_BF16;
  return model_check_copies(model, error);
}

// --- info ---------------------------------------------------------------------------------------

// The folder's own name, also for "." and "models/..".
static char *dup_base_name(const char *folder) {
  char *full = realpath(folder, NULL);
  const char *slash = full ? strrchr(full, '/') : NULL;
  char *name = strdup(slash && slash[1] ? slash + 1 : folder);
  free(full);
  return name;
}

static bool fill_info(JanusModel *model, const char *folder, JanusError *error) {
  const JanusConfig *c = &model->config;
  JanusModelInfo *info = &model->info;
  info->folder = model->owned_text[0] = strdup(folder);
  info->name = model->owned_text[1] = dup_base_name(folder);
  info->device_name = model->owned_text[2] = strdup(model->device->name);
  info->layout = layout_text(tensors_get_layout(model->files));
  info->file_kind = tensors_are_pytorch(model->files) ? "pytorch" : "safetensors";
  info->device = model->device_text;
  info->defaults = c->defaults;
  info->describes = c->describes;
  info->image_size_px = c->image_size_px;
  info->min_size_px = c->rules.min_size_px;
  for (int i = 0; i < 3; i++) // the stated background_color is recomputed by the original
    info->background[i] = (uint8_t)fmin((double)c->rules.mean[i] * 255, 255);
  info->grid = c->grid;
  info->n_image_tokens = c->n_image_tokens;
  info->n_codes = c->n_codes;
  info->dim = c->dim;
  info->n_layers = c->n_layers;
  info->n_heads = c->n_heads;
  info->n_kv_heads = c->n_kv_heads;
  info->head_dim = c->head_dim;
  info->hidden_dim = c->hidden_dim;
  info->vocab = c->vocab;
  info->max_positions = c->max_positions;
  return (info->folder && info->name && info->device_name) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", folder);
}

// --- what is kept -------------------------------------------------------------------------------

static void set_budget(JanusModel *model, int64_t n_bytes) {
  model->pictures_budget_bytes = n_bytes > 0 ? (size_t)n_bytes : 0;
  if (n_bytes == 0)
    model->pictures_budget_bytes = picture_prefixes_default_budget(model);
  model->info.picture_cache_bytes = model->pictures_budget_bytes;
}

size_t janus_model_get_kept_bytes(JanusModel *model) {
  pthread_mutex_lock(&model->lock);
  const size_t n_bytes = picture_prefixes_bytes(model);
  pthread_mutex_unlock(&model->lock);
  return n_bytes;
}

void janus_model_drop_kept(JanusModel *model) {
  pthread_mutex_lock(&model->lock);
  picture_prefixes_trim(model, 0);
  pthread_mutex_unlock(&model->lock);
}

// --- the model ----------------------------------------------------------------------------------

// On the device that the options name.
static JanusModel *open_on(const JanusModelOptions *options, JanusError *error) {
  const char *folder = options->synthetic ? options->synthetic : options->folder;
  JanusModel *model = calloc(1, sizeof *model);
  if (!model) {
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a model");
    return NULL;
  }
  pthread_mutex_init(&model->lock, NULL);
  if (open_files(model, options, folder, error) && open_device(model, options, error) &&
      build(model, folder, error) && choose_format(model, options, error) &&
      fill_info(model, folder, error) && janus_model_check_files(model, error)) {
    set_budget(model, options->picture_cache_bytes);
    model_find_packed(model, options);
    return model;
  }
  janus_model_free(model);
  return NULL;
}

// Whether a card has room to paint a picture, in what is free there now.
static bool has_room(const JanusModel *model, JanusError *error) {
  const JanusMemory needed = janus_estimate_memory(model, 1, USUAL_PROMPT_TOKENS, false);
  const MemoryRoom room = model_memory_room(model);
  return janus_memory_check_room(&needed, &room, error);
}

// Whether it is for the device that something failed, and another would do.
static bool is_of_device(const JanusError *error) {
  return error->code == JANUS_ERROR_DEVICE || error->code == JANUS_ERROR_MEMORY ||
         error->code == JANUS_ERROR_UNSUPPORTED;
}

// NULL with the first reason that a card has given; with none where there is no card, or something
// is wrong that the CPU is to tell of.
static JanusModel *open_on_card(JanusModelOptions options, JanusError *why) {
  char name[DEVICE_NAME_BYTES];
  JanusError none = {0};
  options.device = name;
  for (int card = 0; device_has_card(card, card == 0 ? &none : NULL); card++) {
    JanusError error = {0};
    snprintf(name, sizeof name, "cuda:%d", card);
    JanusModel *model = open_on(&options, &error);
    if (model && device_check_sums(model->device, &error) && has_room(model, &error))
      return model;
    janus_model_free(model);
    if (is_of_device(&error))
      janus_fail(why, error.code, "%s", error.message); // the first stays
  }
  if (none.code == JANUS_ERROR_DEVICE)
    *why = none;
  return NULL;
}

// The reason goes with the model, without what it advises: that is done.
static bool keep_fallback(JanusModel *model, const JanusError *why, JanusError *error) {
  if (why->code == JANUS_ERROR_NONE)
    return true;
  model->info.fallback = model->owned_text[4] =
      strndup(why->message, janus_error_sentence_bytes(why->message));
  return model->info.fallback ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for a model");
}

static JanusModel *open_on_cpu(JanusModelOptions options, const JanusError *why,
                               JanusError *error) {
  options.device = "cpu";
  JanusModel *model = open_on(&options, error);
  if (!model || keep_fallback(model, why, error))
    return model;
  janus_model_free(model);
  return NULL;
}

JanusModel *janus_model_open(const JanusModelOptions *options, JanusError *error) {
  if (!check_options(options, error) ||
      (!options->synthetic && !check_folder(options->folder, error)))
    return NULL;
  file_guard_install();
  if (!device_is_auto(options))
    return open_on(options, error);
  JanusError why = {0};
  JanusModel *model = open_on_card(*options, &why);
  if (!model)
    return open_on_cpu(*options, &why, error);
  if (keep_fallback(model, &why, error))
    return model;
  janus_model_free(model);
  return NULL;
}

bool janus_model_settle(JanusModel **model, const JanusModelOptions *options,
                        JanusPrepareFunc progress, void *user_data, JanusError *error) {
  JanusError why = {0};
  if (janus_model_prepare(*model, progress, user_data, &why))
    return true;
  if (!device_is_auto(options) || !model_has_own_memory(*model) || !is_of_device(&why))
    return janus_fail(error, why.code, "%s", why.message);
  janus_model_free(*model);
  *model = open_on_cpu(*options, &why, error);
  return *model && janus_model_prepare(*model, progress, user_data, error);
}

void janus_model_free(JanusModel *model) {
  if (!model)
    return;
  preview_table_free(model->preview);
  if (model->device) {
    pad_prefix_release(model->pads, model->device);
    picture_prefixes_trim(model, 0);
    model_unmake(model);
    model->device->close(model->device);
  }
  for (size_t i = 0; i < model->n_owned_floats; i++)
    free(model->owned_floats[i]);
  free(model->owned_floats);
  free(model->parts);
  packed_cache_free(model->packed);
  for (size_t i = 0; i < sizeof model->owned_text / sizeof *model->owned_text; i++)
    free(model->owned_text[i]);
  janus_tokenizer_free(model->tokenizer);
  tensors_free(model->files);
  pthread_mutex_destroy(&model->lock);
  free(model);
}

bool janus_model_check_files(const JanusModel *model, JanusError *error) {
  return tensors_check(model->files, error) && packed_cache_check(model->packed, error);
}

void janus_model_measure_memory(const JanusModel *model, uint64_t *total_bytes,
                                uint64_t *free_bytes) {
  const MemoryRoom room = model_memory_room(model);
  *total_bytes = room.total_bytes;
  *free_bytes = room.free_bytes == UINT64_MAX ? 0 : room.free_bytes;
}

const JanusModelInfo *janus_model_get_info(const JanusModel *model) {
  return &model->info;
}

const JanusTokenizer *janus_model_get_tokenizer(const JanusModel *model) {
  return model->tokenizer;
}
