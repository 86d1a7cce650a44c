// SPDX-License-Identifier: MIT
// Chains of edits: a picture with those it was made of, shown together in one file, told by one
// file, and brought back from it.
//
// What a plain picture never carries, its ancestors, a chain's file does: their recipes with their
// tokens, from which they can be painted again. Pixels of pictures from outside are in no file but
// where the pictures are shown.
#ifndef LIMNER_CHAIN_H
#define LIMNER_CHAIN_H

#include "app/library.h"

// More than this many steps before a picture are left out: its memory and its file have a bound.
enum { LIMNER_CHAIN_MAX_STEPS = 200 };

// Fields owned.
typedef struct LimnerChainStep {
  LimnerPicture *picture; // square; of a picture from outside what the model saw of it
  char *words;            // that it was asked for with; "" where there were none
  char *recipe;           // JSON; NULL = a picture from outside
  char *sha256;           // of its file
} LimnerChainStep;

// The steps of a chain that ends with this picture, the first one first. It begins with the
// picture from outside that was changed, or with the first one painted; where a picture in between
// cannot be read any more, behind that. At least the entry itself; NULL when that cannot be read.
// Owned, with the steps. Blocks; any thread.
GPtrArray *limner_chain_load(LimnerLibrary *library, LimnerEntry *entry, GError **error);

typedef enum {
  LIMNER_CHAIN_STRIP,     // one picture, all steps side by side: PNG, JPEG or WebP by its name
  LIMNER_CHAIN_ANIMATION, // an animated WebP, one step after the other, over and over
  LIMNER_CHAIN_FRAMES,    // a folder of PNG files, 01.png and so on, each a plain export
  LIMNER_CHAIN_FILE,      // a PNG of the last step that tells the recipes of all
} LimnerChainForm;

// A plain value; all zero = a strip without captions.
typedef struct LimnerChainOptions {
  LimnerChainForm form;
  gboolean has_captions;     // STRIP, ANIMATION: the words under each step
  gboolean without_metadata; // nothing but pixels; not for FILE, which is metadata
  int frame_ms;              // ANIMATION: 0 = 1200; the last step stays twice as long
  int quality;               // JPEG and WebP: 1 .. 100; 0 = 90
} LimnerChainOptions;

// Writes beside `path` and renames: never half a file or folder. FRAMES: a new folder or an empty
// one. One sentence in `error`. Blocks; any thread.
gboolean limner_chain_export(GPtrArray *chain, const char *path, const LimnerChainOptions *options,
                             GError **error);

// --- chains in files -----------------------------------------------------------------------------

// The JSON of the last step with the recipes of those before it. Owned.
char *limner_chain_dup_json(GPtrArray *chain);

// Paints the steps that `file`, a picture with a chain, tells of again and keeps them and itself in
// the library, where they are what they were made of each other. With the model that painted them;
// nothing is kept when one of them cannot be painted. The entry of the picture itself; owned. NULL
// with a sentence in `error`. Can be cancelled between two steps. Blocks; the thread that the model
// is used on.
LimnerEntry *limner_chain_restore(LimnerLibrary *library, LimnerInput *file, JanusModel *model,
                                  GCancellable *cancellable, GError **error);

#endif
