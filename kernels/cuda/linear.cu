// SPDX-License-Identifier: MIT
// Linear layers on CUDA: making them, and multiplying few or many rows with the same sums.
#include "kernels/cuda/linear.cuh"

#include <stdlib.h>

// --- packing ------------------------------------------------------------------------------------

// A thread packs a lane's part of a tile.
__global__ void pack_bf16_kernel(uint4 *packed, const void *matrix, jk_dtype dtype, int n_out,
                                 int n_in, int first_out, size_t n) {
  const size_t stride = (size_t)gridDim.x * blockDim.x;
  gpu_wait();
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int n_steps = jk_ceil_div(n_in, JK_TILE_COLS);
    const int lane = (int)(i % JK_WARP), step = (int)(i / JK_WARP % (size_t)n_steps);
    const int tile = (int)(i / JK_WARP / (size_t)n_steps);
    uint32_t words[4];
    for (int word = 0; word < 4; word++) {
      const int out = tile * JK_TILE_OUTS + lane / 4 + word % 2 * 8;
      const int col = step * JK_TILE_COLS + lane % 4 * 2 + word / 2 * 8;
      const size_t at = (size_t)out * (size_t)n_in + (size_t)col;
      const float low = out < n_out && col < n_in ? load_as(matrix, dtype, at) : 0.0f;
      const float high = out < n_out && col + 1 < n_in ? load_as(matrix, dtype, at + 1) : 0.0f;
      words[word] = bf16_bits(low) | bf16_bits(high) << 16;
    }
    const size_t place = jk_bf16_place(n_in, first_out + tile * JK_TILE_OUTS, step * JK_TILE_COLS);
    const uint4 part = {words[0], words[1], words[2], words[3]};
    packed[place / 8 + (size_t)lane] = part;
  }
}

void gpu_pack_bf16(jk_gpu *gpu, void *packed, const void *matrix, jk_dtype dtype, int n_out,
                   int n_in, int first_out) {
  const size_t n =
      (size_t)jk_ceil_div(n_out, JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_TILE_COLS) * JK_WARP;
  GPU_LAUNCH(gpu, pack_bf16_kernel, jk_plan_values(n), 0, (uint4 *)packed, matrix, dtype, n_out,
             n_in, first_out, n);
}

// Uploads some outputs at a time and packs them where they belong.
static jk_status pack(jk_gpu *gpu, jk_linear *linear, const jk_weight *weight) {
  enum { CHUNK_BYTES = 64 << 20 };
  const size_t row_bytes = (size_t)weight->n_cols * jk_dtype_size(weight->dtype);
  int n_most = (int)(CHUNK_BYTES / row_bytes) / JK_TILE_OUTS * JK_TILE_OUTS;
  n_most = n_most < JK_TILE_OUTS ? JK_TILE_OUTS : n_most;
  n_most = n_most < weight->n_rows ? n_most : weight->n_rows;
  void *raw = gpu_scratch(gpu, (size_t)n_most * row_bytes);
  if (!raw)
    return gpu->failure;
  for (int first = 0; first < weight->n_rows; first += n_most) {
    const int n = weight->n_rows - first < n_most ? weight->n_rows - first : n_most;
    const char *from = (const char *)weight->data + (size_t)first * row_bytes;
    gpu->base.upload(&gpu->base, raw, from, (size_t)n * row_bytes);
    if (linear->format == JK_FORMAT_FP8)
      gpu_pack_fp8(gpu, linear, raw, weight->dtype, n, first);
    else
      gpu_pack_bf16(gpu, linear->weight, raw, weight->dtype, n, weight->n_cols, first);
  }
  return gpu->failure;
}

// --- making and releasing -----------------------------------------------------------------------

static bool is_weight(const jk_weight *weight) {
  return weight->data && weight->n_rows > 0 && weight->n_cols > 0 && weight->dtype >= JK_F32 &&
         weight->dtype <= JK_F16;
}

static void linear_free(jk_device *dev, jk_linear *linear) {
  if (!linear)
    return;
  dev->free(dev, linear->weight);
  dev->free(dev, linear->bias);
  free(linear);
}

static jk_status fill_bias(jk_gpu *gpu, jk_linear *linear, const jk_weight *bias) {
  const size_t n_bytes = (size_t)bias->n_cols * sizeof(float);
  float *values = (float *)malloc(n_bytes);
  jk_status status = values ? gpu_alloc(gpu, n_bytes, (void **)&linear->bias) : JK_NO_MEMORY;
  if (status == JK_OK) {
    jk_widen(values, bias->data, bias->dtype, (size_t)bias->n_cols);
    status = gpu->base.upload(&gpu->base, linear->bias, values, n_bytes);
  }
  linear->n_bytes += n_bytes;
  free(values);
  return status;
}

static jk_status fill(jk_gpu *gpu, jk_linear *linear, const jk_weight *weight,
                      const jk_weight *bias) {
  const size_t raw_bytes =
      (size_t)weight->n_rows * (size_t)weight->n_cols * jk_dtype_size(weight->dtype);
  const bool is_plain = linear->format == JK_FORMAT_F32;
  linear->n_bytes =
      is_plain ? raw_bytes : jk_device_packed_bytes(linear->format, linear->n_out, linear->n_in);
  jk_status status = gpu_alloc(gpu, linear->n_bytes, &linear->weight);
  if (status == JK_OK && (linear->format == JK_FORMAT_Q8 || linear->format == JK_FORMAT_Q4))
    status = gpu_pack_quantised(gpu, linear, weight);
  else if (status == JK_OK)
    status = is_plain ? gpu->base.upload(&gpu->base, linear->weight, weight->data, raw_bytes)
                      : pack(gpu, linear, weight);
  if (status == JK_OK && bias->data)
    status = fill_bias(gpu, linear, bias);
  return status;
}

static jk_status linear_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                               jk_linear **out) {
  jk_gpu *gpu = gpu_of(dev);
  *out = NULL;
  if (format < JK_FORMAT_F32 || format > JK_FORMAT_FP8 || !is_weight(&weight) ||
      (bias.data && (!is_weight(&bias) || bias.n_rows != 1 || bias.n_cols != weight.n_rows)))
    return JK_BAD_REQUEST;
  jk_linear *linear = (jk_linear *)calloc(1, sizeof *linear);
  if (!linear)
    return JK_NO_MEMORY;
  gpu_use(gpu);
  linear->format = format;
  linear->dtype = weight.dtype;
  linear->n_out = weight.n_rows;
  linear->n_in = weight.n_cols;
  jk_status status = fill(gpu, linear, &weight, &bias);
  if (status == JK_OK) // launches fetch weights before they wait for others
    status = dev->sync(dev);
  if (status != JK_OK) {
    linear_free(dev, linear);
    gpu_take_failure(gpu); // it is told here
    return status;
  }
  *out = linear;
  return JK_OK;
}

// The order of packed copies is this device's own, so there are none to be kept elsewhere.
static jk_status linear_open(jk_device *, const void *, int, int, jk_weight, jk_format,
                             jk_linear **out) {
  *out = NULL;
  return JK_BAD_REQUEST;
}

static const void *linear_packed(const jk_linear *) {
  return NULL;
}

static size_t linear_bytes(const jk_linear *linear) {
  return linear ? linear->n_bytes : 0;
}

// --- products in f32 ----------------------------------------------------------------------------

struct f32_job {
  float *y;
  const void *weight;
  const float *bias, *x;
  jk_dtype dtype;
  int n_rows, n_out, n_in;
  bool accumulate;
};

// A warp an output: every lane adds up its columns, then the lanes are added up.
__device__ __forceinline__ void f32_rows(const f32_job &job, int out, int first_row) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const size_t first = (size_t)out * (size_t)job.n_in;
  const float *x = job.x + (size_t)first_row * (size_t)job.n_in;
  const int n_left = job.n_rows - first_row, n = n_left < JK_F32_ROWS ? n_left : JK_F32_ROWS;
  float sums[JK_F32_ROWS] = {};
  for (int k = lane; k < job.n_in; k += JK_WARP) {
    const float w = load_as(job.weight, job.dtype, first + (size_t)k);
#pragma unroll
    for (int r = 0; r < JK_F32_ROWS; r++)
      if (r < n)
        sums[r] = fmaf(w, x[(size_t)r * (size_t)job.n_in + (size_t)k], sums[r]);
  }
#pragma unroll
  for (int r = 0; r < JK_F32_ROWS; r++) {
    const float value = warp_sum(sums[r]) + (job.bias ? job.bias[out] : 0.0f);
    if (lane != 0 || r >= n)
      continue;
    float *y = job.y + (size_t)(first_row + r) * (size_t)job.n_out + out;
    *y = job.accumulate ? *y + value : value;
  }
}

__global__ void __launch_bounds__(JK_BLOCK) f32_kernel(f32_job job) {
  const int out = (int)(blockIdx.x * (JK_BLOCK / JK_WARP) + threadIdx.x / JK_WARP);
  gpu_wait();
  if (out >= job.n_out)
    return;
  for (int row = (int)blockIdx.y * JK_F32_ROWS; row < job.n_rows;
       row += (int)gridDim.y * JK_F32_ROWS)
    f32_rows(job, out, row);
}

// --- the operation ------------------------------------------------------------------------------

static void multiply_bf16(jk_gpu *gpu, float *y, const jk_linear *layer, const float *x, int n_rows,
                          bool accumulate) {
  const bool is_whole = rows_are_whole(x, layer->n_in);
  if (n_rows <= JK_SKINNY_ROWS) {
    const skinny_job job = {y,
                            (const uint4 *)layer->weight,
                            NULL,
                            layer->bias,
                            x,
                            n_rows,
                            layer->n_out,
                            layer->n_in,
                            accumulate,
                            is_whole};
    multiply_few<false>(gpu, job);
    return;
  }
  const jk_split_plan plan = jk_plan_splits(JK_FORMAT_BF16, layer->n_in);
  for (int first = 0, n; first < n_rows; first += n) {
    n = jk_plan_many_rows(n_rows - first);
    float *to = y + (size_t)first * (size_t)layer->n_out;
    const many_job job = {to,
                          (const uint4 *)layer->weight,
                          NULL,
                          layer->bias,
                          accumulate ? to : NULL,
                          layer->n_out,
                          layer->n_in,
                          n,
                          plan.n_steps,
                          JK_N_SPLITS,
                          plan.per_split,
                          is_whole};
    const plain_rows rows = {x + (size_t)first * (size_t)layer->n_in, layer->n_in, plan.per_split};
    GPU_LAUNCH(gpu, many_kernel<plain_rows>, jk_plan_many(layer->n_out, n), 0, job, rows);
  }
}

static void linear(jk_device *dev, float *y, const jk_linear *layer, const float *x, int n_rows,
                   bool accumulate) {
  jk_gpu *gpu = gpu_of(dev);
  if (n_rows <= 0)
    return;
  gpu_use(gpu);
  if (layer->format == JK_FORMAT_BF16) {
    multiply_bf16(gpu, y, layer, x, n_rows, accumulate);
    return;
  }
  if (layer->format == JK_FORMAT_FP8) {
    gpu_multiply_fp8(gpu, y, layer, x, n_rows, accumulate);
    return;
  }
  if (layer->format != JK_FORMAT_F32) {
    gpu_multiply_quantised(gpu, y, layer, x, n_rows, accumulate);
    return;
  }
  const f32_job job = {y,      layer->weight, layer->bias, x,         layer->dtype,
                       n_rows, layer->n_out,  layer->n_in, accumulate};
  GPU_LAUNCH(gpu, f32_kernel, jk_plan_f32(layer->n_out, n_rows), 0, job);
}

void gpu_init_linear(jk_device *table) {
  table->linear_create = linear_create;
  table->linear_open = linear_open;
  table->linear_packed = linear_packed;
  table->linear_free = linear_free;
  table->linear_bytes = linear_bytes;
  table->linear = linear;
  table->has_fp8 = true;
}
