// SPDX-License-Identifier: MIT
// Taking a picture to change from a file, a drop or the clipboard, off the window's thread.
#ifndef LIMNER_PICK_H
#define LIMNER_PICK_H

#include "app/input.h"

#include <gtk/gtk.h>

// What can be dropped or pasted: our own pictures, files, pictures of other programs, and text,
// which may be the address of a file. Owned.
GdkContentFormats *limner_pick_dup_formats(void);
// Whether what is offered is a picture, or files, rather than text.
gboolean limner_pick_has_picture(GdkContentFormats *offered);

// The first of `n_files` (at least one).
void limner_pick_files_async(GFile **files, guint n_files, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
// Finishes the drop.
void limner_pick_drop_async(GdkDrop *drop, GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data);
void limner_pick_clipboard_async(GdkClipboard *clipboard, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer user_data);
// The picture, owned; one sentence in `error` when there is none. `n_files` (may be NULL): how many
// files there were, of which it is the first.
LimnerInput *limner_pick_finish(GAsyncResult *result, guint *n_files, GError **error);

#endif
