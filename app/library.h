// SPDX-License-Identifier: MIT
// The library of finished pictures: PNG files in a folder of the user's, each with its recipe, and
// an SQLite index of them, which is rebuilt from the files alone when it is lost.
//
//   FOLDER/limner-SEED_K.png   the pictures, written beside and renamed; whatever else lies there
//                              is left alone
//   FOLDER/inputs/SHA256.EXT   pictures from outside that were changed, so that it can be done
//   again FOLDER/.trash/             what was deleted, until limner_library_purge()
//   FOLDER/.favourites         SHA-256s, so that favourites outlive the index too
//   STATE/index.sqlite         the index (WAL); STATE/thumbnails.sqlite, a bounded cache;
//   STATE/drafts/              jobs that are not done (app/draft.h)
//
// The index lies in the user's data folder and not beside the pictures: WAL needs a local disk that
// can be written to, and a library on a stick, a share or a read-only disk is to work too. Files
// are the truth: pictures that were put into the folder appear, renamed ones keep what is known of
// them, those that are gone are marked missing. Several programs may use one library at once.
//
// A picture's permanent name is the SHA-256 of its file. A recipe names the picture it was made of
// by that, so edit chains are trees that follow from the files; no picture holds its ancestors.
//
// Threads: every function may be called from any thread and, unless it says otherwise, blocks for
// files or the index (never for long on the index: one lock, held for single statements). A main
// thread uses the _async ones. Signals come on the main context that was the thread's default in
// limner_library_open(). All failures are one sentence in `error`.
#ifndef LIMNER_LIBRARY_H
#define LIMNER_LIBRARY_H

#include "app/job.h"

// --- entries -------------------------------------------------------------------------------------

typedef enum LimnerKind {
  LIMNER_KIND_PAINTED = 1 << 0, // from words
  LIMNER_KIND_EDITED = 1 << 1,  // from another picture
  LIMNER_KIND_DECODED = 1 << 2, // from tokens of somewhere else
} LimnerKind;

// What the index knows of a picture. A snapshot: it does not change when the library does.
typedef struct LimnerEntryFacts {
  gint64 id;          // in this index; 0 = the picture is kept, the index could not be written
  char *sha256;       // of the file: its name for good
  char *name;         // of the file, in the folder or, deleted, in the trash
  char *input_sha256; // of the picture it was made of; NULL = none
  LimnerKind kind;
  char *prompt; // "" for DECODED
  char *model;  // the model's name
  guint64 seed;
  guint sample;
  gint64 made_us; // the file's time when it came into the library, microseconds since 1970
  int width_px, height_px;
  gboolean is_favourite;
  gboolean is_deleted; // lies in the trash
  gboolean is_missing; // the file is gone
} LimnerEntryFacts;

// An immutable GObject around them, for list models. Any thread.
#define LIMNER_TYPE_ENTRY (limner_entry_get_type())
G_DECLARE_FINAL_TYPE(LimnerEntry, limner_entry, LIMNER, ENTRY, GObject)
const LimnerEntryFacts *limner_entry_get_facts(LimnerEntry *self); // borrowed; does not block

// --- the library ---------------------------------------------------------------------------------

// Signals (on the opener's main context):
//   "changed" ()                 something about the entries or drafts did: query again. Coalesced;
//                                also for what other programs do to the folder
//   "kept" (LimnerJob *job, guint index, LimnerEntry *entry)
//                                sample `index` (from 0) of a job that has a draft is in the
//                                library
//   "problem" (const char *sentence)   what went wrong while nobody asked, for a toast
#define LIMNER_TYPE_LIBRARY (limner_library_get_type())
G_DECLARE_FINAL_TYPE(LimnerLibrary, limner_library, LIMNER, LIBRARY, GObject)

// XDG pictures folder/Limner, else ~/Pictures/Limner. Owned; does not block.
char *limner_library_dup_default_folder(void);
// Opens the library of `folder`, which is made when needed. `state` is the folder for the states of
// all libraries, NULL = XDG data folder/limner/libraries. Never NULL and never an error: when the
// folder or the state cannot be used, it works as well as it can (the index in memory, nothing
// kept), and limner_library_dup_problem() says so. A damaged index is moved aside and made anew.
// Takes milliseconds for 10,000 pictures; limner_library_rescan() is to follow on a thread.
LimnerLibrary *limner_library_open(const char *folder, const char *state);
const char *limner_library_get_folder(LimnerLibrary *self); // does not block
// What was wrong at opening, in a sentence; NULL = nothing. Owned.
char *limner_library_dup_problem(LimnerLibrary *self);

typedef struct LimnerRescan {
  guint n_files, n_new, n_moved, n_missing;
} LimnerRescan;
// Compares the folder with the index and repairs that: takes in files it does not know, marks what
// is gone, finds what was renamed. Reads whole files only when they are new or have changed. Can be
// cancelled between two files. `result` may be NULL.
gboolean limner_library_rescan(LimnerLibrary *self, GCancellable *cancellable, LimnerRescan *result,
                               GError **error);

// Keeps a finished picture that tells its recipe, synchronised to the disk when this returns. The
// same picture twice is one entry; a deleted one comes back. `input` (NULL is allowed) is what it
// was made of, see limner_library_keep_input(). Owned.
LimnerEntry *limner_library_keep(LimnerLibrary *self, LimnerPicture *picture, LimnerInput *input,
                                 GError **error);
// Keeps the file of a picture to change under its SHA-256, unless the library has it anyway.
gboolean limner_library_keep_input(LimnerLibrary *self, LimnerInput *input, GError **error);
// The path of a picture, deleted or not, or of an input; NULL = the library does not have it.
// Owned.
char *limner_library_find_file(LimnerLibrary *self, const char *sha256);
// The same opened, its SHA-256 checked.
LimnerInput *limner_library_load_input(LimnerLibrary *self, const char *sha256, GError **error);

// --- looking -------------------------------------------------------------------------------------

// All zero = everything that is not deleted. Strings are borrowed for the call.
typedef struct LimnerLibraryQuery {
  const char *text; // each of its words must occur in the prompt, upper or lower case, also inside
                    // of words; NULL = any prompt
  unsigned kinds;   // LimnerKind bits; 0 = all
  gboolean only_favourites;
  gboolean only_deleted; // what lies in the trash instead
  const char *model;     // NULL = any
  gint64 from_us;        // made then or later
  gint64 until_us;       // made before; 0 = no end
  guint offset, limit;   // limit 0 = all
} LimnerLibraryQuery;

// LimnerEntry, newest first; missing ones too. Owned, with its entries; NULL on failure.
GPtrArray *limner_library_query(LimnerLibrary *self, const LimnerLibraryQuery *query,
                                GError **error);
// NULL, without an error, where there is none. Owned.
LimnerEntry *limner_library_get(LimnerLibrary *self, gint64 id, GError **error);
LimnerEntry *limner_library_find(LimnerLibrary *self, const char *sha256, GError **error);
// The names of the models that painted what is here, in alphabetical order. Owned.
GStrv limner_library_dup_models(LimnerLibrary *self, GError **error);

// The pictures made directly of this one, oldest first, deleted ones too (the tree keeps its shape;
// draw them so). Owned.
GPtrArray *limner_library_children(LimnerLibrary *self, LimnerEntry *entry, GError **error);
// The pictures it was made of, the first of the chain first, without itself. The chain ends where
// the library does not have the input as an entry; what that was, its first element's (or the
// entry's own) input_sha256 says: limner_library_load_input() may have it. Owned.
GPtrArray *limner_library_ancestors(LimnerLibrary *self, LimnerEntry *entry, GError **error);

// The whole picture with its texts, from its file. Owned.
LimnerPicture *limner_library_load_picture(LimnerLibrary *self, LimnerEntry *entry, GError **error);
// The same as a finished sample of the request that its recipe tells, with the picture it was made
// of where the library has that. Owned.
LimnerSample *limner_library_load_sample(LimnerLibrary *self, LimnerEntry *entry, GError **error);
enum { LIMNER_THUMBNAIL_PX = 256 };
// At most LIMNER_THUMBNAIL_PX on a side, from the cache or else from the file (about a millisecond
// or ten). Owned; without texts. The caller bounds how many it holds.
LimnerPicture *limner_library_load_thumbnail(LimnerLibrary *self, LimnerEntry *entry,
                                             GError **error);
char *limner_library_dup_path(LimnerLibrary *self, LimnerEntry *entry); // does not block; owned

// --- changing ------------------------------------------------------------------------------------

gboolean limner_library_set_favourite(LimnerLibrary *self, LimnerEntry *entry,
                                      gboolean is_favourite, GError **error);
// Moves the file to the trash; limner_library_restore() moves it back and is Undo. Deleting what is
// deleted, and restoring what is not, does nothing.
gboolean limner_library_delete(LimnerLibrary *self, LimnerEntry *entry, GError **error);
gboolean limner_library_restore(LimnerLibrary *self, LimnerEntry *entry, GError **error);
// Forgets for good what was deleted before; inputs stay. The number of pictures, or -1.
int limner_library_purge(LimnerLibrary *self, gint64 deleted_before_us, GError **error);

// --- from the main thread ------------------------------------------------------------------------

// What runs on a thread of GLib's pool. A result of NULL without an error is a success too.
typedef gpointer (*LimnerLibraryCall)(LimnerLibrary *self, gpointer data, GCancellable *cancellable,
                                      GError **error);
// Any of the functions above: `data` is the call's alone until `free_data` (NULL is allowed);
// `free_result` for a result nobody takes. The callback comes on the caller's main context.
void limner_library_call_async(LimnerLibrary *self, LimnerLibraryCall call, gpointer data,
                               GDestroyNotify free_data, GDestroyNotify free_result,
                               GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data);
gpointer limner_library_call_finish(LimnerLibrary *self, GAsyncResult *result, GError **error);

// The most frequent ones. The query is copied.
void limner_library_query_async(LimnerLibrary *self, const LimnerLibraryQuery *query,
                                GCancellable *cancellable, GAsyncReadyCallback callback,
                                gpointer user_data);
GPtrArray *limner_library_query_finish(LimnerLibrary *self, GAsyncResult *result, GError **error);
// Cancel it when the cell that wants it is bound to something else.
void limner_library_load_thumbnail_async(LimnerLibrary *self, LimnerEntry *entry,
                                         GCancellable *cancellable, GAsyncReadyCallback callback,
                                         gpointer user_data);
LimnerPicture *limner_library_load_thumbnail_finish(LimnerLibrary *self, GAsyncResult *result,
                                                    GError **error);
void limner_library_rescan_async(LimnerLibrary *self, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer user_data);
gboolean limner_library_rescan_finish(LimnerLibrary *self, GAsyncResult *result, GError **error);

#endif
