// SPDX-License-Identifier: MIT
// What the library's tests share: small pictures with recipes, libraries in folders of their own.
#ifndef LIMNER_TESTS_APP_LIBRARY_SUPPORT_H
#define LIMNER_TESTS_APP_LIBRARY_SUPPORT_H

#include "app/draft.h"
#include "app/recipe.h"
#include "tests/app/support.h"

// A folder with "pictures" and "state" in it.
typedef struct Place {
  char *root, *pictures, *state;
} Place;

Place place_new(void);
void place_clear(Place *place);
// Opened and scanned, with no problem at either.
LimnerLibrary *open_library(const Place *place);
// Says what it still has to say, and must be gone then.
void close_library(LimnerLibrary *library);

// A picture of 16 x 16 px, another one for every seed; `input_sha256` NULL = painted.
LimnerPicture *new_small(const char *prompt, const char *model, guint64 seed,
                         const char *input_sha256);
// Kept without an error.
LimnerEntry *keep_small(LimnerLibrary *library, const char *prompt, guint64 seed,
                        LimnerEntry *parent);
guint count_matches(LimnerLibrary *library, const LimnerLibraryQuery *query);
LimnerEntry *find_again(LimnerLibrary *library, LimnerEntry *entry);

#endif
