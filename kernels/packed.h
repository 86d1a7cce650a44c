// SPDX-License-Identifier: MIT
// Inside the kernels layer: packed copies of linear layers' weights, the same for every instruction
// set, in the order in which they are read: as a stream, in whole lines of 64 bytes.
#ifndef JK_PACKED_H
#define JK_PACKED_H

#include "kernels/kernels.h"

// A weight [n_out][n_in] is cut into blocks of JK_BLOCK_OUTS outputs; blocks follow one another.
// Outputs past n_out and columns past n_in are there and count for nothing.
//
// BF16: a block is [n_in / 2 rounded up][32 outputs][2 columns].
//
// Q8 and Q4: a block is a series of groups of JK_GROUP columns. A group is first its integers, then
// its scales, bf16 [32 outputs]; a weight is its integer times its scale.
//   Q8: bytes [16 quads][32 outputs][4 columns], the integer (-127 .. 127) plus 128.
//   Q4: bytes [16 quads][16 outputs][4 columns]; the low half of a byte belongs to output o, the
//       high half to output o + 16; its integer is jk_q4_levels[half].
enum {
  JK_BLOCK_OUTS = 32,
  JK_GROUP = 64,
  JK_QUADS = JK_GROUP / 4,
  JK_Q8_ZERO = 128,
  JK_SCALES_BYTES = 2 * JK_BLOCK_OUTS,
  JK_Q8_GROUP_BYTES = JK_GROUP * JK_BLOCK_OUTS + JK_SCALES_BYTES,
  JK_Q4_GROUP_BYTES = JK_GROUP * JK_BLOCK_OUTS / 2 + JK_SCALES_BYTES,
  JK_Q4_LEVELS = 16,
};

// The integers of 4-bit weights, ascending: close together where weights are many. They minimise
// the squared error of normally distributed groups whose scale is free, in size and in sign.
extern const int8_t jk_q4_levels[JK_Q4_LEVELS];

static inline int jk_n_blocks(int n_out) {
  return n_out / JK_BLOCK_OUTS + (n_out % JK_BLOCK_OUTS != 0);
}

static inline int jk_n_groups(int n_in) {
  return n_in / JK_GROUP + (n_in % JK_GROUP != 0);
}

// Bytes of one block of outputs.
size_t jk_block_bytes(jk_format format, int n_in);

// Packs block `block` of a weight to `dst`, jk_block_bytes() long. Integers and scales depend on
// the values alone. Any thread.
void jk_pack_block(void *dst, const jk_weight *weight, jk_format format, int block);

#endif
