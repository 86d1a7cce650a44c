// SPDX-License-Identifier: MIT
// Inside the CPU backend: the packed weights of a 3x3 convolution.
#ifndef JK_CPU_CONV_H
#define JK_CPU_CONV_H

#include "kernels/cpu-device.h"

enum { JK_CONV_KERNEL = 3, JK_CONV_PHASES = 4 };

struct jk_conv {
  int n_in, n_out;
  int n_in_even;    // as packed; BF16 takes channels in pairs
  int max_width_px; // of the output
  jk_format format;
  void *packed; // see cpu-kernels.h
  void *folded; // [JK_CONV_PHASES] the 2x2 kernels of UP, or NULL as long as nobody needed them
  float *bias;  // [n_out] and zeros up to the blocks
};

// Fills `packed` and `bias`; false when there is no memory.
bool jk_conv_pack(jk_conv *conv, const jk_weight *weight, const jk_weight *bias);

// Fills `folded` if it is not there: in a picture doubled to its nearest neighbours, each of the
// four phases of the output sees 2x2 pixels of the input, some of them through several taps, whose
// weights are added up. False when there is no memory. The caller has the device.
bool jk_conv_fold(const jk_conv *conv);

// The packed 2x2 kernel of output pixels (2y + phase / 2, 2x + phase % 2).
const char *jk_conv_phase(const jk_conv *conv, int phase);

// Bytes of one pixel of the kernel in a block `width` wide.
size_t jk_conv_tap_bytes(const jk_conv *conv, int width);

#endif
