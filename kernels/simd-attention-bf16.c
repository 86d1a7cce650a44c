// SPDX-License-Identifier: MIT
// Attention over bf16 caches with AVX-512's products of bf16 pairs: queries and the weights of the
// softmax are rounded to bf16 too, sums and the softmax itself are f32.
#include "kernels/bf16.h"
#include "kernels/simd-math.h"

#include <math.h>
#include <string.h>

// A block's keys lie by dimension, so that a vector holds LANES keys; its values lie by pairs of
// keys, a vector LANES dimensions of a pair. Then nothing is added across a vector.
enum {
  MAX_DIM = JK_PAIRS_MAX_DIM,
  TILE_ROWS = 4,
  KEY_VECS = JK_KEY_BLOCK / LANES,
  DIM_STEP = 2 * LANES, // dimensions of two vectors of values, which are interleaved
  VALUE_TILE = 4,       // vectors
  MAX_ROWS = JK_PAIRS_MAX_ROWS,
};

typedef struct query {
  const jk_context *context;
  float *out;         // inside: two vectors of dimensions interleaved, see unlace()
  int n_keys, n_seen; // of the block
  // The first row with the same root; also the same prefix; also the same tail.
  int same_root, same_prefix, same_tail;
  int cache; // rows of a block with the same number read the same keys
  float max, sum, shrink;
} query;

typedef struct work {
  int n_rows, head_dim, kv_head;
  size_t stride;                               // of out, floats from row to row
  uint16_t q[MAX_ROWS * MAX_DIM];              // [row][head_dim]: pairs of dimensions
  uint32_t keys[MAX_DIM / 2][JK_KEY_BLOCK];    // pairs of dimensions
  uint32_t values[JK_KEY_BLOCK / 2 * MAX_DIM]; // [pair of keys][head_dim]
  float scores[MAX_ROWS][JK_KEY_BLOCK];
  uint16_t weights[MAX_ROWS][JK_KEY_BLOCK]; // pairs of keys
  query queries[MAX_ROWS];
} work;

// --- a block's keys and values
// ----------------------------------------------------------------------

typedef struct block_rows {
  const uint16_t *k[JK_KEY_BLOCK], *v[JK_KEY_BLOCK];
  int n;
} block_rows;

// Where the keys and values of positions [begin, begin + n) of a context lie.
static void find_rows(block_rows *rows, const work *w, const jk_context *context, int begin,
                      int n) {
  const jk_kv *caches[] = {&context->root, &context->prefix, &context->tail};
  const int lengths[] = {context->n_root, context->n_prefix, context->n_tail};
  int first = 0;
  rows->n = n;
  for (int i = 0; i < 3; first += lengths[i++]) {
    const int from = begin > first ? begin : first;
    const int end = begin + n < first + lengths[i] ? begin + n : first + lengths[i];
    for (int pos = from; pos < end; pos++) {
      const size_t head = (size_t)w->kv_head * (size_t)caches[i]->capacity;
      const size_t at = (head + (size_t)(pos - first)) * (size_t)w->head_dim;
      rows->k[pos - begin] = (const uint16_t *)caches[i]->k + at;
      rows->v[pos - begin] = (const uint16_t *)caches[i]->v + at;
    }
  }
}

// Rows of 16 pairs to columns.
JK_TILE void transpose(__m512i r[16]) {
  __m512i t[16];
  JK_UNROLLED(i, 8) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  JK_UNROLLED(i, 4) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  JK_UNROLLED(j, 4) {
    const __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88);
    const __m512i b = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
    const __m512i c = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd);
    const __m512i d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
    t[j] = _mm512_shuffle_i32x4(a, b, 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(c, d, 0x88);
    t[8 + j] = _mm512_shuffle_i32x4(a, b, 0xdd);
    t[12 + j] = _mm512_shuffle_i32x4(c, d, 0xdd);
  }
  JK_UNROLLED(i, 16) {
    r[i] = t[i];
  }
}

// Keys that do not exist are zeros. What comes next is fetched meanwhile: memory is slower.
static void pack_keys(work *w, const block_rows *rows) {
  for (int first = 0; first < JK_KEY_BLOCK; first += LANES) {
    for (int d = 0; d < w->head_dim; d += DIM_STEP) {
      __m512i r[LANES];
      if (first + LANES <= rows->n) {
        JK_UNROLLED(i, LANES) {
          r[i] = _mm512_loadu_si512(rows->k[first + i] + d);
          _mm_prefetch((const char *)(rows->v[first + i] + d), _MM_HINT_T0);
        }
      } else {
        for (int i = 0; i < LANES; i++)
          r[i] = first + i < rows->n ? _mm512_loadu_si512(rows->k[first + i] + d)
                                     : _mm512_setzero_si512();
      }
      transpose(r);
      JK_UNROLLED(i, LANES) {
        _mm512_storeu_si512(&w->keys[d / 2 + i][first], r[i]);
      }
    }
  }
}

// The keys of the next block mostly lie behind these.
static void pack_values(work *w, const block_rows *rows) {
  const size_t next = (size_t)JK_KEY_BLOCK * (size_t)w->head_dim;
  for (int j = 0; j < rows->n; j += 2) {
    uint32_t *pair = w->values + (size_t)(j / 2) * (size_t)w->head_dim;
    const uint16_t *even = rows->v[j], *odd = j + 1 < rows->n ? rows->v[j + 1] : NULL;
    for (int d = 0; d < w->head_dim; d += DIM_STEP) {
      for (size_t i = 0; i < 2; i++)
        _mm_prefetch((const char *)(rows->k[j] + next + i * (size_t)w->head_dim + d), _MM_HINT_T0);
      const __m512i a = _mm512_loadu_si512(even + d);
      const __m512i b = odd ? _mm512_loadu_si512(odd + d) : _mm512_setzero_si512();
      _mm512_storeu_si512(pair + d, _mm512_unpacklo_epi16(a, b));
      _mm512_storeu_si512(pair + d + LANES, _mm512_unpackhi_epi16(a, b));
    }
  }
}

// --- a block's rows
// ---------------------------------------------------------------------------------

static __m512bh broadcast_pair(const uint16_t *pair) {
  int32_t bits;
  memcpy(&bits, pair, sizeof bits);
  return (__m512bh)_mm512_set1_epi32(bits);
}

JK_TILE void scores_of(work *w, const int *rows, const int n_rows) {
  vf acc[TILE_ROWS][KEY_VECS];
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(i, KEY_VECS) {
      acc[r][i] = vf_zero();
    }
  }
  const uint16_t *q[TILE_ROWS];
  JK_UNROLLED(r, n_rows) {
    q[r] = w->q + (size_t)rows[r] * (size_t)w->head_dim;
  }
  for (int d = 0; d < w->head_dim; d += 2) {
    __m512bh keys[KEY_VECS];
    JK_UNROLLED(i, KEY_VECS) {
      keys[i] = (__m512bh)_mm512_loadu_si512(&w->keys[d / 2][i * LANES]);
    }
    JK_UNROLLED(r, n_rows) {
      const __m512bh in = broadcast_pair(q[r] + d);
      JK_UNROLLED(i, KEY_VECS) {
        acc[r][i] = _mm512_dpbf16_ps(acc[r][i], in, keys[i]);
      }
    }
  }
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(i, KEY_VECS) {
      vf_store(w->scores[rows[r]] + i * LANES, acc[r][i]);
    }
  }
}

// Scores of one row to rounded weights. What is added up is what multiplies the values. Keys that
// the row does not see weigh nothing.
static void weights_of(work *w, int row) {
  query *q = &w->queries[row];
  float *scores = w->scores[row];
  const vf scale = vf_set(1.0f / sqrtf((float)w->head_dim));
  vf largest = vf_set(q->max), sum = vf_zero(), score[KEY_VECS];
  for (int j = q->n_seen; j < JK_KEY_BLOCK; j++)
    scores[j] = -INFINITY;
  JK_UNROLLED(i, KEY_VECS) {
    score[i] = vf_mul(vf_load(scores + i * LANES), scale);
    largest = vf_max(score[i], largest);
  }
  const float max = vf_largest(largest);
  q->shrink = q->max == max ? 1.0f : expf(q->max - max);
  JK_UNROLLED(i, KEY_VECS) {
    const __m256i words = (__m256i)_mm512_cvtneps_pbh(vf_exp(vf_sub(score[i], vf_set(max))));
    _mm256_storeu_si256((__m256i *)(w->weights[row] + i * LANES), words);
    sum = vf_add(sum, vf_widen_bf16(words));
  }
  q->max = max;
  q->sum = q->sum * q->shrink + vf_sum(sum);
}

JK_TILE void values_tile(work *w, const int *rows, int n_keys, int d, const int n_rows,
                         const int n_vecs) {
  vf acc[TILE_ROWS][VALUE_TILE];
  const uint16_t *weights[TILE_ROWS];
  JK_UNROLLED(r, n_rows) {
    const query *q = &w->queries[rows[r]];
    weights[r] = w->weights[rows[r]];
    JK_UNROLLED(i, n_vecs) {
      acc[r][i] = vf_mul(vf_load(q->out + d + i * LANES), vf_set(q->shrink));
    }
  }
  const uint32_t *pair = w->values + d;
  for (int j = 0; j < n_keys; j += 2, pair += w->head_dim) {
    __m512bh values[VALUE_TILE];
    JK_UNROLLED(i, n_vecs) {
      values[i] = (__m512bh)_mm512_loadu_si512(pair + i * LANES);
    }
    JK_UNROLLED(r, n_rows) {
      const __m512bh weight = broadcast_pair(weights[r] + j);
      JK_UNROLLED(i, n_vecs) {
        acc[r][i] = _mm512_dpbf16_ps(acc[r][i], weight, values[i]);
      }
    }
  }
  JK_UNROLLED(r, n_rows) {
    JK_UNROLLED(i, n_vecs) {
      vf_store(w->queries[rows[r]].out + d + i * LANES, acc[r][i]);
    }
  }
}

JK_TILE void tile(work *w, const int *rows, int n_keys, const int n_rows) {
  scores_of(w, rows, n_rows);
  for (int r = 0; r < n_rows; r++)
    weights_of(w, rows[r]);
  int d = 0;
  for (; d + VALUE_TILE * LANES <= w->head_dim; d += VALUE_TILE * LANES)
    values_tile(w, rows, n_keys, d, n_rows, VALUE_TILE);
  for (; d < w->head_dim; d += DIM_STEP)
    values_tile(w, rows, n_keys, d, n_rows, 2);
}

// Rows that read the same keys of a block.
static void attend_group(work *w, const int *rows, int n_rows, int block) {
  block_rows found;
  int most = 0, last = 0;
  for (int i = 0; i < n_rows; i++) {
    query *q = &w->queries[rows[i]];
    const int n = q->n_keys - block;
    q->n_seen = n < JK_KEY_BLOCK ? n : JK_KEY_BLOCK;
    last = q->n_seen > most ? rows[i] : last;
    most = q->n_seen > most ? q->n_seen : most;
  }
  find_rows(&found, w, w->queries[last].context, block, most);
  pack_keys(w, &found);
  pack_values(w, &found);
  int i = 0;
  for (; i + 4 <= n_rows; i += 4)
    tile(w, rows + i, most, 4);
  for (; i + 2 <= n_rows; i += 2)
    tile(w, rows + i, most, 2);
  if (i < n_rows)
    tile(w, rows + i, most, 1);
}

// --- all blocks
// -------------------------------------------------------------------------------------

static bool is_same_cache(const jk_kv *a, const jk_kv *b, int n) {
  return n == 0 || (a->k == b->k && a->v == b->v && a->capacity == b->capacity);
}

static void classify(work *w, int row) {
  const query *queries = w->queries;
  const jk_context *a = queries[row].context;
  query *q = &w->queries[row];
  q->same_root = q->same_prefix = q->same_tail = row;
  for (int i = row - 1; i >= 0; i--) {
    const jk_context *b = queries[i].context;
    const bool has_roots = a->n_root > 0 && b->n_root > 0;
    if (has_roots && is_same_cache(&a->root, &b->root, 1))
      q->same_root = queries[i].same_root;
    if (a->n_root != b->n_root || !is_same_cache(&a->root, &b->root, a->n_root))
      continue;
    const bool has_prefixes = a->n_prefix > 0 && b->n_prefix > 0;
    if (has_prefixes && is_same_cache(&a->prefix, &b->prefix, 1))
      q->same_prefix = queries[i].same_prefix;
    if (a->n_prefix == b->n_prefix && is_same_cache(&a->prefix, &b->prefix, a->n_prefix) &&
        (a->n_tail > 0) == (b->n_tail > 0) && is_same_cache(&a->tail, &b->tail, a->n_tail))
      q->same_tail = queries[i].same_tail;
  }
}

static void number_caches(work *w, int block) {
  const int end = block + JK_KEY_BLOCK;
  for (int row = 0; row < w->n_rows; row++) {
    query *q = &w->queries[row];
    if (q->context->n_root >= end)
      q->cache = q->same_root;
    else if (q->context->n_root + q->context->n_prefix >= end)
      q->cache = MAX_ROWS + q->same_prefix;
    else
      q->cache = 2 * MAX_ROWS + q->same_tail;
  }
}

static void attend_block(work *w, int block) {
  bool is_done[MAX_ROWS] = {false};
  number_caches(w, block);
  for (int row = 0; row < w->n_rows; row++) {
    int rows[MAX_ROWS], n_rows = 0;
    if (is_done[row] || w->queries[row].n_keys <= block)
      continue;
    for (int i = row; i < w->n_rows; i++) {
      const query *q = &w->queries[i];
      if (q->n_keys <= block || q->cache != w->queries[row].cache)
        continue;
      rows[n_rows++] = i;
      is_done[i] = true;
    }
    attend_group(w, rows, n_rows, block);
  }
}

// Divides by the sum and puts the dimensions in order: of 32 dimensions the first vector has the
// first four of every eight, the second the others.
static void unlace(float *out, int head_dim, float sum) {
  const __m512i low = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i high =
      _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
  for (int d = 0; d < head_dim; d += DIM_STEP) {
    const vf a = vf_div(vf_load(out + d), vf_set(sum));
    const vf b = vf_div(vf_load(out + d + LANES), vf_set(sum));
    vf_store(out + d, _mm512_permutex2var_ps(a, low, b));
    vf_store(out + d + LANES, _mm512_permutex2var_ps(a, high, b));
  }
}

static void begin_row(work *w, const jk_attention_job *job, int i, int row, int head) {
  const size_t at = (size_t)row * w->stride + (size_t)head * (size_t)w->head_dim;
  const float *q = job->q + at;
  uint16_t *rounded = w->q + (size_t)i * (size_t)w->head_dim;
  for (int d = 0; d < w->head_dim; d += LANES)
    _mm256_storeu_si256((__m256i *)(rounded + d), (__m256i)_mm512_cvtneps_pbh(vf_load(q + d)));
  w->queries[i] = (query){.context = &job->contexts[row],
                          .out = job->out + at,
                          .n_keys = jk_context_positions(&job->contexts[row]),
                          .max = -INFINITY};
  memset(w->queries[i].out, 0, (size_t)w->head_dim * sizeof(float));
  classify(w, i);
}

// At most MAX_ROWS rows.
static void attend(work *w, const jk_attention_job *job, int row_begin, int head) {
  int most = 0;
  for (int i = 0; i < w->n_rows; i++) {
    begin_row(w, job, i, row_begin + i, head);
    most = w->queries[i].n_keys > most ? w->queries[i].n_keys : most;
  }
  for (int block = 0; block < most; block += JK_KEY_BLOCK)
    attend_block(w, block);
  for (int i = 0; i < w->n_rows; i++)
    if (w->queries[i].n_keys > 0)
      unlace(w->queries[i].out, w->head_dim, w->queries[i].sum);
}

static void attention(const jk_attention_job *job, int row_begin, int row_end, int head) {
  work w;
  w.head_dim = job->head_dim;
  w.kv_head = head / (job->n_heads / job->n_kv_heads);
  w.stride = (size_t)job->n_heads * (size_t)job->head_dim;
  for (int row = row_begin; row < row_end; row += MAX_ROWS) {
    w.n_rows = row_end - row < MAX_ROWS ? row_end - row : MAX_ROWS;
    attend(&w, job, row, head);
  }
}

void jk_init_attention_avx512_bf16(jk_cpu_kernels *kernels) {
  kernels->attention_pairs = attention;
}
