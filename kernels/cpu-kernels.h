// SPDX-License-Identifier: MIT
// Inside the CPU backend: the computations of one thread as a table of functions. Plain C fills the
// whole table, each instruction set then overrides what it does better.
#ifndef JK_CPU_KERNELS_H
#define JK_CPU_KERNELS_H

#include "kernels/kernels.h"

// Rows of a linear layer: y[r][o] = bias[o] + sum_k x[r][k] w[o][k], added to y[r][o] when asked.
typedef struct jk_linear_job {
  float *y;           // [n_rows][n_out]
  const float *x;     // [n_rows][n_in]
  const void *weight; // [n_out][n_in]
  const float *bias;  // [n_out] or NULL
  jk_dtype dtype;     // of weight
  int n_rows, n_in, n_out;
  bool accumulate;
} jk_linear_job;

// One operation of attention; see jk_device.attention.
typedef struct jk_attention_job {
  float *out;
  const float *q;
  const jk_context *contexts;
  int n_rows, n_heads, n_kv_heads, head_dim;
} jk_attention_job;

// Keys per block of the online softmax, blocks beginning at absolute multiples of it.
enum { JK_KEY_BLOCK = 64 };

// Packed 3x3 weights: blocks of outputs, JK_CONV_BLOCK wide and the last one JK_CONV_HALF wide when
// that is enough; inside a block [3][3][n_in][width]. Outputs that do not exist have weights of 0.
enum { JK_CONV_BLOCK = 32, JK_CONV_HALF = 16, JK_CONV_MAX_TILE_PX = 12 };

// One row of a convolution's output.
typedef struct jk_conv_row {
  float *y;              // [n_px][n_out]
  const float *residual; // [n_px][n_out] or NULL; may equal y
  const float *rows[3];  // padded input rows; readable to JK_CONV_MAX_TILE_PX pixels past the end
  const float *packed;
  const float *bias; // [n_out], padded with zeros to the blocks
  int n_px, n_in, n_out;
  int step; // input pixels from one output pixel to the next: 1 or 2
} jk_conv_row;

// The width of the block that begins at output `out`.
static inline int jk_conv_block_width(int n_out, int out) {
  return n_out - out <= JK_CONV_HALF ? JK_CONV_HALF : JK_CONV_BLOCK;
}

// Pixels [n_pixels][channels] of a group normalisation, groups of group_size neighbours. A pass
// takes the channels [channel_begin, channel_end); its groups are counted from channel_begin.
typedef struct jk_group_job {
  float *y;
  const float *x;
  const float *weight; // [channels]
  const float *bias;   // [channels]
  const float *mean;   // [n_groups of the pass]
  const float *scale;  // [n_groups of the pass], 1 / sqrt(variance + eps)
  int channels, group_size;
  int channel_begin, channel_end; // whole groups
  bool swish;
} jk_group_job;

// Every function computes its elements in an order that does not depend on the ranges given.
typedef struct jk_cpu_kernels {
  // Outputs [out_begin, out_end) of rows [row_begin, row_end).
  void (*linear)(const jk_linear_job *job, int row_begin, int row_end, int out_begin, int out_end);
  // Head `head` of rows [row_begin, row_end).
  void (*attention)(const jk_attention_job *job, int row_begin, int row_end, int head);
  void (*conv_row)(const jk_conv_row *row);
  // Sums over pixels [begin, end) into sums[group][2]: of x and of x^2.
  void (*group_sums)(const jk_group_job *job, double *sums, int begin, int end);
  void (*group_apply)(const jk_group_job *job, int begin, int end);
  void (*rms_norm)(float *y, const float *x, const float *weight, int dim, float eps);
  void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, int dim,
                     float eps);
  void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);
  void (*gelu)(float *y, const float *x, size_t n);
} jk_cpu_kernels;

void jk_kernels_init_generic(jk_cpu_kernels *kernels);
void jk_kernels_init_avx2(jk_cpu_kernels *kernels);
void jk_kernels_init_avx512(jk_cpu_kernels *kernels);

#endif
