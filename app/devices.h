// SPDX-License-Identifier: MIT
// The devices that a person can choose from.
#ifndef LIMNER_DEVICES_H
#define LIMNER_DEVICES_H

#include <gio/gio.h>

// Owned strings.
typedef struct LimnerDevice {
  char *name;          // "cpu", "cuda:0": what limner_job_queue_set_model() takes
  char *label;         // "CPU (AVX-512)", or the card's name
  guint64 total_bytes; // of its memory; 0 = not known
} LimnerDevice;

void limner_device_free(LimnerDevice *device);

// LimnerDevice: the CPU and then every card that the driver tells of. A driver is asked on a
// thread, and the callback runs on the caller's main context.
void limner_devices_list_async(GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data);
// Owned; NULL when cancelled.
GPtrArray *limner_devices_list_finish(GAsyncResult *result, GError **error);

#endif
