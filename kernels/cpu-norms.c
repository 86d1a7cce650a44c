// SPDX-License-Identifier: MIT
// Normalisations and element-wise functions on the CPU: how the work is shared out.
#include "kernels/cpu-device.h"

#include <math.h>

enum { PIXELS_PER_PARTITION = 1024, PIXELS_PER_ITEM = 256, VALUES_PER_ITEM = 8192 };

// What an exponential costs, counted in multiplications.
static const double exp_work = 8.0;

typedef struct shared_rms {
  const jk_cpu_kernels *kernels;
  float *y;
  const float *x, *weight;
  int dim;
  float eps;
} shared_rms;

static void rms_item(void *context, int item, int thread) {
  shared_rms *s = context;
  size_t at = (size_t)item * (size_t)s->dim;
  s->kernels->rms_norm(s->y + at, s->x + at, s->weight, s->dim, s->eps);
}

static void rms_norm(jk_device *dev, float *y, const float *x, const float *weight, int n_rows,
                     int dim, float eps) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_rms s = {&cpu->kernels, y, x, weight, dim, eps};
  jk_cpu_share(cpu, rms_item, &s, n_rows, 2.0 * (double)n_rows * (double)dim);
}

typedef struct shared_layer {
  const jk_cpu_kernels *kernels;
  float *y;
  const float *x, *weight, *bias;
  int dim;
  float eps;
} shared_layer;

static void layer_item(void *context, int item, int thread) {
  shared_layer *s = context;
  size_t at = (size_t)item * (size_t)s->dim;
  s->kernels->layer_norm(s->y + at, s->x + at, s->weight, s->bias, s->dim, s->eps);
}

static void layer_norm(jk_device *dev, float *y, const float *x, const float *weight,
                       const float *bias, int n_rows, int dim, float eps) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_layer s = {&cpu->kernels, y, x, weight, bias, dim, eps};
  jk_cpu_share(cpu, layer_item, &s, n_rows, 3.0 * (double)n_rows * (double)dim);
}

typedef struct shared_values {
  const jk_cpu_kernels *kernels;
  float *y;
  const float *a, *b;
  size_t n;
} shared_values;

static size_t values_of_item(const shared_values *s, int item, size_t *begin) {
  *begin = (size_t)item * VALUES_PER_ITEM;
  return s->n - *begin < VALUES_PER_ITEM ? s->n - *begin : VALUES_PER_ITEM;
}

static int n_value_items(size_t n) {
  return (int)((n + VALUES_PER_ITEM - 1) / VALUES_PER_ITEM);
}

static void silu_mul_item(void *context, int item, int thread) {
  shared_values *s = context;
  size_t at, n = values_of_item(s, item, &at);
  s->kernels->silu_mul(s->y + at, s->a + at, s->b + at, n);
}

static void silu_mul(jk_device *dev, float *y, const float *gate, const float *up, size_t n) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_values s = {&cpu->kernels, y, gate, up, n};
  jk_cpu_share(cpu, silu_mul_item, &s, n_value_items(n), (double)n * exp_work);
}

static void gelu_item(void *context, int item, int thread) {
  shared_values *s = context;
  size_t at, n = values_of_item(s, item, &at);
  s->kernels->gelu(s->y + at, s->a + at, n);
}

static void gelu(jk_device *dev, float *y, const float *x, size_t n) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  shared_values s = {&cpu->kernels, y, x, NULL, n};
  jk_cpu_share(cpu, gelu_item, &s, n_value_items(n), (double)n * exp_work);
}

typedef struct shared_group {
  jk_cpu_device *cpu;
  jk_group_job job;
  int n_pixels, partition_px, n_groups; // n_groups: of the pass
} shared_group;

// The scratch of all partitions lies together: partition p has 2 * n_groups sums.
static double *sums_of(const shared_group *s, int partition) {
  return s->cpu->group_sums + 2 * (size_t)partition * (size_t)s->n_groups;
}

static void group_sums_item(void *context, int item, int thread) {
  shared_group *s = context;
  int begin = item * s->partition_px;
  int end = s->n_pixels - begin < s->partition_px ? s->n_pixels : begin + s->partition_px;
  s->cpu->kernels.group_sums(&s->job, sums_of(s, item), begin, end);
}

static void group_apply_item(void *context, int item, int thread) {
  shared_group *s = context;
  int begin = item * PIXELS_PER_ITEM;
  int end = s->n_pixels - begin < PIXELS_PER_ITEM ? s->n_pixels : begin + PIXELS_PER_ITEM;
  s->cpu->kernels.group_apply(&s->job, begin, end);
}

static double n_values(const shared_group *s) {
  return (double)s->n_pixels * (double)(s->job.channel_end - s->job.channel_begin);
}

// Partitions depend on the number of pixels alone, and are added up in order.
static void pass_statistics(shared_group *s, float *mean, float *scale, float eps) {
  int n_partitions = (s->n_pixels + s->partition_px - 1) / s->partition_px;
  jk_cpu_share(s->cpu, group_sums_item, s, n_partitions, n_values(s));
  double n = (double)s->n_pixels * (double)s->job.group_size;
  for (int group = 0; group < s->n_groups; group++) {
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < n_partitions; i++) {
      sum += sums_of(s, i)[2 * group];
      squares += sums_of(s, i)[2 * group + 1];
    }
    double variance = squares / n - sum / n * (sum / n);
    mean[group] = (float)(sum / n);
    scale[group] = (float)(1.0 / sqrt((variance < 0.0 ? 0.0 : variance) + (double)eps));
  }
}

// The pass over the groups from `group` on.
static void begin_pass(shared_group *s, int group, int n_groups) {
  s->n_groups = n_groups - group < JK_STAT_GROUPS ? n_groups - group : JK_STAT_GROUPS;
  s->job.channel_begin = group * s->job.group_size;
  s->job.channel_end = (group + s->n_groups) * s->job.group_size;
  s->partition_px = (s->n_pixels + JK_STAT_PARTITIONS - 1) / JK_STAT_PARTITIONS;
  if (s->partition_px < PIXELS_PER_PARTITION)
    s->partition_px = PIXELS_PER_PARTITION;
}

void jk_cpu_group_statistics(jk_cpu_device *dev, float *mean, float *scale, const float *x,
                             int n_pixels, int channels, int n_groups, float eps) {
  shared_group s = {
      .cpu = dev,
      .job = {.x = x, .channels = channels, .group_size = channels / n_groups},
      .n_pixels = n_pixels,
  };
  for (int group = 0; group < n_groups; group += JK_STAT_GROUPS) {
    begin_pass(&s, group, n_groups);
    pass_statistics(&s, mean + group, scale + group, eps);
  }
}

static void group_norm(jk_device *dev, float *y, const float *x, const float *weight,
                       const float *bias, int n_pixels, int channels, int n_groups, float eps,
                       bool swish) {
  float mean[JK_STAT_GROUPS], scale[JK_STAT_GROUPS];
  shared_group s = {
      .cpu = jk_cpu_of(dev),
      .job = {.y = y,
              .x = x,
              .weight = weight,
              .bias = bias,
              .mean = mean,
              .scale = scale,
              .channels = channels,
              .group_size = channels / n_groups,
              .swish = swish},
      .n_pixels = n_pixels,
  };
  for (int group = 0; group < n_groups; group += JK_STAT_GROUPS) {
    begin_pass(&s, group, n_groups);
    pass_statistics(&s, mean, scale, eps);
    jk_cpu_share(s.cpu, group_apply_item, &s, (n_pixels + PIXELS_PER_ITEM - 1) / PIXELS_PER_ITEM,
                 n_values(&s) * (swish ? exp_work : 1.0));
  }
}

void jk_cpu_init_norms(jk_device *table) {
  table->rms_norm = rms_norm;
  table->layer_norm = layer_norm;
  table->silu_mul = silu_mul;
  table->gelu = gelu;
  table->group_norm = group_norm;
}
