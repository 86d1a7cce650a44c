// SPDX-License-Identifier: MIT
// Launch shapes and memory plans of the CUDA backend.
#include "kernels/cuda/fp8.h"

enum { MAX_GRID_Y = 65535, MAX_GRID_X = 2147483647, MAX_THREADS = 1024, STAGE_ALIGNMENT = 256 };

static size_t padded(int n, int tile) {
  return (size_t)jk_ceil_div(n, tile) * (size_t)tile;
}

static size_t n_integers(int n_out, int n_in) {
  return padded(n_out, JK_TILE_OUTS) * padded(n_in, JK_QUANT_GROUP);
}

size_t jk_device_scales_at(jk_format format, int n_out, int n_in) {
  switch (format) {
  case JK_FORMAT_Q8:
    return n_integers(n_out, n_in);
  case JK_FORMAT_Q4:
    return n_integers(n_out, n_in) / 2;
  case JK_FORMAT_FP8:
    return padded(n_out, JK_TILE_OUTS) * padded(n_in, JK_FP8_COLS);
  case JK_FORMAT_F32:
  case JK_FORMAT_BF16:
    break;
  }
  return 0;
}

size_t jk_device_packed_bytes(jk_format format, int n_out, int n_in) {
  const size_t n_scales = padded(n_out, JK_TILE_OUTS) * (size_t)jk_ceil_div(n_in, JK_QUANT_GROUP);
  switch (format) {
  case JK_FORMAT_BF16:
    return padded(n_out, JK_TILE_OUTS) * padded(n_in, JK_TILE_COLS) * sizeof(uint16_t);
  case JK_FORMAT_Q8:
  case JK_FORMAT_Q4:
    return jk_device_scales_at(format, n_out, n_in) + n_scales * sizeof(uint16_t);
  case JK_FORMAT_FP8:
    return jk_device_scales_at(format, n_out, n_in) + padded(n_out, JK_TILE_OUTS) * sizeof(float);
  case JK_FORMAT_F32:
    break;
  }
  return 0;
}

bool jk_grid_fits(jk_grid grid) {
  return grid.x >= 1 && grid.x <= MAX_GRID_X && grid.y >= 1 && grid.y <= MAX_GRID_Y &&
         grid.z >= 1 && grid.z <= MAX_GRID_Y && grid.threads >= 1 && grid.threads <= MAX_THREADS;
}

jk_grid jk_plan_skinny(int n_out) {
  return (jk_grid){(unsigned)jk_ceil_div(n_out, JK_TILE_OUTS), 1, 1, JK_N_SPLITS * JK_WARP};
}

int jk_plan_many_rows(int n_rows) {
  return n_rows < MAX_GRID_Y * JK_MANY_ROWS ? n_rows : MAX_GRID_Y * JK_MANY_ROWS;
}

jk_grid jk_plan_many(int n_out, int n_rows) {
  return (jk_grid){(unsigned)jk_ceil_div(n_out, JK_MANY_OUTS),
                   (unsigned)jk_ceil_div(n_rows, JK_MANY_ROWS), 1, JK_MANY_THREADS};
}

jk_grid jk_plan_f32(int n_out, int n_rows) {
  const int n_row_blocks = jk_ceil_div(n_rows, JK_F32_ROWS);
  return (jk_grid){(unsigned)jk_ceil_div(n_out, JK_BLOCK / JK_WARP),
                   (unsigned)(n_row_blocks < MAX_GRID_Y ? n_row_blocks : MAX_GRID_Y), 1, JK_BLOCK};
}

jk_grid jk_plan_values(size_t n) {
  enum { MOST_BLOCKS = 132 * 32 };
  const size_t n_blocks = (n + JK_BLOCK - 1) / JK_BLOCK;
  return (jk_grid){(unsigned)(n_blocks < MOST_BLOCKS ? n_blocks : MOST_BLOCKS), 1, 1, JK_BLOCK};
}

int jk_plan_partitions(int n_pixels) {
  return jk_ceil_div(n_pixels, JK_PARTITION_PX);
}

int jk_plan_head_values(int head_dim) {
  enum { MOST = 16 };
  int n = 1;
  while (n <= MOST && n * JK_WARP < head_dim)
    n *= 2;
  return n <= MOST ? n : 0;
}

size_t jk_plan_slice(size_t n_bytes, int n_slices, int i) {
  enum { LINE_BYTES = 64 };
  const size_t n_lines = (n_bytes + LINE_BYTES - 1) / LINE_BYTES;
  const size_t begin = n_lines * (size_t)i / (size_t)n_slices * LINE_BYTES;
  return begin < n_bytes ? begin : n_bytes;
}

size_t jk_plan_stage(size_t *at, size_t ring_bytes, size_t n_bytes, bool *wraps) {
  const size_t end = *at + (n_bytes + STAGE_ALIGNMENT - 1) / STAGE_ALIGNMENT * STAGE_ALIGNMENT;
  *wraps = end > ring_bytes;
  const size_t begin = *wraps ? 0 : *at;
  *at = begin + (end - *at);
  return begin;
}
