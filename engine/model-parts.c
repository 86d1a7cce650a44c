// SPDX-License-Identifier: MIT
// Taking checked tensors from the files and making the model's parts of them.
#include "engine/model-parts.h"

#include "engine/config.h"
#include "engine/error.h"
#include "engine/file.h"
#include "engine/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 192, MAX_PART_DIM = 1 << 24 };

// Formats the name that a function's variable arguments give.
#define FORMAT_NAME(text, format)                                                                  \
  do {                                                                                             \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    vsnprintf(text, NAME_BYTES, format, args);                                                     \
    va_end(args);                                                                                  \
  } while (0)

bool builder_ok(const ModelBuilder *b) {
  return b->error.code == JANUS_ERROR_NONE;
}

// --- owned memory -------------------------------------------------------------------------------

static void *keep(JanusModel *model, size_t n_bytes) {
  float **grown =
      realloc(model->owned_floats, (model->n_owned_floats + 1) * sizeof *model->owned_floats);
  if (!grown)
    return NULL;
  model->owned_floats = grown;
  float *memory = malloc(n_bytes ? n_bytes : 1);
  if (memory)
    grown[model->n_owned_floats++] = memory;
  model->owned_bytes += memory ? n_bytes : 0;
  return memory;
}

void *part_memory(ModelBuilder *b, size_t n_bytes) {
  void *memory = builder_ok(b) ? keep(b->model, n_bytes) : NULL;
  char text[BYTES_TEXT];
  if (!memory)
    janus_fail(&b->error, JANUS_ERROR_MEMORY, "%s: not enough memory for %s", b->folder,
               janus_bytes_text(n_bytes, text));
  return memory;
}

// --- tensors ------------------------------------------------------------------------------------

static const Tensor *find(ModelBuilder *b, const char *name, const int64_t *dims, int n_dims) {
  if (!builder_ok(b))
    return NULL;
  const Tensor *tensor = tensors_find(b->model->files, name);
  char expected[TENSOR_SHAPE_TEXT], found[TENSOR_SHAPE_TEXT], stored[LAYOUT_NAME_BYTES];
  tensors_stored_name(b->model->files, name, stored);
  tensor_shape_text(dims, n_dims, expected);
  if (!tensor)
    janus_fail(&b->error, JANUS_ERROR_FORMAT, "%s: expected a tensor %s of shape %s, found none",
               b->folder, stored, expected);
  else if (tensor->n_dims != n_dims || memcmp(tensor->dims, dims, (size_t)n_dims * sizeof *dims))
    janus_fail(&b->error, JANUS_ERROR_FORMAT, "%s: tensor %s: expected shape %s, found %s",
               tensor->file, stored, expected,
               tensor_shape_text(tensor->dims, tensor->n_dims, found));
  else if (!tensor->is_float)
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: tensor %s: expected F32, BF16 or F16 values, found %s", tensor->file, stored,
               tensor->dtype_text);
  return builder_ok(b) ? tensor : NULL;
}

// A checked tensor; counts it among those in use, but for lm_head.
static const Tensor *take(ModelBuilder *b, const char *name, const int64_t *dims, int n_dims) {
  const Tensor *tensor = find(b, name, dims, n_dims);
  if (!tensor || b->group == MODEL_HEAD)
    return tensor;
  b->model->info.n_parameters += (int64_t)(tensor->n_bytes / jk_dtype_size(tensor->dtype));
  b->model->info.weights_bytes += tensor->n_bytes;
  return tensor;
}

// Its values, where need be from a copy that the model owns.
static const void *values_of(ModelBuilder *b, const Tensor *tensor) {
  if (!tensor)
    return NULL;
  tensors_make(b->model->files, tensor);
  if (tensor->is_aligned)
    return tensor->data;
  if (!janus_memory_has_room(tensor->n_bytes, MODEL_COPIES, &b->error))
    return NULL;
  void *copy = part_memory(b, tensor->n_bytes);
  if (copy)
    memcpy(copy, tensor->data, tensor->n_bytes);
  file_drop_pages(tensor->data, tensor->n_bytes);
  return copy;
}

int part_dim(ModelBuilder *b, int index, int n_dims, const char *format, ...) {
  char name[NAME_BYTES], stored[LAYOUT_NAME_BYTES], found[TENSOR_SHAPE_TEXT];
  FORMAT_NAME(name, format);
  if (!builder_ok(b))
    return 0;
  const Tensor *tensor = tensors_find(b->model->files, name);
  if (!tensor)
    janus_fail(&b->error, JANUS_ERROR_FORMAT, "%s: expected a tensor %s, found none", b->folder,
               tensors_stored_name(b->model->files, name, stored));
  else if (tensor->n_dims != n_dims || tensor->dims[index] < 1 ||
           tensor->dims[index] > MAX_PART_DIM)
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s: tensor %s: expected %d dimensions, found shape %s", tensor->file, tensor->name,
               n_dims, tensor_shape_text(tensor->dims, tensor->n_dims, found));
  return builder_ok(b) ? (int)tensor->dims[index] : 0;
}

bool part_exists(const ModelBuilder *b, const char *format, ...) {
  char name[NAME_BYTES];
  FORMAT_NAME(name, format);
  return tensors_find(b->model->files, name) != NULL;
}

jk_weight part_table(ModelBuilder *b, int n_rows, int n_cols, const char *format, ...) {
  char name[NAME_BYTES];
  FORMAT_NAME(name, format);
  const Tensor *tensor = take(b, name, (int64_t[]){n_rows, n_cols}, 2);
  const void *data = values_of(b, tensor);
  if (!data)
    return (jk_weight){0};
  return (jk_weight){.data = data, .dtype = tensor->dtype, .n_rows = n_rows, .n_cols = n_cols};
}

const void *part_place(ModelBuilder *b, const void *host, size_t n_bytes) {
  jk_device *dev = b->model->device;
  const void *placed = NULL;
  char text[BYTES_TEXT];
  const jk_status status = builder_ok(b) ? dev->place(dev, host, n_bytes, &placed) : JK_OK;
  if (status != JK_OK)
    janus_fail(&b->error, status == JK_NO_MEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_DEVICE,
               "%s: %s: cannot place %s of weights: %s", b->folder, dev->name,
               janus_bytes_text(n_bytes, text), jk_status_text(status));
  return placed;
}

static const float *widen(ModelBuilder *b, const Tensor *tensor) {
  const void *data = values_of(b, tensor);
  const size_t n = data ? tensor->n_bytes / jk_dtype_size(tensor->dtype) : 0;
  float *values = part_memory(b, n * sizeof *values);
  if (builder_ok(b))
    jk_widen(values, data, tensor->dtype, n);
  return part_place(b, values, n * sizeof *values);
}

static const float *take_floats(ModelBuilder *b, int n, const char *name) {
  return widen(b, take(b, name, (int64_t[]){n}, 1));
}

const float *part_positions(ModelBuilder *b, int n, int dim, const char *name) {
  const int64_t dims[] = {1, n, dim};
  const bool is_flat = tensors_get_layout(b->model->files) == JANUS_LAYOUT_TRANSFORMERS;
  return widen(b, take(b, name, dims + is_flat, 3 - is_flat));
}

const float *part_floats(ModelBuilder *b, int n, const char *format, ...) {
  char name[NAME_BYTES];
  FORMAT_NAME(name, format);
  return take_floats(b, n, name);
}

// --- parts --------------------------------------------------------------------------------------

static ModelPart *add_part(ModelBuilder *b) {
  JanusModel *model = b->model;
  if (model->n_parts == model->parts_capacity) {
    const size_t capacity = model->parts_capacity ? 2 * model->parts_capacity : 256;
    ModelPart *grown = realloc(model->parts, capacity * sizeof *grown);
    if (!grown) {
      janus_fail(&b->error, JANUS_ERROR_MEMORY, "%s: not enough memory", b->folder);
      return NULL;
    }
    model->parts = grown;
    model->parts_capacity = capacity;
  }
  return &model->parts[model->n_parts++];
}

static const Tensor *take_bias(ModelBuilder *b, const char *prefix, int n) {
  char name[NAME_BYTES + 8];
  snprintf(name, sizeof name, "%sbias", prefix);
  return take(b, name, (int64_t[]){n}, 1);
}

// Adds parts of as many rows each as there are places; takes the weight and, if asked, the bias.
static void add_parts(ModelBuilder *b, ModelPart part, const char *prefix, const int64_t *dims,
                      int n_dims, bool has_bias, jk_linear **const *places, int n_places) {
  char name[NAME_BYTES + 8];
  snprintf(name, sizeof name, "%sweight", prefix);
  int64_t n_cols = 1;
  for (int i = 1; i < n_dims; i++)
    n_cols *= dims[i];
  if (builder_ok(b) && n_cols > INT32_MAX)
    janus_fail(&b->error, JANUS_ERROR_UNSUPPORTED, "%s: tensor %s is too wide", b->folder, name);
  part.weight = take(b, name, dims, n_dims);
  part.bias = has_bias ? take_bias(b, prefix, (int)dims[0]) : NULL;
  part.group = b->group;
  part.role = b->role;
  part.n_in = (int)n_cols;
  part.n_out = (int)dims[0] / n_places;
  for (int i = 0; i < n_places && builder_ok(b); i++) {
    ModelPart *place = add_part(b);
    if (!place)
      return;
    *place = part;
    place->linear = places[i];
    place->first_row = i * part.n_out;
  }
}

void part_linear(ModelBuilder *b, jk_linear **place, PartKind kind, int n_out, int n_in,
                 const char *format, ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  add_parts(b, (ModelPart){0}, prefix, (int64_t[]){n_out, n_in, 1, 1},
            kind == PART_CONV_1X1 ? 4 : 2, kind != PART_PLAIN, &place, 1);
}

void part_patches(ModelBuilder *b, jk_linear **place, int dim, int patch_px, const char *prefix) {
  add_parts(b, (ModelPart){0}, prefix, (int64_t[]){dim, 3, patch_px, patch_px}, 4, true, &place, 1);
}

void part_qkv(ModelBuilder *b, int dim, jk_linear **const places[3], const char *format, ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  add_parts(b, (ModelPart){0}, prefix, (int64_t[]){3 * (int64_t)dim, dim}, 2, true, places, 3);
}

void part_conv(ModelBuilder *b, jk_conv **place, int n_out, int n_in, int max_width_px,
               const char *format, ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  jk_linear **const none = NULL;
  add_parts(b, (ModelPart){.conv = place, .max_width_px = max_width_px}, prefix,
            (int64_t[]){n_out, n_in, 3, 3}, 4, true, &none, 1);
}

LayerNorm part_layer_norm(ModelBuilder *b, int dim, const char *format, ...) {
  char prefix[NAME_BYTES], name[NAME_BYTES + 8];
  FORMAT_NAME(prefix, format);
  LayerNorm norm;
  snprintf(name, sizeof name, "%sweight", prefix);
  norm.weight = take_floats(b, dim, name);
  snprintf(name, sizeof name, "%sbias", prefix);
  norm.bias = take_floats(b, dim, name);
  return norm;
}

VqNorm part_norm(ModelBuilder *b, int channels, const char *format, ...) {
  char prefix[NAME_BYTES], name[NAME_BYTES + 8], stored[LAYOUT_NAME_BYTES];
  FORMAT_NAME(prefix, format);
  const int n_groups = b->model->config.vq_norm_groups;
  VqNorm norm = {.channels = channels};
  snprintf(name, sizeof name, "%sweight", prefix);
  norm.weight = take_floats(b, channels, name);
  snprintf(name, sizeof name, "%sbias", prefix);
  norm.bias = take_floats(b, channels, name);
  if (channels % n_groups != 0)
    janus_fail(&b->error, JANUS_ERROR_FORMAT,
               "%s/config.json: %s: expected a divisor of the %d channels of %s, found %d",
               b->folder, CONFIG_KEY(tensors_get_layout(b->model->files), vq_norm_groups), channels,
               tensors_stored_name(b->model->files, prefix, stored), n_groups);
  return norm;
}
