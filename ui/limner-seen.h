// SPDX-License-Identifier: MIT
// A square that shows what the model will see of a picture to change.
#ifndef LIMNER_SEEN_H
#define LIMNER_SEEN_H

#include "app/input.h"

#include <gtk/gtk.h>

#define LIMNER_TYPE_SEEN (limner_seen_get_type())
G_DECLARE_FINAL_TYPE(LimnerSeen, limner_seen, LIMNER, SEEN, GtkWidget)

// Works the square out off the window's thread; the one before stays until then.
void limner_seen_set(LimnerSeen *self, LimnerInput *input, JanusFit fit);
// The same square as a texture, for others to draw: nothing is shown. Owned.
void limner_seen_fit_async(LimnerInput *input, JanusFit fit, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data);
GdkTexture *limner_seen_fit_finish(GAsyncResult *result, GError **error);
gboolean limner_seen_has_picture(LimnerSeen *self);

#endif
