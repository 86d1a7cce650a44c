// SPDX-License-Identifier: MIT
// What the kernels of packed linear layers share: the walk over blocks, groups and tiles of rows,
// and its end. Every (row, output) pair owns its sum, so that the tiling changes no result.
#ifndef JK_SIMD_PACKED_H
#define JK_SIMD_PACKED_H

#include "kernels/packed.h"
#include "kernels/simd-select.h"

#include <string.h>

enum {
  BLOCK_VECS = JK_BLOCK_OUTS / LANES,
  // Of the weights' stream that is fetched.
  AHEAD_BYTES = 8192,
  NEAR_BYTES = 1024,
};

// Adds the products of groups [begin, end) of a block to the sums of a tile of rows from `row` on.
typedef struct packed_tile {
  const jk_packed_job *job;
  const uint8_t *block; // packed weights
  float *sums;          // [rows of the tile][JK_BLOCK_OUTS]
  int row, begin, end;
} packed_tile;

typedef void (*packed_tile_fn)(const packed_tile *tile);

// Lines are fetched into the first-level cache. When they are used more slowly than they could
// arrive, more have to be on their way than that can wait for: `deep` has the second level fetch
// them, and the first only what is needed next.
JK_TILE void fetch_ahead(const void *p, const bool deep) {
  if (deep) {
    _mm_prefetch((const char *)p + AHEAD_BYTES, _MM_HINT_T1);
    _mm_prefetch((const char *)p + NEAR_BYTES, _MM_HINT_NTA);
  } else {
    _mm_prefetch((const char *)p + AHEAD_BYTES, _MM_HINT_T0);
  }
}

static inline void packed_store(const jk_packed_job *job, const float *sums, int row, int block) {
  for (int v = 0; v < BLOCK_VECS; v++) {
    const int out = block * JK_BLOCK_OUTS + v * LANES, n = job->n_out - out;
    if (n <= 0)
      return;
    float *y = job->y + (size_t)row * (size_t)job->n_out + out;
    vf value = vf_load(sums + v * LANES);
    if (job->bias)
      value = vf_add(value, vf_load_upto(job->bias + out, n));
    if (job->accumulate)
      value = vf_add(vf_load_upto(y, n), value);
    vf_store_upto(y, value, n);
  }
}

// Rows are cut into tiles of nearly equal size, tiles[n] being for n + 1 rows. Several tiles take
// turns at `step` groups whose weights stay in the first-level cache.
static inline void packed_walk(const jk_packed_job *job, int block_begin, int block_end,
                               size_t block_bytes, int n_groups, int step,
                               const packed_tile_fn *tiles, int max_rows) {
  const int n_tiles = (job->n_rows + max_rows - 1) / max_rows;
  if (n_tiles == 1)
    step = n_groups;
  for (int block = block_begin; block < block_end; block++) {
    _Alignas(64) float sums[JK_PART_ROWS][JK_BLOCK_OUTS];
    memset(sums, 0, (size_t)job->n_rows * sizeof *sums);
    for (int group = 0; group < n_groups; group += step) {
      for (int i = 0, row = 0; i < n_tiles; i++) {
        const int n_rows = (job->n_rows - row) / (n_tiles - i);
        const packed_tile tile = {.job = job,
                                  .block =
                                      (const uint8_t *)job->packed + (size_t)block * block_bytes,
                                  .sums = sums[row],
                                  .row = row,
                                  .begin = group,
                                  .end = group + step < n_groups ? group + step : n_groups};
        tiles[n_rows - 1](&tile);
        row += n_rows;
      }
    }
    for (int row = 0; row < job->n_rows; row++)
      packed_store(job, sums[row], row, block);
  }
}

#endif
