// SPDX-License-Identifier: MIT
// Inside the CPU backend: the device and what its operations share.
#ifndef JK_CPU_DEVICE_H
#define JK_CPU_DEVICE_H

#include "kernels/cpu-kernels.h"
#include "kernels/sampling.h"
#include "kernels/thread-pool.h"

// Statistics of a group normalisation: partitions of pixels, and groups per pass.
enum { JK_STAT_PARTITIONS = 64, JK_STAT_GROUPS = 256 };

typedef struct jk_cpu_thread {
  void *conv_rows; // padded input rows of a convolution
  size_t n_conv_rows_bytes;
  jk_ranked *ranked; // of a draw
  size_t n_ranked;
} jk_cpu_thread;

typedef struct jk_cpu_device {
  jk_device base; // first: the table's `dev` is this
  jk_cpu_kernels kernels;
  jk_isa isa; // that the kernels are of
  jk_pool *pool;
  jk_status failure; // the first of an operation that cannot report one, for sync()
  void *inputs;      // of a packed linear layer
  size_t n_inputs_bytes;
  double *group_sums; // [JK_STAT_PARTITIONS][JK_STAT_GROUPS][2]
  jk_cpu_thread threads[];
} jk_cpu_device;

struct jk_linear {
  jk_format format;
  int n_out, n_in;
  jk_weight weight;   // F32: where it lies
  const void *packed; // the other formats
  void *owned;        // the same when it was packed here
  float *bias;        // [n_out] or NULL
};

static inline jk_cpu_device *jk_cpu_of(jk_device *dev) {
  return (jk_cpu_device *)dev;
}

// For tests: from now on as on a machine that has AVX-512 without its products of bf16 pairs and of
// bytes. Weights made before are not to be used any more.
void jk_cpu_forget_bf16(jk_device *dev);

// Zeroed and 64-byte aligned; NULL when there is no memory. Released by jk_aligned_free().
void *jk_aligned_alloc(size_t n_bytes);
void jk_aligned_free(void *p);

// Calls fn like jk_pool_run(), in the caller alone when the whole work (in the order of
// multiplications) does not repay the waking of a thread.
void jk_cpu_share(jk_cpu_device *dev, jk_pool_fn fn, void *context, int n_items, double work);

// y = x W^T + b of a layer in a packed format.
void jk_cpu_linear_packed(jk_cpu_device *dev, float *y, const jk_linear *layer, const float *x,
                          int n_rows, bool accumulate);

// What a group normalisation of x [n_pixels][channels] takes off and multiplies with: mean and
// scale [n_groups].
void jk_cpu_group_statistics(jk_cpu_device *dev, float *mean, float *scale, const float *x,
                             int n_pixels, int channels, int n_groups, float eps);

// Fill their part of the table.
void jk_cpu_init_attention(jk_device *table);
void jk_cpu_init_linear(jk_device *table);
void jk_cpu_init_conv(jk_device *table);
void jk_cpu_init_limits(jk_device *table);
void jk_cpu_init_norms(jk_device *table);
void jk_cpu_init_rows(jk_device *table);

#endif
