// SPDX-License-Identifier: MIT
// Guidance and drawing: check values of the noise, exact semantics against a plain reference.
#include "check.h"

#include "kernels/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_noise(void) {
  jk_philox zero = jk_philox4x32((jk_philox){{0, 0, 0, 0}}, 0);
  const jk_philox expected_zero = {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}};
  check(memcmp(&zero, &expected_zero, sizeof zero) == 0, "philox: key 0, counter 0");
  jk_philox seven = jk_philox4x32((jk_philox){{0, 0, 0, 0}}, 7);
  const jk_philox expected_seven = {{0xf4607a2d, 0xc009f9dc, 0x1d3aba42, 0x15edac82}};
  check(memcmp(&seven, &expected_seven, sizeof seven) == 0, "philox: seed 7");
  // Published with the generator: all bits set, and the digits of pi.
  jk_philox ones = jk_philox4x32((jk_philox){{~0u, ~0u, ~0u, ~0u}}, ~(uint64_t)0);
  const jk_philox expected_ones = {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}};
  check(memcmp(&ones, &expected_ones, sizeof ones) == 0, "philox: all bits set");
  jk_philox pi = jk_philox4x32((jk_philox){{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
                               0x299f31d0a4093822);
  const jk_philox expected_pi = {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  check(memcmp(&pi, &expected_pi, sizeof pi) == 0, "philox: digits of pi");
  check(fabsf(jk_gumbel(seven.word[0]) - 3.06903689f) < 5e-9f, "gumbel: seed 7 gives %.9g",
        (double)jk_gumbel(seven.word[0]));
  check(isfinite(jk_gumbel(0)) && isfinite(jk_gumbel(UINT32_MAX)) &&
            jk_gumbel(UINT32_MAX) < 22.875f,
        "gumbel: finite at both ends, largest %.6g", (double)jk_gumbel(UINT32_MAX));
}

typedef struct candidate {
  double value; // guided / T in f32
  int id;
} candidate;

static int by_value(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->value != y->value)
    return x->value > y->value ? -1 : 1;
  return x->id - y->id;
}

static float noise_of(const jk_sampling *d, int id) {
  jk_philox counter = {{(uint32_t)id / 4, d->position, d->sample_index, d->stream}};
  return jk_gumbel(jk_philox4x32(counter, d->seed).word[id % 4]);
}

// The definition, computed the slow way.
static int reference_draw(const float *guided, int vocab, const jk_sampling *d) {
  candidate *c = malloc((size_t)vocab * sizeof *c);
  for (int i = 0; i < vocab; i++)
    c[i] = (candidate){(double)(d->temperature > 0.0f ? guided[i] / d->temperature : guided[i]), i};
  qsort(c, (size_t)vocab, sizeof *c, by_value);
  int n = vocab, best = c[0].id;
  if (d->temperature > 0.0f) {
    n = d->top_k > 0 && d->top_k < n ? d->top_k : n;
    double total = 0.0, sum = 0.0;
    for (int i = 0; i < n; i++)
      total += exp(c[i].value - c[0].value);
    for (int i = 0; i < n && d->top_p < 1.0f; i++) {
      sum += exp(c[i].value - c[0].value) / total;
      if (sum >= (double)d->top_p)
        n = i + 1;
    }
    float best_value = -INFINITY;
    for (int i = 0; i < n; i++) {
      float value = (float)c[i].value + noise_of(d, c[i].id);
      if (value > best_value || (value == best_value && c[i].id < best)) {
        best_value = value;
        best = c[i].id;
      }
    }
  }
  free(c);
  return best;
}

static void fill_logits(check_random *random, float *logits, int n, int kind) {
  for (int i = 0; i < n; i++) {
    float value = check_normal(random) * (kind == 0 ? 0.01f : kind == 1 ? 2.0f : 15.0f);
    logits[i] = value;
    if (kind == 3) // many ties, zeros of both signs
      logits[i] = truncf(value / 8.0f);
    if (kind == 4) // so large that sums with the noise tie, too
      logits[i] = 4194304.0f + truncf(value / 4.0f) / 2.0f;
  }
}

static void test_draws(jk_isa isa) {
  static const int vocabs[] = {1, 2, 7, 256, 2048, 16384};
  enum { ROWS = 3 };
  jk_device *one = check_open(1, isa), *three = check_open(3, isa);
  check_random random = check_seed(51);
  int n_draws = 0, n_wrong = 0, n_differing = 0;
  for (int i = 0; i < 240; i++) {
    int vocab = vocabs[i % 6];
    float *logits = malloc(ROWS * (size_t)vocab * sizeof *logits);
    jk_sampling draws[ROWS];
    int32_t ids[ROWS], other[ROWS];
    fill_logits(&random, logits, ROWS * vocab, check_int(&random, 0, 4));
    for (int r = 0; r < ROWS; r++) {
      static const float temperatures[] = {0.0f, 0.1f, 1.0f, 1.0f, 3.0f};
      draws[r] = (jk_sampling){.temperature = temperatures[check_int(&random, 0, 4)],
                               .top_k = check_int(&random, 0, 2) ? 0 : check_int(&random, 1, 100),
                               .top_p = check_int(&random, 0, 2) ? 1.0f : 0.9f,
                               .seed = (uint64_t)check_bits(&random) << 20,
                               .position = (uint32_t)check_int(&random, 0, 575),
                               .sample_index = (uint32_t)r,
                               .stream = (uint32_t)check_int(&random, 0, 3)};
    }
    one->sample(one, ids, logits, vocab, draws, ROWS);
    three->sample(three, other, logits, vocab, draws, ROWS);
    n_differing += memcmp(ids, other, sizeof ids) != 0;
    for (int r = 0; r < ROWS; r++, n_draws++)
      n_wrong += ids[r] != reference_draw(logits + r * vocab, vocab, &draws[r]);
    free(logits);
  }
  check(n_wrong == 0, "sample %s: %d draws as defined (%d wrong)", jk_isa_text(isa), n_draws,
        n_wrong);
  check(n_differing == 0, "sample %s: the same on 3 threads", jk_isa_text(isa));
  one->close(one);
  three->close(three);
}

// Draws one id a hundred times at successive positions; a bit set of the ids seen.
static unsigned seen(jk_device *dev, const float *logits, int vocab, float temperature, int top_k,
                     float top_p) {
  unsigned set = 0;
  for (uint32_t i = 0; i < 100; i++) {
    jk_sampling draw = {
        .temperature = temperature, .top_k = top_k, .top_p = top_p, .seed = 5, .position = i};
    int32_t id = -1;
    dev->sample(dev, &id, logits, vocab, &draw, 1);
    set |= 1u << id;
  }
  return set;
}

static void test_limits(void) {
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  const float flat[] = {1.0f, 1.0f, 1.0f, 1.0f};
  check(seen(dev, flat, 4, 1.0f, 0, 1.0f) == 0xf, "sample: a flat row gives every id");
  check(seen(dev, flat, 4, 1.0f, 2, 1.0f) == 0x3, "sample: top-k keeps the lowest ids of a tie");
  check(seen(dev, flat, 4, 1.0f, 0, 0.5f) == 0x3, "sample: top-p 0.5 keeps two of four equals");
  check(seen(dev, flat, 4, 1.0f, 0, 0.51f) == 0x7, "sample: top-p 0.51 needs a third");
  check(seen(dev, flat, 4, 1.0f, 0, 0.0f) == 0x1, "sample: top-p 0 keeps one");
  check(seen(dev, flat, 4, 0.0f, 3, 0.5f) == 0x1,
        "sample: temperature 0 takes the lowest of a tie");
  const float row[] = {0.0f, 3.0f, 2.5f, -1.0f};
  check(seen(dev, row, 4, 0.0f, 0, 1.0f) == 0x2, "sample: temperature 0 takes the largest");
  check(seen(dev, row, 4, 4.0f, 9, 1.0f) == 0xf, "sample: top-k above the vocabulary keeps all");
  const float broken[] = {NAN, 0.0f, NAN, 0.5f};
  check(seen(dev, broken, 4, 0.0f, 0, 1.0f) == 0x8, "sample: argmax passes over NaN");
  check(seen(dev, broken, 4, 2.0f, 0, 1.0f) == 0xa, "sample: NaN is never drawn");
  check(seen(dev, broken, 4, 2.0f, 3, 0.99f) == 0xa, "sample: NaN is never kept");
  const float none[] = {NAN, NAN};
  check(seen(dev, none, 2, 0.0f, 0, 1.0f) == 1 && seen(dev, none, 2, 1.0f, 0, 1.0f) == 1 &&
            seen(dev, none, 2, 1.0f, 1, 0.5f) == 1,
        "sample: 0 when nothing is a number");
  const float infinite[] = {0.0f, INFINITY, -INFINITY, INFINITY};
  check((seen(dev, infinite, 4, 1.0f, 0, 0.9f) & ~0xau) == 0 &&
            (seen(dev, infinite, 4, 1.0f, 0, 1.0f) & ~0xau) == 0,
        "sample: infinity wins");
  dev->close(dev);
}

// Frequencies of a skewed row against its softmax.
static void test_distribution(void) {
  enum { N = 40000, VOCAB = 5 };
  const float logits[VOCAB] = {0.0f, 1.0f, 2.0f, -1.0f, 0.5f};
  jk_device *dev = check_open(1, JK_ISA_GENERIC);
  double total = 0.0, chi = 0.0;
  int counts[VOCAB] = {0};
  for (uint32_t i = 0; i < N; i++) {
    jk_sampling draw = {.temperature = 1.0f, .top_p = 1.0f, .seed = 99, .position = i};
    int32_t id = 0;
    dev->sample(dev, &id, logits, VOCAB, &draw, 1);
    counts[id]++;
  }
  for (int i = 0; i < VOCAB; i++)
    total += exp((double)logits[i]);
  for (int i = 0; i < VOCAB; i++) {
    double expected = N * exp((double)logits[i]) / total;
    chi += pow(counts[i] - expected, 2.0) / expected;
  }
  check(chi < 18.5, "sample: frequencies follow the softmax (chi-square %.2f < 18.5, 4 degrees)",
        chi); // 99.9 %
  dev->close(dev);
}

static void test_guide(void) {
  enum { N = 1000 };
  jk_device *dev = check_open(2, JK_ISA_GENERIC);
  check_random random = check_seed(52);
  float full[N], part[N], uncond[N];
  check_buffer out = check_buffer_new(N, 1);
  check_fill(&random, full, N, 5.0f);
  check_fill(&random, part, N, 5.0f);
  check_fill(&random, uncond, N, 5.0f);
  check_worst worst = {0};
  dev->guide(dev, out.x, full, part, uncond, 5.0f, 3.0f, N);
  for (int i = 0; i < N; i++) {
    double u = (double)uncond[i], c = ((double)full[i] + 3.0 * (double)part[i]) / 4.0;
    double scale = 10.0 * (fabs(u) + fabs((double)full[i]) + fabs((double)part[i]));
    check_note(&worst, (double)out.x[i], u + 5.0 * (c - u), scale);
  }
  check_bound(&worst, 1.5e-7, "guide: close to f64"); // observed 6.6e-8
  dev->guide(dev, out.x, full, part, uncond, 1.0f, 0.0f, N);
  check(check_same(out.x, full, N), "guide: weights 1 and 0 give `full` itself");
  dev->guide(dev, out.x, full, NULL, uncond, 1.0f, 7.0f, N);
  check(check_same(out.x, full, N) && check_buffer_intact(&out), "guide: `part` may be absent");
  check_buffer_free(&out);
  dev->close(dev);
}

int main(void) {
  test_noise();
  for (jk_isa isa = JK_ISA_GENERIC; isa <= jk_cpu_best_isa(); isa++)
    test_draws(isa);
  test_limits();
  test_distribution();
  test_guide();
  return check_done();
}
