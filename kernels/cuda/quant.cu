// SPDX-License-Identifier: MIT
// Linear layers of 8-bit and 4-bit weights on CUDA: products of bytes, exact within a group of
// columns, with the integers and scales of kernels/packed.h and inputs quantised as on the CPU.
#include "kernels/cuda/linear.cuh"

extern "C" {
#include "kernels/cpu-detect.h"
#include "kernels/packed.h"
#include "kernels/thread-pool.h"
}

#include <stdlib.h>

static_assert((int)JK_GROUP == (int)JK_QUANT_GROUP, "groups of the host's order and of this one");

// --- packing ------------------------------------------------------------------------------------

// One group of one output of the host's order, as whole numbers of the format: Q8 the integer, Q4
// the index of its level.
static int host_integer(const uint8_t *group, jk_format format, int o, int k) {
  if (format == JK_FORMAT_Q8)
    return (int)group[k / 4 * 4 * JK_BLOCK_OUTS + 4 * o + k % 4] - JK_Q8_ZERO;
  const int half = JK_BLOCK_OUTS / 2;
  const int both = group[k / 4 * 4 * half + 4 * (o % half) + k % 4];
  return o < half ? both & 15 : both >> 4;
}

static void put(uint8_t *packed, jk_format format, int n_in, int out, int col, int value) {
  int half = 0;
  if (format == JK_FORMAT_Q8) {
    packed[jk_q8_place(n_in, out, col)] = (uint8_t)value;
    return;
  }
  uint8_t *at = packed + jk_q4_place(n_in, out, col, &half);
  *at = (uint8_t)(*at | value << 4 * half);
}

// Where Q4 has no weight lies a level that is not 0; its scale is.
static void repack_block(uint8_t *packed, const uint8_t *block, const jk_linear *linear,
                         int first_out) {
  const bool is_q8 = linear->format == JK_FORMAT_Q8;
  const size_t group_bytes = is_q8 ? JK_Q8_GROUP_BYTES : JK_Q4_GROUP_BYTES;
  uint16_t *scales =
      (uint16_t *)(packed + jk_device_scales_at(linear->format, linear->n_out, linear->n_in));
  for (int col = 0; col < linear->n_in; col += JK_GROUP, block += group_bytes) {
    const uint16_t *from = (const uint16_t *)(block + group_bytes - JK_SCALES_BYTES);
    for (int o = 0; o < JK_BLOCK_OUTS && first_out + o < linear->n_out; o++) {
      const int out = first_out + o;
      for (int k = 0; k < JK_GROUP; k++)
        put(packed, linear->format, linear->n_in, out, col + k,
            host_integer(block, linear->format, o, k));
      scales[jk_quant_scale_place(linear->n_in, out, col)] = from[o];
    }
  }
}

struct packing {
  const jk_linear *linear;
  const jk_weight *weight;
  uint8_t *packed;
  uint8_t *blocks; // one a thread
  size_t block_bytes;
};

static void pack_item(void *context, int item, int thread) {
  const packing *p = (const packing *)context;
  uint8_t *block = p->blocks + (size_t)thread * p->block_bytes;
  jk_pack_block(block, p->weight, p->linear->format, item);
  repack_block(p->packed, block, p->linear, item * JK_BLOCK_OUTS);
}

// All cores pack: blocks of outputs have no byte in common. They also read the file, where it is
// not in memory yet.
jk_status gpu_pack_quantised(jk_gpu *gpu, jk_linear *linear, const jk_weight *weight) {
  const int n_blocks = jk_n_blocks(linear->n_out), n_cores = jk_cpu_n_cores();
  const int n_threads = n_blocks < n_cores ? n_blocks : n_cores;
  const size_t block_bytes = jk_block_bytes(linear->format, linear->n_in);
  packing p = {linear, weight, (uint8_t *)calloc(1, linear->n_bytes),
               (uint8_t *)malloc((size_t)n_threads * block_bytes), block_bytes};
  jk_pool *pool = NULL;
  jk_status status = p.packed && p.blocks ? jk_pool_open(n_threads, &pool) : JK_NO_MEMORY;
  if (status == JK_OK) {
    jk_pool_run(pool, pack_item, &p, n_blocks);
    status = gpu->base.upload(&gpu->base, linear->weight, p.packed, linear->n_bytes);
  }
  jk_pool_close(pool);
  free(p.packed);
  free(p.blocks);
  return status;
}

// --- inputs -------------------------------------------------------------------------------------

enum { GROUPS_PER_BLOCK = JK_BLOCK / JK_WARP };

struct inputs {
  int8_t *values; // [n_rows][n_groups][64]
  float *scales;  // [n_rows][n_groups]
};

// A warp a group of a row, two columns a lane.
__global__ void __launch_bounds__(JK_BLOCK)
    quantise_kernel(inputs to, const float *x, int n_rows, int n_in, int n_groups) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const int group = (int)(blockIdx.x * GROUPS_PER_BLOCK + threadIdx.x / JK_WARP);
  const int row = (int)blockIdx.y;
  gpu_wait();
  if (group >= n_groups)
    return;
  float v[2];
  uint32_t max_bits = 0;
  for (int i = 0; i < 2; i++) {
    const int col = group * JK_GROUP + 2 * lane + i;
    v[i] = col < n_in ? x[(size_t)row * (size_t)n_in + (size_t)col] : 0.0f;
    const uint32_t bits = bits_of(v[i]) & 0x7fffffff;
    max_bits = bits > max_bits ? bits : max_bits;
  }
  for (int bits = JK_WARP / 2; bits > 0; bits /= 2) {
    const uint32_t other = __shfl_xor_sync(GPU_ALL_LANES, max_bits, bits);
    max_bits = other > max_bits ? other : max_bits;
  }
  const bool is_finite = max_bits < 0x7f800000u;
  const float max = float_of(max_bits), least = 7.888609052210118e-31f; // 2^-100
  const bool is_empty = !is_finite || max < least;
  const float factor = is_empty ? 0.0f : 127.0f / max;
  const size_t at = (size_t)row * (size_t)n_groups + (size_t)group;
  for (int i = 0; i < 2; i++)
    to.values[at * JK_GROUP + (size_t)(2 * lane + i)] =
        is_empty ? (int8_t)0 : (int8_t)lrintf(v[i] * factor);
  if (lane == 0)
    to.scales[at] = is_empty ? (is_finite ? 0.0f : NAN) : max / 127.0f;
}

// --- products -----------------------------------------------------------------------------------

struct quant_job {
  float *y;
  const uint4 *weight;
  const uint16_t *scales;
  const float *bias;
  inputs x;
  int n_rows, n_out, n_in;
  bool accumulate;
};

// Four levels of jk_q4_levels for the low halves of four bytes.
__device__ __forceinline__ uint32_t q4_levels(uint32_t halves) {
  // -127 -97 -76 -60, -45 -33 -21 -9, 2 12 24 35, 48 63 81 104
  const uint32_t levels[4] = {0xc4b49f81u, 0xf7ebdfd3u, 0x23180c02u, 0x68513f30u};
  const uint32_t x = halves & 0x0f0f0f0fu;
  uint32_t selector = (x | x >> 4) & 0x00ff00ffu;
  selector = (selector | selector >> 8) & 0x7777u;
  const uint32_t is_upper = (x >> 3 & 0x01010101u) * 0xffu;
  return (__byte_perm(levels[0], levels[1], selector) & ~is_upper) |
         (__byte_perm(levels[2], levels[3], selector) & is_upper);
}

// One group of all tiles of rows: exact sums, then their scales.
template <int N_TILES>
__device__ __forceinline__ void quant_group(float sums[N_TILES][4], const quant_job &job,
                                            const uint4 w[2], int group, int n_groups) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const size_t at = ((size_t)blockIdx.x * (size_t)n_groups + (size_t)group) * JK_TILE_OUTS;
  const float low = bf16_float(job.scales[at + (size_t)(lane / 4)]);
  const float high = bf16_float(job.scales[at + (size_t)(lane / 4) + 8]);
#pragma unroll
  for (int i = 0; i < N_TILES; i++) {
    const int row = i * JK_TILE_ROWS + lane / 4;
    const size_t from = ((size_t)row * (size_t)n_groups + (size_t)group) * JK_GROUP;
    int dots[4] = {0, 0, 0, 0};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const uint32_t a[4] = {w[half].x, w[half].y, w[half].z, w[half].w};
      uint32_t b[2] = {0, 0};
      if (row < job.n_rows) {
        const int8_t *x = job.x.values + from + half * 32 + lane % 4 * 4;
        b[0] = *(const uint32_t *)x;
        b[1] = *(const uint32_t *)(x + 16);
      }
      mma_s8(dots, a, b);
    }
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int of = i * JK_TILE_ROWS + lane % 4 * 2 + k % 2;
      const float scale =
          of < job.n_rows ? job.x.scales[(size_t)of * (size_t)n_groups + (size_t)group] : 0.0f;
      sums[i][k] = fmaf((float)dots[k], (k < 2 ? low : high) * scale, sums[i][k]);
    }
  }
}

template <int N_TILES, bool IS_Q4>
__device__ __forceinline__ void quant_part(float sums[N_TILES][4], const quant_job &job,
                                           int split) {
  enum { AHEAD = 4, LOADS = IS_Q4 ? 1 : 2 };
  const int lane = (int)threadIdx.x % JK_WARP;
  const jk_split_plan plan = jk_plan_splits(JK_FORMAT_Q8, job.n_in);
  const int begin = split * plan.per_split;
  const int end = begin + plan.per_split < plan.n_steps ? begin + plan.per_split : plan.n_steps;
  const uint4 *p = job.weight + (size_t)blockIdx.x * (size_t)plan.n_steps * LOADS * JK_WARP + lane;
  uint4 loaded[AHEAD * LOADS];
  if (begin < end)
    fetch_ahead<AHEAD * LOADS>(loaded, p, begin * LOADS, end * LOADS);
  gpu_wait();
  for (int group = begin; group < end; group += AHEAD) {
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      if (group + i >= end)
        continue;
      const uint4 v = loaded[i * LOADS], last = loaded[i * LOADS + LOADS - 1];
      uint4 w[2] = {v, last};
      if (IS_Q4) {
        const uint4 lower = {q4_levels(v.x), q4_levels(v.y), q4_levels(v.z), q4_levels(v.w)};
        const uint4 upper = {q4_levels(v.x >> 4), q4_levels(v.y >> 4), q4_levels(v.z >> 4),
                             q4_levels(v.w >> 4)};
        w[0] = lower;
        w[1] = upper;
      }
      quant_group<N_TILES>(sums, job, w, group + i, plan.n_steps);
    }
    if (group + AHEAD < end)
      fetch_ahead<AHEAD * LOADS>(loaded, p, (group + AHEAD) * LOADS, end * LOADS);
  }
}

template <int N_TILES, bool IS_Q4>
__global__ void __launch_bounds__(JK_BLOCK) quant_kernel(quant_job job) {
  __shared__ float parts[JK_N_SPLITS][N_TILES][4][JK_WARP];
  float sums[N_TILES][4] = {};
  quant_part<N_TILES, IS_Q4>(sums, job, (int)threadIdx.x / JK_WARP);
  store_skinny<N_TILES>(parts, sums, job.y, NULL, job.bias, job.n_rows, job.n_out, job.accumulate);
}

template <int N_TILES> static void launch_quant(jk_gpu *gpu, const quant_job &job, bool is_q4) {
  if (is_q4)
    GPU_LAUNCH(gpu, (quant_kernel<N_TILES, true>), jk_plan_skinny(job.n_out), 0, job);
  else
    GPU_LAUNCH(gpu, (quant_kernel<N_TILES, false>), jk_plan_skinny(job.n_out), 0, job);
}

static void multiply_part(jk_gpu *gpu, const quant_job &job, bool is_q4) {
  switch (jk_ceil_div(job.n_rows, JK_TILE_ROWS)) {
  case 1:
    launch_quant<1>(gpu, job, is_q4);
    return;
  case 2:
    launch_quant<2>(gpu, job, is_q4);
    return;
  case 3:
  case 4:
    launch_quant<4>(gpu, job, is_q4);
    return;
  default:
    launch_quant<6>(gpu, job, is_q4);
  }
}

// More rows than a launch takes follow in another, which finds the weights in the cache.
void gpu_multiply_quantised(jk_gpu *gpu, float *y, const jk_linear *layer, const float *x,
                            int n_rows, bool accumulate) {
  const int n_groups = jk_ceil_div(layer->n_in, JK_GROUP);
  const size_t value_bytes = (size_t)JK_SKINNY_ROWS * (size_t)n_groups * JK_GROUP;
  const size_t scale_bytes = (size_t)JK_SKINNY_ROWS * (size_t)n_groups * sizeof(float);
  char *scratch = (char *)gpu_scratch(gpu, value_bytes + scale_bytes);
  if (!scratch)
    return;
  const inputs quantised = {(int8_t *)scratch, (float *)(scratch + value_bytes)};
  const char *weight = (const char *)layer->weight;
  for (int first = 0; first < n_rows; first += JK_SKINNY_ROWS) {
    const int n = n_rows - first < JK_SKINNY_ROWS ? n_rows - first : JK_SKINNY_ROWS;
    const jk_grid grid = {(unsigned)jk_ceil_div(n_groups, GROUPS_PER_BLOCK), (unsigned)n, 1,
                          JK_BLOCK};
    GPU_LAUNCH(gpu, quantise_kernel, grid, 0, quantised, x + (size_t)first * (size_t)layer->n_in, n,
               layer->n_in, n_groups);
    const size_t scales_at = jk_device_scales_at(layer->format, layer->n_out, layer->n_in);
    const quant_job job = {y + (size_t)first * (size_t)layer->n_out,
                           (const uint4 *)weight,
                           (const uint16_t *)(weight + scales_at),
                           layer->bias,
                           quantised,
                           n,
                           layer->n_out,
                           layer->n_in,
                           accumulate};
    multiply_part(gpu, job, layer->format == JK_FORMAT_Q4);
  }
}
