// SPDX-License-Identifier: MIT
// Turning what the controls show into a request, the rules of the seed, and what is said about
// prompts.
#include "ui/limner-controls.h"

#include "ui/limner-history.h"
#include "ui/limner-presets.h"
#include "ui/limner-prompt.h"
#include "ui/limner-settings.h"
#include "ui/limner-slider.h"

#include <glib/gi18n.h>

// Not translated: models know English. Within the demo model's world.
#define EXAMPLE_PROMPT "A red house on a green hill at night"
#define EXAMPLE_EDIT "Turn the image into a nighttime scene."
enum {
  N_KINDS = 2,
  TYPING_MS = 400, // so long a pause in typing ends a word
  MAX_UNKNOWN = 3, // words named
  MAX_WORD = 24,   // letters of one shown
};

struct _LimnerControls {
  GtkWidget parent_instance;
  // Template
  GtkWidget *scroller;
  LimnerPrompt *prompt;
  GtkLabel *prompt_label;
  GtkMenuButton *history_button;
  LimnerHistory *history;
  GtkMenuButton *presets_button;
  LimnerPresets *presets;
  GtkWidget *surprise_button;
  GtkLabel *hint_label;
  GtkLabel *world_label;
  LimnerDropZone *drop_zone;
  LimnerSlider *guidance_slider;
  LimnerSlider *freedom_slider;
  LimnerSlider *variety_slider;
  GtkSpinButton *samples_spin;
  GtkSpinButton *seed_spin;
  GtkToggleButton *keep_button;
  GtkSpinButton *top_k_spin;
  GtkSpinButton *top_p_spin;
  GtkCheckButton *tokens_check;
  GtkLabel *device_label;
  GtkWidget *generate_button;
  // Owned
  GSettings *settings;    // may be NULL
  LimnerPrompts *prompts; // the model's; NULL before there is one
  // Plain
  guint64 surprise_seed;
  guint n_surprises[N_KINDS]; // by LimnerPromptKind
  guint typing;               // a timer while the prompt may be unfinished; 0 = none
  gboolean seed_is_chosen;    // typed or diced since the last run: the next one uses it
};

G_DEFINE_FINAL_TYPE(LimnerControls, limner_controls, GTK_TYPE_WIDGET)

static void set_seed(LimnerControls *self, guint64 seed, gboolean is_chosen) {
  gtk_spin_button_set_value(self->seed_spin, (double)seed);
  self->seed_is_chosen = is_chosen;
}

static void new_seed(GtkWidget *widget, const char *action, GVariant *parameter) {
  set_seed(LIMNER_CONTROLS(widget), limner_random_seed(), TRUE);
}

static void on_seed_changed(LimnerControls *self) {
  self->seed_is_chosen = TRUE;
}

static guint64 take_seed(LimnerControls *self) {
  gtk_spin_button_update(self->seed_spin);
  if (!self->seed_is_chosen && !gtk_toggle_button_get_active(self->keep_button))
    set_seed(self, limner_random_seed(), FALSE);
  self->seed_is_chosen = FALSE;
  return (guint64)gtk_spin_button_get_value(self->seed_spin);
}

static void remember(LimnerControls *self, const char *prompt) {
  limner_prompt_remember(self->prompt);
  if (!self->settings)
    return;
  g_auto(GStrv) history = limner_prompt_dup_history(self->prompt);
  g_settings_set_strv(self->settings, "prompt-history", (const char *const *)history);
  g_settings_set_string(self->settings, "prompt", prompt);
}

static double typed_value(GtkSpinButton *spin) {
  gtk_spin_button_update(spin);
  return gtk_spin_button_get_value(spin);
}

// --- what the model understands ------------------------------------------------------------------

static gboolean is_edit(LimnerControls *self) {
  return limner_drop_zone_get_input(self->drop_zone) != NULL;
}

static LimnerPromptKind get_kind(LimnerControls *self) {
  return is_edit(self) ? LIMNER_PROMPT_EDIT : LIMNER_PROMPT_PAINT;
}

// “one”, “two”, “three” … Owned.
static char *dup_quoted(GStrv words) {
  GString *list = g_string_new(NULL);
  for (guint i = 0; words[i] && i < MAX_UNKNOWN; i++) {
    const gboolean is_long = g_utf8_strlen(words[i], -1) > MAX_WORD;
    g_autofree char *start = g_utf8_substring(words[i], 0, is_long ? MAX_WORD : -1);
    g_string_append(list, i ? ", " : "");
    g_string_append_printf(list, _("“%s%s”"), start, is_long ? "…" : "");
  }
  return g_string_free(list, FALSE);
}

// What the quiet line under the prompt has to say; NULL = nothing. Owned.
static char *dup_world(LimnerControls *self) {
  const char *about = limner_prompts_get_about(self->prompts, get_kind(self));
  const char *problem = limner_prompts_get_problem(self->prompts);
  g_autofree char *prompt = limner_prompt_dup_text(self->prompt);
  g_auto(GStrv) unknown = limner_prompts_dup_unknown(self->prompts, prompt, MAX_UNKNOWN + 1);
  if (!unknown[0])
    return g_strdup(problem ? problem : about);
  g_autofree char *words = dup_quoted(unknown);
  g_autofree char *news =
      g_strdup_printf(g_strv_length(unknown) > MAX_UNKNOWN ? _("Does not know %s and more.")
                                                           : _("Does not know %s."),
                      words);
  return about ? g_strconcat(news, " ", about, NULL) : g_steal_pointer(&news);
}

static void update_world(LimnerControls *self) {
  g_autofree char *words = self->prompts ? dup_world(self) : NULL;
  g_clear_handle_id(&self->typing, g_source_remove);
  gtk_label_set_label(self->world_label, words ? words : "");
  gtk_widget_set_visible(GTK_WIDGET(self->world_label), words != NULL);
}

static gboolean on_typing_paused(gpointer data) {
  LimnerControls *self = data;
  self->typing = 0;
  update_world(self);
  return G_SOURCE_REMOVE;
}

// The next prompt in the order of this window, but not what stands there already. Borrowed.
static const char *next_surprise(LimnerControls *self) {
  const LimnerPromptKind kind = get_kind(self);
  guint *index = &self->n_surprises[kind];
  g_autofree char *present = limner_prompt_dup_text(self->prompt);
  const char *next = limner_prompts_pick(self->prompts, kind, self->surprise_seed, (*index)++);
  if (strcmp(next, present) == 0)
    next = limner_prompts_pick(self->prompts, kind, self->surprise_seed, (*index)++);
  return next;
}

static void surprise(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerControls *self = LIMNER_CONTROLS(widget);
  limner_prompt_replace_text(self->prompt, self->prompts ? next_surprise(self) : EXAMPLE_PROMPT);
  update_world(self);
}

void limner_controls_start_surprise(LimnerControls *self) {
  limner_drop_zone_set_input(self->drop_zone, NULL);
  surprise(GTK_WIDGET(self), NULL, NULL);
}

static void set_prompts(LimnerControls *self, LimnerPrompts *prompts) {
  g_clear_pointer(&self->prompts, limner_prompts_unref);
  self->prompts = prompts ? limner_prompts_ref(prompts) : NULL;
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "controls.surprise", prompts != NULL);
  update_world(self);
}

// --- the picture to change -----------------------------------------------------------------------

static void set_hint(LimnerControls *self, const char *hint) {
  gtk_label_set_label(self->hint_label, hint ? hint : "");
  gtk_widget_set_visible(GTK_WIDGET(self->hint_label), hint != NULL);
}

static void on_prompt_changed(LimnerControls *self) {
  set_hint(self, NULL);
  g_clear_handle_id(&self->typing, g_source_remove);
  if (self->prompts)
    self->typing = g_timeout_add(TYPING_MS, on_typing_paused, self);
}

// With a picture the words say what to change, not what to paint.
static void on_input_changed(LimnerControls *self) {
  const gboolean is_change = is_edit(self);
  gtk_label_set_label(self->prompt_label, is_change ? _("_What to Change") : _("_What to Paint"));
  g_object_set(self->prompt, "placeholder", is_change ? EXAMPLE_EDIT : EXAMPLE_PROMPT, NULL);
  gtk_widget_set_visible(GTK_WIDGET(self->freedom_slider), is_change);
  set_hint(self, NULL);
  update_world(self);
  if (is_change)
    limner_controls_focus_prompt(self);
}

gboolean limner_controls_check(LimnerControls *self) {
  g_autofree char *prompt = limner_prompt_dup_text(self->prompt);
  const char *hint = NULL;
  if (limner_drop_zone_is_loading(self->drop_zone))
    hint = _("The picture is still being read.");
  else if (is_edit(self) && !*prompt)
    hint = _("Say what to change about the picture.");
  set_hint(self, hint);
  if (hint)
    limner_controls_focus_prompt(self);
  return hint == NULL;
}

LimnerDropZone *limner_controls_get_drop_zone(LimnerControls *self) {
  return self->drop_zone;
}

static void scroll_to_top(LimnerControls *self) {
  GtkScrolledWindow *scroller = GTK_SCROLLED_WINDOW(self->scroller);
  gtk_adjustment_set_value(gtk_scrolled_window_get_vadjustment(scroller), 0);
}

void limner_controls_change(LimnerControls *self, LimnerInput *input) {
  limner_drop_zone_set_input(self->drop_zone, input);
  scroll_to_top(self);
  limner_controls_focus_prompt(self);
  limner_prompt_select_all(self->prompt);
}

// --- what was used before ------------------------------------------------------------------------

static void on_history_shown(LimnerControls *self) {
  g_auto(GStrv) prompts = limner_prompt_dup_history(self->prompt);
  limner_history_set_prompts(self->history, (const char *const *)prompts);
  gtk_widget_grab_focus(GTK_WIDGET(self->history));
}

// As a surprise is: it can be undone.
static void on_prompt_chosen(LimnerControls *self, const char *prompt) {
  gtk_menu_button_popdown(self->history_button);
  limner_prompt_replace_text(self->prompt, prompt);
  update_world(self);
  limner_controls_focus_prompt(self);
}

static void show_history(GtkWidget *widget, const char *action, GVariant *parameter) {
  gtk_menu_button_popup(LIMNER_CONTROLS(widget)->history_button);
}

static void on_presets_shown(LimnerControls *self) {
  gtk_widget_grab_focus(GTK_WIDGET(self->presets));
}

static void on_preset_applied(LimnerControls *self, GVariant *preset) {
  double cfg = 0, image_cfg = 0, temperature = 0, top_p = 0;
  int top_k = 0;
  g_variant_get(preset, "(&sdddid)", NULL, &cfg, &image_cfg, &temperature, &top_k, &top_p);
  limner_slider_set_value(self->guidance_slider, cfg);
  limner_slider_set_value(self->freedom_slider, image_cfg);
  limner_slider_set_value(self->variety_slider, temperature);
  gtk_spin_button_set_value(self->top_k_spin, top_k);
  gtk_spin_button_set_value(self->top_p_spin, top_p);
  gtk_menu_button_popdown(self->presets_button);
}

static void on_preset_wanted(LimnerControls *self, const char *name) {
  limner_presets_add(self->presets, g_variant_new(LIMNER_PRESET_TYPE, name,
                                                  limner_slider_get_value(self->guidance_slider),
                                                  limner_slider_get_value(self->freedom_slider),
                                                  limner_slider_get_value(self->variety_slider),
                                                  (int)typed_value(self->top_k_spin),
                                                  typed_value(self->top_p_spin)));
}

// --- the request ---------------------------------------------------------------------------------

LimnerRequest *limner_controls_take_request(LimnerControls *self) {
  LimnerInput *input = limner_drop_zone_get_input(self->drop_zone);
  const LimnerRequest request = {
      .prompt = limner_prompt_dup_text(self->prompt),
      .input = input ? limner_input_ref(input) : NULL,
      .fit = limner_drop_zone_get_fit(self->drop_zone),
      .uses_input_tokens = input && gtk_check_button_get_active(self->tokens_check),
      .n_samples = (int)typed_value(self->samples_spin),
      .seed = take_seed(self),
      .cfg = limner_slider_get_value(self->guidance_slider),
      .image_cfg = limner_slider_get_value(self->freedom_slider),
      .temperature = limner_slider_get_value(self->variety_slider),
      .top_k = (int)typed_value(self->top_k_spin),
      .top_p = typed_value(self->top_p_spin),
  };
  remember(self, request.prompt);
  return g_memdup2(&request, sizeof request);
}

int limner_controls_get_n_samples(LimnerControls *self) {
  return (int)typed_value(self->samples_spin);
}

void limner_controls_set_request(LimnerControls *self, const LimnerRequest *request, guint index) {
  limner_drop_zone_set_input(self->drop_zone, request->input);
  limner_drop_zone_set_fit(self->drop_zone, request->fit);
  limner_prompt_replace_text(self->prompt, request->prompt);
  limner_slider_set_value(self->guidance_slider, request->cfg);
  limner_slider_set_value(self->variety_slider, request->temperature);
  if (request->input) {
    limner_slider_set_value(self->freedom_slider, request->image_cfg);
    gtk_check_button_set_active(self->tokens_check, request->uses_input_tokens);
  }
  gtk_spin_button_set_value(self->top_k_spin, request->top_k);
  gtk_spin_button_set_value(self->top_p_spin, request->top_p);
  if (limner_controls_get_n_samples(self) <= (int)index)
    gtk_spin_button_set_value(self->samples_spin, index + 1);
  set_seed(self, request->seed, TRUE);
  update_world(self);
  scroll_to_top(self);
  limner_controls_focus_prompt(self);
}

void limner_controls_get_sliders(LimnerControls *self, double *cfg, double *temperature) {
  *cfg = limner_slider_get_value(self->guidance_slider);
  *temperature = limner_slider_get_value(self->variety_slider);
}

void limner_controls_keep_seed(LimnerControls *self) {
  gtk_toggle_button_set_active(self->keep_button, TRUE);
  gtk_widget_child_focus(GTK_WIDGET(self->guidance_slider), GTK_DIR_TAB_FORWARD);
}

void limner_controls_start(LimnerControls *self, const char *prompt) {
  limner_drop_zone_set_input(self->drop_zone, NULL);
  limner_controls_set_prompt(self, prompt);
}

void limner_controls_set_prompt(LimnerControls *self, const char *prompt) {
  limner_prompt_set_text(self->prompt, prompt);
}

void limner_controls_focus_prompt(LimnerControls *self) {
  gtk_widget_grab_focus(GTK_WIDGET(self->prompt));
}

void limner_controls_set_model(LimnerControls *self, const LimnerModelSummary *model) {
  limner_slider_set_default(self->guidance_slider, model->defaults.cfg);
  limner_slider_set_default(self->freedom_slider, model->defaults.image_cfg);
  limner_slider_set_default(self->variety_slider, model->defaults.temperature);
  set_prompts(self, model->prompts);
  g_autofree char *text = g_strdup_printf(_("%s on %s, weights in %s, pictures of %d × %d"),
                                          model->name, model->device_name, model->weights,
                                          model->image_size_px, model->image_size_px);
  gtk_label_set_label(self->device_label, text);
}

void limner_controls_bind_settings(LimnerControls *self, GSettings *settings) {
  if (!settings)
    return;
  self->settings = g_object_ref(settings);
  limner_presets_bind_settings(self->presets, settings);
  limner_settings_bind(settings, "samples", gtk_spin_button_get_adjustment(self->samples_spin),
                       "value");
  limner_settings_bind(settings, "use-input-tokens", self->tokens_check, "active");
  limner_settings_bind(settings, "keep-seed", self->keep_button, "active");
  limner_settings_bind(settings, "seed", gtk_spin_button_get_adjustment(self->seed_spin), "value");
  self->seed_is_chosen = FALSE;
  g_auto(GStrv) history = g_settings_get_strv(settings, "prompt-history");
  g_autofree char *prompt = g_settings_get_string(settings, "prompt");
  limner_prompt_set_history(self->prompt, (const char *const *)history);
  limner_prompt_set_text(self->prompt, prompt);
}

static void limner_controls_dispose(GObject *object) {
  LimnerControls *self = LIMNER_CONTROLS(object);
  g_clear_handle_id(&self->typing, g_source_remove);
  g_clear_pointer(&self->prompts, limner_prompts_unref);
  g_clear_object(&self->settings);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_CONTROLS);
  G_OBJECT_CLASS(limner_controls_parent_class)->dispose(object);
}

static void limner_controls_class_init(LimnerControlsClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_controls_dispose;
  g_type_ensure(LIMNER_TYPE_DROP_ZONE);
  g_type_ensure(LIMNER_TYPE_HISTORY);
  g_type_ensure(LIMNER_TYPE_PRESETS);
  g_type_ensure(LIMNER_TYPE_PROMPT);
  g_type_ensure(LIMNER_TYPE_SLIDER);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-controls.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, scroller);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, prompt);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, prompt_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, history_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, history);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, presets_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, presets);
  gtk_widget_class_bind_template_callback(widget_class, on_history_shown);
  gtk_widget_class_bind_template_callback(widget_class, on_prompt_chosen);
  gtk_widget_class_bind_template_callback(widget_class, on_presets_shown);
  gtk_widget_class_bind_template_callback(widget_class, on_preset_applied);
  gtk_widget_class_bind_template_callback(widget_class, on_preset_wanted);
  gtk_widget_class_install_action(widget_class, "controls.history", NULL, show_history);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, surprise_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, hint_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, world_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, drop_zone);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, guidance_slider);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, freedom_slider);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, variety_slider);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, samples_spin);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, seed_spin);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, keep_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, top_k_spin);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, top_p_spin);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, tokens_check);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, device_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerControls, generate_button);
  gtk_widget_class_bind_template_callback(widget_class, on_prompt_changed);
  gtk_widget_class_bind_template_callback(widget_class, on_input_changed);
  gtk_widget_class_install_action(widget_class, "controls.new-seed", NULL, new_seed);
  gtk_widget_class_install_action(widget_class, "controls.surprise", NULL, surprise);
}

static void limner_controls_init(LimnerControls *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  limner_prompt_set_label(self->prompt, GTK_WIDGET(self->prompt_label));
  self->surprise_seed = limner_random_seed();
  set_prompts(self, NULL);
  on_input_changed(self);
  g_signal_connect_object(self->seed_spin, "value-changed", G_CALLBACK(on_seed_changed), self,
                          G_CONNECT_SWAPPED);
}
