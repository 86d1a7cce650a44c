// SPDX-License-Identifier: MIT
// Attention with vectors: online softmax over blocks of keys, a few query rows at a time.
#include "kernels/simd-dot.h"
#include "kernels/simd-math.h"

#include <math.h>
#include <string.h>

// Rows of one head that share their caches; row r sees the first n_keys[r] positions.
typedef struct query_run {
  const float *q;
  float *out;
  size_t stride; // of q and out, floats from row to row
  const jk_context *context;
  jk_dtype dtype; // of its keys and values
  int n_rows, kv_head, head_dim;
  int n_keys[VALUE_ROWS], max_keys;
  float max[VALUE_ROWS], sum[VALUE_ROWS];
  float p[VALUE_ROWS][JK_KEY_BLOCK]; // scores of the block, then their weights
  int n_seen[VALUE_ROWS];            // how many keys of the block each row sees
} query_run;

// A piece [begin, end) of a block (positions in the block) that lies in one cache.
typedef struct piece {
  const char *k, *v; // of its first position
  int begin, end;
} piece;

static piece piece_of(const query_run *run, const jk_kv *kv, int at, int begin, int end) {
  size_t first = ((size_t)run->kv_head * (size_t)kv->capacity + (size_t)at) * (size_t)run->head_dim;
  size_t skipped = first * jk_dtype_size(run->dtype);
  return (piece){(const char *)kv->k + skipped, (const char *)kv->v + skipped, begin, end};
}

enum { CACHES = 3 }; // of a context

// Cuts the block at the borders of the context. Returns the number of pieces.
static int cut_block(piece pieces[CACHES], const query_run *run, int block) {
  const jk_context *context = run->context;
  const jk_kv *caches[CACHES] = {&context->root, &context->prefix, &context->tail};
  int ends[CACHES] = {context->n_root, context->n_root + context->n_prefix, run->max_keys};
  int n = run->max_keys - block < JK_KEY_BLOCK ? run->max_keys - block : JK_KEY_BLOCK;
  int count = 0;
  for (int i = 0, first = 0; i < CACHES; first = ends[i++]) {
    int begin = first > block ? first - block : 0;
    int end = ends[i] - block < n ? ends[i] - block : n;
    if (begin < end)
      pieces[count++] = piece_of(run, caches[i], block + begin - first, begin, end);
  }
  return count;
}

// Unscaled scores of all rows of the run.
JK_TILE void scores_of(query_run *run, const piece *part, const int n_rows, const jk_dtype dtype) {
  size_t key_bytes = (size_t)run->head_dim * (dtype == JK_F32 ? sizeof(float) : sizeof(uint16_t));
  for (int j = part->begin; j < part->end; j += 4) {
    const char *keys[4];
    int n = part->end - j < 4 ? part->end - j : 4;
    for (int i = 0; i < 4; i++)
      keys[i] = part->k + (size_t)(j - part->begin + (i < n ? i : n - 1)) * key_bytes;
    __m128 sums[VALUE_ROWS];
    dot_tile(sums, run->q, run->stride, keys, run->head_dim, n_rows, 4, dtype);
    for (int r = 0; r < n_rows; r++)
      memcpy(&run->p[r][j], &sums[r], (size_t)n * sizeof(float));
  }
}

JK_TILE void scores_in(query_run *run, const piece *part, const jk_dtype dtype) {
  if (run->n_rows == 1)
    scores_of(run, part, 1, dtype);
  else if (run->n_rows == 2)
    scores_of(run, part, 2, dtype);
  else if (run->n_rows == 3)
    scores_of(run, part, 3, dtype);
#ifdef JK_SIMD_AVX512
  else
    scores_of(run, part, 4, dtype);
#endif
}

static void scores(query_run *run, const piece *part) {
  if (run->dtype == JK_F32)
    scores_in(run, part, JK_F32);
  else
    scores_in(run, part, JK_BF16);
}

// Scores of one row to weights, with the row's maximum, sum and output brought up to date. Keys the
// row does not see weigh nothing.
static void weights(query_run *run, int r) {
  float *p = run->p[r], *out = run->out + (size_t)r * run->stride;
  vf scale = vf_set(1.0f / sqrtf((float)run->head_dim)), largest = vf_set(run->max[r]);
  for (int j = run->n_seen[r]; j < JK_KEY_BLOCK; j++)
    p[j] = -INFINITY;
  for (int j = 0; j < JK_KEY_BLOCK; j += LANES) {
    vf score = vf_mul(vf_load(p + j), scale);
    vf_store(p + j, score);
    largest = vf_max(score, largest);
  }
  float max = vf_largest(largest);
  float shrink = run->max[r] == max ? 1.0f : expf(run->max[r] - max);
  vf sum = vf_zero();
  for (int j = 0; j < JK_KEY_BLOCK; j += LANES) {
    vf weight = vf_exp(vf_sub(vf_load(p + j), vf_set(max)));
    vf_store(p + j, weight);
    sum = vf_add(sum, weight);
  }
  run->max[r] = max;
  run->sum[r] = run->sum[r] * shrink + vf_sum(sum);
  if (shrink == 1.0f)
    return;
  for (int d = 0; d < run->head_dim; d += LANES) {
    int n = run->head_dim - d;
    vf_store_upto(out + d, vf_mul(vf_load_upto(out + d, n), vf_set(shrink)), n);
  }
}

// Adds weighted values [begin, end) of a block to n_rows outputs from `row` on, n_vecs vectors of
// them from `d` on; the last vector has n_last lanes.
JK_TILE void values_tile(query_run *run, const char *v, int begin, int end, int row, int d,
                         int n_last, const int n_rows, const int n_vecs, const jk_dtype dtype) {
  vf acc[VALUE_ROWS][VALUE_VECS];
  size_t value_bytes = (size_t)run->head_dim * (dtype == JK_F32 ? sizeof(float) : sizeof(uint16_t));
  float *out = run->out + (size_t)row * run->stride + d;
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(i, n_vecs) {
      acc[r][i] =
          vf_load_upto(out + (size_t)r * run->stride + i * LANES, i == n_vecs - 1 ? n_last : LANES);
    }
  }
  for (int j = begin; j < end; j++, v += value_bytes) {
    vf value[VALUE_VECS];
    JK_UNROLLED(i, n_vecs) {
      if (i < n_vecs - 1 || n_last == LANES)
        value[i] = load_weight(v, d + i * LANES, dtype);
      else
        value[i] = load_weight_part(v, d + i * LANES, n_last, dtype);
    }
    JK_UNROLLED(r, n_rows) {
      vf weight = vf_set(run->p[row + r][j]);
      JK_UNROLLED(i, n_vecs) {
        acc[r][i] = vf_fma(weight, value[i], acc[r][i]);
      }
    }
  }
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(i, n_vecs) {
      vf_store_upto(out + (size_t)r * run->stride + i * LANES, acc[r][i],
                    i == n_vecs - 1 ? n_last : LANES);
    }
  }
}

JK_TILE void values_of(query_run *run, const char *v, int begin, int end, int row, const int n_rows,
                       const jk_dtype dtype) {
  int d = 0;
  for (; d + VALUE_VECS * LANES <= run->head_dim; d += VALUE_VECS * LANES)
    values_tile(run, v, begin, end, row, d, LANES, n_rows, VALUE_VECS, dtype);
  for (; d + 2 * LANES <= run->head_dim; d += 2 * LANES)
    values_tile(run, v, begin, end, row, d, LANES, n_rows, 2, dtype);
  for (; d < run->head_dim; d += LANES) {
    int n_last = run->head_dim - d < LANES ? run->head_dim - d : LANES;
    values_tile(run, v, begin, end, row, d, n_last, n_rows, 1, dtype);
  }
}

// All rows together as far as they all see, then each alone; for a row the keys stay in order.
JK_TILE void values_in(query_run *run, const piece *part, const jk_dtype dtype) {
  int common = part->end;
  for (int r = 0; r < run->n_rows; r++)
    common = run->n_seen[r] < common ? run->n_seen[r] : common;
  if (run->n_rows < VALUE_ROWS || common < part->begin)
    common = part->begin;
  if (common > part->begin)
    values_of(run, part->v, part->begin, common, 0, VALUE_ROWS, dtype);
  size_t n_common = (size_t)(common - part->begin) * (size_t)run->head_dim;
  const char *rest = part->v + n_common * (dtype == JK_F32 ? sizeof(float) : sizeof(uint16_t));
  for (int r = 0; r < run->n_rows; r++) {
    int end = run->n_seen[r] < part->end ? run->n_seen[r] : part->end;
    if (end > common)
      values_of(run, rest, common, end, r, 1, dtype);
  }
}

static void values(query_run *run, const piece *part) {
  if (run->dtype == JK_F32)
    values_in(run, part, JK_F32);
  else
    values_in(run, part, JK_BF16);
}

static void attend_block(query_run *run, int block) {
  piece pieces[CACHES];
  int n_pieces = cut_block(pieces, run, block);
  for (int i = 0; i < n_pieces; i++)
    scores(run, &pieces[i]);
  for (int r = 0; r < run->n_rows; r++) {
    int n = run->n_keys[r] - block;
    run->n_seen[r] = n < 0 ? 0 : n < JK_KEY_BLOCK ? n : JK_KEY_BLOCK;
    if (run->n_seen[r] > 0)
      weights(run, r);
  }
  for (int i = 0; i < n_pieces; i++)
    values(run, &pieces[i]);
}

static void attend(query_run *run) {
  for (int r = 0; r < run->n_rows; r++) {
    run->max[r] = -INFINITY;
    run->sum[r] = 0.0f;
    memset(run->out + (size_t)r * run->stride, 0, (size_t)run->head_dim * sizeof(float));
  }
  for (int block = 0; block < run->max_keys; block += JK_KEY_BLOCK)
    attend_block(run, block);
  for (int r = 0; r < run->n_rows; r++) {
    float *out = run->out + (size_t)r * run->stride;
    for (int d = 0; run->n_keys[r] > 0 && d < run->head_dim; d += LANES) {
      int n = run->head_dim - d;
      vf_store_upto(out + d, vf_div(vf_load_upto(out + d, n), vf_set(run->sum[r])), n);
    }
  }
}

static bool is_same_cache(const jk_kv *a, const jk_kv *b) {
  return a->k == b->k && a->v == b->v && a->capacity == b->capacity && a->dtype == b->dtype;
}

static bool shares_caches(const jk_context *a, const jk_context *b) {
  return a->n_root == b->n_root && a->n_prefix == b->n_prefix &&
         is_same_cache(&a->root, &b->root) && is_same_cache(&a->prefix, &b->prefix) &&
         is_same_cache(&a->tail, &b->tail);
}

static jk_dtype dtype_of(const jk_context *context) {
  if (context->n_tail > 0)
    return context->tail.dtype;
  return context->n_prefix > 0 ? context->prefix.dtype : context->root.dtype;
}

static void attention(const jk_attention_job *job, int row_begin, int row_end, int head) {
  query_run run = {
      .stride = (size_t)job->n_heads * (size_t)job->head_dim,
      .kv_head = head / (job->n_heads / job->n_kv_heads),
      .head_dim = job->head_dim,
  };
  for (int row = row_begin; row < row_end; row += run.n_rows) {
    size_t at = (size_t)row * run.stride + (size_t)head * (size_t)job->head_dim;
    run.q = job->q + at;
    run.out = job->out + at;
    run.context = &job->contexts[row];
    run.dtype = dtype_of(run.context);
    run.max_keys = run.n_rows = 0;
    for (; row + run.n_rows < row_end && run.n_rows < VALUE_ROWS; run.n_rows++) {
      const jk_context *context = run.context + run.n_rows;
      if (!shares_caches(run.context, context))
        break;
      int n = jk_context_positions(context);
      run.n_keys[run.n_rows] = n;
      run.max_keys = n > run.max_keys ? n : run.max_keys;
    }
    attend(&run);
  }
}

void JK_SIMD_NAME(jk_init_attention)(jk_cpu_kernels *kernels) {
  kernels->attention = attention;
}
