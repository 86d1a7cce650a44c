// SPDX-License-Identifier: MIT
// What the checks of a device with memory of its own share: the device under test beside the
// reference in plain C, and arrays that are poisoned and guarded on the device.
#ifndef CARD_H
#define CARD_H

#include "tests/kernels/check.h"

typedef struct card {
  jk_device *dev;       // under test
  jk_device *reference; // generic C
  check_random random;
  bool is_slow; // an emulation: fewer and smaller shapes
} card;

// An array on the device between sentinels, poisoned with NaN, and its copy on the host.
typedef struct array {
  float *at;   // device
  float *host; // [n], what fetch() brought or put() sent
  size_t n;
  void *base;
} array;

array array_new(card *c, size_t n);                 // poisoned
array array_random(card *c, size_t n, float scale); // filled alike on both sides
void array_put(card *c, array *a);                  // host -> device
// Device -> host; false when a sentinel was touched or the device failed.
bool array_fetch(card *c, array *a);
void array_free(card *c, array *a);

void check_linear(card *c);
void check_attention(card *c);
void check_conv(card *c);
void check_norms(card *c);
void check_rows(card *c);

#endif
