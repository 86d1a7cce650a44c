// SPDX-License-Identifier: MIT
// Painting, the model, and the window itself: what it says about the model and the jobs.
#include "ui/limner-window-private.h"

#include "app/model-folder.h"
#include "ui/limner-outgoing.h"
#include "ui/limner-settings.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

G_DEFINE_FINAL_TYPE(LimnerWindow, limner_window, ADW_TYPE_APPLICATION_WINDOW)

// The time in which a toast is not dismissed for the next one.
#define YOUNG_TOAST_US (5 * G_USEC_PER_SEC / 2)

// --- saying things -------------------------------------------------------------------------------

gboolean limner_window_is_large(LimnerWindow *self) {
  return adw_leaflet_get_visible_child(self->pages) == GTK_WIDGET(self->large_view);
}

gboolean limner_window_is_library(LimnerWindow *self) {
  return adw_leaflet_get_visible_child(self->pages) == GTK_WIDGET(self->library_page);
}

static AdwToastOverlay *get_toasts(LimnerWindow *self) {
  if (limner_window_is_large(self))
    return limner_large_view_get_toasts(self->large_view);
  if (limner_window_is_tree(self))
    return self->tree_toasts;
  if (adw_leaflet_get_visible_child(self->pages) == GTK_WIDGET(self->grid))
    return limner_grid_get_toasts(self->grid);
  return limner_window_is_library(self) ? limner_library_page_get_toasts(self->library_page)
                                        : limner_gallery_get_toasts(self->gallery);
}

static void forget_toast(LimnerWindow *self) {
  g_clear_object(&self->toast);
}

static void add_toast(LimnerWindow *self, AdwToastOverlay *overlay) {
  self->toast = adw_toast_new("");
  self->toasted = overlay;
  self->toasted_us = g_get_monotonic_time();
  g_signal_connect_object(self->toast, "dismissed", G_CALLBACK(forget_toast), self,
                          G_CONNECT_SWAPPED);
  adw_toast_overlay_add_toast(overlay, g_object_ref(self->toast));
}

// A toast that is still coming in gets other words: libadwaita before 1.3 crashes when it is
// dismissed then. An older one makes room.
static void prepare_toast(LimnerWindow *self) {
  AdwToastOverlay *overlay = get_toasts(self);
  const gboolean is_young = g_get_monotonic_time() - self->toasted_us < YOUNG_TOAST_US;
  if (self->toast && self->toasted == overlay && is_young)
    return;
  if (self->toast && !is_young)
    adw_toast_dismiss(self->toast);
  g_clear_object(&self->toast); // on the page that is left it goes by itself
  add_toast(self, overlay);
}

void limner_window_say_with_button(LimnerWindow *self, const char *text, const char *label,
                                   const char *action, GVariant *target) {
  g_autofree char *markup = g_markup_escape_text(text, -1);
  prepare_toast(self);
  adw_toast_set_title(self->toast, markup);
  adw_toast_set_button_label(self->toast, label);
  // in this order the button never has an action without what it is about
  adw_toast_set_action_name(self->toast, NULL);
  adw_toast_set_action_target_value(self->toast, target);
  adw_toast_set_action_name(self->toast, action);
}

void limner_window_say_with_file(LimnerWindow *self, const char *text, const char *path) {
  limner_window_say_with_button(self, text, path ? _("Show in Files") : NULL,
                                path ? "win.show-file" : NULL,
                                path ? g_variant_new_bytestring(path) : NULL);
}

void limner_window_say(LimnerWindow *self, const char *text) {
  limner_window_say_with_file(self, text, NULL);
}

static void on_message_closed(LimnerWindow *self) {
  gtk_info_bar_set_revealed(self->message_bar, FALSE);
}

static gboolean is_painting(LimnerJob *job) {
  return job && !limner_job_is_over(job) && limner_job_get_state(job) >= LIMNER_JOB_PREPARING;
}

static void update_title(LimnerWindow *self) {
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (!is_painting(job)) {
    gtk_window_set_title(GTK_WINDOW(self), "Limner");
    return;
  }
  g_autofree char *title =
      g_strdup_printf(_("%.0f %% – Limner"), 100 * limner_words_get_fraction(job));
  gtk_window_set_title(GTK_WINDOW(self), title);
}

// The machine does not go to sleep over what it paints.
static void inhibit_sleep(LimnerWindow *self, gboolean is_working) {
  GtkApplication *application = gtk_window_get_application(GTK_WINDOW(self));
  if (application && is_working && !self->inhibiting)
    self->inhibiting = gtk_application_inhibit(
        application, GTK_WINDOW(self), GTK_APPLICATION_INHIBIT_SUSPEND, _("Painting pictures"));
  if (application && !is_working && self->inhibiting) {
    gtk_application_uninhibit(application, self->inhibiting);
    self->inhibiting = 0;
  }
}

static void update_queue(LimnerWindow *self) {
  const guint n_active = limner_job_queue_get_n_active(self->queue);
  inhibit_sleep(self, n_active > 0);
  LimnerJob *shown = limner_gallery_get_job(self->gallery);
  const guint n_waiting = n_active - (n_active > 0 && shown && !limner_job_is_over(shown));
  g_autofree char *label = g_strdup_printf(_("%u Waiting"), n_waiting);
  const gboolean is_narrow = adw_flap_get_folded(self->flap);
  gtk_widget_set_visible(self->new_button, !is_narrow || n_waiting == 0); // the menu has it too
  if (is_narrow) // there is no room for words
    gtk_menu_button_set_icon_name(self->queue_button, "view-list-symbolic");
  else
    gtk_menu_button_set_label(self->queue_button, label);
  gtk_widget_set_tooltip_text(GTK_WIDGET(self->queue_button), label);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->queue_button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 label, -1);
  gtk_widget_set_visible(GTK_WIDGET(self->queue_button), n_waiting > 0);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.stop", n_active > 0);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.stop-after", n_active > 0);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "win.stop-discard", n_active > 0);
}

static void on_folded(LimnerWindow *self) {
  if (self->queue)
    update_queue(self);
}

// --- jobs ----------------------------------------------------------------------------------------

static const GError *get_job_error(LimnerWindow *self) {
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  return job ? limner_job_get_error(job) : NULL;
}

// Whether the failed job shown gives the same reason as the model, which then need not.
static gboolean is_told_by_job(LimnerWindow *self) {
  const GError *job_error = get_job_error(self);
  const GError *error = limner_job_queue_get_model_error(self->queue);
  return job_error && error && strcmp(job_error->message, error->message) == 0;
}

static void offer_help(LimnerWindow *self) {
  g_autofree char *folder = limner_settings_dup_string(self->settings, "model-folder", "demo");
  const gboolean has_model = limner_job_queue_get_model(self->queue) != NULL;
  if (limner_window_can_use_processor(self, get_job_error(self)))
    limner_gallery_set_help(self->gallery, _("Use the Processor"), "win.use-processor");
  else if (has_model)
    limner_gallery_set_help(self->gallery, _("Try Again"), "win.retry");
  else if (limner_model_folder_is_demo(folder))
    limner_gallery_set_help(self->gallery, _("Open a Model Folder…"), "win.open-model");
  else
    limner_gallery_set_help(self->gallery, _("Use the Demo Model"), "win.use-demo");
}

// What is wrong with the model, where the job shown does not say so.
static void show_model_error(LimnerWindow *self) {
  const GError *error = limner_job_queue_get_model_error(self->queue);
  const gboolean has_failed = limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_FAILED;
  if (has_failed && !is_told_by_job(self))
    limner_window_say_model_error(self, error);
  else
    gtk_info_bar_set_revealed(self->message_bar, FALSE);
}

static void on_job_state(LimnerWindow *self, GParamSpec *pspec, LimnerJob *job) {
  const LimnerJobState state = limner_job_get_state(job);
  update_title(self);
  if (is_told_by_job(self))
    gtk_info_bar_set_revealed(self->message_bar, FALSE);
  offer_help(self);
  if (state == LIMNER_JOB_FAILED)
    limner_window_forget_failed(self, job);
  if (state == LIMNER_JOB_CANCELLED)
    limner_window_end_discarding(self);
  if (state == LIMNER_JOB_DONE && adw_leaflet_get_visible_child(self->pages) != self->main_page)
    limner_window_say(self, _("The pictures are ready"));
}

static void show_job(LimnerWindow *self, LimnerJob *job) {
  limner_gallery_show_job(self->gallery, job);
  g_signal_group_set_target(self->job_signals, job);
  update_title(self);
  offer_help(self);
  if (limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_FAILED)
    show_model_error(self); // which the job before may have told
  limner_window_update_drafts(self);
}

void limner_window_drop_job(LimnerWindow *self) {
  limner_gallery_drop_job(self->gallery);
  g_signal_group_set_target(self->job_signals, NULL);
  update_title(self);
}

// Shows the next job of the queue once the one shown is over.
static void on_queue_changed(LimnerWindow *self) {
  limner_window_end_discarding(self);
  LimnerJob *shown = limner_gallery_get_job(self->gallery);
  if (!shown || limner_job_is_over(shown)) {
    g_autoptr(LimnerJob) next = g_list_model_get_item(G_LIST_MODEL(self->queue), 0);
    if (next)
      show_job(self, next);
  }
  update_queue(self);
}

static void generate(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  if (!limner_controls_check(self->controls)) {
    limner_window_go_to_main(self);
    adw_flap_set_reveal_flap(self->flap, TRUE);
    return;
  }
  g_autoptr(LimnerRequest) request = limner_controls_take_request(self->controls);
  limner_window_paint(self, request);
}

static void paint_example(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_controls_start_surprise(LIMNER_WINDOW(widget)->controls);
  generate(widget, action, parameter);
}

static void retry(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (job)
    limner_window_paint(self, limner_job_get_request(job));
}

static void stop(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (job && !limner_job_is_over(job))
    limner_job_cancel(job);
}

static void new_picture(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  if (job && limner_job_is_over(job))
    show_job(self, NULL);
  limner_window_go_to_main(self);
  adw_flap_set_reveal_flap(self->flap, TRUE);
  limner_controls_start(self->controls, "");
  limner_controls_focus_prompt(self->controls);
}

// --- the model -----------------------------------------------------------------------------------

static void on_loaded(LimnerWindow *self) {
  g_autofree char *words = limner_words_for_model(self->queue);
  adw_window_title_set_subtitle(self->title, words);
}

static void on_model_state(LimnerWindow *self) {
  const LimnerModelSummary *model = limner_job_queue_get_model(self->queue);
  on_loaded(self);
  show_model_error(self);
  if (limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_READY) {
    limner_controls_set_model(self->controls, model);
    limner_settings_set_string(self->settings, "model-folder", model->folder);
    limner_window_say_fallback(self, model);
  }
  offer_help(self);
}

static void use_demo(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_window_set_model(LIMNER_WINDOW(widget), "demo");
}

static void on_model_chosen(LimnerWindow *self, int response) {
  g_autofree char *path = limner_window_end_chooser(self, response);
  if (path)
    limner_window_set_model(self, path);
}

static void open_model(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  GtkFileChooserNative *chooser = limner_window_new_chooser(
      self, _("Open a Model Folder"), GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER, _("_Open"));
  g_signal_connect_object(chooser, "response", G_CALLBACK(on_model_chosen), self,
                          G_CONNECT_SWAPPED);
  gtk_native_dialog_show(GTK_NATIVE_DIALOG(chooser));
}

// --- leaving what is open ------------------------------------------------------------------------

// What is open is closed first; then the painting stops.
static void escape(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  if (limner_window_is_large(self) && limner_large_view_is_comparing(self->large_view))
    limner_large_view_end_comparing(self->large_view);
  else if (adw_leaflet_get_visible_child(self->pages) != self->main_page)
    limner_window_go_back(self);
  else if (adw_flap_get_folded(self->flap) && adw_flap_get_reveal_flap(self->flap))
    adw_flap_set_reveal_flap(self->flap, FALSE);
  else
    stop(widget, action, parameter);
}

// --- the object ----------------------------------------------------------------------------------

// On a narrow window the controls come over the pictures to be typed in.
static void on_controls_revealed(LimnerWindow *self) {
  if (adw_flap_get_folded(self->flap) && adw_flap_get_reveal_flap(self->flap))
    limner_controls_focus_prompt(self->controls);
}

static gboolean limner_window_close_request(GtkWindow *window) {
  LimnerWindow *self = LIMNER_WINDOW(window);
  if (self->settings) {
    int width_px = 0, height_px = 0;
    gtk_window_get_default_size(window, &width_px, &height_px);
    g_settings_set_int(self->settings, "window-width", width_px);
    g_settings_set_int(self->settings, "window-height", height_px);
    g_settings_set_boolean(self->settings, "window-maximized", gtk_window_is_maximized(window));
    if (!adw_flap_get_folded(self->flap))
      g_settings_set_boolean(self->settings, "controls-shown",
                             adw_flap_get_reveal_flap(self->flap));
  }
  inhibit_sleep(self, FALSE);
  limner_job_queue_cancel_all(self->queue);
  return GTK_WINDOW_CLASS(limner_window_parent_class)->close_request(window);
}

static void restore(LimnerWindow *self) {
  if (!self->settings)
    return;
  gtk_window_set_default_size(GTK_WINDOW(self), g_settings_get_int(self->settings, "window-width"),
                              g_settings_get_int(self->settings, "window-height"));
  if (g_settings_get_boolean(self->settings, "window-maximized"))
    gtk_window_maximize(GTK_WINDOW(self));
  adw_flap_set_reveal_flap(self->flap, g_settings_get_boolean(self->settings, "controls-shown"));
}

// What the menu says of saved pictures.
static void add_saving_actions(LimnerWindow *self) {
  static const char *const keys[] = {"save-shaped", "save-doubled", "leave-out-metadata"};
  for (guint i = 0; self->settings && i < G_N_ELEMENTS(keys); i++) {
    g_autoptr(GAction) action = g_settings_create_action(self->settings, keys[i]);
    g_action_map_add_action(G_ACTION_MAP(self), action);
  }
}

LimnerWindow *limner_window_new(GtkApplication *application, LimnerJobQueue *queue,
                                GSettings *settings) {
  LimnerWindow *self = g_object_new(LIMNER_TYPE_WINDOW, "application", application, NULL);
  self->queue = g_object_ref(queue);
  self->settings = settings ? g_object_ref(settings) : NULL;
  g_signal_connect_object(queue, "items-changed", G_CALLBACK(on_queue_changed), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(queue, "notify::model-state", G_CALLBACK(on_model_state), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(queue, "notify::loaded", G_CALLBACK(on_loaded), self, G_CONNECT_SWAPPED);
  limner_queue_list_set_queue(self->queue_list, queue);
  limner_window_watch_queue(self);
  limner_window_init_grid(self);
  limner_controls_bind_settings(self->controls, settings);
  limner_outgoing_follow(settings);
  add_saving_actions(self);
  restore(self);
  on_model_state(self);
  on_queue_changed(self);
  limner_controls_focus_prompt(self->controls);
  return self;
}

static void limner_window_dispose(GObject *object) {
  LimnerWindow *self = LIMNER_WINDOW(object);
  limner_window_dispose_library(self);
  limner_window_dispose_device(self);
  g_action_map_remove_action(G_ACTION_MAP(self), "controls"); // it would hold the flap
  g_clear_object(&self->job_signals);
  g_clear_object(&self->discarding);
  g_clear_object(&self->chooser);
  g_clear_object(&self->toast);
  g_clear_pointer(&self->saving_as, limner_picture_unref);
  g_clear_pointer(&self->exporting, g_ptr_array_unref);
  g_clear_pointer(&self->saving_shape, limner_input_unref);
  g_clear_object(&self->settings);
  g_clear_object(&self->queue);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_WINDOW);
  G_OBJECT_CLASS(limner_window_parent_class)->dispose(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-window.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, pages);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, main_page);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, title);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, new_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, queue_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, queue_list);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, draft_bar);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, draft_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, message_bar);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, message_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, message_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, flap);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, controls);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, gallery);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, library_page);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, large_view);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, tree_page);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, tree_toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, tree);
  gtk_widget_class_bind_template_child(widget_class, LimnerWindow, grid);
  gtk_widget_class_bind_template_callback(widget_class, on_message_closed);
  gtk_widget_class_bind_template_callback(widget_class, on_controls_revealed);
}

static void install_actions(GtkWidgetClass *widget_class) {
  static const struct {
    const char *name;
    GtkWidgetActionActivateFunc activate;
  } actions[] = {
      {"win.generate", generate}, {"win.paint-example", paint_example},
      {"win.retry", retry},       {"win.stop", stop},
      {"win.new", new_picture},   {"win.open-model", open_model},
      {"win.use-demo", use_demo}, {"win.escape", escape},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(actions); i++)
    gtk_widget_class_install_action(widget_class, actions[i].name, NULL, actions[i].activate);
  limner_window_install_picture_actions(widget_class);
  limner_window_install_library_actions(widget_class);
  limner_window_install_draft_actions(widget_class);
  limner_window_install_recipe_actions(widget_class);
  limner_window_install_tree_actions(widget_class);
  limner_window_install_compare_actions(widget_class);
  limner_window_install_queue_actions(widget_class);
  limner_window_install_grid_actions(widget_class);
  limner_window_install_device_actions(widget_class);
}

static void limner_window_class_init(LimnerWindowClass *klass) {
  G_OBJECT_CLASS(klass)->dispose = limner_window_dispose;
  GTK_WINDOW_CLASS(klass)->close_request = limner_window_close_request;
  g_type_ensure(LIMNER_TYPE_CONTROLS);
  g_type_ensure(LIMNER_TYPE_GALLERY);
  g_type_ensure(LIMNER_TYPE_GRID);
  g_type_ensure(LIMNER_TYPE_LARGE_VIEW);
  g_type_ensure(LIMNER_TYPE_LIBRARY_PAGE);
  g_type_ensure(LIMNER_TYPE_QUEUE_LIST);
  g_type_ensure(LIMNER_TYPE_TREE);
  bind_template(GTK_WIDGET_CLASS(klass));
  install_actions(GTK_WIDGET_CLASS(klass));
}

// GTK 4.8 leaves the button that closes an info bar without a name.
static void name_close_button(GtkWidget *widget) {
  if (GTK_IS_BUTTON(widget))
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Close"), -1);
  for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
       child = gtk_widget_get_next_sibling(child))
    name_close_button(child);
}

static void limner_window_init(LimnerWindow *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  limner_window_init_library(self);
  limner_window_init_tree(self);
  limner_window_init_recipes(self);
  limner_window_init_opening(self);
  g_signal_connect_object(self->flap, "notify::folded", G_CALLBACK(on_folded), self,
                          G_CONNECT_SWAPPED);
  name_close_button(GTK_WIDGET(self->message_bar));
  g_autoptr(GPropertyAction) controls =
      g_property_action_new("controls", self->flap, "reveal-flap");
  g_action_map_add_action(G_ACTION_MAP(self), G_ACTION(controls));
  self->job_signals = g_signal_group_new(LIMNER_TYPE_JOB);
  g_signal_group_connect_swapped(self->job_signals, "notify::state", G_CALLBACK(on_job_state),
                                 self);
  g_signal_group_connect_swapped(self->job_signals, "notify::n-done", G_CALLBACK(update_title),
                                 self);
}
