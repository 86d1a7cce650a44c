// SPDX-License-Identifier: MIT
// Pictures made once more: others like one, its settings, and what a file from outside says.
#include "ui/limner-window-private.h"

#include "app/recipe.h"
#include "ui/limner-kept.h"

#include <glib/gi18n.h>

// --- once more -----------------------------------------------------------------------------------

// Whether a picture says how it can be made again; else says why not.
static gboolean can_repeat(LimnerWindow *self, LimnerSample *sample) {
  LimnerEntry *entry = limner_sample_get_entry(sample);
  const LimnerEntryFacts *facts = entry ? limner_entry_get_facts(entry) : NULL;
  if (facts && facts->kind == LIMNER_KIND_DECODED)
    limner_window_say(self, _("This picture was made from tokens: it has no settings"));
  else if (facts && facts->input_sha256 && !limner_sample_get_request(sample)->input)
    limner_window_say(self, _("The picture it was made from is not in the library any more"));
  else
    return TRUE;
  return FALSE;
}

static void repeat_sample(LimnerWindow *self, LimnerSample *sample) {
  if (!can_repeat(self, sample))
    return;
  g_autoptr(LimnerRequest) request = limner_request_copy(limner_sample_get_request(sample));
  request->n_samples = limner_controls_get_n_samples(self->controls);
  request->first_sample = 0;
  request->seed = limner_random_seed();
  limner_window_paint(self, request);
}

static void more_like_this(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_use_sample(LIMNER_WINDOW(widget), repeat_sample);
}

static void take_settings(LimnerWindow *self, LimnerSample *sample) {
  if (!can_repeat(self, sample))
    return;
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_controls_set_request(self->controls, limner_sample_get_request(sample),
                              limner_sample_get_index(sample));
  limner_window_say(self, _("Generate paints this picture again"));
}

static void use_settings(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_use_sample(LIMNER_WINDOW(widget), take_settings);
}

static void take_seed(LimnerWindow *self, LimnerSample *sample) {
  if (!can_repeat(self, sample))
    return;
  take_settings(self, sample);
  limner_controls_keep_seed(self->controls);
  limner_window_say(self, _("The seed is kept: change the settings and generate"));
}

// While a page or the controls still move, a popover would come up outside of the screen.
static void try_history(LimnerWindow *self) {
  if (!self->wants_history || adw_leaflet_get_child_transition_running(self->pages) ||
      adw_flap_get_reveal_progress(self->flap) < 1)
    return;
  self->wants_history = FALSE;
  gtk_widget_activate_action(GTK_WIDGET(self->controls), "controls.history", NULL);
}

static void show_history(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  self->wants_history = TRUE;
  try_history(self);
}

void limner_window_init_recipes(LimnerWindow *self) {
  g_signal_connect_object(self->pages, "notify::child-transition-running", G_CALLBACK(try_history),
                          self, G_CONNECT_SWAPPED);
  g_signal_connect_object(self->flap, "notify::reveal-progress", G_CALLBACK(try_history), self,
                          G_CONNECT_SWAPPED);
}

static void same_seed(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_use_sample(LIMNER_WINDOW(widget), take_seed);
}

// --- what a picture from outside says ------------------------------------------------------------

typedef struct Reading {
  LimnerWindow *window;
  LimnerInput *input;
  gboolean has_tried; // to bring its chain back
  char *problem;      // of that; NULL = none
  guint n_files;      // of which it is the first
} Reading;

static void reading_free(Reading *reading) {
  g_object_unref(reading->window);
  limner_input_unref(reading->input);
  g_free(reading->problem);
  g_free(reading);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reading, reading_free)

// Its request, with the picture it was made of where the library has that.
static gpointer read_recipe(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                            GError **error) {
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(limner_input_get_recipe(data), error);
  if (!recipe)
    return NULL;
  if (recipe->input_sha256)
    recipe->request.input = limner_library_load_input(library, recipe->input_sha256, NULL);
  return g_steal_pointer(&recipe);
}

static void recipe_free(LimnerRecipe *recipe) {
  g_clear_pointer(&recipe->request.input, limner_input_unref);
  limner_recipe_free(recipe);
}

static void on_recipe(GObject *source, GAsyncResult *result, gpointer data);

// Takes what it is given over.
static void start_reading(LimnerWindow *self, LimnerInput *input, gboolean has_tried, char *problem,
                          guint n_files) {
  const Reading reading = {g_object_ref(self), limner_input_ref(input), has_tried, problem,
                           n_files};
  limner_library_call_async(self->library, read_recipe, limner_input_ref(input),
                            (GDestroyNotify)limner_input_unref, (GDestroyNotify)recipe_free,
                            limner_window_begin_opening(self), on_recipe,
                            g_memdup2(&reading, sizeof reading));
}

static void use_restored(LimnerWindow *self, LimnerInput *input, const GError *error) {
  start_reading(self, input, TRUE, error ? g_strdup(error->message) : NULL, 1);
}

static const char *words_for(const Reading *reading, const LimnerRecipe *recipe) {
  if (reading->problem)
    return reading->problem;
  if (!recipe->request.prompt)
    return _("This picture was made from tokens: it has no settings");
  if (recipe->input_sha256 && !recipe->request.input)
    return _("The picture it was made from is not in the library: choose it yourself");
  return reading->has_tried ? _("The pictures it was made from are in the library now")
                            : _("Generate paints this picture again");
}

static void show_request(LimnerWindow *self, const LimnerRecipe *recipe) {
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_controls_set_request(self->controls, &recipe->request, recipe->sample);
}

static void say_of(LimnerWindow *self, guint n_files, const char *words) {
  g_autofree char *first = n_files > 1 ? limner_window_dup_first_of(n_files) : NULL;
  g_autofree char *both = first ? g_strconcat(first, ". ", words, NULL) : NULL;
  limner_window_say(self, both ? both : words);
}

static void on_recipe(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(Reading) reading = data;
  LimnerWindow *self = reading->window;
  g_autoptr(GError) error = NULL;
  LimnerRecipe *recipe = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (!self->library || g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_clear_pointer(&recipe, recipe_free);
    return;
  }
  if (!recipe || !recipe->request.prompt)
    limner_window_change(self, reading->input);
  if (!recipe) {
    say_of(self, reading->n_files, error->message);
    return;
  }
  if (recipe->n_before > 0 && !reading->has_tried) {
    limner_window_restore_chain(self, reading->input, use_restored);
  } else {
    if (recipe->request.prompt)
      show_request(self, recipe);
    say_of(self, reading->n_files, words_for(reading, recipe));
  }
  recipe_free(recipe);
}

void limner_window_use_recipe(LimnerWindow *self, LimnerInput *input, guint n_files) {
  start_reading(self, input, FALSE, NULL, n_files);
}

static void use_recipe(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerInput *input = limner_drop_zone_get_input(limner_controls_get_drop_zone(self->controls));
  if (self->library && input && limner_input_get_recipe(input))
    limner_window_use_recipe(self, input, 1);
}

void limner_window_install_recipe_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.more-like-this", NULL, more_like_this);
  gtk_widget_class_install_action(widget_class, "win.use-settings", NULL, use_settings);
  gtk_widget_class_install_action(widget_class, "win.history", NULL, show_history);
  gtk_widget_class_install_action(widget_class, "win.same-seed", NULL, same_seed);
  gtk_widget_class_install_action(widget_class, "win.use-recipe", NULL, use_recipe);
}
