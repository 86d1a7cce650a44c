// SPDX-License-Identifier: MIT
// Attention on the CPU: how the work is shared out.
#include "kernels/cpu-device.h"

// Rows per item: with bf16 pairs as many as read a block of keys together.
enum { QUERIES_PER_ITEM = 24 };

typedef struct shared_attention {
  void (*run)(const jk_attention_job *job, int row_begin, int row_end, int head);
  jk_attention_job job;
  int rows_per_part;
} shared_attention;

static void attention_item(void *context, int item, int thread) {
  shared_attention *s = context;
  int head = item % s->job.n_heads;
  int row = item / s->job.n_heads * s->rows_per_part;
  int end = row + s->rows_per_part < s->job.n_rows ? row + s->rows_per_part : s->job.n_rows;
  s->run(&s->job, row, end, head);
}

static jk_dtype dtype_of(const jk_context *context) {
  if (context->n_tail > 0)
    return context->tail.dtype;
  return context->n_prefix > 0 ? context->prefix.dtype : context->root.dtype;
}

static bool takes_pairs(const jk_cpu_kernels *kernels, const jk_attention_job *job) {
  if (!kernels->attention_pairs || job->head_dim % JK_PAIRS_DIM != 0 ||
      job->head_dim > JK_PAIRS_MAX_DIM)
    return false;
  for (int i = 0; i < job->n_rows; i++)
    if (dtype_of(&job->contexts[i]) != JK_BF16)
      return false;
  return true;
}

static void attention(jk_device *dev, float *out, const float *q, const jk_context *contexts,
                      int n_rows, int n_heads, int n_kv_heads, int head_dim) {
  if (n_rows <= 0)
    return;
  jk_cpu_device *cpu = jk_cpu_of(dev);
  const jk_attention_job job = {out, q, contexts, n_rows, n_heads, n_kv_heads, head_dim};
  const bool pairs = takes_pairs(&cpu->kernels, &job);
  shared_attention s = {
      .run = pairs ? cpu->kernels.attention_pairs : cpu->kernels.attention,
      .job = job,
      .rows_per_part = pairs ? JK_PAIRS_MAX_ROWS : QUERIES_PER_ITEM,
  };
  double n_keys = 0.0;
  for (int i = 0; i < n_rows; i++)
    n_keys += jk_context_positions(&contexts[i]);
  int n_row_parts = (n_rows + s.rows_per_part - 1) / s.rows_per_part;
  jk_cpu_share(cpu, attention_item, &s, n_row_parts * n_heads,
               2.0 * n_keys * (double)n_heads * (double)head_dim);
}

void jk_cpu_init_attention(jk_device *table) {
  table->attention = attention;
}
