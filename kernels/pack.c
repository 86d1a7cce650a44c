// SPDX-License-Identifier: MIT
// Packed copies of linear layers' weights: their sizes, and packing in plain C.
#include "kernels/pack-block.h"

const int8_t jk_q4_levels[JK_Q4_LEVELS] = {-127, -97, -76, -60, -45, -33, -21, -9,
                                           2,    12,  24,  35,  48,  63,  81,  104};

size_t jk_block_bytes(jk_format format, int n_in) {
  switch (format) {
  case JK_FORMAT_BF16:
    return ((size_t)n_in + 1) / 2 * JK_BLOCK_OUTS * 2 * sizeof(uint16_t);
  case JK_FORMAT_Q8:
    return (size_t)jk_n_groups(n_in) * JK_Q8_GROUP_BYTES;
  case JK_FORMAT_Q4:
    return (size_t)jk_n_groups(n_in) * JK_Q4_GROUP_BYTES;
  case JK_FORMAT_FP8: // only the cards have it: numbers, then a scale an output
    return (size_t)JK_BLOCK_OUTS * (((size_t)n_in + 31) / 32 * 32 + sizeof(float));
  case JK_FORMAT_F32:
    break;
  }
  return 0;
}

size_t jk_packed_bytes(jk_format format, int n_out, int n_in) {
  if (n_out <= 0 || n_in <= 0)
    return 0;
  return (size_t)jk_n_blocks(n_out) * jk_block_bytes(format, n_in);
}

void jk_pack_block(void *dst, const jk_weight *weight, jk_format format, int block) {
  pack_block(dst, weight, format, block);
}
