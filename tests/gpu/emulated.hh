// SPDX-License-Identifier: MIT
// A graphics card made of the host's processor: enough of CUDA to run the kernels of kernels/cuda
// as they are, so that their arithmetic and their barriers are tested where there is no card. A
// block's threads are fibers that take turns between barriers; blocks follow one another. A
// launch's first block runs as far as it may before the two launches before it have begun with what
// those wait for: as early as a card may. C++.
//
// What can go wrong with a card goes wrong when the environment says so:
//   LIMNER_EMULATED_CARD    none, no-driver, old-driver, old-card, no-code, wrong (of matrix
//                           instructions' results), two, first-old (of two)
//   LIMNER_EMULATED_BYTES   its memory, of the first of two the half; a sixteenth is taken by
//   others LIMNER_EMULATED_REFUSE  the number of the allocation behind opening that fails (from 1
//   on) LIMNER_EMULATED_LOSE    the number of the launch behind opening at which the card is lost
#ifndef JK_EMULATED_H
#define JK_EMULATED_H

#define JK_CUDA_EMULATED 1

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tuple>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static // one block at a time
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

struct uint2 {
  unsigned x, y;
};
struct __align__(16) uint4 {
  unsigned x, y, z, w;
};
struct float2 {
  float x, y;
};
struct __align__(16) float4 {
  float x, y, z, w;
};
struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

// Where the running thread is.
extern dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

// Runs a kernel's body for every thread of every block, part of it now and the rest when something
// follows or waits; a lost card does nothing. Ends by release(context).
void launch(dim3 grid, dim3 block, size_t n_shared_bytes, void (*body)(void *), void *context,
            void (*release)(void *));
void *shared_memory(); // of the running block
void wait_for_block();
void wait_for_warp();
void wait_for_launches(); // every thread must have called it by its end
// Lane's word in, another lane's out.
uint32_t exchange(uint32_t word, int from_lane);
void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]);
void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2]);

template <typename F> void call(void *context) {
  (*static_cast<F *>(context))();
}

template <typename F> void release(void *context) {
  delete static_cast<F *>(context);
}

template <typename... Parameters, typename... Arguments>
void launch_kernel(dim3 grid, dim3 block, void (*kernel)(Parameters...), size_t n_shared_bytes,
                   Arguments &&...arguments) {
  const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  auto body = [kernel, values] { std::apply(kernel, values); };
  using Body = decltype(body);
  launch(grid, block, n_shared_bytes, call<Body>, new Body(body), release<Body>);
}

} // namespace emulated

static inline void __syncthreads() {
  emulated::wait_for_block();
}

static inline void __syncwarp() {
  emulated::wait_for_warp();
}

template <typename T> static inline T __shfl_sync(unsigned, T value, int lane) {
  static_assert(sizeof(T) == 4, "words only");
  uint32_t word;
  memcpy(&word, &value, 4);
  word = emulated::exchange(word, lane & 31);
  memcpy(&value, &word, 4);
  return value;
}

// Four of eight bytes, by the low three bits of the selector's halves of bytes.
static inline uint32_t __byte_perm(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t both = (uint64_t)b << 32 | a;
  uint32_t picked = 0;
  for (int i = 0; i < 4; i++)
    picked |= (uint32_t)(both >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  return picked;
}

static inline float __int2float_rn(int x) {
  return (float)x;
}

static inline int emulated_lane() {
  return (int)(threadIdx.x % 32);
}

template <typename T> static inline T __shfl_xor_sync(unsigned mask, T value, int bits) {
  return __shfl_sync(mask, value, emulated_lane() ^ bits);
}

// --- the runtime --------------------------------------------------------------------------------

typedef int cudaError_t;
typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
enum {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorUnsupportedPtxVersion = 222,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice
};
enum { cudaStreamNonBlocking = 1, cudaHostAllocDefault = 0 };
enum cudaMemoryType { cudaMemoryTypeUnregistered, cudaMemoryTypeHost, cudaMemoryTypeDevice };
struct cudaPointerAttributes {
  int type;
};
struct cudaFuncAttributes {
  int ptxVersion;
};
struct cudaDeviceProp {
  char name[256];
  int major, minor, multiProcessorCount;
  size_t totalGlobalMem;
};

cudaError_t cudaMalloc(void **p, size_t n_bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *p);

cudaError_t cudaHostAlloc(void **p, size_t n_bytes, unsigned);
cudaError_t cudaFreeHost(void *p);
// Ends the program when memory is not where `kind` says. From pinned memory nothing is read before
// something waits for it or follows it: as late as a card may.
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *p, int value, size_t n_bytes, cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned);
static inline cudaError_t cudaStreamDestroy(cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaGetLastError();
template <typename Kernel>
static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *code, Kernel *) {
  code->ptxVersion = 90;
  return cudaSuccess;
}
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaSetDevice(int index);
cudaError_t cudaMemGetInfo(size_t *n_free_bytes, size_t *n_bytes);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int index);
// Events measure nothing here.
static inline cudaError_t cudaEventCreate(cudaEvent_t *event) {
  *event = NULL;
  return cudaSuccess;
}
static inline cudaError_t cudaEventDestroy(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event);
static inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}
static inline cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t, cudaEvent_t) {
  *ms = 1.0f;
  return cudaSuccess;
}

#endif
