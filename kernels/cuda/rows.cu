// SPDX-License-Identifier: MIT
// Operations on CUDA that move rows or draw tokens.
#include "kernels/cuda/gpu.cuh"

#include <stdlib.h>

// --- gathering ----------------------------------------------------------------------------------

__global__ void gather_kernel(float *y, jk_weight table,
                              const __grid_constant__ gpu_rows<int32_t> ids) {
  gpu_wait();
  const size_t n_cols = (size_t)table.n_cols, from = (size_t)rows_at(ids)[blockIdx.x] * n_cols;
  for (int i = (int)threadIdx.x; i < table.n_cols; i += JK_BLOCK)
    y[(size_t)blockIdx.x * n_cols + (size_t)i] = load_as(table.data, table.dtype, from + (size_t)i);
}

// A table that is gathered from rarely may stay in host memory: its rows are widened there.
static void gather_from_host(jk_gpu *gpu, float *y, const jk_weight *table, const int32_t *ids,
                             int n) {
  const size_t n_cols = (size_t)table->n_cols, row_bytes = n_cols * jk_dtype_size(table->dtype);
  float *rows = (float *)malloc((size_t)n * n_cols * sizeof *rows);
  if (!rows) {
    gpu_fail(gpu, JK_NO_MEMORY, "no memory of the host's for rows of a table");
    return;
  }
  for (int i = 0; i < n; i++)
    jk_widen(rows + (size_t)i * n_cols, (const char *)table->data + (size_t)ids[i] * row_bytes,
             table->dtype, n_cols);
  gpu->base.upload(&gpu->base, y, rows, (size_t)n * n_cols * sizeof *rows);
  free(rows);
}

static bool is_on_device(const void *p) {
  cudaPointerAttributes attributes;
  return cudaPointerGetAttributes(&attributes, p) == cudaSuccess &&
         attributes.type == cudaMemoryTypeDevice;
}

static void gather(jk_device *dev, float *y, jk_weight table, const int32_t *ids, int n) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_rows<int32_t> rows;
  if (n <= 0)
    return;
  gpu_use(gpu);
  if (!is_on_device(table.data)) {
    cudaGetLastError();
    gather_from_host(gpu, y, &table, ids, n);
    return;
  }
  const jk_grid grid = {(unsigned)n, 1, 1, JK_BLOCK};
  if (gpu_take_rows(gpu, &rows, ids, n))
    GPU_LAUNCH(gpu, gather_kernel, grid, 0, y, table, rows);
}

// --- rotation -----------------------------------------------------------------------------------

struct rope_job {
  float *x;
  const float *cos, *sin;
  int n_heads, head_dim;
};

__global__ void rope_kernel(rope_job job, const __grid_constant__ gpu_rows<int32_t> positions) {
  gpu_wait();
  const int half = job.head_dim / 2;
  const size_t at = (size_t)rows_at(positions)[blockIdx.x] * (size_t)half;
  float *x = job.x + (size_t)blockIdx.x * (size_t)job.n_heads * (size_t)job.head_dim;
  for (int i = (int)threadIdx.x; i < job.n_heads * half; i += JK_BLOCK) {
    const int d = i % half;
    float *low = x + (size_t)(i / half) * (size_t)job.head_dim + d, *high = low + half;
    const float a = *low, b = *high, c = job.cos[at + (size_t)d], s = job.sin[at + (size_t)d];
    *low = a * c - b * s;
    *high = b * c + a * s;
  }
}

static void rope(jk_device *dev, float *x, const float *cos, const float *sin,
                 const int32_t *positions, int n_rows, int n_heads, int head_dim) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_rows<int32_t> rows;
  if (n_rows <= 0)
    return;
  gpu_use(gpu);
  const rope_job job = {x, cos, sin, n_heads, head_dim};
  const jk_grid grid = {(unsigned)n_rows, 1, 1, JK_BLOCK};
  if (gpu_take_rows(gpu, &rows, positions, n_rows))
    GPU_LAUNCH(gpu, rope_kernel, grid, 0, job, rows);
}

// --- caches -------------------------------------------------------------------------------------

// Where one row's key and value go.
struct kv_place {
  jk_kv cache;
  int32_t slot;
};

__global__ void kv_write_kernel(const __grid_constant__ gpu_rows<kv_place> places, const float *k,
                                const float *v, int n_kv_heads, int head_dim) {
  gpu_wait();
  const kv_place &place = rows_at(places)[blockIdx.x];
  const jk_kv &cache = place.cache;
  const int n = n_kv_heads * head_dim;
  const size_t from = (size_t)blockIdx.x * (size_t)n;
  for (int i = (int)threadIdx.x; i < n; i += JK_BLOCK) {
    const size_t head = (size_t)(i / head_dim);
    const size_t to = (head * (size_t)cache.capacity + (size_t)place.slot) * (size_t)head_dim +
                      (size_t)(i % head_dim);
    if (cache.dtype == JK_F32) {
      ((float *)cache.k)[to] = k[from + (size_t)i];
      ((float *)cache.v)[to] = v[from + (size_t)i];
    } else {
      ((uint16_t *)cache.k)[to] = (uint16_t)bf16_bits(k[from + (size_t)i]);
      ((uint16_t *)cache.v)[to] = (uint16_t)bf16_bits(v[from + (size_t)i]);
    }
  }
}

static void kv_write(jk_device *dev, const jk_kv *caches, const int32_t *slots, const float *k,
                     const float *v, int n_rows, int n_kv_heads, int head_dim) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_rows<kv_place> rows;
  gpu_use(gpu);
  for (int first = 0; first < n_rows; first += JK_LAUNCH_ROWS) {
    const int n = n_rows - first < JK_LAUNCH_ROWS ? n_rows - first : JK_LAUNCH_ROWS;
    const size_t at = (size_t)first * (size_t)n_kv_heads * (size_t)head_dim;
    const jk_grid grid = {(unsigned)n, 1, 1, JK_BLOCK};
    rows.staged = NULL;
    for (int i = 0; i < n; i++) {
      rows.own[i].cache = caches[first + i];
      rows.own[i].slot = slots[first + i];
    }
    GPU_LAUNCH(gpu, kv_write_kernel, grid, 0, rows, k + at, v + at, n_kv_heads, head_dim);
  }
}

// --- drawing ------------------------------------------------------------------------------------

enum { DRAW_THREADS = 1024, DRAW_CHUNK = 32 };

struct contestant {
  float total;
  int32_t id; // -1 = none
};

__device__ __forceinline__ contestant better(const contestant &a, const contestant &b) {
  if (a.id < 0 || b.id < 0)
    return a.id < 0 ? b : a;
  if (a.total != b.total)
    return a.total > b.total ? a : b;
  return a.id < b.id ? a : b;
}

// Philox4x32-10 and the noise made of it, as kernels/philox.h has them.
__device__ __forceinline__ uint4 philox(uint4 c, uint64_t key) {
  uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)0xD2511F53u * c.x, b = (uint64_t)0xCD9E8D57u * c.z;
    const uint4 next = {(uint32_t)(b >> 32) ^ c.y ^ key0, (uint32_t)b,
                        (uint32_t)(a >> 32) ^ c.w ^ key1, (uint32_t)a};
    c = next;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

__device__ __forceinline__ float gumbel(uint32_t word) {
  return (float)-log(-log(((double)word + 0.5) * 2.3283064365386963e-10));
}

__device__ __forceinline__ void take_part(contestant &best, float value, int id) {
  if (value == value) {
    const contestant c = {value, id};
    best = better(best, c);
  }
}

// A block a row; a thread takes four ids of one counter at a time.
__global__ void __launch_bounds__(DRAW_THREADS)
    draw_kernel(int32_t *ids, const float *guided, int vocab,
                const __grid_constant__ gpu_rows<jk_sampling> draws) {
  __shared__ contestant best[DRAW_THREADS];
  gpu_wait();
  const int row = (int)blockIdx.x;
  const jk_sampling &draw = rows_at(draws)[blockIdx.x];
  const float *values = guided + (size_t)row * (size_t)vocab;
  const bool is_drawn = draw.temperature > 0.0f;
  contestant mine = {0.0f, -1};
  for (int base = (int)threadIdx.x * 4; base < vocab; base += DRAW_THREADS * 4) {
    uint4 c = {(uint32_t)base / 4, draw.position, draw.sample_index, draw.stream};
    if (is_drawn)
      c = philox(c, draw.seed);
    const uint32_t words[4] = {c.x, c.y, c.z, c.w};
    for (int i = 0; i < 4 && base + i < vocab; i++) {
      const float value = values[base + i];
      take_part(mine, is_drawn ? value / draw.temperature + gumbel(words[i]) : value, base + i);
    }
  }
  best[threadIdx.x] = mine;
  __syncthreads();
  for (int n = DRAW_THREADS / 2; n > 0; n /= 2) {
    if ((int)threadIdx.x < n)
      best[threadIdx.x] = better(best[threadIdx.x], best[threadIdx.x + n]);
    __syncthreads();
  }
  if (threadIdx.x == 0)
    ids[row] = best[0].id < 0 ? 0 : best[0].id;
}

// Rows that must rank their ids are drawn on the host, by the CPU backend's own code.
static jk_status draw_ranked(jk_gpu *gpu, int32_t *id, const float *row, int vocab,
                             const jk_sampling *draw) {
  const size_t row_bytes = (size_t)vocab * sizeof(float);
  if (gpu->row_bytes < row_bytes) {
    free(gpu->row_host);
    free(gpu->ranked);
    gpu->row_host = (float *)malloc(row_bytes);
    gpu->ranked = (jk_ranked *)malloc(2 * (size_t)vocab * sizeof *gpu->ranked);
    gpu->row_bytes = gpu->row_host && gpu->ranked ? row_bytes : 0;
    if (gpu->row_bytes == 0)
      return JK_NO_MEMORY;
  }
  const jk_status status = gpu->base.download(&gpu->base, gpu->row_host, row, row_bytes);
  if (status == JK_OK)
    *id = jk_draw(gpu->row_host, vocab, draw, gpu->ranked);
  return status;
}

static jk_status sample(jk_device *dev, int32_t *ids, const float *guided, int vocab,
                        const jk_sampling *draws, int n) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_rows<jk_sampling> rows;
  gpu_use(gpu);
  for (int first = 0; first < n; first += DRAW_CHUNK) {
    const int n_rows = n - first < DRAW_CHUNK ? n - first : DRAW_CHUNK;
    const jk_grid grid = {(unsigned)n_rows, 1, 1, DRAW_THREADS};
    if (!gpu_take_rows(gpu, &rows, draws + first, n_rows))
      return gpu_take_failure(gpu);
    GPU_LAUNCH(gpu, draw_kernel, grid, 0, gpu->ids_device, guided + (size_t)first * (size_t)vocab,
               vocab, rows);
    gpu_check(gpu, cudaMemcpyAsync(gpu->ids, gpu->ids_device, (size_t)n_rows * sizeof *ids,
                                   cudaMemcpyDeviceToHost, gpu->stream));
    gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
    memcpy(ids + first, gpu->ids, (size_t)n_rows * sizeof *ids);
  }
  for (int i = 0; i < n && gpu->failure == JK_OK; i++) {
    if (!jk_sampling_ranks(&draws[i]))
      continue;
    const jk_status status =
        draw_ranked(gpu, &ids[i], guided + (size_t)i * (size_t)vocab, vocab, &draws[i]);
    if (status != JK_OK)
      return status;
  }
  return gpu_take_failure(gpu);
}

void gpu_init_rows(jk_device *table) {
  table->gather = gather;
  table->rope = rope;
  table->kv_write = kv_write;
  table->sample = sample;
}
