// SPDX-License-Identifier: MIT
// Weights on their way to the card: pieces of a small ring of pinned memory, each filled by several
// threads (from a file's pages, as a rule) while the card fetches the one before.
#include "kernels/cuda/gpu.cuh"

extern "C" {
#include "kernels/thread-pool.h"
}

#include <stdlib.h>
#include <unistd.h>

enum { N_PIECES = 4, MOST_READERS = 4 };

struct jk_upload_ring {
  unsigned char *pieces; // [N_PIECES][JK_PIECE_BYTES], pinned
  cudaEvent_t fetched[N_PIECES];
  int n_events;
  long n_filled; // pieces so far
  jk_pool *readers;
  int n_readers;
};

// --- the ring -----------------------------------------------------------------------------------

void gpu_close_ring(jk_upload_ring *ring) {
  if (!ring)
    return;
  jk_pool_close(ring->readers);
  for (int i = 0; i < ring->n_events; i++)
    cudaEventDestroy(ring->fetched[i]);
  cudaFreeHost(ring->pieces);
  free(ring);
}

static bool make_ring_parts(jk_upload_ring *ring) {
  const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
  ring->n_readers = n_cores < 1 ? 1 : n_cores < MOST_READERS ? (int)n_cores : MOST_READERS;
  if (jk_pool_open(ring->n_readers, &ring->readers) != JK_OK ||
      cudaHostAlloc((void **)&ring->pieces, (size_t)N_PIECES * JK_PIECE_BYTES,
                    cudaHostAllocDefault) != cudaSuccess)
    return false;
  while (ring->n_events < N_PIECES &&
         cudaEventCreate(&ring->fetched[ring->n_events]) == cudaSuccess)
    ring->n_events++;
  return ring->n_events == N_PIECES;
}

// NULL where it cannot be had: then the driver copies.
static jk_upload_ring *ring_of(jk_gpu *gpu) {
  if (gpu->ring || gpu->has_no_ring)
    return gpu->ring;
  gpu->ring = (jk_upload_ring *)calloc(1, sizeof *gpu->ring);
  if (gpu->ring && make_ring_parts(gpu->ring))
    return gpu->ring;
  cudaGetLastError(); // it would be reported again by the next launch
  gpu_close_ring(gpu->ring);
  gpu->ring = NULL;
  gpu->has_no_ring = true;
  return NULL;
}

// --- uploading ----------------------------------------------------------------------------------

struct filling {
  unsigned char *to;
  const unsigned char *from;
  size_t n_bytes;
  int n_slices;
};

static void fill_slice(void *context, int item, int) {
  const filling *f = (const filling *)context;
  const size_t begin = jk_plan_slice(f->n_bytes, f->n_slices, item);
  memcpy(f->to + begin, f->from + begin, jk_plan_slice(f->n_bytes, f->n_slices, item + 1) - begin);
}

// Whether it is under way.
static bool send_piece(jk_gpu *gpu, jk_upload_ring *ring, unsigned char *to,
                       const unsigned char *from, size_t n_bytes) {
  const int at = (int)(ring->n_filled % N_PIECES);
  unsigned char *piece = ring->pieces + (size_t)at * JK_PIECE_BYTES;
  if (ring->n_filled >= N_PIECES && !gpu_check(gpu, cudaEventSynchronize(ring->fetched[at])))
    return false;
  ring->n_filled++;
  filling f = {piece, from, n_bytes, ring->n_readers};
  jk_pool_run(ring->readers, fill_slice, &f, ring->n_readers);
  return gpu_check(gpu, cudaMemcpyAsync(to, piece, n_bytes, cudaMemcpyHostToDevice, gpu->stream)) &&
         gpu_check(gpu, cudaEventRecord(ring->fetched[at], gpu->stream));
}

bool gpu_upload_pieces(jk_gpu *gpu, void *to, const void *from, size_t n_bytes) {
  jk_upload_ring *ring = n_bytes < JK_PIECE_BYTES ? NULL : ring_of(gpu);
  if (!ring)
    return false;
  for (size_t at = 0, n; at < n_bytes; at += n) {
    n = n_bytes - at < JK_PIECE_BYTES ? n_bytes - at : (size_t)JK_PIECE_BYTES;
    if (!send_piece(gpu, ring, (unsigned char *)to + at, (const unsigned char *)from + at, n))
      break;
  }
  return true;
}
