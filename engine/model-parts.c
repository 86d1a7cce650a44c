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

void part_check_copies(ModelBuilder *b) {
  const MemoryRoom room = janus_memory_room();
  const TensorSet *files = b->model->files;
  uint64_t n_bytes = 0;
  for (size_t i = 0; i < tensors_count(files); i++) {
    const Tensor *tensor = tensors_get(files, i);
    n_bytes += tensor->is_float && !tensor->is_aligned ? tensor->n_bytes : 0;
  }
  b->model->has_copies = n_bytes > 0;
  char needed[BYTES_TEXT], found[BYTES_TEXT];
  if (n_bytes > room.free_bytes)
    janus_fail(&b->error, JANUS_ERROR_MEMORY,
               "%s: not enough memory: %s needed for the tensors that must be copied, because they "
               "do not begin at multiples of their values' size, %s are free %s",
               b->folder, janus_bytes_text(n_bytes, needed),
               janus_bytes_text(room.free_bytes, found), room.limit);
}

// A checked tensor as n_rows x n_cols values; counts it among those in use.
static jk_weight take(ModelBuilder *b, const char *name, const int64_t *dims, int n_dims,
                      int n_rows, int n_cols) {
  const Tensor *tensor = find(b, name, dims, n_dims);
  if (!tensor)
    return (jk_weight){0};
  tensors_make(b->model->files, tensor);
  const void *data = tensor->data;
  if (!tensor->is_aligned) {
    void *copy = part_memory(b, tensor->n_bytes);
    data = copy ? memcpy(copy, tensor->data, tensor->n_bytes) : NULL;
    file_drop_pages(tensor->data, tensor->n_bytes);
  }
  if (!b->is_late) {
    b->model->info.n_parameters += (int64_t)n_rows * n_cols;
    b->model->info.weights_bytes += tensor->n_bytes;
    b->model->resident_bytes += tensor->n_bytes;
  }
  return (jk_weight){.data = data, .dtype = tensor->dtype, .n_rows = n_rows, .n_cols = n_cols};
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
  return take(b, name, (int64_t[]){n_rows, n_cols}, 2, n_rows, n_cols);
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

static const float *widen(ModelBuilder *b, jk_weight weight) {
  const size_t n = (size_t)weight.n_rows * (size_t)weight.n_cols;
  float *values = part_memory(b, n * sizeof *values);
  if (builder_ok(b))
    jk_widen(values, weight.data, weight.dtype, n);
  return part_place(b, values, n * sizeof *values);
}

static const float *take_floats(ModelBuilder *b, int n, const char *name) {
  return widen(b, take(b, name, (int64_t[]){n}, 1, 1, n));
}

const float *part_positions(ModelBuilder *b, int n, int dim, const char *name) {
  const int64_t dims[] = {1, n, dim};
  const bool is_flat = tensors_get_layout(b->model->files) == JANUS_LAYOUT_TRANSFORMERS;
  return widen(b, take(b, name, dims + is_flat, 3 - is_flat, n, dim));
}

const float *part_floats(ModelBuilder *b, int n, const char *format, ...) {
  char name[NAME_BYTES];
  FORMAT_NAME(name, format);
  return take_floats(b, n, name);
}

// --- parts --------------------------------------------------------------------------------------

static jk_weight take_bias(ModelBuilder *b, const char *prefix, int n) {
  char name[NAME_BYTES + 8];
  snprintf(name, sizeof name, "%sbias", prefix);
  return take(b, name, (int64_t[]){n}, 1, 1, n);
}

static jk_weight take_weight(ModelBuilder *b, const char *prefix, const int64_t *dims, int n_dims) {
  char name[NAME_BYTES + 8];
  snprintf(name, sizeof name, "%sweight", prefix);
  int64_t n_cols = 1;
  for (int i = 1; i < n_dims; i++)
    n_cols *= dims[i];
  if (n_cols > INT32_MAX) {
    janus_fail(&b->error, JANUS_ERROR_UNSUPPORTED, "%s: tensor %s is too wide", b->folder, name);
    return (jk_weight){0};
  }
  return take(b, name, dims, n_dims, (int)dims[0], (int)n_cols);
}

static void check_made(ModelBuilder *b, jk_status status, const char *prefix) {
  if (status != JK_OK)
    janus_fail(&b->error, status == JK_NO_MEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_DEVICE,
               "%s: %sweight: %s: %s", b->folder, prefix, b->model->device->name,
               jk_status_text(status));
}

jk_linear *part_linear(ModelBuilder *b, PartKind kind, int n_out, int n_in, const char *format,
                       ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  jk_device *dev = b->model->device;
  jk_linear *linear = NULL;
  jk_weight bias = {0};
  const jk_weight weight =
      take_weight(b, prefix, (int64_t[]){n_out, n_in, 1, 1}, kind == PART_CONV_1X1 ? 4 : 2);
  if (kind != PART_PLAIN)
    bias = take_bias(b, prefix, n_out);
  if (builder_ok(b))
    check_made(b, dev->linear_create(dev, weight, bias, JK_FORMAT_F32, &linear), prefix);
  return linear;
}

jk_linear *part_patches(ModelBuilder *b, int dim, int patch_px, const char *prefix) {
  jk_device *dev = b->model->device;
  jk_linear *linear = NULL;
  const jk_weight weight = take_weight(b, prefix, (int64_t[]){dim, 3, patch_px, patch_px}, 4);
  const jk_weight bias = take_bias(b, prefix, dim);
  if (builder_ok(b))
    check_made(b, dev->linear_create(dev, weight, bias, JK_FORMAT_F32, &linear), prefix);
  return linear;
}

static jk_weight slice(jk_weight weight, int first_row, int n_rows) {
  const size_t at = (size_t)first_row * (size_t)weight.n_cols * jk_dtype_size(weight.dtype);
  weight.data = (const char *)weight.data + at;
  weight.n_rows = n_rows;
  return weight;
}

void part_qkv(ModelBuilder *b, int dim, jk_linear *out[3], const char *format, ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  jk_device *dev = b->model->device;
  const jk_weight weight = take_weight(b, prefix, (int64_t[]){3 * dim, dim}, 2);
  const jk_weight bias = take_bias(b, prefix, 3 * dim);
  out[0] = out[1] = out[2] = NULL;
  for (int i = 0; i < 3 && builder_ok(b); i++) {
    jk_weight part = bias;
    part.data = (const char *)bias.data + (size_t)(i * dim) * jk_dtype_size(bias.dtype);
    part.n_cols = dim;
    check_made(b,
               dev->linear_create(dev, slice(weight, i * dim, dim), part, JK_FORMAT_F32, &out[i]),
               prefix);
  }
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

jk_conv *part_conv(ModelBuilder *b, int n_out, int n_in, int max_width_px, const char *format,
                   ...) {
  char prefix[NAME_BYTES];
  FORMAT_NAME(prefix, format);
  jk_device *dev = b->model->device;
  jk_conv *conv = NULL;
  const jk_weight weight = take_weight(b, prefix, (int64_t[]){n_out, n_in, 3, 3}, 4);
  const jk_weight bias = take_bias(b, prefix, n_out);
  if (!builder_ok(b))
    return NULL;
  check_made(b, dev->conv_create(dev, weight, bias, JK_FORMAT_F32, max_width_px, &conv), prefix);
  // The packed copy in f32 replaces the file's pages.
  const size_t n = (size_t)weight.n_rows * (size_t)weight.n_cols;
  const size_t stored_bytes = n * jk_dtype_size(weight.dtype);
  file_drop_pages(weight.data, stored_bytes);
  b->model->resident_bytes += n * sizeof(float) - stored_bytes;
  return conv;
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
