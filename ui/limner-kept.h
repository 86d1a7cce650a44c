// SPDX-License-Identifier: MIT
// Which entry of the library a sample is.
#ifndef LIMNER_KEPT_H
#define LIMNER_KEPT_H

#include "app/library.h"

// NULL = the library does not have it (yet). Borrowed.
LimnerEntry *limner_sample_get_entry(LimnerSample *sample);
void limner_sample_set_entry(LimnerSample *sample, LimnerEntry *entry);

#endif
