// SPDX-License-Identifier: MIT
// The entry hangs on the sample.
#include "ui/limner-kept.h"

#define ENTRY_KEY "limner-entry"

LimnerEntry *limner_sample_get_entry(LimnerSample *sample) {
  return g_object_get_data(G_OBJECT(sample), ENTRY_KEY);
}

void limner_sample_set_entry(LimnerSample *sample, LimnerEntry *entry) {
  g_object_set_data_full(G_OBJECT(sample), ENTRY_KEY, g_object_ref(entry), g_object_unref);
}
