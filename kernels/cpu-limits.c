// SPDX-License-Identifier: MIT
// What the CPU can do at best, for benches: reading memory, and the instructions that linear layers
// are made of.
#include "kernels/cpu-device.h"

#include <math.h>
#include <time.h>

#ifdef JK_HAVE_X86
#include <immintrin.h>
#endif

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// --- reading ------------------------------------------------------------------------------------

enum { READ_BYTES = 1 << 20, READ_AHEAD = 4096, N_SUMS = 64 };

typedef uint64_t words __attribute__((vector_size(16)));

typedef struct reading {
  const char *p;
  size_t n_bytes;
  uint64_t sums[N_SUMS]; // so that the reads are not left out
} reading;

static void read_item(void *context, int item, int thread) {
  reading *r = context;
  const size_t begin = (size_t)item * READ_BYTES;
  const size_t left = r->n_bytes - begin, n_bytes = left < READ_BYTES ? left : READ_BYTES;
  const words *p = (const words *)(const void *)(r->p + begin);
  words sums[4] = {{0}};
  for (size_t i = 0; i < n_bytes / sizeof *p; i += 4) {
    __builtin_prefetch((const char *)(p + i) + READ_AHEAD, 0, 0);
    for (int j = 0; j < 4; j++)
      sums[j] += p[i + (size_t)j];
  }
  const words sum = sums[0] + sums[1] + sums[2] + sums[3];
  r->sums[thread % N_SUMS] += sum[0] + sum[1];
}

static uint64_t read_all(jk_device *dev, const void *p, size_t n_bytes) {
  reading r = {.p = p, .n_bytes = n_bytes};
  uint64_t sum = 0;
  jk_pool_run(jk_cpu_of(dev)->pool, read_item, &r, (int)((n_bytes + READ_BYTES - 1) / READ_BYTES));
  for (int i = 0; i < N_SUMS; i++)
    sum += r.sums[i];
  return sum;
}

// --- computing ----------------------------------------------------------------------------------

// Independent sums, enough to hide every latency; steps that take about a millisecond.
enum { N_CHAINS = 12, N_STEPS = 200000, N_ROUNDS = 30 };

#ifdef JK_HAVE_X86
// A loop of one instruction on N_CHAINS sums; returns something that depends on them.
#define PEAK_LOOP(name, isa, vector, some, step, number)                                           \
  __attribute__((target(isa))) static double name(void) {                                          \
    vector sums[N_CHAINS], x = some;                                                               \
    __asm__ volatile("" : "+v"(x));                                                                \
    for (int c = 0; c < N_CHAINS; c++)                                                             \
      sums[c] = x;                                                                                 \
    for (int i = 0; i < N_STEPS; i++) {                                                            \
      _Pragma("GCC unroll 12") for (int c = 0; c < N_CHAINS; c++) {                                \
        const vector sum = sums[c];                                                                \
        sums[c] = step;                                                                            \
      }                                                                                            \
    }                                                                                              \
    _Pragma("GCC unroll 12") for (int c = 0; c < N_CHAINS; c++) {                                  \
      __asm__ volatile("" : "+v"(sums[c]));                                                        \
    }                                                                                              \
    return (double)number(sums[0]);                                                                \
  }

PEAK_LOOP(fma_avx2, "avx2,fma", __m256, _mm256_set1_ps(0.7f), _mm256_fmadd_ps(x, x, sum),
          _mm256_cvtss_f32)
PEAK_LOOP(fma_avx512, "avx512f", __m512, _mm512_set1_ps(0.7f), _mm512_fmadd_ps(x, x, sum),
          _mm512_cvtss_f32)
PEAK_LOOP(bf16_avx512, "avx512f,avx512bf16", __m512,
          _mm512_castsi512_ps(_mm512_set1_epi32(0x3f1b3f0d)),
          _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)x), _mm512_cvtss_f32)
PEAK_LOOP(bytes_avx512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32(0x1b0d3f25),
          _mm512_dpbusd_epi32(sum, x, x), _mm512_cvtsi512_si32)
// Without VNNI: products of bytes in pairs, then pairs of pairs, then the sum.
PEAK_LOOP(pairs_avx512, "avx512f,avx512bw", __m512i, _mm512_set1_epi32(0x1b0d3f25),
          _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(sum, x), x)),
          _mm512_cvtsi512_si32)
PEAK_LOOP(pairs_avx2, "avx2", __m256i, _mm256_set1_epi32(0x1b0d3f25),
          _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(sum, x), x)),
          _mm256_cvtsi256_si32)
#endif

typedef struct computing {
  double (*loop)(void);
  double step_flops; // products and sums of one step of one chain
  double sums[N_SUMS];
} computing;

static void compute_item(void *context, int item, int thread) {
  computing *c = context;
  c->sums[thread % N_SUMS] += c->loop();
}

// What linear() is made of at best on this instruction set.
static computing choose_loop(jk_isa isa, jk_format format) {
#ifdef JK_HAVE_X86
  const bool is_wide = isa >= JK_ISA_AVX512;
  const bool has_bytes = is_wide && __builtin_cpu_supports("avx512vnni");
  const bool has_bf16 = is_wide && __builtin_cpu_supports("avx512bf16");
  if (isa < JK_ISA_AVX2)
    return (computing){0};
  if (format == JK_FORMAT_Q8 || format == JK_FORMAT_Q4)
    return (computing){.loop = has_bytes ? bytes_avx512
                               : is_wide ? pairs_avx512
                                         : pairs_avx2,
                       .step_flops = is_wide ? 128 : 64};
  if (format == JK_FORMAT_BF16 && has_bf16)
    return (computing){.loop = bf16_avx512, .step_flops = 64};
  return (computing){.loop = is_wide ? fma_avx512 : fma_avx2, .step_flops = is_wide ? 32 : 16};
#else
  return (computing){0};
#endif
}

static double measure_peak(jk_device *dev, jk_format format) {
  computing c = choose_loop(jk_cpu_of(dev)->isa, format);
  double best_s = INFINITY;
  if (!c.loop)
    return 0;
  for (int i = 0; i < N_ROUNDS; i++) {
    const double begin = now_s();
    jk_pool_run(jk_cpu_of(dev)->pool, compute_item, &c, dev->n_threads);
    best_s = fmin(best_s, now_s() - begin);
  }
  return c.step_flops * N_CHAINS * N_STEPS * dev->n_threads / best_s;
}

void jk_cpu_init_limits(jk_device *table) {
  table->read_all = read_all;
  table->measure_peak = measure_peak;
}
