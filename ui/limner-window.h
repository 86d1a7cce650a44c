// SPDX-License-Identifier: MIT
// The window: controls at the left, pictures at the right, and the actions between them.
#ifndef LIMNER_WINDOW_H
#define LIMNER_WINDOW_H

#include "app/job-queue.h"
#include "app/library.h"

#include <adwaita.h>

#define LIMNER_TYPE_WINDOW (limner_window_get_type())
G_DECLARE_FINAL_TYPE(LimnerWindow, limner_window, LIMNER, WINDOW, AdwApplicationWindow)

// Takes references. `settings` may be NULL.
LimnerWindow *limner_window_new(GtkApplication *application, LimnerJobQueue *queue,
                                GSettings *settings);
// Keeps from now on every finished picture there. Once; takes a reference.
void limner_window_set_library(LimnerWindow *self, LimnerLibrary *library);
// Opens a model, "demo" or a folder, on the device that is remembered.
void limner_window_set_model(LimnerWindow *self, const char *folder);
// Opens the first of `n_files` (at least one), off the window's thread: what it says of how it was
// made stands in the controls then; a picture that says nothing is the one to change. What goes
// wrong is said in the window. The newest wish wins.
void limner_window_open(LimnerWindow *self, GFile **files, guint n_files);

#endif
