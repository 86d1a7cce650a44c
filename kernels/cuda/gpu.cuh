// SPDX-License-Identifier: MIT
// Inside the CUDA module: the device, launches, and the few instructions that C++ has no words for.
// Compiled by nvcc, or by a C++ compiler behind tests/gpu/emulated.hh.
#ifndef JK_GPU_CUH
#define JK_GPU_CUH

#ifndef JK_CUDA_EMULATED
#include <cuda_runtime.h>
#endif

extern "C" {
#include "kernels/cuda/plan.h"
#include "kernels/sampling.h"
}

#include "kernels/cuda/fp8.h"

// --- the device ---------------------------------------------------------------------------------

// Rows of which an operation's host arrays travel with the launch itself; those of more rows go
// through the staging ring.
enum { JK_LAUNCH_ROWS = 48 };
enum { JK_STAGE_BYTES = 4 << 20 };
// Code for this architecture and newer ones waits for the launch before its own (gpu_wait).
#define JK_OVERLAP_ARCH 900

struct jk_gpu {
  jk_device base; // first: the table's `dev` is this
  int index;
  cudaStream_t stream;
  jk_status failure; // the first, for sync()
  bool overlaps;     // a launch may begin before the one before it has ended
  unsigned char *stage_host, *stage_device;
  size_t staged;               // bytes of the ring that are taken
  struct jk_upload_ring *ring; // made by the first large upload
  bool has_no_ring;            // it could not be made
  struct jk_placed *placed;    // arrays that close() releases
  void *scratch;               // grown as needed, used by one operation at a time
  size_t scratch_bytes;
  float *row_host; // of a draw that ranks
  size_t row_bytes;
  jk_ranked *ranked;
  int32_t *ids; // pinned, of draws
  int32_t *ids_device;
};

static inline jk_gpu *gpu_of(jk_device *dev) {
  return (jk_gpu *)dev;
}

// Makes this device the calling thread's. Every operation begins with it.
void gpu_use(jk_gpu *gpu);
// Keeps the first failure; whether there was none.
bool gpu_check(jk_gpu *gpu, cudaError_t error);
jk_status gpu_status(const jk_gpu *gpu, cudaError_t error);
// Keeps a failure that is not the runtime's.
void gpu_fail(jk_gpu *gpu, jk_status status, const char *text);
// The failure, to whoever looks at it. A card that failed stays so; without memory, or with a
// request that it does not do, it goes on.
jk_status gpu_take_failure(jk_gpu *gpu);
// n_bytes of host memory where kernels can read them, until the ring comes round. NULL = failed.
const void *gpu_stage(jk_gpu *gpu, const void *host, size_t n_bytes);
// Device memory that the next operation may overwrite. NULL = failed.
void *gpu_scratch(jk_gpu *gpu, size_t n_bytes);
// Sends many bytes through a ring of pinned memory: `from` has been read when it returns, what is
// behind it in the stream finds them. False when they are too few, or there is no ring.
bool gpu_upload_pieces(jk_gpu *gpu, void *to, const void *from, size_t n_bytes);
void gpu_close_ring(struct jk_upload_ring *ring); // NULL is allowed
// Device memory for the backend's own parts.
jk_status gpu_alloc(jk_gpu *gpu, size_t n_bytes, void **out);

// Fill their part of the table.
void gpu_init_linear(jk_device *table);
void gpu_init_attention(jk_device *table);
void gpu_init_conv(jk_device *table);
void gpu_init_norms(jk_device *table);
void gpu_init_rows(jk_device *table);
void gpu_init_limits(jk_device *table);

// A host array of one entry a row: in the launch itself, or staged.
template <typename T> struct gpu_rows {
  const T *staged;
  T own[JK_LAUNCH_ROWS];
};

// False when it failed.
template <typename T> bool gpu_take_rows(jk_gpu *gpu, gpu_rows<T> *rows, const T *host, int n) {
  rows->staged = NULL;
  if (n <= JK_LAUNCH_ROWS)
    memcpy(rows->own, host, (size_t)n * sizeof *host);
  else
    rows->staged = (const T *)gpu_stage(gpu, host, (size_t)n * sizeof *host);
  return n <= JK_LAUNCH_ROWS || rows->staged;
}

// --- launches -----------------------------------------------------------------------------------

#ifdef JK_CUDA_EMULATED
#define GPU_LAUNCH(gpu, kernel, grid, ...)                                                         \
  do {                                                                                             \
    emulated::launch_kernel(dim3((grid).x, (grid).y, (grid).z), dim3((grid).threads), kernel,      \
                            __VA_ARGS__);                                                          \
    gpu_check(gpu, cudaGetLastError());                                                            \
  } while (0)
#define GPU_SHARED(type, name) type *name = (type *)emulated::shared_memory()
#else
template <typename... Parameters, typename... Arguments>
void gpu_launch(jk_gpu *gpu, void (*kernel)(Parameters...), jk_grid grid, size_t n_shared_bytes,
                Arguments &&...arguments) {
  cudaLaunchAttribute overlap = {};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(grid.x, grid.y, grid.z);
  config.blockDim = dim3(grid.threads);
  config.dynamicSmemBytes = n_shared_bytes;
  config.stream = gpu->stream;
  config.attrs = &overlap;
  config.numAttrs = gpu->overlaps ? 1 : 0;
  gpu_check(gpu, cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}
// n_shared_bytes and the kernel's arguments.
#define GPU_LAUNCH(gpu, kernel, grid, ...) gpu_launch(gpu, kernel, grid, __VA_ARGS__)
#define GPU_SHARED(type, name)                                                                     \
  extern __shared__ __align__(16) unsigned char gpu_shared_memory[];                               \
  type *name = (type *)gpu_shared_memory
#endif

// --- on the device ------------------------------------------------------------------------------

#define GPU_ALL_LANES 0xffffffffu

// Every thread of every kernel calls it before it touches what another launch writes, or reads and
// this one overwrites: from Hopper on a launch begins while the one before it still runs (the PTX
// manual's griddepcontrol), so that its blocks are there, and what may be fetched earlier is on the
// way, when the other ends. That may be weights, since no launch is under way when they are made.
__device__ __forceinline__ void gpu_wait() {
#ifdef JK_CUDA_EMULATED
  emulated::wait_for_launches();
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= JK_OVERLAP_ARCH
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <typename T> __device__ __forceinline__ const T *rows_at(const gpu_rows<T> &rows) {
  return rows.staged ? rows.staged : rows.own;
}

__device__ __forceinline__ uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

__device__ __forceinline__ float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

// To the nearest, ties to even; what is no number stays none. As kernels/bf16.h.
__device__ __forceinline__ uint32_t bf16_bits(float x) {
  const uint32_t bits = bits_of(x), rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded;
}

__device__ __forceinline__ float bf16_float(uint16_t word) {
  return float_of((uint32_t)word << 16);
}

// Two values beside each other, `low` first in memory.
__device__ __forceinline__ uint32_t bf16_pair(float low, float high) {
#if !defined(JK_CUDA_EMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return bf16_bits(low) | bf16_bits(high) << 16;
#endif
}

// The numbers of 8 bits (no NaN) in the upper bytes of two halves, as two bf16 values; exact: bf16
// has their subnormal ones, 2^120 further down.
__device__ __forceinline__ uint32_t e4m3_pair(uint32_t word) {
  const uint32_t bits = (word & 0x80008000u) | (word & 0x7f007f00u) >> 4;
#if !defined(JK_CUDA_EMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  uint32_t pair;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(pair) : "r"(bits), "r"(0x7b807b80u), "r"(0x80008000u));
  return pair;
#else
  const float low = float_of(bits << 16) * 0x1p120f, high = float_of(bits & 0xffff0000u) * 0x1p120f;
  return bits_of(low) >> 16 | bits_of(high);
#endif
}

__device__ __forceinline__ float half_float(uint16_t word) {
  const float magnitude = float_of((uint32_t)(word & 0x7fff) << 13) * 5.192296858534828e33f;
  const uint32_t special = (word & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
  return float_of(bits_of(magnitude) | special | (uint32_t)(word & 0x8000) << 16);
}

// Element i of memory of a storage type.
__device__ __forceinline__ float load_as(const void *p, jk_dtype dtype, size_t i) {
  if (dtype == JK_F32)
    return ((const float *)p)[i];
  const uint16_t word = ((const uint16_t *)p)[i];
  return dtype == JK_BF16 ? bf16_float(word) : half_float(word);
}

// Weights are read once: they leave the caches to what is read again.
__device__ __forceinline__ uint4 load_once(const uint4 *p) {
#ifdef JK_CUDA_EMULATED
  return *p;
#else
  uint4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
#endif
}

// Before the third of a warp's words is combined: the same order in every lane.
__device__ __forceinline__ float warp_sum(float x) {
  for (int bits = JK_WARP / 2; bits > 0; bits /= 2)
    x += __shfl_xor_sync(GPU_ALL_LANES, x, bits);
  return x;
}

__device__ __forceinline__ float warp_max(float x) {
  for (int bits = JK_WARP / 2; bits > 0; bits /= 2)
    x = fmaxf(x, __shfl_xor_sync(GPU_ALL_LANES, x, bits));
  return x;
}

// Cards before Ampere have no such instruction: every lane fetches what its four sums need.
__device__ __forceinline__ void mma_bf16_by_hand(float c[4], const uint32_t a[4],
                                                 const uint32_t b[2]) {
  const int lane = (int)threadIdx.x % JK_WARP;
  for (int quarter = 0; quarter < 8; quarter++) {
    const int t = quarter % 4, high = quarter / 4;
    const uint32_t w0 = __shfl_sync(GPU_ALL_LANES, a[2 * high], lane / 4 * 4 + t);
    const uint32_t w1 = __shfl_sync(GPU_ALL_LANES, a[2 * high + 1], lane / 4 * 4 + t);
    const uint32_t x0 = __shfl_sync(GPU_ALL_LANES, b[high], lane % 4 * 8 + t);
    const uint32_t x1 = __shfl_sync(GPU_ALL_LANES, b[high], lane % 4 * 8 + 4 + t);
    for (int half = 0; half < 2; half++) {
      const uint32_t mask = half ? 0xffff0000u : 0xffffu, shift = half ? 0 : 16;
      const float lower = float_of((w0 & mask) << shift), upper = float_of((w1 & mask) << shift);
      const float left = float_of((x0 & mask) << shift), right = float_of((x1 & mask) << shift);
      c[0] = fmaf(lower, left, c[0]);
      c[1] = fmaf(lower, right, c[1]);
      c[2] = fmaf(upper, left, c[2]);
      c[3] = fmaf(upper, right, c[3]);
    }
  }
}

// c[16 outputs][8 rows] += weights[16][16] x[16][8], all warp together.
__device__ __forceinline__ void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]) {
#ifdef JK_CUDA_EMULATED
  emulated::mma_bf16(c, a, b);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  mma_bf16_by_hand(c, a, b);
#endif
}

// c[16 outputs][8 rows] += weights[16][32] x[32][8] of signed bytes.
__device__ __forceinline__ void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2]) {
#ifdef JK_CUDA_EMULATED
  emulated::mma_s8(c, a, b);
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, "
               "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  const int lane = (int)threadIdx.x % JK_WARP;
  for (int quarter = 0; quarter < 8; quarter++) {
    const int t = quarter % 4, high = quarter / 4;
    const int w0 = (int)__shfl_sync(GPU_ALL_LANES, a[2 * high], lane / 4 * 4 + t);
    const int w1 = (int)__shfl_sync(GPU_ALL_LANES, a[2 * high + 1], lane / 4 * 4 + t);
    const int x0 = (int)__shfl_sync(GPU_ALL_LANES, b[high], lane % 4 * 8 + t);
    const int x1 = (int)__shfl_sync(GPU_ALL_LANES, b[high], lane % 4 * 8 + 4 + t);
    c[0] = __dp4a(w0, x0, c[0]);
    c[1] = __dp4a(w0, x1, c[1]);
    c[2] = __dp4a(w1, x0, c[2]);
    c[3] = __dp4a(w1, x1, c[3]);
  }
#endif
}

#endif
