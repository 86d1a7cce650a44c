// SPDX-License-Identifier: MIT
// Inside the window: what its parts share. limner-window.c paints and knows the model;
// limner-window-pictures.c does what is done with pictures.
#ifndef LIMNER_WINDOW_PRIVATE_H
#define LIMNER_WINDOW_PRIVATE_H

#include "ui/limner-controls.h"
#include "ui/limner-gallery.h"
#include "ui/limner-large-view.h"
#include "ui/limner-window.h"

struct _LimnerWindow {
  AdwApplicationWindow parent_instance;
  // Template
  AdwLeaflet *pages;
  GtkWidget *main_page;
  AdwWindowTitle *title;
  GtkMenuButton *queue_button;
  GtkInfoBar *message_bar;
  GtkLabel *message_label;
  AdwFlap *flap;
  LimnerControls *controls;
  LimnerGallery *gallery;
  LimnerLargeView *large_view;
  // Owned
  LimnerJobQueue *queue;
  GSettings *settings;
  GSignalGroup *job_signals; // of the job in the gallery
  GtkFileChooserNative *chooser;
  AdwToast *toast;          // the last one while it is shown
  LimnerPicture *saving_as; // what the open Save As dialog is about
  // Borrowed
  AdwToastOverlay *toasted; // where the toast is
  // Plain
  gint64 toasted_us; // since when
};

// Whether the large view is open.
gboolean limner_window_is_large(LimnerWindow *self);
// In a toast that replaces the one before: what is said is about the last thing done.
void limner_window_say(LimnerWindow *self, const char *text);
// The same with a button that shows the file; NULL = without.
void limner_window_say_with_file(LimnerWindow *self, const char *text, const char *path);
void limner_window_say_problem(LimnerWindow *self, const char *text);
// From the large view to the others.
void limner_window_go_back(LimnerWindow *self);

// A dialog of which there is one at a time; borrowed.
GtkFileChooserNative *limner_window_new_chooser(LimnerWindow *self, const char *title,
                                                GtkFileChooserAction action, const char *accept);
// The path chosen, owned; NULL when there is none. The dialog is done with.
char *limner_window_end_chooser(LimnerWindow *self, int response);

void limner_window_install_picture_actions(GtkWidgetClass *widget_class);

#endif
