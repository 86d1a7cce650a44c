// SPDX-License-Identifier: MIT
// Where pictures are saved, and saving them off the window's thread.
#ifndef LIMNER_FILES_H
#define LIMNER_FILES_H

#include "app/input.h"

// The Pictures folder's Limner folder. Owned.
char *limner_files_dup_folder(void);
// Saves as `name` in `folder` (made when missing), or as "name-2" and so on when that is taken:
// nothing is overwritten. `finish` gives the path, owned.
// The same here and now, for several of them in a row; the path, owned. Blocks; any thread.
char *limner_files_save_new(LimnerPicture *picture, const char *folder, const char *name,
                            GError **error);
void limner_files_save_new_async(LimnerPicture *picture, const char *folder, const char *name,
                                 GAsyncReadyCallback callback, gpointer user_data);
// Saves to exactly `path`, which the person chose: a PNG, or what the name ends in (.jpg, .webp),
// as limner_outgoing_get_options() says. `shape` is what an edit was made of; NULL = none.
void limner_files_save_as_async(LimnerPicture *picture, LimnerInput *shape, const char *path,
                                GAsyncReadyCallback callback, gpointer user_data);
char *limner_files_save_finish(GAsyncResult *result, GError **error);
// Shows a file in the file manager, selected where that is possible.
void limner_files_show(const char *path);

#endif
