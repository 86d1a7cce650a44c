// SPDX-License-Identifier: MIT
// Inside the engine: device memory with one sentence when there is not enough of it.
#ifndef JANUS_BUFFER_H
#define JANUS_BUFFER_H

#include "engine/engine.h"
#include "kernels/kernels.h"

// Zeroed floats on the device; release with device->free(). `purpose` is static text and names the
// buffer in the message. Fails with MEMORY, *out stays NULL.
bool janus_buffer_new(jk_device *device, size_t n_floats, const char *purpose, float **out,
                      JanusError *error);

// A failure of the device as one sentence, MEMORY or DEVICE; false. `doing` follows "failed".
bool janus_device_fail(const jk_device *device, jk_status status, const char *doing,
                       JanusError *error);

// The device's first failure so far as an error; true when there is none.
bool janus_device_check(jk_device *device, JanusError *error);

#endif
