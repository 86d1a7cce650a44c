// SPDX-License-Identifier: MIT
// What the card can do at best, for benches: reading memory, and its matrix instruction.
#include "kernels/cuda/gpu.cuh"

enum { READ_AHEAD = 8 };

__global__ void __launch_bounds__(JK_BLOCK) read_kernel(uint64_t *sums, const uint4 *p, size_t n) {
  gpu_wait();
  const size_t stride = (size_t)gridDim.x * blockDim.x;
  size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
  uint64_t sum = 0;
  for (; i + (READ_AHEAD - 1) * stride < n; i += READ_AHEAD * stride) {
    uint4 v[READ_AHEAD];
#pragma unroll
    for (int j = 0; j < READ_AHEAD; j++)
      v[j] = load_once(p + i + (size_t)j * stride);
#pragma unroll
    for (int j = 0; j < READ_AHEAD; j++)
      sum += (uint64_t)v[j].x + v[j].y + v[j].z + v[j].w;
  }
  for (; i < n; i += stride)
    sum += (uint64_t)p[i].x + p[i].y + p[i].z + p[i].w;
  sums[(size_t)blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

// Waits for the end, so that a caller can take the time.
static uint64_t read_all(jk_device *dev, const void *p, size_t n_bytes) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_use(gpu);
  const size_t n = n_bytes / sizeof(uint4);
  const jk_grid grid = jk_plan_values(n);
  uint64_t *sums = (uint64_t *)gpu_scratch(gpu, (size_t)grid.x * JK_BLOCK * sizeof *sums), one = 0;
  if (!sums)
    return 0;
  GPU_LAUNCH(gpu, read_kernel, grid, 0, sums, (const uint4 *)p, n);
  gpu->base.download(&gpu->base, &one, sums, sizeof one);
  return one;
}

enum { PEAK_CHAINS = 8, PEAK_STEPS = 4096, PEAK_BLOCKS = 132 * 8 };

__global__ void __launch_bounds__(JK_BLOCK) peak_kernel(float *sums, int n_steps) {
  gpu_wait();
  float c[PEAK_CHAINS][4] = {};
  const uint32_t word = 0x3f1b3f0du + threadIdx.x;
  const uint32_t a[4] = {word, word, word, word}, b[2] = {word, word};
  for (int i = 0; i < n_steps; i++)
#pragma unroll
    for (int j = 0; j < PEAK_CHAINS; j++)
      mma_bf16(c[j], a, b);
  float sum = 0.0f;
  for (int j = 0; j < PEAK_CHAINS; j++)
    sum += c[j][0] + c[j][1] + c[j][2] + c[j][3];
  sums[(size_t)blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

static double measure_peak(jk_device *dev, jk_format format) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_use(gpu);
  if (format != JK_FORMAT_BF16 && format != JK_FORMAT_FP8)
    return 0;
  const jk_grid grid = {PEAK_BLOCKS, 1, 1, JK_BLOCK};
  float *sums = (float *)gpu_scratch(gpu, (size_t)grid.x * JK_BLOCK * sizeof *sums), ms = 0.0f;
  cudaEvent_t begin, end;
  if (!sums || !gpu_check(gpu, cudaEventCreate(&begin)))
    return 0;
  double best_ms = INFINITY;
  gpu_check(gpu, cudaEventCreate(&end));
  for (int i = 0; i < 8; i++) {
    gpu_check(gpu, cudaEventRecord(begin, gpu->stream));
    GPU_LAUNCH(gpu, peak_kernel, grid, 0, sums, PEAK_STEPS);
    gpu_check(gpu, cudaEventRecord(end, gpu->stream));
    gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
    gpu_check(gpu, cudaEventElapsedTime(&ms, begin, end));
    best_ms = ms < best_ms ? ms : best_ms;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  const double flops = 2.0 * JK_TILE_VALUES * JK_TILE_ROWS * PEAK_CHAINS * PEAK_STEPS *
                       (JK_BLOCK / JK_WARP) * PEAK_BLOCKS;
  return gpu->failure == JK_OK ? flops / (best_ms * 1e-3) : 0;
}

void gpu_init_limits(jk_device *table) {
  table->read_all = read_all;
  table->measure_peak = measure_peak;
}
