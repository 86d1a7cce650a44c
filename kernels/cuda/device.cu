// SPDX-License-Identifier: MIT
// The CUDA device: opening, memory, what travels between host and card, failures.
#include "kernels/cuda/gpu.cuh"
#include "kernels/cuda/module.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct jk_placed {
  jk_placed *next;
  void *memory;
};

// --- failures -----------------------------------------------------------------------------------

jk_status gpu_status(const jk_gpu *gpu, cudaError_t error) {
  if (error == cudaSuccess)
    return JK_OK;
  if (error == cudaErrorNoKernelImageForDevice || error == cudaErrorUnsupportedPtxVersion)
    return JK_NO_DEVICE;
  return error == cudaErrorMemoryAllocation ? JK_NO_MEMORY : JK_FAULT;
}

void gpu_fail(jk_gpu *gpu, jk_status status, const char *text) {
  if (gpu->failure != JK_OK)
    return;
  gpu->failure = status;
  snprintf(gpu->base.failure_text, sizeof gpu->base.failure_text, "%s", text);
}

bool gpu_check(jk_gpu *gpu, cudaError_t error) {
  if (error != cudaSuccess)
    gpu_fail(gpu, gpu_status(gpu, error), cudaGetErrorString(error));
  return error == cudaSuccess;
}

jk_status gpu_take_failure(jk_gpu *gpu) {
  const jk_status failure = gpu->failure;
  if (failure == JK_NO_MEMORY || failure == JK_BAD_REQUEST)
    gpu->failure = JK_OK;
  return failure;
}

void gpu_use(jk_gpu *gpu) {
  gpu_check(gpu, cudaSetDevice(gpu->index));
}

// --- memory -------------------------------------------------------------------------------------

jk_status gpu_alloc(jk_gpu *gpu, size_t n_bytes, void **out) {
  *out = NULL;
  const cudaError_t error = cudaMalloc(out, n_bytes ? n_bytes : 1);
  if (error != cudaSuccess) {
    *out = NULL;
    cudaGetLastError(); // it would be reported again by the next launch
  }
  return gpu_status(gpu, error);
}

static jk_status device_alloc(jk_device *dev, size_t n_bytes, const char *purpose, void **out) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_use(gpu);
  const jk_status status = gpu_alloc(gpu, n_bytes, out);
  if (status == JK_OK)
    gpu_check(gpu, cudaMemsetAsync(*out, 0, n_bytes, gpu->stream));
  return status;
}

// Waits for what still uses the memory.
static void device_free(jk_device *dev, void *p) {
  if (!p)
    return;
  gpu_use(gpu_of(dev));
  gpu_check(gpu_of(dev), cudaFree(p));
}

static jk_status transfer(jk_device *dev, void *dst, const void *src, size_t n_bytes,
                          cudaMemcpyKind kind) {
  jk_gpu *gpu = gpu_of(dev);
  if (n_bytes == 0)
    return gpu->failure;
  gpu_use(gpu);
  if (gpu_check(gpu, cudaMemcpyAsync(dst, src, n_bytes, kind, gpu->stream)) &&
      kind != cudaMemcpyDeviceToDevice)
    gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
  return gpu->failure;
}

static jk_status device_upload(jk_device *dev, void *dst, const void *src, size_t n_bytes) {
  gpu_use(gpu_of(dev));
  if (gpu_upload_pieces(gpu_of(dev), dst, src, n_bytes))
    return gpu_of(dev)->failure;
  return transfer(dev, dst, src, n_bytes, cudaMemcpyHostToDevice);
}

static jk_status device_download(jk_device *dev, void *dst, const void *src, size_t n_bytes) {
  return transfer(dev, dst, src, n_bytes, cudaMemcpyDeviceToHost);
}

static jk_status device_copy(jk_device *dev, void *dst, const void *src, size_t n_bytes) {
  return transfer(dev, dst, src, n_bytes, cudaMemcpyDeviceToDevice);
}

static jk_status device_sync(jk_device *dev) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_use(gpu);
  gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
  return gpu_take_failure(gpu);
}

static jk_status device_place(jk_device *dev, const void *host, size_t n_bytes, const void **out) {
  jk_gpu *gpu = gpu_of(dev);
  jk_placed *placed = (jk_placed *)calloc(1, sizeof *placed);
  *out = NULL;
  gpu_use(gpu);
  jk_status status = placed ? gpu_alloc(gpu, n_bytes, &placed->memory) : JK_NO_MEMORY;
  if (status != JK_OK) {
    free(placed);
    return status;
  }
  placed->next = gpu->placed;
  gpu->placed = placed;
  *out = placed->memory;
  return device_upload(dev, placed->memory, host, n_bytes);
}

static void device_measure_memory(jk_device *dev, size_t *n_free_bytes, size_t *n_bytes) {
  gpu_use(gpu_of(dev));
  *n_free_bytes = *n_bytes = 0;
  gpu_check(gpu_of(dev), cudaMemGetInfo(n_free_bytes, n_bytes));
}

const void *gpu_stage(jk_gpu *gpu, const void *host, size_t n_bytes) {
  bool wraps;
  if (n_bytes > JK_STAGE_BYTES) {
    gpu_fail(gpu, JK_BAD_REQUEST, "an array of the host's is too long");
    return NULL;
  }
  const size_t at = jk_plan_stage(&gpu->staged, JK_STAGE_BYTES, n_bytes, &wraps);
  if (wraps && !gpu_check(gpu, cudaStreamSynchronize(gpu->stream)))
    return NULL;
  memcpy(gpu->stage_host + at, host, n_bytes);
  const bool ok = gpu_check(gpu, cudaMemcpyAsync(gpu->stage_device + at, gpu->stage_host + at,
                                                 n_bytes, cudaMemcpyHostToDevice, gpu->stream));
  return ok ? gpu->stage_device + at : NULL;
}

void *gpu_scratch(jk_gpu *gpu, size_t n_bytes) {
  if (n_bytes <= gpu->scratch_bytes)
    return gpu->scratch;
  void *grown = NULL;
  gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
  const jk_status status = gpu_alloc(gpu, n_bytes, &grown);
  if (status != JK_OK) {
    gpu_fail(gpu, status, "its memory does not suffice to work in");
    return NULL;
  }
  gpu_check(gpu, cudaFree(gpu->scratch));
  gpu->scratch = grown;
  gpu->scratch_bytes = n_bytes;
  return grown;
}

// --- opening ------------------------------------------------------------------------------------

static void device_close(jk_device *dev) {
  jk_gpu *gpu = gpu_of(dev);
  gpu_use(gpu);
  while (gpu->placed) {
    jk_placed *next = gpu->placed->next;
    cudaFree(gpu->placed->memory);
    free(gpu->placed);
    gpu->placed = next;
  }
  gpu_close_ring(gpu->ring);
  cudaFree(gpu->scratch);
  cudaFree(gpu->stage_device);
  cudaFree(gpu->ids_device);
  cudaFreeHost(gpu->stage_host);
  cudaFreeHost(gpu->ids);
  if (gpu->stream)
    cudaStreamDestroy(gpu->stream);
  free(gpu->row_host);
  free(gpu->ranked);
  free(gpu);
}

static void init_table(jk_device *table) {
  table->alloc = device_alloc;
  table->free = device_free;
  table->upload = device_upload;
  table->download = device_download;
  table->copy = device_copy;
  table->sync = device_sync;
  table->place = device_place;
  table->measure_memory = device_measure_memory;
  table->close = device_close;
  gpu_init_linear(table);
  gpu_init_attention(table);
  gpu_init_conv(table);
  gpu_init_norms(table);
  gpu_init_rows(table);
  gpu_init_limits(table);
}

__attribute__((format(printf, 3, 4))) static jk_status
refuse(jk_cuda_reason *reason, jk_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason->text, sizeof reason->text, format, arguments);
  va_end(arguments);
  return status;
}

// FAULT for a driver that is there and too old; opening takes that for a card that there is not.
static jk_status find_driver(jk_cuda_reason *reason) {
  int version = 0;
  if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0)
    return refuse(reason, JK_NO_DEVICE, "there is no NVIDIA driver");
  return refuse(reason, JK_FAULT, "the NVIDIA driver, for CUDA %d.%d, is too old for this build",
                version / 1000, version % 1000 / 10);
}

static jk_status find_card(int index, cudaDeviceProp *properties, jk_cuda_reason *reason) {
  int n_devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&n_devices);
  if (error == cudaErrorInsufficientDriver)
    return find_driver(reason);
  if (error != cudaSuccess || n_devices == 0)
    return refuse(reason, JK_NO_DEVICE, "no NVIDIA card was found (%s)",
                  error == cudaSuccess ? "none is visible" : cudaGetErrorString(error));
  if (index >= n_devices)
    return refuse(reason, JK_NO_DEVICE, "expected a card cuda:0 to cuda:%d, found cuda:%d",
                  n_devices - 1, index);
  if (cudaGetDeviceProperties(properties, index) != cudaSuccess)
    return refuse(reason, JK_FAULT, "the card cuda:%d does not answer", index);
  return JK_OK;
}

static jk_status find_device(int index, cudaDeviceProp *properties, jk_cuda_reason *reason) {
  if (find_card(index, properties, reason) != JK_OK)
    return JK_NO_DEVICE;
  if (properties->major * 10 + properties->minor < 75)
    return refuse(reason, JK_NO_DEVICE,
                  "expected a card of compute capability 7.5 or newer, found %d.%d (%s)",
                  properties->major, properties->minor, properties->name);
  return JK_OK;
}

__global__ void empty_kernel() {
  gpu_wait();
}

// Whether the code that this card runs waits where gpu_wait() says; not so what its driver makes
// for it of code for an older architecture. LIMNER_CUDA_OVERLAP=0 is for comparisons.
static bool can_overlap(const cudaDeviceProp *properties) {
  const char *asked = getenv("LIMNER_CUDA_OVERLAP");
  cudaFuncAttributes code;
  return !(asked && strcmp(asked, "0") == 0) && properties->major * 100 >= JK_OVERLAP_ARCH &&
         cudaFuncGetAttributes(&code, empty_kernel) == cudaSuccess &&
         code.ptxVersion * 10 >= JK_OVERLAP_ARCH;
}

// Also whether this build has code for the card.
static bool make_parts(jk_gpu *gpu, const cudaDeviceProp *properties) {
  enum { MAX_IDS = 4096 };
  gpu_use(gpu);
  gpu_check(gpu, cudaStreamCreateWithFlags(&gpu->stream, cudaStreamNonBlocking));
  gpu_check(gpu, cudaHostAlloc((void **)&gpu->stage_host, JK_STAGE_BYTES, cudaHostAllocDefault));
  gpu_check(gpu, cudaMalloc((void **)&gpu->stage_device, JK_STAGE_BYTES));
  gpu_check(gpu,
            cudaHostAlloc((void **)&gpu->ids, MAX_IDS * sizeof(int32_t), cudaHostAllocDefault));
  gpu_check(gpu, cudaMalloc((void **)&gpu->ids_device, MAX_IDS * sizeof(int32_t)));
  const jk_grid one = {1, 1, 1, 1};
  if (gpu->failure == JK_OK)
    GPU_LAUNCH(gpu, empty_kernel, one, 0);
  gpu_check(gpu, cudaStreamSynchronize(gpu->stream));
  gpu->overlaps = gpu->failure == JK_OK && can_overlap(properties);
  return gpu->failure == JK_OK;
}

extern "C" __attribute__((visibility("default"))) jk_status
jk_cuda_module_describe(size_t table_bytes, int index, jk_card *card, jk_cuda_reason *reason) {
  cudaDeviceProp properties;
  if (table_bytes != sizeof(jk_device))
    return refuse(reason, JK_FAULT, "its CUDA module belongs to another version");
  const jk_status status = find_card(index, &properties, reason);
  if (status != JK_OK)
    return status;
  snprintf(card->name, sizeof card->name, "%.70s", properties.name);
  card->n_bytes = properties.totalGlobalMem;
  return JK_OK;
}

extern "C" __attribute__((visibility("default"))) jk_status
jk_cuda_module_open(size_t table_bytes, int index, jk_device **out, jk_cuda_reason *reason) {
  cudaDeviceProp properties;
  *out = NULL;
  if (table_bytes != sizeof(jk_device))
    return refuse(reason, JK_NO_DEVICE, "its CUDA module belongs to another version");
  const jk_status status = find_device(index, &properties, reason);
  if (status != JK_OK)
    return status;
  jk_gpu *gpu = (jk_gpu *)calloc(1, sizeof *gpu);
  if (!gpu)
    return refuse(reason, JK_NO_MEMORY, "out of memory");
  gpu->index = index;
  gpu->base.n_threads = 1;
  snprintf(gpu->base.name, sizeof gpu->base.name, "%.80s (cuda:%d)", properties.name, index);
  init_table(&gpu->base);
  if (!make_parts(gpu, &properties)) {
    const jk_status failure =
        gpu->failure == JK_NO_DEVICE
            ? refuse(reason, JK_NO_DEVICE,
                     "this build has no code for compute capability %d.%d (%.60s); meson's "
                     "gpu_archs says for which it has",
                     properties.major, properties.minor, properties.name)
            : refuse(reason, gpu->failure, "%s: %s", gpu->base.name, gpu->base.failure_text);
    device_close(&gpu->base);
    return failure;
  }
  *out = &gpu->base;
  return JK_OK;
}
