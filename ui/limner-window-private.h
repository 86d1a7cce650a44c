// SPDX-License-Identifier: MIT
// Inside the window: what its parts share. limner-window.c paints and knows the model;
// limner-window-pictures.c does what is done with pictures, limner-window-library.c keeps them.
#ifndef LIMNER_WINDOW_PRIVATE_H
#define LIMNER_WINDOW_PRIVATE_H

#include "app/export.h"
#include "ui/limner-controls.h"
#include "ui/limner-gallery.h"
#include "ui/limner-grid.h"
#include "ui/limner-large-view.h"
#include "ui/limner-library-page.h"
#include "ui/limner-queue-list.h"
#include "ui/limner-tree.h"
#include "ui/limner-window.h"

struct _LimnerWindow {
  AdwApplicationWindow parent_instance;
  // Template
  AdwLeaflet *pages;
  GtkWidget *main_page;
  AdwWindowTitle *title;
  GtkWidget *new_button;
  GtkMenuButton *queue_button;
  LimnerQueueList *queue_list;
  GtkWidget *draft_bar;
  GtkLabel *draft_label;
  GtkInfoBar *message_bar;
  GtkLabel *message_label;
  GtkButton *message_button;
  AdwFlap *flap;
  LimnerControls *controls;
  LimnerGallery *gallery;
  LimnerLibraryPage *library_page;
  LimnerLargeView *large_view;
  GtkWidget *tree_page;
  AdwToastOverlay *tree_toasts;
  LimnerTree *tree;
  LimnerGrid *grid;
  // Owned
  LimnerJobQueue *queue;
  GSettings *settings;
  LimnerLibrary *library;    // NULL = pictures are not kept
  GQueue requests;           // of LimnerRequest, whose drafts are still to be written
  GQueue changes;            // of the library's pictures, the first under way: one after the other
  GPtrArray *deleted;        // of LimnerEntry: what Undo brings back; NULL = nothing
  GPtrArray *drafts;         // of LimnerDraftFacts that are offered; NULL = not known yet
  LimnerEntry *comparing;    // what is to be loaded to be compared; NULL = nothing
  GCancellable *opening;     // of the picture that is to be looked at; NULL = none
  LimnerJob *discarding;     // stopped to leave nothing; NULL = none
  GSignalGroup *job_signals; // of the job in the gallery
  GtkFileChooserNative *chooser;
  char *asked_device;        // for the model opened last; NULL = none was
  AdwToast *toast;           // the last one while it is shown
  GPtrArray *exporting;      // what the open export dialog is about: LimnerEntry or LimnerSample
  LimnerPicture *saving_as;  // what the open Save As dialog is about
  LimnerInput *saving_shape; // what that was made of; NULL = nothing
  // Borrowed
  AdwToastOverlay *toasted; // where the toast is
  GtkWindow *model_dialog;  // weak: while it is open
  GtkWidget *came_from;     // the page that the large view leads back to
  GtkWidget *tree_from;     // and the tree
  // Plain
  gboolean wants_history; // the prompts used before are to come up
  gboolean is_starting;   // a draft is being written
  gboolean is_listing;    // drafts are being read
  gboolean must_list;     // once more, for they have changed since
  guint inhibiting;       // sleep; 0 = not
  gint64 toasted_us;      // since when
};

// Whether the large view is open.
gboolean limner_window_is_large(LimnerWindow *self);
// In a toast that replaces the one before: what is said is about the last thing done.
void limner_window_say(LimnerWindow *self, const char *text);
// The same with a button that shows the file; NULL = without.
void limner_window_say_with_file(LimnerWindow *self, const char *text, const char *path);
// The same with any button.
void limner_window_say_with_button(LimnerWindow *self, const char *text, const char *label,
                                   const char *action, GVariant *target);
void limner_window_say_problem(LimnerWindow *self, const char *text);
// Whether a card failed where the processor could do it.
gboolean limner_window_can_use_processor(LimnerWindow *self, const GError *error);
// Says why no model is open, with a button for that where it helps.
void limner_window_say_model_error(LimnerWindow *self, const GError *error);
// Says why no card is used, if it was not said before.
void limner_window_say_fallback(LimnerWindow *self, const LimnerModelSummary *model);
void limner_window_install_device_actions(GtkWidgetClass *widget_class);
void limner_window_dispose_device(LimnerWindow *self);
// From the large view to where it was opened, from there to the main page.
void limner_window_go_back(LimnerWindow *self);
void limner_window_go_to_main(LimnerWindow *self);
gboolean limner_window_is_library(LimnerWindow *self);
gboolean limner_window_is_tree(LimnerWindow *self);
// LimnerEntry of the pictures that an action is about; says so and gives NULL where there are none.
// Owned.
GPtrArray *limner_window_dup_chosen(LimnerWindow *self);
// LimnerSample that an action of the gallery or the large view is about. Owned, maybe empty.
GPtrArray *limner_window_dup_samples(LimnerWindow *self);
// Opens the large view; `from` is the page that leads back.
void limner_window_view_sample(LimnerWindow *self, LimnerSample *sample, GtkWidget *from);
// Paints it, with a draft where there is a library.
void limner_window_paint(LimnerWindow *self, const LimnerRequest *request);
// Does something with the picture chosen on the page that is shown, as soon as it is read; says
// why where that cannot be.
typedef void (*LimnerSampleUse)(LimnerWindow *self, LimnerSample *sample);
void limner_window_use_sample(LimnerWindow *self, LimnerSampleUse use);
void limner_window_use_entry(LimnerWindow *self, LimnerEntry *entry, LimnerSampleUse use);
// Gives up what is being opened, for something else: its cancellable, borrowed.
GCancellable *limner_window_begin_opening(LimnerWindow *self);
// Its picture to change, waiting for words.
void limner_window_change(LimnerWindow *self, LimnerInput *input);
// Another picture of the library in the large view.
void limner_window_step_entry(LimnerWindow *self, LimnerEntry *entry, int by);
// "Pictures/Limner/limner-7_0.png": from the home folder on. Owned.
char *limner_window_dup_short_path(const char *path);

// A dialog of which there is one at a time; borrowed.
GtkFileChooserNative *limner_window_new_chooser(LimnerWindow *self, const char *title,
                                                GtkFileChooserAction action, const char *accept);
// The path chosen, owned; NULL when there is none. The dialog is done with.
char *limner_window_end_chooser(LimnerWindow *self, int response);

void limner_window_install_picture_actions(GtkWidgetClass *widget_class);
void limner_window_install_library_actions(GtkWidgetClass *widget_class);
void limner_window_init_tree(LimnerWindow *self);
void limner_window_install_tree_actions(GtkWidgetClass *widget_class);
// Brings the chain that a picture carries back into the library, which must be there, and then does
// this; `error` NULL = it is there. Not when the window is closed meanwhile.
typedef void (*LimnerRestored)(LimnerWindow *self, LimnerInput *input, const GError *error);
void limner_window_restore_chain(LimnerWindow *self, LimnerInput *file, LimnerRestored then);
// Takes over what a picture says of how it was made, the first of `n_files`; one without settings
// becomes the picture to change. There must be a library.
void limner_window_use_recipe(LimnerWindow *self, LimnerInput *input, guint n_files);
// "The first of 3 pictures". Owned.
char *limner_window_dup_first_of(guint n_files);
void limner_window_init_opening(LimnerWindow *self);
void limner_window_init_recipes(LimnerWindow *self);
void limner_window_install_recipe_actions(GtkWidgetClass *widget_class);
void limner_window_install_draft_actions(GtkWidgetClass *widget_class);
// Looks anew for jobs that can be continued.
void limner_window_update_drafts(LimnerWindow *self);
// Leaves nothing of a failed job that had not begun to paint.
void limner_window_forget_failed(LimnerWindow *self, LimnerJob *job);
// Leaves nothing of the job shown when that was asked for and it is over.
void limner_window_end_discarding(LimnerWindow *self);
// Lets go of the job shown, and of its pictures.
void limner_window_drop_job(LimnerWindow *self);
// Several pictures that are chosen, saved or exported together; FALSE = there are not several.
gboolean limner_window_save_several(LimnerWindow *self);
gboolean limner_window_export_several(LimnerWindow *self);
// LimnerEntry or LimnerSample to files of a folder, none of which is overwritten; `is_bare`:
// without what they say of how they were made.
void limner_window_export(LimnerWindow *self, GPtrArray *items, const char *folder,
                          LimnerFormat format, gboolean is_bare);
// Once there is a queue.
void limner_window_init_grid(LimnerWindow *self);
void limner_window_install_grid_actions(GtkWidgetClass *widget_class);
// Whether swiping back leads to that page.
void limner_window_set_navigatable(LimnerWindow *self, GtkWidget *page, gboolean can_navigate);
// Tells the desktop of jobs that end while the window is not looked at.
void limner_window_watch_queue(LimnerWindow *self);
void limner_window_install_queue_actions(GtkWidgetClass *widget_class);
void limner_window_install_compare_actions(GtkWidgetClass *widget_class);
void limner_window_init_library(LimnerWindow *self);
void limner_window_dispose_library(LimnerWindow *self);

#endif
