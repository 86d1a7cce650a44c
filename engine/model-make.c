// SPDX-License-Identifier: MIT
// Making a model's layers and convolutions when a run first needs them: from the files' values
// where they lie, packed from them, or from a packed copy on disk.
#include "engine/model-make.h"

#include "engine/error.h"
#include "engine/file.h"
#include "engine/memory.h"
#include "engine/packed-cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// --- formats ------------------------------------------------------------------------------------

jk_format part_format(PartRole role, JanusWeights weights) {
  static const jk_format formats[][PART_N_ROLES] = {
      [JANUS_WEIGHTS_BF16] = {[PART_LAYER] = JK_FORMAT_BF16,
                              [PART_SENSITIVE] = JK_FORMAT_BF16,
                              [PART_VISION] = JK_FORMAT_BF16},
      [JANUS_WEIGHTS_Q8] = {[PART_LAYER] = JK_FORMAT_Q8,
                            [PART_SENSITIVE] = JK_FORMAT_Q8,
                            [PART_VISION] = JK_FORMAT_BF16},
      [JANUS_WEIGHTS_Q4] = {[PART_LAYER] = JK_FORMAT_Q4,
                            [PART_SENSITIVE] = JK_FORMAT_Q8,
                            [PART_VISION] = JK_FORMAT_BF16},
      [JANUS_WEIGHTS_FP8] = {[PART_LAYER] = JK_FORMAT_FP8,
                             [PART_SENSITIVE] = JK_FORMAT_Q8,
                             [PART_VISION] = JK_FORMAT_BF16},
  };
  return weights >= JANUS_WEIGHTS_BF16 && weights <= JANUS_WEIGHTS_FP8 ? formats[weights][role]
                                                                       : JK_FORMAT_F32;
}

// --- sizes --------------------------------------------------------------------------------------

static size_t n_values(const ModelPart *part) {
  return (size_t)part->n_out * (size_t)part->n_in;
}

PartBytes part_bytes(const ModelPart *part, JanusWeights weights) {
  const jk_format format = part_format(part->role, weights);
  const size_t bias_bytes = part->bias ? (size_t)part->n_out * sizeof(float) : 0;
  if (part->conv)
    return (PartBytes){.owned = n_values(part) * (format == JK_FORMAT_F32 ? sizeof(float) : 2) +
                                bias_bytes};
  if (format != JK_FORMAT_F32)
    return (PartBytes){.owned = jk_packed_bytes(format, part->n_out, part->n_in) + bias_bytes};
  const size_t stored_bytes = n_values(part) * jk_dtype_size(part->weight->dtype);
  if (part->weight->is_aligned)
    return (PartBytes){.owned = bias_bytes, .mapped = stored_bytes};
  return (PartBytes){.owned = stored_bytes + bias_bytes};
}

PartBytes model_bytes(const JanusModel *model, unsigned groups, JanusWeights weights) {
  PartBytes sum = {.owned = model->owned_bytes};
  for (size_t i = 0; i < model->n_parts; i++) {
    if (!(model->parts[i].group & groups))
      continue;
    const PartBytes bytes = part_bytes(&model->parts[i], weights);
    sum.owned += bytes.owned;
    sum.mapped += bytes.mapped;
  }
  return sum;
}

static bool is_made(const ModelPart *part) {
  return part->conv ? *part->conv != NULL : *part->linear != NULL;
}

// What a packed copy on disk holds: the pictures' encoders and the decoder are small beside it.
static bool is_packed(const JanusModel *model, const ModelPart *part) {
  return part->group == MODEL_LANGUAGE && part->linear &&
         part_format(part->role, model->info.weights) != JK_FORMAT_F32;
}

static bool is_cached(const JanusModel *model, const ModelPart *part) {
  return model->packed && is_packed(model, part);
}

MemoryRoom model_memory_room(const JanusModel *model) {
  size_t n_free_bytes = 0, n_bytes = 0;
  model->device->measure_memory(model->device, &n_free_bytes, &n_bytes);
  if (n_bytes == 0)
    return janus_memory_room();
  return (MemoryRoom){.total_bytes = n_bytes,
                      .free_bytes = n_free_bytes,
                      .limit = "on the card",
                      .owner = model->device->name};
}

bool model_has_own_memory(const JanusModel *model) {
  return model_memory_room(model).owner != NULL;
}

size_t model_unmade_bytes(const JanusModel *model, unsigned groups) {
  const bool is_card = model_has_own_memory(model);
  size_t sum = 0;
  for (size_t i = 0; i < model->n_parts; i++) {
    const ModelPart *part = &model->parts[i];
    if (!(part->group & groups) || is_made(part) || is_cached(model, part))
      continue;
    const PartBytes bytes = part_bytes(part, model->info.weights);
    sum += bytes.owned + (is_card ? bytes.mapped : 0); // a card maps no files
  }
  return sum;
}

bool model_check_copies(const JanusModel *model, JanusError *error) {
  size_t sum = 0;
  for (size_t i = 0; i < model->n_parts; i++) {
    const ModelPart *part = &model->parts[i];
    if (part->linear && !part->weight->is_aligned &&
        part_format(part->role, model->info.weights) == JK_FORMAT_F32)
      sum += part_bytes(part, model->info.weights).owned;
  }
  return sum == 0 || janus_memory_has_room(sum, MODEL_COPIES, error);
}

// --- one part -----------------------------------------------------------------------------------

// Values of a tensor, from `first` on, as a device takes them. *copy receives memory that must be
// freed behind the last use, where they cannot be used as they lie.
static bool get_values(const JanusModel *model, const Tensor *tensor, size_t first, size_t n,
                       jk_weight *weight, void **copy) {
  const size_t size = jk_dtype_size(tensor->dtype);
  tensors_make(model->files, tensor);
  weight->dtype = tensor->dtype;
  weight->data = (const char *)tensor->data + first * size;
  *copy = NULL;
  if (tensor->is_aligned)
    return true;
  *copy = malloc(n * size);
  if (*copy)
    weight->data = memcpy(*copy, weight->data, n * size);
  return *copy != NULL;
}

static bool get_weight(const JanusModel *model, const ModelPart *part, jk_weight *weight,
                       void **copy) {
  *weight = (jk_weight){.n_rows = part->n_out, .n_cols = part->n_in};
  return get_values(model, part->weight, (size_t)part->first_row * (size_t)part->n_in,
                    n_values(part), weight, copy);
}

static bool get_bias(const JanusModel *model, const ModelPart *part, jk_weight *bias, void **copy) {
  *copy = NULL;
  *bias = (jk_weight){.n_rows = 1, .n_cols = part->n_out};
  if (!part->bias) {
    *bias = (jk_weight){0};
    return true;
  }
  return get_values(model, part->bias, (size_t)part->first_row, (size_t)part->n_out, bias, copy);
}

// The device has a copy of its own: the pages go.
static void drop_pages(const ModelPart *part) {
  const size_t row_bytes = (size_t)part->n_in * jk_dtype_size(part->weight->dtype);
  file_drop_pages((const char *)part->weight->data + (size_t)part->first_row * row_bytes,
                  (size_t)part->n_out * row_bytes);
}

static jk_status make(JanusModel *model, ModelPart *part, jk_format format, jk_linear **linear) {
  jk_device *dev = model->device;
  jk_weight weight, bias;
  void *weight_copy = NULL, *bias_copy = NULL;
  jk_status status = JK_NO_MEMORY;
  if (get_weight(model, part, &weight, &weight_copy) && get_bias(model, part, &bias, &bias_copy))
    status = part->conv
                 ? dev->conv_create(dev, weight, bias, format, part->max_width_px, part->conv)
                 : dev->linear_create(dev, weight, bias, format, linear);
  const bool uses_values = !part->conv && format == JK_FORMAT_F32;
  if (status == JK_OK && uses_values && weight_copy) {
    free(part->copy);
    part->copy = weight_copy;
    weight_copy = NULL;
  }
  if (!part->weight->is_aligned || !uses_values)
    drop_pages(part);
  free(weight_copy);
  free(bias_copy);
  return status;
}

static bool check_made(const JanusModel *model, const ModelPart *part, jk_status status,
                       JanusError *error) {
  if (status == JK_OK)
    return true;
  return janus_fail(error, status == JK_NO_MEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_DEVICE,
                    "%s: tensor %s: %s: %s", part->weight->file, part->weight->name,
                    model->device->name, jk_status_text(status));
}

static bool make_part(JanusModel *model, ModelPart *part, JanusError *error) {
  const jk_format format = part_format(part->role, model->info.weights);
  return check_made(model, part, make(model, part, format, part->linear), error);
}

// --- packed copies on disk -----------------------------------------------------------------------

void model_find_packed(JanusModel *model, const JanusModelOptions *options) {
  const JanusModelInfo *info = &model->info;
  char label[300];
  size_t n = 0, n_bytes = 0;
  PackedShape *shapes = calloc(model->n_parts, sizeof *shapes);
  for (size_t i = 0; shapes && i < model->n_parts; i++) {
    const ModelPart *part = &model->parts[i];
    if (!is_packed(model, part))
      continue;
    shapes[n++] = (PackedShape){part_format(part->role, info->weights), part->n_out, part->n_in};
    n_bytes += part_bytes(part, info->weights).owned;
  }
  snprintf(label, sizeof label, "%.40s-%s", info->name, janus_weights_text(info->weights));
  if (n > 0 && options->packed_folder && !model_has_own_memory(model) && !options->synthetic &&
      n_bytes >= options->packed_least_bytes)
    model->packed = packed_cache_new(options->packed_folder, info->folder, label, model->files,
                                     model->device, shapes, n);
  free(shapes);
}

bool janus_model_find_packed(const JanusModel *model, JanusPackedCopy *copy) {
  if (!model->packed)
    return false;
  struct stat file;
  copy->path = packed_cache_get_path(model->packed);
  copy->n_bytes = packed_cache_get_bytes(model->packed);
  copy->is_there = stat(copy->path, &file) == 0 && (uint64_t)file.st_size == copy->n_bytes;
  return true;
}

static bool open_cached(JanusModel *model, ModelPart *part, size_t section, JanusError *error) {
  jk_device *dev = model->device;
  const jk_format format = part_format(part->role, model->info.weights);
  jk_weight bias;
  void *copy = NULL;
  jk_status status = JK_NO_MEMORY;
  if (get_bias(model, part, &bias, &copy))
    status = dev->linear_open(dev, packed_cache_section(model->packed, section), part->n_out,
                              part->n_in, bias, format, part->linear);
  free(copy);
  return check_made(model, part, status, error);
}

static bool open_all_cached(JanusModel *model, JanusError *error) {
  size_t section = 0;
  bool ok = true;
  for (size_t i = 0; i < model->n_parts && ok; i++) {
    ModelPart *part = &model->parts[i];
    if (!is_cached(model, part))
      continue;
    ok = is_made(part) || open_cached(model, part, section, error);
    section++;
  }
  return ok;
}

// Tells the watcher of one part more; false when it wants to stop.
typedef struct Making {
  const ModelWatch *watch;
  size_t n_done, n_total;
} Making;

static bool tell(Making *making, const ModelPart *part, JanusError *error) {
  making->n_done += n_values(part);
  return !making->watch || !making->watch->func ||
         making->watch->func(making->n_done, making->n_total, making->watch->user_data) ||
         janus_fail(error, JANUS_ERROR_CANCELLED, "stopped");
}

// Packs the next section into the file. *is_kept: what is written can still become a copy.
static bool write_section(JanusModel *model, ModelPart *part, PackedWriter *writer, bool *is_kept,
                          JanusError *error) {
  jk_device *dev = model->device;
  const jk_format format = part_format(part->role, model->info.weights);
  jk_linear *linear = NULL;
  if (!check_made(model, part, make(model, part, format, &linear), error))
    return false;
  *is_kept = packed_writer_add(writer, dev->linear_packed(linear));
  dev->linear_free(dev, linear);
  return true;
}

// Writes the copy that is not there yet. A disk that is full or cannot be written to is no error:
// then there is no copy.
static bool write_cache(JanusModel *model, Making *making, JanusError *error) {
  PackedWriter writer;
  bool is_kept = packed_writer_begin(&writer, model->packed), ok = true;
  for (size_t i = 0; i < model->n_parts && ok && is_kept; i++) {
    ModelPart *part = &model->parts[i];
    if (is_cached(model, part))
      ok = write_section(model, part, &writer, &is_kept, error) && tell(making, part, error);
  }
  // Sections of a file that was cut off meanwhile hold zeros.
  const bool is_sound = !ok || tensors_check(model->files, error);
  packed_writer_end(&writer, ok && is_kept && is_sound);
  return ok && is_sound;
}

static bool make_cached(JanusModel *model, Making *making, JanusError *error) {
  if (!packed_cache_open(model->packed)) {
    if (!write_cache(model, making, error))
      return false;
    making->n_done = 0;
    packed_cache_open(model->packed);
  }
  if (packed_cache_is_open(model->packed))
    return open_all_cached(model, error);
  packed_cache_free(model->packed);
  model->packed = NULL;
  return true;
}

// --- all ----------------------------------------------------------------------------------------

static bool check_room(const JanusModel *model, unsigned groups, JanusError *error) {
  const size_t n_bytes = model_unmade_bytes(model, groups);
  const MemoryRoom room = model_memory_room(model);
  char needed[BYTES_TEXT], found[BYTES_TEXT];
  return n_bytes <= room.free_bytes ||
         janus_fail(error, JANUS_ERROR_MEMORY,
                    "%s: not enough memory: %s needed for the weights in %s, %s are free %s%s",
                    model->info.folder, janus_bytes_text(n_bytes, needed),
                    janus_weights_text(model->info.weights),
                    janus_bytes_text(room.free_bytes, found), room.limit,
                    room.owner ? "; --device cpu needs none of it" : "");
}

bool model_make(JanusModel *model, unsigned groups, const ModelWatch *watch, JanusError *error) {
  Making making = {.watch = watch};
  bool wants_cached = false;
  for (size_t i = 0; i < model->n_parts; i++) {
    const ModelPart *part = &model->parts[i];
    if (!(part->group & groups) || is_made(part))
      continue;
    making.n_total += n_values(part);
    wants_cached = wants_cached || is_cached(model, part);
  }
  if (making.n_total == 0)
    return true;
  if (wants_cached && !make_cached(model, &making, error))
    return false;
  if (!check_room(model, groups, error))
    return false;
  for (size_t i = 0; i < model->n_parts; i++) {
    ModelPart *part = &model->parts[i];
    if ((part->group & groups) && !is_made(part) &&
        (!make_part(model, part, error) || !tell(&making, part, error)))
      return false;
  }
  return true;
}

bool janus_model_prepare(JanusModel *model, JanusPrepareFunc progress, void *user_data,
                         JanusError *error) {
  const ModelWatch watch = {.func = progress, .user_data = user_data};
  pthread_mutex_lock(&model->lock);
  const bool ok = model_make(model, MODEL_LANGUAGE | MODEL_DECODER, &watch, error);
  pthread_mutex_unlock(&model->lock);
  return ok && janus_model_check_files(model, error);
}

void model_unmake(JanusModel *model) {
  jk_device *dev = model->device;
  for (size_t i = 0; i < model->n_parts; i++) {
    ModelPart *part = &model->parts[i];
    if (part->linear) {
      dev->linear_free(dev, *part->linear);
      *part->linear = NULL;
    } else {
      dev->conv_free(dev, *part->conv);
      *part->conv = NULL;
    }
    free(part->copy);
    part->copy = NULL;
  }
}
