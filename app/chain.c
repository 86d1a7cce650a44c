// SPDX-License-Identifier: MIT
// Chains out of the library, and as a member of the last step's recipe.
#include "app/chain.h"

#include "app/recipe.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void step_free(gpointer data) {
  LimnerChainStep *step = data;
  limner_picture_unref(step->picture);
  g_free(step->words);
  g_free(step->recipe);
  g_free(step->sha256);
  g_free(step);
}

// --- out of the library --------------------------------------------------------------------------

static LimnerChainStep *load_step(LimnerLibrary *library, LimnerEntry *entry, GError **error) {
  const LimnerEntryFacts *facts = limner_entry_get_facts(entry);
  LimnerPicture *picture = limner_library_load_picture(library, entry, error);
  if (!picture)
    return NULL;
  const LimnerChainStep step = {picture, g_strdup(facts->prompt),
                                g_strdup(limner_picture_get_recipe(picture)),
                                g_strdup(facts->sha256)};
  return g_memdup2(&step, sizeof step);
}

// What the model saw of the picture from outside that the first step was made of.
static LimnerChainStep *load_origin(LimnerLibrary *library, const LimnerChainStep *first) {
  g_autoptr(LimnerRecipe) recipe = first->recipe ? limner_recipe_parse(first->recipe, NULL) : NULL;
  const char *sha256 = recipe ? recipe->input_sha256 : NULL;
  g_autoptr(LimnerInput) input = sha256 ? limner_library_load_input(library, sha256, NULL) : NULL;
  const JanusModelInfo size = {.image_size_px = limner_picture_get_width(first->picture),
                               .min_size_px = 1,
                               .background = {0x7f, 0x7f, 0x7f}};
  LimnerPicture *seen =
      input ? limner_input_dup_seen(input, recipe->request.fit, &size, NULL) : NULL;
  if (!seen)
    return NULL;
  const LimnerChainStep step = {seen, g_strdup(""), NULL, g_strdup(sha256)};
  return g_memdup2(&step, sizeof step);
}

GPtrArray *limner_chain_load(LimnerLibrary *library, LimnerEntry *entry, GError **error) {
  LimnerChainStep *step = load_step(library, entry, error);
  g_autoptr(GPtrArray) before = step ? limner_library_ancestors(library, entry, error) : NULL;
  g_autoptr(GPtrArray) chain = g_ptr_array_new_with_free_func(step_free);
  if (step)
    g_ptr_array_add(chain, step);
  if (!before)
    return NULL;
  guint n_left = before->len;
  while (n_left > 0 && chain->len < LIMNER_CHAIN_MAX_STEPS &&
         (step = load_step(library, before->pdata[n_left - 1], NULL))) {
    g_ptr_array_insert(chain, 0, step);
    n_left--;
  }
  step = n_left == 0 ? load_origin(library, chain->pdata[0]) : NULL;
  if (step)
    g_ptr_array_insert(chain, 0, step);
  return g_steal_pointer(&chain);
}

// --- in a recipe ---------------------------------------------------------------------------------

static json_t *load_object(const char *json) {
  json_t *object = json ? json_loads(json, 0, NULL) : NULL;
  if (json_is_object(object))
    return object;
  json_decref(object);
  return NULL;
}

static char *dump(json_t *object) {
  char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
  char *copy = g_strdup(text);
  free(text);
  return copy;
}

static json_t *new_member(GPtrArray *chain) {
  json_t *list = json_array();
  for (guint i = 0; i + 1 < chain->len; i++) {
    const LimnerChainStep *step = chain->pdata[i];
    json_t *recipe = load_object(step->recipe);
    if (recipe) {
      json_object_del(recipe, LIMNER_RECIPE_CHAIN);
      json_array_append_new(list,
                            json_pack("{s:s, s:o}", "sha256", step->sha256, "recipe", recipe));
    }
  }
  return list;
}

char *limner_chain_dup_json(GPtrArray *chain) {
  const LimnerChainStep *last = chain->pdata[chain->len - 1];
  json_t *object = load_object(last->recipe);
  if (!object)
    return NULL;
  json_object_set_new(object, LIMNER_RECIPE_CHAIN, new_member(chain));
  char *json = dump(object);
  json_decref(object);
  return json;
}
