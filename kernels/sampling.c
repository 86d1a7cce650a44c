// SPDX-License-Identifier: MIT
// Guidance and the draw of one token: argmax of value / T plus fixed Gumbel noise.
#include "kernels/sampling.h"

#include "kernels/philox.h"

#include <string.h>

// The largest Gumbel noise there is: u = 1 - 2^-33 gives 22.874.
static const double largest_noise = 22.875;

static void combine(float *out, const float *full, const float *part, float w2, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = (full[i] + w2 * part[i]) / (1.0f + w2);
}

static void move_away(float *out, const float *from, const float *to, float w1, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = from[i] + w1 * (to[i] - from[i]);
}

void jk_guide(float *out, const float *full, const float *part, const float *uncond, float w1,
              float w2, size_t n) {
  enum { BLOCK = 256 };
  float combined[BLOCK];
  for (size_t i = 0; i < n; i += BLOCK) {
    size_t m = n - i < BLOCK ? n - i : BLOCK;
    const float *c = full + i;
    if (part && w2 != 0.0f) {
      combine(combined, c, part + i, w2, m);
      c = combined;
    }
    if (w1 == 1.0f)
      memmove(out + i, c, m * sizeof *out);
    else
      move_away(out + i, uncond + i, c, w1, m);
  }
}

bool jk_sampling_ranks(const jk_sampling *draw) {
  return draw->temperature > 0.0f && (draw->top_k > 0 || draw->top_p < 1.0f);
}

static int32_t argmax(const float *values, int n) {
  int32_t best = 0;
  float best_value = NAN;
  for (int i = 0; i < n; i++) {
    if (values[i] > best_value || (isnan(best_value) && !isnan(values[i]))) {
      best = i;
      best_value = values[i];
    }
  }
  return best;
}

// Order-preserving and descending: larger values have smaller keys, -0 ranks as 0, and what is no
// number comes last.
static uint32_t descending_key(float value) {
  if (isnan(value))
    return UINT32_MAX;
  uint32_t bits;
  value += 0.0f;
  memcpy(&bits, &value, sizeof bits);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

// Stable, so equal values stay in the order of their ids. The result lies in `items`.
static void rank(jk_ranked *items, jk_ranked *spare, int n) {
  enum { BITS = 8, SIZE = 1 << BITS };
  for (int shift = 0; shift < 32; shift += BITS) {
    int start[SIZE + 1] = {0};
    for (int i = 0; i < n; i++)
      start[(items[i].key >> shift & (SIZE - 1)) + 1]++;
    for (int i = 0; i < SIZE; i++)
      start[i + 1] += start[i];
    for (int i = 0; i < n; i++)
      spare[start[items[i].key >> shift & (SIZE - 1)]++] = items[i];
    jk_ranked *swap = items;
    items = spare;
    spare = swap;
  }
}

// How many of the first n ranked ids the limit on the sum of probabilities keeps.
static int count_nucleus(const jk_ranked *ranked, int n, const float *guided, float temperature,
                         double top_p) {
  double first = (double)(guided[ranked[0].id] / temperature);
  double total = 0.0;
  for (int i = 0; i < n; i++) {
    double value = (double)(guided[ranked[i].id] / temperature);
    total += value == first ? 1.0 : exp(value - first);
  }
  double sum = 0.0;
  for (int i = 0; i < n; i++) {
    double value = (double)(guided[ranked[i].id] / temperature);
    sum += (value == first ? 1.0 : exp(value - first)) / total;
    if (sum >= top_p)
      return i + 1;
  }
  return n;
}

// Ranks the ids that are numbers, cuts to top_k and top_p. Returns how many stay.
static int keep_likely(jk_ranked *ranked, const float *guided, int vocab, const jk_sampling *draw) {
  int n = 0;
  for (int i = 0; i < vocab; i++) {
    float value = guided[i] / draw->temperature;
    if (!isnan(value))
      ranked[n++] = (jk_ranked){descending_key(value), i};
  }
  if (n == 0)
    return 0;
  rank(ranked, ranked + vocab, n);
  if (draw->top_k > 0 && draw->top_k < n)
    n = draw->top_k;
  if (draw->top_p < 1.0f)
    n = count_nucleus(ranked, n, guided, draw->temperature, (double)draw->top_p);
  return n;
}

typedef struct contest {
  const jk_sampling *draw;
  uint32_t counter; // whose words are held, + 1 so that 0 means none
  jk_philox words;
  float best;
  int32_t best_id; // -1 = none yet
} contest;

static uint32_t word_of(contest *c, int32_t id) {
  uint32_t counter = (uint32_t)id / 4;
  if (c->counter != counter + 1) {
    jk_philox in = {{counter, c->draw->position, c->draw->sample_index, c->draw->stream}};
    c->words = jk_philox4x32(in, c->draw->seed);
    c->counter = counter + 1;
  }
  return c->words.word[id % 4];
}

// Lets an id take part. Those that cannot win are turned away before the two logarithms: they
// would need noise >= d, that is -ln(u) <= exp(-d), and 1 - u < -ln(u). `slack` covers rounding.
static void take_part(contest *c, int32_t id, float value) {
  if (isnan(value))
    return;
  if (c->best_id >= 0) {
    double slack = 1e-6 * (fabs((double)c->best) + fabs((double)value) + 32.0);
    double d = (double)c->best - (double)value - slack;
    if (d > largest_noise || 1.0 - jk_uniform(word_of(c, id)) > exp(-d))
      return;
  }
  float total = value + jk_gumbel(word_of(c, id));
  if (c->best_id < 0 || total > c->best || (total == c->best && id < c->best_id)) {
    c->best = total;
    c->best_id = id;
  }
}

int32_t jk_draw(const float *guided, int vocab, const jk_sampling *draw, jk_ranked *scratch) {
  if (!(draw->temperature > 0.0f))
    return argmax(guided, vocab);
  contest c = {.draw = draw, .best_id = -1};
  if (jk_sampling_ranks(draw)) {
    int n = keep_likely(scratch, guided, vocab, draw);
    for (int i = 0; i < n; i++)
      take_part(&c, scratch[i].id, guided[scratch[i].id] / draw->temperature);
  } else {
    for (int i = 0; i < vocab; i++)
      take_part(&c, i, guided[i] / draw->temperature);
  }
  return c.best_id < 0 ? 0 : c.best_id;
}
