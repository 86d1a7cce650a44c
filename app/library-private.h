// SPDX-License-Identifier: MIT
// Inside the app: the library's parts to each other.
#ifndef LIMNER_LIBRARY_PRIVATE_H
#define LIMNER_LIBRARY_PRIVATE_H

#include "app/library-files.h"

struct _LimnerLibrary {
  GObject parent_instance;
  // Owned, never changed
  char *folder, *inputs, *trash;
  char *state, *drafts;
  GMainContext *context;
  // Under the lock
  GMutex lock;
  LibraryIndex index;
  char *problem; // of opening
  GSource *news; // the pending signals, or NULL
  gboolean has_changed;
  GPtrArray *kept;     // of Kept, to be told
  GPtrArray *problems; // of char *, to be told
  // On the opener's context alone
  GFileMonitor *monitor;
  guint settling; // source of a rescan to come; 0 = none
  gboolean is_rescanning;
};

// The folder that an entry's file lies in; borrowed.
const char *library_folder_of(LimnerLibrary *self, gboolean is_deleted);

// Sees to it that a signal comes. Any thread, without the lock.
void library_tell_changed(LimnerLibrary *self);
void library_tell_kept(LimnerLibrary *self, LimnerJob *job, guint index, LimnerEntry *entry);
void library_tell_problem(LimnerLibrary *self, const char *sentence);

// Writes the favourites' file. With the lock.
void library_write_favourites(LimnerLibrary *self);
// The SHA-256s of that file. Owned.
GHashTable *library_read_favourites(LimnerLibrary *self);

#endif
