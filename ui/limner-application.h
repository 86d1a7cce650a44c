// SPDX-License-Identifier: MIT
// The program: one instance, its queue, its settings, its accelerators.
#ifndef LIMNER_APPLICATION_H
#define LIMNER_APPLICATION_H

#include <adwaita.h>

#define LIMNER_TYPE_APPLICATION (limner_application_get_type())
G_DECLARE_FINAL_TYPE(LimnerApplication, limner_application, LIMNER, APPLICATION, AdwApplication)

LimnerApplication *limner_application_new(void);

#endif
