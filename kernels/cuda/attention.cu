// SPDX-License-Identifier: MIT
// Attention on CUDA: a block a row and head. Blocks of keys that begin at absolute multiples go to
// the warps in turn, so that sums depend on the number of positions alone.
#include "kernels/cuda/gpu.cuh"

enum { N_WARPS = JK_BLOCK / JK_WARP, KEYS = JK_WARP };

struct attention_job {
  float *out;
  const float *q;
  int first_row; // of this launch
  int n_heads, n_kv_heads, head_dim;
  float scale;
};

// Which of a head's dimensions a lane holds: V of them.
template <int V> struct head_part {
  int head_dim;
  bool is_wide; // four beside each other
  __device__ __forceinline__ int dim(int i) const {
    const int lane = (int)threadIdx.x % JK_WARP;
    return is_wide ? i / 4 * 4 * JK_WARP + lane * 4 + i % 4 : i * JK_WARP + lane;
  }
};

// A lane's part of the vector at `at`, in values from `base`.
template <int V>
__device__ __forceinline__ void load_part(float x[V], const head_part<V> &part, const void *base,
                                          jk_dtype dtype, size_t at) {
  if (V >= 4 && part.is_wide && dtype == JK_F32) {
#pragma unroll
    for (int i = 0; i < V; i += 4) {
      const float4 v = *(const float4 *)((const float *)base + at + part.dim(i));
      x[i] = v.x;
      x[i + 1] = v.y;
      x[i + 2] = v.z;
      x[i + 3] = v.w;
    }
    return;
  }
  if (V >= 4 && part.is_wide && dtype == JK_BF16) {
#pragma unroll
    for (int i = 0; i < V; i += 4) {
      const uint2 v = *(const uint2 *)((const uint16_t *)base + at + part.dim(i));
      x[i] = float_of(v.x << 16);
      x[i + 1] = float_of(v.x & 0xffff0000u);
      x[i + 2] = float_of(v.y << 16);
      x[i + 3] = float_of(v.y & 0xffff0000u);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < V; i++)
    x[i] = part.dim(i) < part.head_dim ? load_as(base, dtype, at + (size_t)part.dim(i)) : 0.0f;
}

struct cached_vector {
  const jk_kv *kv;
  size_t at; // in values
};

__device__ __forceinline__ cached_vector find_cached(const jk_context &context, int kv_head,
                                                     int head_dim, int position) {
  const jk_kv *kv = &context.root;
  int slot = position;
  if (slot >= context.n_root) {
    slot -= context.n_root;
    kv = slot < context.n_prefix ? &context.prefix : &context.tail;
    slot -= slot < context.n_prefix ? 0 : context.n_prefix;
  }
  const size_t place = (size_t)kv_head * (size_t)kv->capacity + (size_t)slot;
  const cached_vector found = {kv, place * (size_t)head_dim};
  return found;
}

template <int V> struct softmax_state {
  float max, sum;
  float out[V];
};

template <int V>
__device__ __forceinline__ void attend_keys(softmax_state<V> &state, const float q[V],
                                            const head_part<V> &part, const jk_context &context,
                                            int kv_head, int begin, int n, float scale) {
  const int lane = (int)threadIdx.x % JK_WARP;
  float score = -INFINITY;
#pragma unroll 4
  for (int j = 0; j < n; j++) {
    const cached_vector key = find_cached(context, kv_head, part.head_dim, begin + j);
    float k[V], sum = 0.0f;
    load_part<V>(k, part, key.kv->k, key.kv->dtype, key.at);
#pragma unroll
    for (int i = 0; i < V; i++)
      sum = fmaf(q[i], k[i], sum);
    sum = warp_sum(sum);
    score = lane == j ? sum * scale : score;
  }
  const float max = fmaxf(state.max, warp_max(score));
  const float shrink = state.max == max ? 1.0f : expf(state.max - max);
  const float weight = lane < n ? expf(score - max) : 0.0f;
  state.max = max;
  state.sum = state.sum * shrink + warp_sum(weight);
#pragma unroll
  for (int i = 0; i < V; i++)
    state.out[i] *= shrink;
#pragma unroll 4
  for (int j = 0; j < n; j++) {
    const cached_vector value = find_cached(context, kv_head, part.head_dim, begin + j);
    const float share = __shfl_sync(GPU_ALL_LANES, weight, j);
    float v[V];
    load_part<V>(v, part, value.kv->v, value.kv->dtype, value.at);
#pragma unroll
    for (int i = 0; i < V; i++)
      state.out[i] = fmaf(share, v[i], state.out[i]);
  }
}

// What the warps found, in ascending order: [N_WARPS][2 + head_dim] in shared memory.
__device__ __forceinline__ float combine(const float *found, int head_dim, int d) {
  const int stride = 2 + head_dim;
  float max = -INFINITY, sum = 0.0f, out = 0.0f;
  for (int w = 0; w < N_WARPS; w++)
    max = fmaxf(max, found[w * stride]);
  for (int w = 0; w < N_WARPS; w++) {
    const float share = found[w * stride] == -INFINITY ? 0.0f : expf(found[w * stride] - max);
    sum += share * found[w * stride + 1];
    out += share * found[w * stride + 2 + d];
  }
  return sum > 0.0f ? out / sum : 0.0f;
}

template <int V>
__global__ void __launch_bounds__(JK_BLOCK)
    attention_kernel(attention_job job, const __grid_constant__ gpu_rows<jk_context> contexts) {
  GPU_SHARED(float, found);
  gpu_wait();
  const int warp = (int)threadIdx.x / JK_WARP, lane = (int)threadIdx.x % JK_WARP;
  const int head = (int)blockIdx.x, row = job.first_row + (int)blockIdx.y;
  const jk_context &context = rows_at(contexts)[row];
  const int n = context.n_root + context.n_prefix + context.n_tail;
  const int kv_head = head / (job.n_heads / job.n_kv_heads);
  const size_t at = ((size_t)row * (size_t)job.n_heads + (size_t)head) * (size_t)job.head_dim;
  // Caches come from alloc(): vectors of such heads are aligned to a load of four values.
  head_part<V> part = {job.head_dim, V >= 4 && job.head_dim == V * JK_WARP};
  float q[V];
  for (int i = 0; i < V; i++)
    q[i] = part.dim(i) < job.head_dim ? job.q[at + (size_t)part.dim(i)] : 0.0f;
  softmax_state<V> state = {-INFINITY, 0.0f, {}};
  for (int begin = warp * KEYS; begin < n; begin += N_WARPS * KEYS)
    attend_keys<V>(state, q, part, context, kv_head, begin, n - begin < KEYS ? n - begin : KEYS,
                   job.scale);
  float *mine = found + warp * (2 + job.head_dim);
  if (lane == 0) {
    mine[0] = state.max;
    mine[1] = state.sum;
  }
  for (int i = 0; i < V; i++)
    if (part.dim(i) < job.head_dim)
      mine[2 + part.dim(i)] = state.out[i];
  __syncthreads();
  for (int d = (int)threadIdx.x; d < job.head_dim; d += JK_BLOCK)
    job.out[at + (size_t)d] = combine(found, job.head_dim, d);
}

template <int V>
static void launch(jk_gpu *gpu, attention_job job, const gpu_rows<jk_context> &contexts,
                   int n_rows) {
  enum { MOST = 65535 };
  const size_t n_shared_bytes = N_WARPS * (2 + (size_t)job.head_dim) * sizeof(float);
  for (; job.first_row < n_rows; job.first_row += MOST) {
    const int n_left = n_rows - job.first_row;
    const jk_grid grid = {(unsigned)job.n_heads, (unsigned)(n_left < MOST ? n_left : MOST), 1,
                          JK_BLOCK};
    GPU_LAUNCH(gpu, attention_kernel<V>, grid, n_shared_bytes, job, contexts);
  }
}

static void attention(jk_device *dev, float *out, const float *q, const jk_context *contexts,
                      int n_rows, int n_heads, int n_kv_heads, int head_dim) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_rows<jk_context> rows;
  if (n_rows <= 0)
    return;
  gpu_use(gpu);
  if (!gpu_take_rows(gpu, &rows, contexts, n_rows))
    return;
  const attention_job job = {
      out, q, 0, n_heads, n_kv_heads, head_dim, 1.0f / sqrtf((float)head_dim)};
  switch (jk_plan_head_values(head_dim)) {
  case 1:
    launch<1>(gpu, job, rows, n_rows);
    return;
  case 2:
    launch<2>(gpu, job, rows, n_rows);
    return;
  case 4:
    launch<4>(gpu, job, rows, n_rows);
    return;
  case 8:
    launch<8>(gpu, job, rows, n_rows);
    return;
  case 16:
    launch<16>(gpu, job, rows, n_rows);
    return;
  default:
    gpu_fail(gpu, JK_BAD_REQUEST, "heads that are too wide");
  }
}

void gpu_init_attention(jk_device *table) {
  table->attention = attention;
}
