// SPDX-License-Identifier: MIT
// Normalisations and element-wise functions on CUDA.
#include "kernels/cuda/gpu.cuh"

#define FOR_VALUES(i, n)                                                                           \
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                          \
       i += (size_t)gridDim.x * blockDim.x)

// The sum over a block's threads, in an order that does not change; all get it.
template <typename T> __device__ __forceinline__ T block_sum(T value, T *shared) {
  shared[threadIdx.x] = value;
  __syncthreads();
  for (int n = JK_BLOCK / 2; n > 0; n /= 2) {
    if ((int)threadIdx.x < n)
      shared[threadIdx.x] += shared[threadIdx.x + n];
    __syncthreads();
  }
  const T total = shared[0];
  __syncthreads();
  return total;
}

// --- rows ---------------------------------------------------------------------------------------

__global__ void __launch_bounds__(JK_BLOCK)
    rms_norm_kernel(float *y, const float *x, const float *weight, int dim, float eps) {
  __shared__ float shared[JK_BLOCK];
  gpu_wait();
  const size_t at = (size_t)blockIdx.x * (size_t)dim;
  float squares = 0.0f;
  for (int i = (int)threadIdx.x; i < dim; i += JK_BLOCK)
    squares = fmaf(x[at + i], x[at + i], squares);
  const float scale = 1.0f / sqrtf(block_sum(squares, shared) / (float)dim + eps);
  for (int i = (int)threadIdx.x; i < dim; i += JK_BLOCK)
    y[at + i] = x[at + i] * scale * weight[i];
}

static jk_grid rows_grid(int n_rows) {
  const jk_grid grid = {(unsigned)n_rows, 1, 1, JK_BLOCK};
  return grid;
}

static void rms_norm(jk_device *dev, float *y, const float *x, const float *weight, int n_rows,
                     int dim, float eps) {
  if (n_rows <= 0)
    return;
  gpu_use(gpu_of(dev));
  GPU_LAUNCH(gpu_of(dev), rms_norm_kernel, rows_grid(n_rows), 0, y, x, weight, dim, eps);
}

__global__ void __launch_bounds__(JK_BLOCK)
    layer_norm_kernel(float *y, const float *x, const float *weight, const float *bias, int dim,
                      float eps) {
  __shared__ double shared[JK_BLOCK];
  gpu_wait();
  const size_t at = (size_t)blockIdx.x * (size_t)dim;
  double sum = 0.0, squares = 0.0;
  for (int i = (int)threadIdx.x; i < dim; i += JK_BLOCK)
    sum += (double)x[at + i];
  const double mean = block_sum(sum, shared) / dim;
  for (int i = (int)threadIdx.x; i < dim; i += JK_BLOCK)
    squares += ((double)x[at + i] - mean) * ((double)x[at + i] - mean);
  const double scale = 1.0 / sqrt(block_sum(squares, shared) / dim + (double)eps);
  for (int i = (int)threadIdx.x; i < dim; i += JK_BLOCK)
    y[at + i] = (float)(((double)x[at + i] - mean) * scale) * weight[i] + bias[i];
}

static void layer_norm(jk_device *dev, float *y, const float *x, const float *weight,
                       const float *bias, int n_rows, int dim, float eps) {
  if (n_rows <= 0)
    return;
  gpu_use(gpu_of(dev));
  GPU_LAUNCH(gpu_of(dev), layer_norm_kernel, rows_grid(n_rows), 0, y, x, weight, bias, dim, eps);
}

// --- groups -------------------------------------------------------------------------------------

struct group_job {
  float *y;
  const float *x, *weight, *bias;
  double *sums;      // [n_partitions][n_groups][2]
  float *statistics; // [n_groups][2]: mean, 1 / deviation
  int n_pixels, channels, n_groups, n_partitions;
  float eps;
  bool swish;
};

// A block a partition of pixels: a thread takes whole groups of a pixel and every so many pixels.
__global__ void __launch_bounds__(JK_BLOCK) group_sums_kernel(group_job job) {
  GPU_SHARED(double, shared);
  gpu_wait();
  const int size = job.channels / job.n_groups, begin = (int)blockIdx.x * JK_PARTITION_PX;
  const int end = begin + JK_PARTITION_PX < job.n_pixels ? begin + JK_PARTITION_PX : job.n_pixels;
  const int n_beside = JK_BLOCK / job.n_groups > 0 ? JK_BLOCK / job.n_groups : 1;
  for (int first = 0; first < job.n_groups; first += JK_BLOCK) {
    const int group =
        first + (int)threadIdx.x % (job.n_groups < JK_BLOCK ? job.n_groups : JK_BLOCK);
    const int turn = job.n_groups < JK_BLOCK ? (int)threadIdx.x / job.n_groups : 0;
    double sum = 0.0, squares = 0.0;
    for (int px = begin + turn; px < end && group < job.n_groups && turn < n_beside;
         px += n_beside) {
      const float *x = job.x + (size_t)px * (size_t)job.channels + (size_t)group * (size_t)size;
      for (int c = 0; c < size; c++) {
        sum += (double)x[c];
        squares += (double)x[c] * (double)x[c];
      }
    }
    shared[2 * threadIdx.x] = sum;
    shared[2 * threadIdx.x + 1] = squares;
    __syncthreads();
    if (turn == 0 && group < job.n_groups) {
      for (int i = 1; i < n_beside; i++) {
        sum += shared[2 * (threadIdx.x + i * job.n_groups)];
        squares += shared[2 * (threadIdx.x + i * job.n_groups) + 1];
      }
      double *to = job.sums + 2 * ((size_t)blockIdx.x * (size_t)job.n_groups + (size_t)group);
      to[0] = sum;
      to[1] = squares;
    }
    __syncthreads();
  }
}

// A block a group: the partitions' sums in an order of their number alone.
__global__ void __launch_bounds__(JK_BLOCK) group_statistics_kernel(group_job job) {
  __shared__ double shared[JK_BLOCK];
  gpu_wait();
  double sum = 0.0, squares = 0.0;
  for (int i = (int)threadIdx.x; i < job.n_partitions; i += JK_BLOCK) {
    const double *from = job.sums + 2 * ((size_t)i * (size_t)job.n_groups + blockIdx.x);
    sum += from[0];
    squares += from[1];
  }
  sum = block_sum(sum, shared);
  squares = block_sum(squares, shared);
  if (threadIdx.x != 0)
    return;
  const double n = (double)job.n_pixels * (double)(job.channels / job.n_groups);
  const double variance = squares / n - sum / n * (sum / n);
  job.statistics[2 * blockIdx.x] = (float)(sum / n);
  job.statistics[2 * blockIdx.x + 1] =
      (float)(1.0 / sqrt((variance < 0.0 ? 0.0 : variance) + (double)job.eps));
}

__device__ __forceinline__ float silu(float x) {
  return x / (1.0f + expf(-x));
}

__global__ void __launch_bounds__(JK_BLOCK) group_apply_kernel(group_job job) {
  gpu_wait();
  const int size = job.channels / job.n_groups;
  FOR_VALUES(i, (size_t)job.n_pixels * (size_t)job.channels) {
    const int c = (int)(i % (size_t)job.channels), group = c / size;
    const float mean = job.statistics[2 * group], scale = job.statistics[2 * group + 1];
    const float value = (job.x[i] - mean) * (scale * job.weight[c]) + job.bias[c];
    job.y[i] = job.swish ? silu(value) : value;
  }
}

static void group_norm(jk_device *dev, float *y, const float *x, const float *weight,
                       const float *bias, int n_pixels, int channels, int n_groups, float eps,
                       bool swish) {
  jk_gpu *gpu = gpu_of(dev);
  if (n_pixels <= 0)
    return;
  gpu_use(gpu);
  const int n_partitions = jk_plan_partitions(n_pixels);
  const size_t n_sums = 2 * (size_t)n_partitions * (size_t)n_groups;
  double *sums =
      (double *)gpu_scratch(gpu, n_sums * sizeof(double) + 2 * (size_t)n_groups * sizeof(float));
  if (!sums)
    return;
  const group_job job = {y,        x,        weight,   bias,         sums, (float *)(sums + n_sums),
                         n_pixels, channels, n_groups, n_partitions, eps,  swish};
  const jk_grid partitions = {(unsigned)n_partitions, 1, 1, JK_BLOCK};
  GPU_LAUNCH(gpu, group_sums_kernel, partitions, 2 * JK_BLOCK * sizeof(double), job);
  GPU_LAUNCH(gpu, group_statistics_kernel, rows_grid(n_groups), 0, job);
  GPU_LAUNCH(gpu, group_apply_kernel, jk_plan_values((size_t)n_pixels * (size_t)channels), 0, job);
}

// --- values -------------------------------------------------------------------------------------

__global__ void silu_mul_kernel(float *y, const float *gate, const float *up, size_t n) {
  gpu_wait();
  FOR_VALUES(i, n)
  y[i] = silu(gate[i]) * up[i];
}

static void silu_mul(jk_device *dev, float *y, const float *gate, const float *up, size_t n) {
  if (n == 0)
    return;
  gpu_use(gpu_of(dev));
  GPU_LAUNCH(gpu_of(dev), silu_mul_kernel, jk_plan_values(n), 0, y, gate, up, n);
}

__global__ void gelu_kernel(float *y, const float *x, size_t n) {
  gpu_wait();
  FOR_VALUES(i, n)
  y[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752f));
}

static void gelu(jk_device *dev, float *y, const float *x, size_t n) {
  if (n == 0)
    return;
  gpu_use(gpu_of(dev));
  GPU_LAUNCH(gpu_of(dev), gelu_kernel, jk_plan_values(n), 0, y, x, n);
}

struct guide_job {
  float *out;
  const float *full, *part, *uncond;
  float w1, w2;
  size_t n;
};

// Written as kernels/sampling.c has it, so that both devices give the same bits.
__global__ void guide_kernel(guide_job job) {
  gpu_wait();
  FOR_VALUES(i, job.n) {
    const float f = job.full[i];
    const float c = job.part && job.w2 != 0.0f ? (f + job.w2 * job.part[i]) / (1.0f + job.w2) : f;
    job.out[i] = job.w1 == 1.0f ? c : job.uncond[i] + job.w1 * (c - job.uncond[i]);
  }
}

static void guide(jk_device *dev, float *out, const float *full, const float *part,
                  const float *uncond, float w1, float w2, size_t n) {
  if (n == 0)
    return;
  gpu_use(gpu_of(dev));
  const guide_job job = {out, full, part, uncond, w1, w2, n};
  GPU_LAUNCH(gpu_of(dev), guide_kernel, jk_plan_values(n), 0, job);
}

void gpu_init_norms(jk_device *table) {
  table->rms_norm = rms_norm;
  table->layer_norm = layer_norm;
  table->group_norm = group_norm;
  table->silu_mul = silu_mul;
  table->gelu = gelu;
  table->guide = guide;
}
