// SPDX-License-Identifier: MIT
// Inside the engine: which device a model runs on.
#ifndef JANUS_DEVICE_H
#define JANUS_DEVICE_H

#include "engine/engine.h"
#include "kernels/kernels.h"

enum { DEVICE_NAME_BYTES = 16 };

// Whether the options name a device and threads that there can be.
bool device_check_options(const JanusModelOptions *options, JanusError *error);

bool device_is_auto(const JanusModelOptions *options);

// Whether the driver tells of such a card. DEVICE: there may be one, but the driver cannot say.
bool device_has_card(int index, JanusError *why_not);

// Compares what a card computes with the CPU, in small: products of matrices in 8 and 16 bits,
// norms and attention. DEVICE and a sentence where they differ by more than the order of sums does.
bool device_check_sums(jk_device *card, JanusError *error);

// Opens the device that the options name. `name` becomes "cpu" or "cuda:N". False with one sentence
// on failure; *out is NULL then. The caller closes it.
bool device_open(const JanusModelOptions *options, jk_device **out, char name[DEVICE_NAME_BYTES],
                 JanusError *error);

#endif
