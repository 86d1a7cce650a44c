// SPDX-License-Identifier: MIT
// Inside the CPU backend: the computations of one thread as a table of functions. Plain C fills the
// whole table, each instruction set then overrides what it does better.
#ifndef JK_CPU_KERNELS_H
#define JK_CPU_KERNELS_H

#include "kernels/packed.h"

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

// Rows of a packed layer are taken in parts, at most JK_PART_ROWS each. The inputs of a part are
// [n_groups][n_rows][columns of a group], columns past n_in being zeros: BF16: groups of
// JK_BF16_GROUP columns, what round_inputs makes of floats; Q8 and Q4: groups of JK_GROUP integers,
// each group with a scale.
enum { JK_PART_ROWS = 48, JK_BF16_GROUP = 128 };

typedef struct jk_input_scale {
  float scale;    // an input is its integer times this
  int32_t offset; // -JK_Q8_ZERO times the sum of the group's integers
} jk_input_scale;

// Inputs are quantised so that the largest of a group becomes 127. Where it is smaller than the
// least, all are zeros; where one is no finite number, the scale is no number.
#define JK_LARGEST_INPUT 127.0f
#define JK_LEAST_INPUT 0x1p-100f

typedef struct jk_packed_job {
  float *y;                     // [n_rows][n_out]
  const void *inputs;           // 64-byte aligned
  const jk_input_scale *scales; // [n_groups][n_rows]
  const void *packed;
  const float *bias; // [n_out] or NULL
  int n_rows, n_in, n_out;
  bool accumulate;
} jk_packed_job;

// One operation of attention; see jk_device.attention.
typedef struct jk_attention_job {
  float *out;
  const float *q;
  const jk_context *contexts;
  int n_rows, n_heads, n_kv_heads, head_dim;
} jk_attention_job;

// Keys per block of the online softmax, blocks beginning at absolute multiples of it.
enum { JK_KEY_BLOCK = 64 };

// What attention_pairs takes: head_dim a multiple of JK_PAIRS_DIM and at most JK_PAIRS_MAX_DIM. It
// is at its best with JK_PAIRS_MAX_ROWS rows.
enum { JK_PAIRS_DIM = 32, JK_PAIRS_MAX_DIM = 512, JK_PAIRS_MAX_ROWS = 48 };

// Packed weights of a convolution: blocks of outputs, JK_CONV_BLOCK wide and the last one
// JK_CONV_HALF wide when that is enough. Outputs that do not exist have weights of 0. In a block
// lie, for every row and pixel of the kernel, F32: [n_in][width]; BF16: [n_in / 2][width][2] (an
// odd n_in has one more channel, of zeros).
enum { JK_CONV_BLOCK = 32, JK_CONV_HALF = 16, JK_CONV_MAX_TILE_PX = 12 };

// One block of outputs of one row of pixels.
typedef struct jk_conv_row {
  float *y;              // of the first pixel; the next is `stride` floats further
  const float *residual; // likewise, or NULL; may equal y
  // What the first pixel sees of each row of the kernel: n_values values beside each other, the
  // next pixel `step` values further; readable to JK_CONV_MAX_TILE_PX pixels past the end.
  const void *rows[3];
  const void *packed; // the block
  const float *bias;  // [width]
  int n_px, n_rows, n_values;
  int n_outs, width; // outputs that exist; of the block
  size_t step, stride;
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
  // Packs a block of a weight; see jk_pack_block().
  void (*pack_block)(void *dst, const jk_weight *weight, jk_format format, int block);
  // Blocks [block_begin, block_end) of the outputs of a part's rows. BF16: sums over the columns in
  // order. Q8 and Q4: the same bits with every instruction set: sum = fma(dot, weight scale * input
  // scale, sum) over the groups in order, dot being a group's exact sum.
  void (*linear_bf16)(const jk_packed_job *job, int block_begin, int block_end);
  void (*linear_q8)(const jk_packed_job *job, int block_begin, int block_end);
  void (*linear_q4)(const jk_packed_job *job, int block_begin, int block_end);
  // n floats of one group of a row's inputs to dst, rounded, and zeros after them.
  void (*round_inputs)(void *dst, const float *x, int n);
  size_t rounded_bytes; // of one of those
  void (*quantise_inputs)(int8_t *dst, jk_input_scale *scale, const float *x, int n);
  // Head `head` of rows [row_begin, row_end).
  void (*attention)(const jk_attention_job *job, int row_begin, int row_end, int head);
  // The same over bf16 caches, or NULL.
  void (*attention_pairs)(const jk_attention_job *job, int row_begin, int row_end, int head);
  void (*conv_row)(const jk_conv_row *row); // F32: rows are floats
  // BF16: rows are what conv_load makes of floats, conv_value_bytes each.
  void (*conv_row_bf16)(const jk_conv_row *row);
  void (*conv_load)(void *dst, const float *src, size_t n);
  size_t conv_value_bytes;
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
// After that of AVX-512.
void jk_kernels_init_avx512_bf16(jk_cpu_kernels *kernels);
void jk_kernels_init_avx512_bf16_packed(jk_cpu_kernels *kernels);
void jk_kernels_init_avx512_vnni(jk_cpu_kernels *kernels);

#endif
