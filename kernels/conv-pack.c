// SPDX-License-Identifier: MIT
// The weights of 3x3 convolutions in the order in which the kernels read them.
#include "kernels/bf16.h"
#include "kernels/cpu-conv.h"

#include <string.h>

enum { KERNEL = JK_CONV_KERNEL, N_TAPS = KERNEL * KERNEL, N_FOLDED = 4 };

static size_t weight_bytes(const jk_conv *conv) {
  return conv->format == JK_FORMAT_BF16 ? sizeof(uint16_t) : sizeof(float);
}

size_t jk_conv_tap_bytes(const jk_conv *conv, int width) {
  return (size_t)conv->n_in_even * (size_t)width * weight_bytes(conv);
}

static size_t n_padded_outputs(const jk_conv *conv) {
  int out = 0;
  while (out < conv->n_out)
    out += jk_conv_block_width(conv->n_out, out);
  return (size_t)out;
}

// Where the weight of output `o` of a block and input `i` lies, in weights from the tap's begin.
static size_t place(const jk_conv *conv, int width, int o, int i) {
  if (conv->format == JK_FORMAT_F32)
    return (size_t)i * (size_t)width + (size_t)o;
  return (size_t)(i / 2) * 2 * (size_t)width + 2 * (size_t)o + (size_t)(i % 2);
}

static void put(const jk_conv *conv, char *tap, size_t at, float value) {
  if (conv->format == JK_FORMAT_F32)
    ((float *)(void *)tap)[at] = value;
  else
    ((uint16_t *)(void *)tap)[at] = jk_bf16_round(value);
}

static float get(const jk_conv *conv, const char *tap, size_t at) {
  if (conv->format == JK_FORMAT_F32)
    return ((const float *)(const void *)tap)[at];
  return jk_bf16_widen(((const uint16_t *)(const void *)tap)[at]);
}

// One output, whose weights in the checkpoint are [n_in][3][3].
static void pack_output(jk_conv *conv, char *block, int width, int o, const jk_weight *weight,
                        int out) {
  const size_t tap_bytes = jk_conv_tap_bytes(conv, width);
  const size_t size = jk_dtype_size(weight->dtype);
  for (int i = 0; i < conv->n_in; i++) {
    float taps[N_TAPS];
    const size_t at = ((size_t)out * (size_t)conv->n_in + (size_t)i) * N_TAPS;
    jk_widen(taps, (const char *)weight->data + at * size, weight->dtype, N_TAPS);
    for (size_t tap = 0; tap < N_TAPS; tap++)
      put(conv, block + tap * tap_bytes, place(conv, width, o, i), taps[tap]);
  }
}

bool jk_conv_pack(jk_conv *conv, const jk_weight *weight, const jk_weight *bias) {
  const size_t n_padded = n_padded_outputs(conv);
  conv->packed = jk_aligned_alloc(n_padded * N_TAPS * (size_t)conv->n_in_even * weight_bytes(conv));
  conv->bias = jk_aligned_alloc(n_padded * sizeof *conv->bias);
  if (!conv->packed || !conv->bias)
    return false;
  jk_widen(conv->bias, bias->data, bias->dtype, (size_t)conv->n_out);
  char *block = conv->packed;
  for (int out = 0; out < conv->n_out;) {
    const int width = jk_conv_block_width(conv->n_out, out);
    for (int o = 0; o < width && out + o < conv->n_out; o++)
      pack_output(conv, block, width, o, weight, out + o);
    block += N_TAPS * jk_conv_tap_bytes(conv, width);
    out += width;
  }
  return true;
}

// Which of two input pixels tap `tap` of a phase's outputs sees.
static int seen_by(int phase, int tap) {
  return (phase + tap + 1) / 2 - phase;
}

static void fold_weight(const jk_conv *conv, char *folded, const char *block, size_t tap_bytes,
                        size_t at, int phase) {
  float sums[N_FOLDED] = {0};
  for (int tap = 0; tap < N_TAPS; tap++) {
    const int y = seen_by(phase / 2, tap / KERNEL), x = seen_by(phase % 2, tap % KERNEL);
    sums[2 * y + x] += get(conv, block + (size_t)tap * tap_bytes, at);
  }
  for (size_t i = 0; i < N_FOLDED; i++)
    put(conv, folded + i * tap_bytes, at, sums[i]);
}

static size_t phase_bytes(const jk_conv *conv) {
  return N_FOLDED * n_padded_outputs(conv) * (size_t)conv->n_in_even * weight_bytes(conv);
}

static void fold_phase(const jk_conv *conv, char *folded, int phase) {
  const char *block = conv->packed;
  for (int out = 0; out < conv->n_out;) {
    const int width = jk_conv_block_width(conv->n_out, out);
    const size_t tap_bytes = jk_conv_tap_bytes(conv, width);
    for (size_t at = 0; at < tap_bytes / weight_bytes(conv); at++)
      fold_weight(conv, folded, block, tap_bytes, at, phase);
    block += N_TAPS * tap_bytes;
    folded += N_FOLDED * tap_bytes;
    out += width;
  }
}

bool jk_conv_fold(const jk_conv *conv) {
  if (conv->folded)
    return true;
  char *folded = jk_aligned_alloc(JK_CONV_PHASES * phase_bytes(conv));
  if (!folded)
    return false;
  for (int phase = 0; phase < JK_CONV_PHASES; phase++)
    fold_phase(conv, folded + (size_t)phase * phase_bytes(conv), phase);
  ((jk_conv *)conv)->folded = folded;
  return true;
}

const char *jk_conv_phase(const jk_conv *conv, int phase) {
  return (const char *)conv->folded + (size_t)phase * phase_bytes(conv);
}
