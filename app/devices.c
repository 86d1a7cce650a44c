// SPDX-License-Identifier: MIT
// Listing devices without waiting for a driver.
#include "app/devices.h"

#include "engine/engine.h"

enum { MOST_DEVICES = 16 };

void limner_device_free(LimnerDevice *device) {
  g_free(device->name);
  g_free(device->label);
  g_free(device);
}

static void list_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  JanusDevice found[MOST_DEVICES];
  const int n = janus_devices_list(found, MOST_DEVICES, NULL);
  GPtrArray *devices = g_ptr_array_new_with_free_func((GDestroyNotify)limner_device_free);
  for (int i = 0; i < n; i++) {
    LimnerDevice *device = g_new0(LimnerDevice, 1);
    device->name = g_strdup(found[i].name);
    device->label = g_utf8_make_valid(found[i].label, -1);
    device->total_bytes = found[i].total_bytes;
    g_ptr_array_add(devices, device);
  }
  g_task_return_pointer(task, devices, (GDestroyNotify)g_ptr_array_unref);
}

void limner_devices_list_async(GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data) {
  g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
  g_task_run_in_thread(task, list_in_thread);
}

GPtrArray *limner_devices_list_finish(GAsyncResult *result, GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}
