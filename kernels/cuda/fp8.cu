// SPDX-License-Identifier: MIT
// Linear layers of 8-bit floating-point weights on CUDA: widened to bf16, which is exact, in front
// of the matrix instruction; inputs are rounded to bf16, sums are f32.
#include "kernels/cuda/linear.cuh"

// --- packing ------------------------------------------------------------------------------------

// A warp an output: the largest magnitude as bits, in whose order what is no number comes last.
__global__ void __launch_bounds__(JK_BLOCK)
    fp8_scales_kernel(float *scales, const void *matrix, jk_dtype dtype, int n_out, int n_in) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const int out = (int)(blockIdx.x * (JK_BLOCK / JK_WARP) + threadIdx.x / JK_WARP);
  gpu_wait();
  if (out >= n_out)
    return;
  uint32_t most = 0;
  for (int col = lane; col < n_in; col += JK_WARP) {
    const float w = load_as(matrix, dtype, (size_t)out * (size_t)n_in + (size_t)col);
    const uint32_t bits = bits_of(w) & 0x7fffffff;
    most = bits > most ? bits : most;
  }
  for (int bits = JK_WARP / 2; bits > 0; bits /= 2) {
    const uint32_t other = __shfl_xor_sync(GPU_ALL_LANES, most, bits);
    most = other > most ? other : most;
  }
  if (lane == 0)
    scales[out] = jk_fp8_scale(float_of(most));
}

// A thread packs a lane's part of a step.
__global__ void pack_fp8_kernel(uint4 *packed, const float *scales, const void *matrix,
                                jk_dtype dtype, int n_out, int n_in, size_t n) {
  const size_t stride = (size_t)gridDim.x * blockDim.x;
  const int n_steps = jk_ceil_div(n_in, JK_FP8_COLS);
  gpu_wait();
  for (size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int lane = (int)(i % JK_WARP), step = (int)(i / JK_WARP % (size_t)n_steps);
    const int first_out = (int)(i / JK_WARP / (size_t)n_steps) * JK_TILE_OUTS;
    uint32_t words[4] = {0, 0, 0, 0};
    for (int j = 0; j < 16; j++) { // by operand, then column, then tile
      const int word = j / 4, odd = j / 2 % 2, tile = j % 2;
      const int out = first_out + lane / 4 + word % 2 * 8;
      const int col = step * JK_FP8_COLS + tile * JK_TILE_COLS + lane % 4 * 2 + word / 2 * 8 + odd;
      if (out >= n_out || col >= n_in)
        continue;
      const float w = load_as(matrix, dtype, (size_t)out * (size_t)n_in + (size_t)col);
      words[word] |= (uint32_t)jk_fp8_number(w, scales[out]) << 8 * (2 * odd + 1 - tile);
    }
    const uint4 part = {words[0], words[1], words[2], words[3]};
    packed[i] = part;
  }
}

static float *scales_of(const jk_linear *linear) {
  return (float *)((char *)linear->weight +
                   jk_device_scales_at(JK_FORMAT_FP8, linear->n_out, linear->n_in));
}

void gpu_pack_fp8(jk_gpu *gpu, jk_linear *linear, const void *matrix, jk_dtype dtype, int n_out,
                  int first_out) {
  const int n_in = linear->n_in;
  float *scales = scales_of(linear) + first_out;
  const jk_grid grid = {(unsigned)jk_ceil_div(n_out, JK_BLOCK / JK_WARP), 1, 1, JK_BLOCK};
  GPU_LAUNCH(gpu, fp8_scales_kernel, grid, 0, scales, matrix, dtype, n_out, n_in);
  const size_t n =
      (size_t)jk_ceil_div(n_out, JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_FP8_COLS) * JK_WARP;
  uint4 *packed = (uint4 *)linear->weight + (size_t)(first_out / JK_TILE_OUTS) *
                                                (size_t)jk_ceil_div(n_in, JK_FP8_COLS) * JK_WARP;
  GPU_LAUNCH(gpu, pack_fp8_kernel, jk_plan_values(n), 0, packed, scales, matrix, dtype, n_out, n_in,
             n);
}

// --- the operation ------------------------------------------------------------------------------

// The same tiles in the same parts whatever the number of rows.
void gpu_multiply_fp8(jk_gpu *gpu, float *y, const jk_linear *layer, const float *x, int n_rows,
                      bool accumulate) {
  const bool is_whole = rows_are_whole(x, layer->n_in) && layer->n_in % JK_FP8_COLS == 0;
  const uint4 *weight = (const uint4 *)layer->weight;
  const float *scales = scales_of(layer);
  if (n_rows <= JK_SKINNY_ROWS) {
    const skinny_job job = {y,      weight,       scales,      layer->bias, x,
                            n_rows, layer->n_out, layer->n_in, accumulate,  is_whole};
    multiply_few<true>(gpu, job);
    return;
  }
  const jk_split_plan plan = jk_plan_splits(JK_FORMAT_FP8, layer->n_in);
  for (int first = 0, n; first < n_rows; first += n) {
    n = jk_plan_many_rows(n_rows - first);
    float *to = y + (size_t)first * (size_t)layer->n_out;
    const many_job job = {
        to,          weight, scales,           layer->bias, accumulate ? to : NULL, layer->n_out,
        layer->n_in, n,      2 * plan.n_steps, JK_N_SPLITS, 2 * plan.per_split,     is_whole};
    const plain_rows rows = {x + (size_t)first * (size_t)layer->n_in, layer->n_in,
                             2 * plan.per_split};
    GPU_LAUNCH(gpu, (many_kernel<plain_rows, true>), jk_plan_many(layer->n_out, n), 0, job, rows);
  }
}
