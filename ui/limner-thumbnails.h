// SPDX-License-Identifier: MIT
// The small pictures of the library in memory: those shown last, a bounded number; read and scaled
// in worker threads to the pixels they are drawn with, so that drawing copies and does no more.
#ifndef LIMNER_THUMBNAILS_H
#define LIMNER_THUMBNAILS_H

#include "app/library.h"

#include <gtk/gtk.h>

// Side of the square a small picture lies in.
enum { LIMNER_THUMBNAIL_SIDE = 144, LIMNER_MAX_THUMBNAILS = 600 };

#define LIMNER_TYPE_THUMBNAILS (limner_thumbnails_get_type())
G_DECLARE_FINAL_TYPE(LimnerThumbnails, limner_thumbnails, LIMNER, THUMBNAILS, GObject)

LimnerThumbnails *limner_thumbnails_new(LimnerLibrary *library);
// At most LIMNER_THUMBNAIL_SIDE * scale pixels on a side; NULL = not in memory. Borrowed.
GdkTexture *limner_thumbnails_get(LimnerThumbnails *self, LimnerEntry *entry, int scale);
// Cancel when it is not wanted any more.
void limner_thumbnails_load_async(LimnerThumbnails *self, LimnerEntry *entry, int scale,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data);
// Keeps it in memory. Owned.
GdkTexture *limner_thumbnails_load_finish(LimnerThumbnails *self, GAsyncResult *result,
                                          GError **error);
guint limner_thumbnails_get_n_held(LimnerThumbnails *self);

#endif
