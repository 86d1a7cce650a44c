// SPDX-License-Identifier: MIT
// 3x3 convolutions on CUDA: in bf16 products of packed weights with the rows of pixels that the
// taps see, in f32 sums of one thread.
#include "kernels/cuda/linear.cuh"

#include <stdlib.h>

enum { N_TAPS = 9, N_PHASES = 4, N_FOLDED = 4 };

struct jk_conv {
  void *weight; // BF16: packed [n_out][taps][n_in rounded up to 16]; F32: [taps][n_in][n_out]
  void *folded; // BF16: [4 phases] packed [n_out][4 taps][n_in rounded up], made when first used
  float *bias;
  jk_format format;
  int n_out, n_in, max_width_px;
};

static int padded_in(const jk_conv *conv) {
  return jk_ceil_div(conv->n_in, JK_TILE_COLS) * JK_TILE_COLS;
}

// --- packing ------------------------------------------------------------------------------------

struct conv_pack_job {
  void *packed;
  const void *matrix; // [n_out][n_in][9], or packed weights to fold
  jk_dtype dtype;
  int n_out, n_in, padded;
  size_t n; // threads
};

#define FOR_ALL(i, n)                                                                              \
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                          \
       i += (size_t)gridDim.x * blockDim.x)

// A thread an output, channel and tap that exists; the rest is zero already.
__global__ void conv_pack_bf16_kernel(conv_pack_job job) {
  gpu_wait();
  FOR_ALL(i, job.n) {
    const int tap = (int)(i % N_TAPS), c = (int)(i / N_TAPS % (size_t)job.n_in);
    const int out = (int)(i / N_TAPS / (size_t)job.n_in);
    const size_t place = jk_bf16_place(N_TAPS * job.padded, out, tap * job.padded + c);
    ((uint16_t *)job.packed)[place] = (uint16_t)bf16_bits(load_as(job.matrix, job.dtype, i));
  }
}

__global__ void conv_pack_f32_kernel(conv_pack_job job) {
  gpu_wait();
  FOR_ALL(i, job.n) {
    const size_t tap = i % N_TAPS, rest = i / N_TAPS, n_in = (size_t)job.n_in;
    const size_t place = (tap * n_in + rest % n_in) * (size_t)job.n_out + rest / n_in;
    ((float *)job.packed)[place] = load_as(job.matrix, job.dtype, i);
  }
}

// Which of two input pixels tap `tap` of a phase's outputs sees, where the input is doubled.
__device__ __forceinline__ int seen_by(int phase, int tap) {
  return (phase + tap + 1) / 2 - phase;
}

// A thread an output, channel, phase and folded tap.
__global__ void conv_fold_kernel(conv_pack_job job) {
  gpu_wait();
  FOR_ALL(i, job.n) {
    const int folded = (int)(i % N_FOLDED), phase = (int)(i / N_FOLDED % N_PHASES);
    const size_t rest = i / (N_FOLDED * N_PHASES);
    const int c = (int)(rest % (size_t)job.n_in), out = (int)(rest / (size_t)job.n_in);
    float sum = 0.0f;
    for (int tap = 0; tap < N_TAPS; tap++) {
      const int seen = 2 * seen_by(phase / 2, tap / 3) + seen_by(phase % 2, tap % 3);
      if (seen == folded)
        sum += bf16_float(
            ((const uint16_t *)
                 job.matrix)[jk_bf16_place(N_TAPS * job.padded, out, tap * job.padded + c)]);
    }
    const int n_cols = N_FOLDED * job.padded;
    const size_t phase_values =
        (size_t)jk_ceil_div(job.n_out, JK_TILE_OUTS) * JK_TILE_OUTS * (size_t)n_cols;
    const size_t place = jk_bf16_place(n_cols, out, folded * job.padded + c);
    ((uint16_t *)job.packed)[(size_t)phase * phase_values + place] = (uint16_t)bf16_bits(sum);
  }
}

static bool fold(jk_gpu *gpu, jk_conv *conv) {
  const size_t phase_bytes =
      jk_device_packed_bytes(JK_FORMAT_BF16, conv->n_out, N_FOLDED * padded_in(conv));
  if (conv->folded)
    return true;
  const jk_status status =
      gpu->base.alloc(&gpu->base, N_PHASES * phase_bytes, "folded weights", &conv->folded);
  if (status != JK_OK) {
    gpu_fail(gpu, status, "its memory does not suffice for folded weights");
    return false;
  }
  const conv_pack_job job = {conv->folded,
                             conv->weight,
                             JK_BF16,
                             conv->n_out,
                             conv->n_in,
                             padded_in(conv),
                             (size_t)conv->n_out * (size_t)conv->n_in * N_PHASES * N_FOLDED};
  GPU_LAUNCH(gpu, conv_fold_kernel, jk_plan_values(job.n), 0, job);
  return true;
}

// --- making and releasing -----------------------------------------------------------------------

static void conv_free(jk_device *dev, jk_conv *conv) {
  if (!conv)
    return;
  dev->free(dev, conv->weight);
  dev->free(dev, conv->folded);
  dev->free(dev, conv->bias);
  free(conv);
}

static jk_status pack(jk_gpu *gpu, jk_conv *conv, const jk_weight *weight) {
  const size_t n = (size_t)weight->n_rows * (size_t)weight->n_cols;
  const size_t raw_bytes = n * jk_dtype_size(weight->dtype);
  const bool is_bf16 = conv->format == JK_FORMAT_BF16;
  const size_t n_bytes =
      is_bf16 ? jk_device_packed_bytes(JK_FORMAT_BF16, conv->n_out, N_TAPS * padded_in(conv))
              : n * sizeof(float);
  const jk_status status = gpu->base.alloc(&gpu->base, n_bytes, "a convolution", &conv->weight);
  void *raw = status == JK_OK ? gpu_scratch(gpu, raw_bytes) : NULL;
  if (!raw)
    return status == JK_OK ? gpu->failure : status;
  gpu->base.upload(&gpu->base, raw, weight->data, raw_bytes);
  const conv_pack_job job = {conv->weight,    raw, weight->dtype, conv->n_out, conv->n_in,
                             padded_in(conv), n};
  if (is_bf16)
    GPU_LAUNCH(gpu, conv_pack_bf16_kernel, jk_plan_values(n), 0, job);
  else
    GPU_LAUNCH(gpu, conv_pack_f32_kernel, jk_plan_values(n), 0, job);
  return gpu->failure;
}

static jk_status fill_bias(jk_gpu *gpu, jk_conv *conv, const jk_weight *bias) {
  const size_t n_bytes = (size_t)conv->n_out * sizeof(float);
  float *values = (float *)malloc(n_bytes);
  jk_status status = values ? gpu_alloc(gpu, n_bytes, (void **)&conv->bias) : JK_NO_MEMORY;
  if (status == JK_OK) {
    jk_widen(values, bias->data, bias->dtype, (size_t)conv->n_out);
    status = gpu->base.upload(&gpu->base, conv->bias, values, n_bytes);
  }
  free(values);
  return status;
}

static bool is_convolution(const jk_weight *weight, const jk_weight *bias) {
  return weight->data && weight->n_rows > 0 && weight->n_cols > 0 && weight->n_cols % N_TAPS == 0 &&
         bias->data && bias->n_rows == 1 && bias->n_cols == weight->n_rows;
}

static jk_status conv_create(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                             int max_width_px, jk_conv **out) {
  jk_gpu *gpu = gpu_of(dev);
  *out = NULL;
  if ((format != JK_FORMAT_F32 && format != JK_FORMAT_BF16) || max_width_px < 1 ||
      !is_convolution(&weight, &bias))
    return JK_BAD_REQUEST;
  jk_conv *conv = (jk_conv *)calloc(1, sizeof *conv);
  if (!conv)
    return JK_NO_MEMORY;
  gpu_use(gpu);
  conv->format = format;
  conv->n_out = weight.n_rows;
  conv->n_in = weight.n_cols / N_TAPS;
  conv->max_width_px = max_width_px;
  jk_status status = pack(gpu, conv, &weight);
  if (status == JK_OK)
    status = fill_bias(gpu, conv, &bias);
  if (status != JK_OK) {
    conv_free(dev, conv);
    gpu_take_failure(gpu); // it is told here
    return status;
  }
  *out = conv;
  return JK_OK;
}

// --- where a convolution reads and writes -------------------------------------------------------

// Output pixels of one launch: all of them, or one of the four phases of a doubled picture.
struct conv_rows {
  const float *x;
  int height, width, n_in; // of the input
  int out_width;           // pixels of the launch beside each other
  int stride, shift_y, shift_x, taps_width;
  int scale, phase_y, phase_x, full_width; // where they lie in the output
  __device__ __forceinline__ const float *at(int row, int tap) const {
    const int y = row / out_width * stride + tap / taps_width + shift_y;
    const int px = row % out_width * stride + tap % taps_width + shift_x;
    if (y < 0 || y >= height || px < 0 || px >= width)
      return NULL;
    return x + ((size_t)y * (size_t)width + (size_t)px) * (size_t)n_in;
  }
  __device__ __forceinline__ int first_col(int) const {
    return 0;
  }
  __device__ __forceinline__ size_t out_at(int row) const {
    return (size_t)(row / out_width * scale + phase_y) * (size_t)full_width +
           (size_t)(row % out_width * scale + phase_x);
  }
};

struct conv_size {
  int height, width;
};

static conv_size output_size(int height, int width, jk_conv_mode mode) {
  const conv_size same = {height, width}, up = {2 * height, 2 * width};
  const conv_size down = {height / 2, width / 2};
  return mode == JK_CONV_UP ? up : mode == JK_CONV_DOWN ? down : same;
}

static conv_rows plain_conv(const float *x, const jk_conv *conv, int height, int width,
                            jk_conv_mode mode) {
  const int out_width = output_size(height, width, mode).width;
  const int shift = mode == JK_CONV_DOWN ? 0 : -1;
  const conv_rows rows = {
      x, height, width, conv->n_in, out_width, mode == JK_CONV_DOWN ? 2 : 1, shift, shift,
      3, 1,      0,     0,          out_width};
  return rows;
}

static conv_rows phase_conv(const float *x, const jk_conv *conv, int height, int width, int phase) {
  const int py = phase / 2, px = phase % 2;
  const conv_rows rows = {x,      height, width, conv->n_in, width, 1,        py - 1,
                          px - 1, 2,      2,     py,         px,    2 * width};
  return rows;
}

// --- bf16 ---------------------------------------------------------------------------------------

// `weight` has n_taps parts of columns, each a tap's channels.
static void multiply(jk_gpu *gpu, float *y, const jk_conv *conv, const void *weight,
                     const float *residual, const conv_rows &rows, int n_taps, int n_px) {
  const int per_tap = padded_in(conv) / JK_TILE_COLS;
  const many_job job = {y,
                        (const uint4 *)weight,
                        NULL,
                        conv->bias,
                        residual,
                        conv->n_out,
                        conv->n_in,
                        n_px,
                        n_taps * per_tap,
                        n_taps,
                        per_tap,
                        rows_are_whole(rows.x, conv->n_in)};
  const jk_grid grid = jk_plan_many(conv->n_out, n_px);
  if (jk_plan_many_rows(n_px) < n_px) {
    gpu_fail(gpu, JK_BAD_REQUEST, "a convolution of too many pixels");
    return;
  }
  GPU_LAUNCH(gpu, many_kernel<conv_rows>, grid, 0, job, rows);
}

static void conv_bf16(jk_gpu *gpu, float *y, const jk_conv *conv, const float *x,
                      const float *residual, int height, int width, jk_conv_mode mode) {
  if (mode != JK_CONV_UP) {
    const conv_size size = output_size(height, width, mode);
    multiply(gpu, y, conv, conv->weight, residual, plain_conv(x, conv, height, width, mode), N_TAPS,
             size.height * size.width);
    return;
  }
  if (!fold(gpu, (jk_conv *)conv))
    return;
  const size_t phase_bytes =
      jk_device_packed_bytes(JK_FORMAT_BF16, conv->n_out, N_FOLDED * padded_in(conv));
  for (int phase = 0; phase < N_PHASES; phase++)
    multiply(gpu, y, conv, (const char *)conv->folded + (size_t)phase * phase_bytes, residual,
             phase_conv(x, conv, height, width, phase), N_FOLDED, height * width);
}

// --- f32 ----------------------------------------------------------------------------------------

struct conv_f32_job {
  float *y;
  const float *weight, *bias, *x, *residual;
  int n_out, n_in, height, width, out_width;
  jk_conv_mode mode;
  size_t n; // outputs
};

// Where a tap of an output position reads, or -1 for padding.
__device__ __forceinline__ int tap_source(int out, int tap, int size, jk_conv_mode mode) {
  const int at = mode == JK_CONV_DOWN ? 2 * out + tap : out + tap - 1;
  if (at < 0 || at >= (mode == JK_CONV_UP ? 2 * size : size))
    return -1;
  return mode == JK_CONV_UP ? at / 2 : at;
}

__global__ void __launch_bounds__(JK_BLOCK) conv_f32_kernel(conv_f32_job job) {
  gpu_wait();
  FOR_ALL(i, job.n) {
    const int out = (int)(i % (size_t)job.n_out);
    const size_t px = i / (size_t)job.n_out;
    const int row = (int)(px / (size_t)job.out_width), col = (int)(px % (size_t)job.out_width);
    float sum = 0.0f;
    for (int tap = 0; tap < N_TAPS; tap++) {
      const int y = tap_source(row, tap / 3, job.height, job.mode);
      const int x = tap_source(col, tap % 3, job.width, job.mode);
      if (y < 0 || x < 0)
        continue;
      const float *from = job.x + ((size_t)y * (size_t)job.width + (size_t)x) * (size_t)job.n_in;
      const float *w = job.weight + (size_t)tap * (size_t)job.n_in * (size_t)job.n_out + out;
      for (int c = 0; c < job.n_in; c++)
        sum = fmaf(from[c], w[(size_t)c * (size_t)job.n_out], sum);
    }
    const float value = sum + job.bias[out];
    job.y[i] = job.residual ? job.residual[i] + value : value;
  }
}

static void conv(jk_device *dev, float *y, const jk_conv *layer, const float *x,
                 const float *residual, int height, int width, jk_conv_mode mode) {
  jk_gpu *gpu = gpu_of(dev);
  const conv_size size = output_size(height, width, mode);
  if (size.height <= 0 || size.width <= 0)
    return;
  if (size.width > layer->max_width_px) {
    gpu_fail(gpu, JK_BAD_REQUEST, "a convolution of too many pixels");
    return;
  }
  gpu_use(gpu);
  if (layer->format == JK_FORMAT_BF16) {
    conv_bf16(gpu, y, layer, x, residual, height, width, mode);
    return;
  }
  const size_t n = (size_t)size.height * (size_t)size.width * (size_t)layer->n_out;
  const conv_f32_job job = {y,           (const float *)layer->weight,
                            layer->bias, x,
                            residual,    layer->n_out,
                            layer->n_in, height,
                            width,       size.width,
                            mode,        n};
  const jk_grid grid = {(unsigned)((n + JK_BLOCK - 1) / JK_BLOCK), 1, 1, JK_BLOCK};
  GPU_LAUNCH(gpu, conv_f32_kernel, grid, 0, job);
}

void gpu_init_conv(jk_device *table) {
  table->conv_create = conv_create;
  table->conv_free = conv_free;
  table->conv = conv;
}
