// SPDX-License-Identifier: MIT
// Decisions of the CUDA backend that need no card: how weights are packed and how work is cut into
// blocks of threads. Plain C, for the module's host side, its kernels and the tests alike.
#ifndef JK_CUDA_PLAN_H
#define JK_CUDA_PLAN_H

#include "kernels/kernels.h"

#ifdef __CUDACC__
#define JK_PLAN_FN static inline __host__ __device__
#else
#define JK_PLAN_FN static inline
#endif

// The matrix instruction m16n8k16 multiplies a tile of weights, 16 outputs x 16 columns, with a
// tile of 8 rows. The 32 lanes of a warp hold a tile of weights as 8 values each, which lie
// together: a lane's part is one load of 16 bytes, a warp's 512 bytes beside each other.
//
// BF16: [tiles of outputs][tiles of columns][32 lanes][8 values].
// Q8:   [tiles of outputs][groups of 64 columns][2 halves][32 lanes][16 integers]: m16n8k32.
// Q4:   the same with two integers a byte (of the first half and of the second), so 16 bytes a lane
//       and group. Scales follow the integers: bf16 [tiles of outputs][groups][16 outputs].
// FP8:  see fp8.h.
// Outputs and columns that do not exist are zeros.
enum {
  JK_TILE_OUTS = 16,
  JK_TILE_COLS = 16,
  JK_TILE_ROWS = 8,
  JK_TILE_VALUES = JK_TILE_OUTS * JK_TILE_COLS,
  JK_QUANT_GROUP = 64, // columns that share a scale
  JK_N_SPLITS = 8,     // parts of a sum, each of neighbouring columns; added in ascending order
  JK_SKINNY_ROWS = 48, // the most rows that are multiplied at the speed of memory
  JK_WARP = 32,
  JK_BLOCK = 256, // threads, where nothing else is said
};

// Which fits: up to JK_SKINNY_ROWS / JK_TILE_ROWS tiles of rows.
JK_PLAN_FN int jk_ceil_div(int a, int b) {
  return a / b + (a % b != 0);
}

// Where the weight of an output and a column lies, in values. The PTX manual's places: lane 4 g + t
// holds rows g and g + 8, columns 2 t, 2 t + 1 and those plus 8.
JK_PLAN_FN size_t jk_bf16_place(int n_in, int out, int col) {
  const size_t tile = (size_t)(out / JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_TILE_COLS) +
                      (size_t)(col / JK_TILE_COLS);
  const int r = out % JK_TILE_OUTS, k = col % JK_TILE_COLS;
  const int lane = r % 8 * 4 + k % 8 / 2, word = r / 8 + 2 * (k / 8);
  return tile * JK_TILE_VALUES + (size_t)(lane * 8 + word * 2 + k % 2);
}

// The same for integers: the byte of an output and a column among all integers of Q8; of Q4 the
// byte, and which half of it (0 = the low one).
JK_PLAN_FN size_t jk_q8_place(int n_in, int out, int col) {
  const size_t group = (size_t)(out / JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_QUANT_GROUP) +
                       (size_t)(col / JK_QUANT_GROUP);
  const int r = out % JK_TILE_OUTS, k = col % 32, half = col % JK_QUANT_GROUP / 32;
  const int lane = r % 8 * 4 + k % 16 / 4, word = r / 8 + 2 * (k / 16);
  return group * (JK_TILE_OUTS * JK_QUANT_GROUP) +
         (size_t)(half * 512 + lane * 16 + word * 4 + k % 4);
}

JK_PLAN_FN size_t jk_q4_place(int n_in, int out, int col, int *half) {
  const size_t at = jk_q8_place(n_in, out, col), group = at / 1024;
  *half = (int)(at % 1024 / 512);
  return group * 512 + at % 512;
}

JK_PLAN_FN size_t jk_quant_scale_place(int n_in, int out, int col) {
  return ((size_t)(out / JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_QUANT_GROUP) +
          (size_t)(col / JK_QUANT_GROUP)) *
             JK_TILE_OUTS +
         (size_t)(out % JK_TILE_OUTS);
}

// How the columns of a weight are cut for its sums. Depends on n_in alone, so that a result does
// not depend on the number of rows.
typedef struct jk_split_plan {
  int n_steps;   // tiles of columns, pairs of them (FP8), or groups
  int per_split; // neighbouring steps of one part; the last parts may have fewer or none
} jk_split_plan;

JK_PLAN_FN jk_split_plan jk_plan_splits(jk_format format, int n_in) {
  const bool is_quantised = format == JK_FORMAT_Q8 || format == JK_FORMAT_Q4;
  const int fp_cols = format == JK_FORMAT_FP8 ? 2 * JK_TILE_COLS : JK_TILE_COLS;
  jk_split_plan plan;
  plan.n_steps = jk_ceil_div(n_in, is_quantised ? JK_QUANT_GROUP : fp_cols);
  plan.per_split = jk_ceil_div(plan.n_steps, JK_N_SPLITS);
  return plan;
}

// Bytes of a packed weight on the device, and where its scales begin.
size_t jk_device_packed_bytes(jk_format format, int n_out, int n_in);
size_t jk_device_scales_at(jk_format format, int n_out, int n_in);

// A launch: blocks in three directions and threads a block.
typedef struct jk_grid {
  unsigned x, y, z;
  unsigned threads;
} jk_grid;

// Whether every card can start it.
bool jk_grid_fits(jk_grid grid);

// linear() of up to JK_SKINNY_ROWS rows: a block a tile of outputs, a warp a part of the sums.
jk_grid jk_plan_skinny(int n_out);
// Of more rows, and a convolution's pixels: blocks of JK_MANY_OUTS x JK_MANY_ROWS. A launch takes
// at most jk_plan_many_rows() rows, the rest follows in another.
enum { JK_MANY_OUTS = 64, JK_MANY_ROWS = 64, JK_MANY_THREADS = 128 };
jk_grid jk_plan_many(int n_out, int n_rows);
int jk_plan_many_rows(int n_rows);
// In f32: a warp an output, JK_F32_ROWS rows at a time.
enum { JK_F32_ROWS = 8 };
jk_grid jk_plan_f32(int n_out, int n_rows);
// n values, JK_VALUES_PER_THREAD apart by the whole grid.
jk_grid jk_plan_values(size_t n);
// Group normalisation: pixels per partition, whose sums are added up in order; and their number.
enum { JK_PARTITION_PX = 128 };
int jk_plan_partitions(int n_pixels);

// Dimensions of a head that a lane holds: head_dim <= 32 * jk_plan_head_values(), a power of two;
// 0 where the head is too wide.
int jk_plan_head_values(int head_dim);

// Large uploads go in pieces, each filled by several threads: slice i of n begins at
// jk_plan_slice(n_bytes, n, i), a multiple of 64 or the end, which is where slice n would.
enum { JK_PIECE_BYTES = 4 << 20 };
size_t jk_plan_slice(size_t n_bytes, int n_slices, int i);

// A stretch of n_bytes in a ring of ring_bytes behind `*at`, aligned to 256: its offset, and *at
// moved on. *wraps says that the ring began anew, where what was there must no longer be in use.
// n_bytes must not be larger than the ring.
size_t jk_plan_stage(size_t *at, size_t ring_bytes, size_t n_bytes, bool *wraps);

#endif
