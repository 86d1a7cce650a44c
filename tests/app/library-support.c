// SPDX-License-Identifier: MIT
// What the library's tests share.
#include "tests/app/library-support.h"

enum { SIZE_PX = 16 };

Place place_new(void) {
  Place place = {.root = make_folder()};
  place.pictures = g_build_filename(place.root, "pictures", NULL);
  place.state = g_build_filename(place.root, "state", NULL);
  return place;
}

void place_clear(Place *place) {
  g_free(place->pictures);
  g_free(place->state);
  remove_folder(place->root);
}

LimnerLibrary *open_library(const Place *place) {
  LimnerLibrary *library = limner_library_open(place->pictures, place->state);
  g_autofree char *problem = limner_library_dup_problem(library);
  g_autoptr(GError) error = NULL;
  g_assert_cmpstr(problem, ==, NULL);
  g_assert_true(limner_library_rescan(library, NULL, NULL, &error));
  g_assert_no_error(error);
  return library;
}

void close_library(LimnerLibrary *library) {
  // The thread of a task lets go of the library only after its result has come here. What is said
  // here may begin another: a look at the folder, which has been quiet for long enough.
  for (int i = 0; i < 5000; i++) {
    if (g_main_context_iteration(NULL, FALSE))
      continue;
    if (G_OBJECT(library)->ref_count == 1)
      break;
    g_usleep(1000);
  }
  g_assert_finalize_object(library);
}

LimnerPicture *new_small(const char *prompt, const char *model, guint64 seed,
                         const char *input_sha256) {
  guint8 *rgb = g_malloc(SIZE_PX * SIZE_PX * 3);
  for (guint i = 0; i < SIZE_PX * SIZE_PX * 3; i++)
    rgb[i] = (guint8)(i * 7 + seed * 13);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, SIZE_PX * SIZE_PX * 3);
  const LimnerRequest request = {
      .prompt = (char *)prompt, .n_samples = 1, .seed = seed, .cfg = 5, .top_p = 1};
  const JanusModelInfo info = {.name = model, .device = "cpu", .image_size_px = SIZE_PX};
  const gint32 tokens[] = {1, 2, 3, 4};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&request, 0, tokens, 4, &info);
  recipe->input_sha256 = g_strdup(input_sha256);
  return limner_recipe_dup_picture(recipe, bytes);
}

LimnerEntry *keep_small(LimnerLibrary *library, const char *prompt, guint64 seed,
                        LimnerEntry *parent) {
  g_autoptr(LimnerPicture) picture =
      new_small(prompt, "Demo", seed, parent ? limner_entry_get_facts(parent)->sha256 : NULL);
  g_autoptr(GError) error = NULL;
  LimnerEntry *entry = limner_library_keep(library, picture, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpint(limner_entry_get_facts(entry)->id, !=, 0);
  return entry;
}

guint count_matches(LimnerLibrary *library, const LimnerLibraryQuery *query) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) entries = limner_library_query(library, query, &error);
  g_assert_no_error(error);
  return entries->len;
}

LimnerEntry *find_again(LimnerLibrary *library, LimnerEntry *entry) {
  g_autoptr(GError) error = NULL;
  LimnerEntry *found = limner_library_find(library, limner_entry_get_facts(entry)->sha256, &error);
  g_assert_no_error(error);
  g_assert_nonnull(found);
  return found;
}
