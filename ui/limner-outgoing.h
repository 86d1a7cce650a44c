// SPDX-License-Identifier: MIT
// How pictures leave the program, as the person's settings say: saved elsewhere, copied, dragged,
// exported. What the library keeps is not touched by them.
#ifndef LIMNER_OUTGOING_H
#define LIMNER_OUTGOING_H

#include "app/export.h"

// Follows the settings from now on; NULL = the defaults. Main thread.
void limner_outgoing_follow(GSettings *settings);

// Whether nothing is to be told of how pictures were made. Any thread.
gboolean limner_outgoing_is_bare(void);
// For a picture that is saved elsewhere. `shape` is what it was made of, NULL = it was not or that
// is not at hand; borrowed. Any thread.
LimnerExportOptions limner_outgoing_get_options(LimnerFormat format, LimnerInput *shape);

#endif
