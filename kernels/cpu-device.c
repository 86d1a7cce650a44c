// SPDX-License-Identifier: MIT
// The CPU as a device: opening and closing, memory.
#include "kernels/cpu-device.h"

#include "kernels/cpu-detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

// Below this many multiplications an operation is over before another thread has begun.
static const double least_shared_work = 40000.0;

enum { ALIGNMENT = 64, MAX_THREADS = 256, LARGE_PAGE = 2 << 20 };

// Weights are read at the speed of memory only when a page holds many of them.
static void advise_large_pages(char *base, size_t n_bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t begin = ((uintptr_t)base + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
  const uintptr_t end = ((uintptr_t)base + n_bytes) / LARGE_PAGE * LARGE_PAGE;
  if (end > begin)
    madvise((void *)begin, end - begin, MADV_HUGEPAGE);
#endif
}

// calloc's large blocks are pages that the system zeroes when they are first touched.
void *jk_aligned_alloc(size_t n_bytes) {
  if (n_bytes > PTRDIFF_MAX - 2 * ALIGNMENT)
    return NULL;
  char *base = calloc(1, n_bytes + 2 * ALIGNMENT);
  if (!base)
    return NULL;
  advise_large_pages(base, n_bytes);
  char *p = base + ALIGNMENT + (ALIGNMENT - (uintptr_t)base % ALIGNMENT) % ALIGNMENT;
  memcpy(p - sizeof base, &base, sizeof base);
  return p;
}

void jk_aligned_free(void *p) {
  if (!p)
    return;
  char *base;
  memcpy(&base, (char *)p - sizeof base, sizeof base);
  free(base);
}

void jk_cpu_share(jk_cpu_device *dev, jk_pool_fn fn, void *context, int n_items, double work) {
  if (work >= least_shared_work) {
    jk_pool_run(dev->pool, fn, context, n_items);
    return;
  }
  for (int i = 0; i < n_items; i++)
    fn(context, i, 0);
}

static jk_status cpu_alloc(jk_device *dev, size_t n_bytes, const char *purpose, void **out) {
  *out = jk_aligned_alloc(n_bytes);
  return *out ? JK_OK : JK_NO_MEMORY;
}

static void cpu_free(jk_device *dev, void *p) {
  jk_aligned_free(p);
}

static jk_status cpu_copy_in(jk_device *dev, void *dst, const void *host_src, size_t n_bytes) {
  if (n_bytes > 0)
    memmove(dst, host_src, n_bytes);
  return JK_OK;
}

static jk_status cpu_copy_out(jk_device *dev, void *host_dst, const void *src, size_t n_bytes) {
  return cpu_copy_in(dev, host_dst, src, n_bytes);
}

static jk_status cpu_sync(jk_device *dev) {
  return jk_cpu_of(dev)->failure;
}

static jk_status cpu_place(jk_device *dev, const void *host, size_t n_bytes, const void **out) {
  *out = host;
  return JK_OK;
}

static void cpu_measure_memory(jk_device *dev, size_t *n_free_bytes, size_t *n_bytes) {
  *n_free_bytes = *n_bytes = 0;
}

static void cpu_close(jk_device *dev) {
  jk_cpu_device *cpu = jk_cpu_of(dev);
  jk_pool_close(cpu->pool);
  for (int i = 0; i < dev->n_threads; i++) {
    jk_aligned_free(cpu->threads[i].conv_rows);
    jk_aligned_free(cpu->threads[i].ranked);
  }
  jk_aligned_free(cpu->group_sums);
  jk_aligned_free(cpu->inputs);
  free(cpu);
}

static void choose_kernels(jk_cpu_kernels *kernels, jk_isa isa, bool has_more) {
  jk_kernels_init_generic(kernels);
#ifdef JK_HAVE_X86
  if (isa >= JK_ISA_AVX2)
    jk_kernels_init_avx2(kernels);
  if (isa >= JK_ISA_AVX512)
    jk_kernels_init_avx512(kernels);
  if (isa >= JK_ISA_AVX512 && has_more && jk_cpu_has_avx512_vnni())
    jk_kernels_init_avx512_vnni(kernels);
  if (isa >= JK_ISA_AVX512 && has_more && jk_cpu_has_avx512_bf16()) {
    jk_kernels_init_avx512_bf16(kernels);
    jk_kernels_init_avx512_bf16_packed(kernels);
  }
#endif
}

void jk_cpu_forget_bf16(jk_device *dev) {
  choose_kernels(&jk_cpu_of(dev)->kernels, jk_cpu_of(dev)->isa, false);
}

static void init_table(jk_device *table) {
  table->alloc = cpu_alloc;
  table->free = cpu_free;
  table->upload = cpu_copy_in;
  table->download = cpu_copy_out;
  table->copy = cpu_copy_in;
  table->sync = cpu_sync;
  table->place = cpu_place;
  table->measure_memory = cpu_measure_memory;
  table->close = cpu_close;
  jk_cpu_init_attention(table);
  jk_cpu_init_linear(table);
  jk_cpu_init_conv(table);
  jk_cpu_init_limits(table);
  jk_cpu_init_norms(table);
  jk_cpu_init_rows(table);
}

jk_status jk_cpu_open(int n_threads, jk_isa max_isa, jk_device **out) {
  *out = NULL;
  if (n_threads < 0)
    return JK_BAD_REQUEST;
  if (n_threads == 0)
    n_threads = jk_cpu_n_cores();
  if (n_threads > MAX_THREADS)
    n_threads = MAX_THREADS;
  jk_isa isa = jk_cpu_best_isa() < max_isa ? jk_cpu_best_isa() : max_isa;
  jk_cpu_device *cpu = calloc(1, sizeof *cpu + (size_t)n_threads * sizeof(jk_cpu_thread));
  if (!cpu)
    return JK_NO_MEMORY;
  cpu->base.n_threads = n_threads;
  snprintf(cpu->base.name, sizeof cpu->base.name, "CPU (%s), %d thread%s", jk_isa_text(isa),
           n_threads, n_threads == 1 ? "" : "s");
  cpu->isa = isa;
  choose_kernels(&cpu->kernels, isa, true);
  init_table(&cpu->base);
  cpu->group_sums = jk_aligned_alloc(sizeof(double) * 2 * JK_STAT_PARTITIONS * JK_STAT_GROUPS);
  jk_status status = cpu->group_sums ? jk_pool_open(n_threads, &cpu->pool) : JK_NO_MEMORY;
  if (status != JK_OK) {
    cpu_close(&cpu->base);
    return status;
  }
  *out = &cpu->base;
  return JK_OK;
}
