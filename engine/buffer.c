// SPDX-License-Identifier: MIT
// Device memory with one sentence when there is not enough of it.
#include "engine/buffer.h"

#include "engine/error.h"

bool janus_buffer_new(jk_device *device, size_t n_floats, const char *purpose, float **out,
                      JanusError *error) {
  void *memory = NULL;
  const size_t n_bytes = (n_floats ? n_floats : 1) * sizeof(float);
  jk_status status = device->alloc(device, n_bytes, purpose, &memory);
  *out = status == JK_OK ? memory : NULL;
  if (status == JK_OK)
    return true;
  char text[BYTES_TEXT];
  return janus_fail(error, status == JK_NO_MEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_DEVICE,
                    "%s: cannot allocate %s for %s: %s", device->name,
                    janus_bytes_text(n_bytes, text), purpose, jk_status_text(status));
}

bool janus_device_fail(const jk_device *device, jk_status status, const char *doing,
                       JanusError *error) {
  const bool is_card = *device->failure_text;
  return janus_fail(error, status == JK_NO_MEMORY ? JANUS_ERROR_MEMORY : JANUS_ERROR_DEVICE,
                    "%s failed%s: %s%s", device->name, doing,
                    is_card ? device->failure_text : jk_status_text(status),
                    is_card ? "; --device cpu works without it" : "");
}

bool janus_device_check(jk_device *device, JanusError *error) {
  const jk_status status = device->sync(device);
  return status == JK_OK || janus_device_fail(device, status, "", error);
}
