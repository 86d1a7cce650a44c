// SPDX-License-Identifier: MIT
// Inside the engine: which device a model runs on.
#ifndef JANUS_DEVICE_H
#define JANUS_DEVICE_H

#include "engine/engine.h"
#include "kernels/kernels.h"

enum { DEVICE_NAME_BYTES = 16 };

// Whether the options name a device and threads that there can be.
bool device_check_options(const JanusModelOptions *options, JanusError *error);

// Opens the device that the options name. `name` becomes "cpu" or "cuda:N". False with one sentence
// on failure; *out is NULL then. The caller closes it.
bool device_open(const JanusModelOptions *options, jk_device **out, char name[DEVICE_NAME_BYTES],
                 JanusError *error);

#endif
