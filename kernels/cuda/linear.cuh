// SPDX-License-Identifier: MIT
// Inside the CUDA module: products of packed weights in bf16 and FP8 with few rows, and with many
// for linear layers and convolutions.
#ifndef JK_GPU_LINEAR_CUH
#define JK_GPU_LINEAR_CUH

#include "kernels/cuda/gpu.cuh"

struct jk_linear {
  void *weight; // as stored, or packed
  float *bias;  // NULL = none
  jk_format format;
  jk_dtype dtype; // of F32's
  int n_out, n_in;
  size_t n_bytes; // that one product reads
};

// Q8 and Q4: integers with a scale a group of columns, of weights and of inputs.
jk_status gpu_pack_quantised(jk_gpu *gpu, jk_linear *linear, const jk_weight *weight);
void gpu_multiply_quantised(jk_gpu *gpu, float *y, const jk_linear *layer, const float *x,
                            int n_rows, bool accumulate);

// FP8: outputs from first_out (a multiple of 16) on of a matrix that lies in device memory.
void gpu_pack_fp8(jk_gpu *gpu, jk_linear *linear, const void *matrix, jk_dtype dtype, int n_out,
                  int first_out);
void gpu_multiply_fp8(jk_gpu *gpu, float *y, const jk_linear *layer, const float *x, int n_rows,
                      bool accumulate);

// Two neighbouring columns of a row, and the two 8 further: what a lane holds of a tile of rows.
// `p` is NULL for a row that does not exist.
__device__ __forceinline__ void load_row_tile(uint32_t b[2], const float *p, int col, int n_in,
                                              bool is_whole) {
  b[0] = b[1] = 0;
  if (!p)
    return;
  if (is_whole) {
    const float2 low = *(const float2 *)(p + col), high = *(const float2 *)(p + col + 8);
    b[0] = bf16_pair(low.x, low.y);
    b[1] = bf16_pair(high.x, high.y);
    return;
  }
  float x[4];
  for (int i = 0; i < 4; i++) {
    const int at = col + i % 2 + i / 2 * 8;
    x[i] = at < n_in ? p[at] : 0.0f;
  }
  b[0] = bf16_pair(x[0], x[1]);
  b[1] = bf16_pair(x[2], x[3]);
}

// A tile of weights as operands of the matrix instruction: half of a lane's 16 bytes of numbers
// that have 8 bits.
__device__ __forceinline__ uint4 fp8_tile(const uint4 &v, int tile) {
  const int shift = tile ? 8 : 0;
  const uint4 w = {e4m3_pair(v.x << shift), e4m3_pair(v.y << shift), e4m3_pair(v.z << shift),
                   e4m3_pair(v.w << shift)};
  return w;
}

struct skinny_job {
  float *y;
  const uint4 *weight;
  const float *scales, *bias, *x; // scales: of outputs, NULL = none
  int n_rows, n_out, n_in;
  bool accumulate, is_whole;
};

// A tile of weights with all rows.
template <int N_TILES>
__device__ __forceinline__ void skinny_step(float sums[N_TILES][4], const skinny_job &job,
                                            const uint4 &w, int step) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const uint32_t a[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
  for (int i = 0; i < N_TILES; i++) {
    const int row = i * JK_TILE_ROWS + lane / 4;
    const float *p = row < job.n_rows ? job.x + (size_t)row * (size_t)job.n_in : NULL;
    uint32_t b[2];
    load_row_tile(b, p, step * JK_TILE_COLS + lane % 4 * 2, job.n_in, job.is_whole);
    mma_bf16(sums[i], a, b);
  }
}

// The next loads of a lane's weights, all asked for before the first is used; behind `end` the last
// one again.
template <int N>
__device__ __forceinline__ void fetch_ahead(uint4 loaded[N], const uint4 *w, int at, int end) {
#pragma unroll
  for (int i = 0; i < N; i++)
    loaded[i] = load_once(w + (size_t)(at + i < end ? at + i : end - 1) * JK_WARP);
}

// A warp's part of the columns. Its first weights are on the way when the rows are waited for. A
// load brings a tile of columns, of FP8 two.
template <int N_TILES, bool IS_FP8>
__device__ __forceinline__ void skinny_part(float sums[N_TILES][4], const skinny_job &job,
                                            int split) {
  enum { AHEAD = N_TILES <= 2 ? 8 : 4 };
  const jk_split_plan plan = jk_plan_splits(IS_FP8 ? JK_FORMAT_FP8 : JK_FORMAT_BF16, job.n_in);
  const int begin = split * plan.per_split;
  const int end = begin + plan.per_split < plan.n_steps ? begin + plan.per_split : plan.n_steps;
  const uint4 *w =
      job.weight + (size_t)blockIdx.x * (size_t)plan.n_steps * JK_WARP + threadIdx.x % JK_WARP;
  uint4 loaded[AHEAD];
  if (begin < end)
    fetch_ahead<AHEAD>(loaded, w, begin, end);
  gpu_wait();
  for (int step = begin; step < end; step += AHEAD) {
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      if (step + i >= end)
        continue;
      if (IS_FP8) {
        skinny_step<N_TILES>(sums, job, fp8_tile(loaded[i], 0), 2 * (step + i));
        skinny_step<N_TILES>(sums, job, fp8_tile(loaded[i], 1), 2 * (step + i) + 1);
      } else {
        skinny_step<N_TILES>(sums, job, loaded[i], step + i);
      }
    }
    if (step + AHEAD < end)
      fetch_ahead<AHEAD>(loaded, w, step + AHEAD, end);
  }
}

// The end of a product of few rows: the warps' parts of a tile of outputs in ascending order.
template <int N_TILES>
__device__ __forceinline__ void
store_skinny(float parts[JK_N_SPLITS][N_TILES][4][JK_WARP], const float sums[N_TILES][4], float *y,
             const float *scales, const float *bias, int n_rows, int n_out, bool accumulate) {
  const int lane = (int)threadIdx.x % JK_WARP, split = (int)threadIdx.x / JK_WARP;
#pragma unroll
  for (int i = 0; i < N_TILES; i++)
#pragma unroll
    for (int k = 0; k < 4; k++)
      parts[split][i][k][lane] = sums[i][k];
  __syncthreads();
  for (int i = (int)threadIdx.x; i < N_TILES * JK_TILE_OUTS * JK_TILE_ROWS; i += JK_BLOCK) {
    const int tile = i / (JK_TILE_OUTS * JK_TILE_ROWS), o = i % JK_TILE_OUTS;
    const int r = i / JK_TILE_OUTS % JK_TILE_ROWS;
    const int row = tile * JK_TILE_ROWS + r, out = (int)blockIdx.x * JK_TILE_OUTS + o;
    if (row >= n_rows || out >= n_out)
      continue;
    float total = 0.0f;
    for (int s = 0; s < JK_N_SPLITS; s++)
      total += parts[s][tile][o / 8 * 2 + r % 2][o % 8 * 4 + r / 2];
    if (scales)
      total *= scales[out];
    const float value = total + (bias ? bias[out] : 0.0f);
    float *to = y + (size_t)row * (size_t)n_out + out;
    *to = accumulate ? *to + value : value;
  }
}

template <int N_TILES, bool IS_FP8>
__global__ void __launch_bounds__(JK_BLOCK) skinny_kernel(skinny_job job) {
  __shared__ float parts[JK_N_SPLITS][N_TILES][4][JK_WARP];
  float sums[N_TILES][4] = {};
  skinny_part<N_TILES, IS_FP8>(sums, job, (int)threadIdx.x / JK_WARP);
  store_skinny<N_TILES>(parts, sums, job.y, job.scales, job.bias, job.n_rows, job.n_out,
                        job.accumulate);
}

// Up to JK_SKINNY_ROWS rows.
template <bool IS_FP8> void multiply_few(jk_gpu *gpu, const skinny_job &job) {
  const jk_grid grid = jk_plan_skinny(job.n_out);
  switch (jk_ceil_div(job.n_rows, JK_TILE_ROWS)) {
  case 1:
    GPU_LAUNCH(gpu, (skinny_kernel<1, IS_FP8>), grid, 0, job);
    return;
  case 2:
    GPU_LAUNCH(gpu, (skinny_kernel<2, IS_FP8>), grid, 0, job);
    return;
  case 3:
    GPU_LAUNCH(gpu, (skinny_kernel<3, IS_FP8>), grid, 0, job);
    return;
  case 4:
    GPU_LAUNCH(gpu, (skinny_kernel<4, IS_FP8>), grid, 0, job);
    return;
  case 5:
    GPU_LAUNCH(gpu, (skinny_kernel<5, IS_FP8>), grid, 0, job);
    return;
  default:
    GPU_LAUNCH(gpu, (skinny_kernel<6, IS_FP8>), grid, 0, job);
  }
}

// y[rows][n_out] = parts of columns of packed weights times rows, each part by itself, added up in
// ascending order, times the outputs' scales unless NULL, plus bias, and added to `residual` unless
// NULL.
struct many_job {
  float *y;
  const uint4 *weight;
  const float *scales, *bias, *residual;
  int n_out, n_in, n_rows;
  int n_steps, n_parts, per_part; // tiles of columns of all parts, parts, tiles of one
  bool is_whole;                  // n_in is a multiple of 16 and rows are aligned to 8 bytes
};

// Where the rows of a linear layer lie: those of a part begin at its column.
struct plain_rows {
  const float *x;
  int n_in, per_part;
  __device__ __forceinline__ const float *at(int row, int) const {
    return x + (size_t)row * (size_t)n_in;
  }
  __device__ __forceinline__ int first_col(int part) const {
    return part * per_part * JK_TILE_COLS;
  }
  __device__ __forceinline__ size_t out_at(int row) const {
    return (size_t)row;
  }
};

enum { MANY_OUT_TILES = 2, MANY_ROW_TILES = 4 }; // of one warp; a block is 2 x 2 warps

typedef float many_sums[MANY_OUT_TILES][MANY_ROW_TILES][4];

// A lane's part of a tile of weights.
template <bool IS_FP8>
__device__ __forceinline__ uint4 many_weights(const many_job &job, int tile, int step) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const size_t at = (size_t)tile * (size_t)job.n_steps + (size_t)step;
  if (IS_FP8)
    return fp8_tile(job.weight[at / 2 * JK_WARP + lane], step % 2);
  return job.weight[at * JK_WARP + lane];
}

template <bool IS_FP8, typename Rows>
__device__ __forceinline__ void many_part(many_sums sums, const many_job &job, const Rows &rows,
                                          int part, int out_tile, int first_row) {
  const int lane = (int)threadIdx.x % JK_WARP;
  const int begin = part * job.per_part;
  const int end = begin + job.per_part < job.n_steps ? begin + job.per_part : job.n_steps;
  const int n_out_tiles = jk_ceil_div(job.n_out, JK_TILE_OUTS);
  const float *p[MANY_ROW_TILES];
  for (int j = 0; j < MANY_ROW_TILES; j++) {
    const int row = first_row + j * JK_TILE_ROWS + lane / 4;
    p[j] = row < job.n_rows ? rows.at(row, part) : NULL;
  }
  int col = rows.first_col(part) + lane % 4 * 2;
  for (int step = begin; step < end; step++, col += JK_TILE_COLS) {
    uint4 w[MANY_OUT_TILES];
#pragma unroll
    for (int i = 0; i < MANY_OUT_TILES; i++) {
      const int tile = out_tile + i < n_out_tiles ? out_tile + i : out_tile;
      w[i] = many_weights<IS_FP8>(job, tile, step);
    }
#pragma unroll
    for (int j = 0; j < MANY_ROW_TILES; j++) {
      uint32_t b[2];
      load_row_tile(b, p[j], col, job.n_in, job.is_whole);
#pragma unroll
      for (int i = 0; i < MANY_OUT_TILES; i++) {
        const uint32_t a[4] = {w[i].x, w[i].y, w[i].z, w[i].w};
        mma_bf16(sums[i][j], a, b);
      }
    }
  }
}

template <typename Rows>
__device__ __forceinline__ void many_store(const many_sums total, const many_job &job,
                                           const Rows &rows, int out_tile, int first_row) {
  const int lane = (int)threadIdx.x % JK_WARP;
#pragma unroll
  for (int i = 0; i < MANY_OUT_TILES; i++)
#pragma unroll
    for (int j = 0; j < MANY_ROW_TILES; j++)
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const int out = (out_tile + i) * JK_TILE_OUTS + lane / 4 + k / 2 * 8;
        const int row = first_row + j * JK_TILE_ROWS + lane % 4 * 2 + k % 2;
        if (out >= job.n_out || row >= job.n_rows)
          continue;
        const size_t at = rows.out_at(row) * (size_t)job.n_out + (size_t)out;
        const float scaled = job.scales ? total[i][j][k] * job.scales[out] : total[i][j][k];
        const float value = scaled + (job.bias ? job.bias[out] : 0.0f);
        job.y[at] = job.residual ? job.residual[at] + value : value;
      }
}

template <typename Rows, bool IS_FP8 = false>
__global__ void __launch_bounds__(JK_MANY_THREADS) many_kernel(many_job job, Rows rows) {
  const int warp = (int)threadIdx.x / JK_WARP;
  const int out_tile = (int)blockIdx.x * (JK_MANY_OUTS / JK_TILE_OUTS) + warp % 2 * MANY_OUT_TILES;
  const int first_row = (int)blockIdx.y * JK_MANY_ROWS + warp / 2 * (JK_MANY_ROWS / 2);
  gpu_wait();
  if (out_tile * JK_TILE_OUTS >= job.n_out || first_row >= job.n_rows)
    return;
  many_sums total = {};
  for (int part = 0; part < job.n_parts; part++) {
    many_sums sums = {};
    many_part<IS_FP8>(sums, job, rows, part, out_tile, first_row);
#pragma unroll
    for (int i = 0; i < MANY_OUT_TILES; i++)
#pragma unroll
      for (int j = 0; j < MANY_ROW_TILES; j++)
#pragma unroll
        for (int k = 0; k < 4; k++)
          total[i][j][k] += sums[i][j][k];
  }
  many_store(total, job, rows, out_tile, first_row);
}

// Whether rows can be read two values at a time.
static inline bool rows_are_whole(const float *x, int n_in) {
  return n_in % JK_TILE_COLS == 0 && (uintptr_t)x % 8 == 0;
}

// Makes the packed bf16 form of a matrix [n_out][n_in] that lies in device memory; outputs from
// first_out (a multiple of 16) on.
void gpu_pack_bf16(jk_gpu *gpu, void *packed, const void *matrix, jk_dtype dtype, int n_out,
                   int n_in, int first_out);

#endif
