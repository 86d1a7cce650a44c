// SPDX-License-Identifier: MIT
// The large view follows its sample, and puts on its stage what is to be seen of it.
#include "ui/limner-large-view.h"

#include "ui/limner-canvas.h"
#include "ui/limner-kept.h"
#include "ui/limner-seen.h"
#include "ui/limner-stage.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

#define ZOOM_STEP 1.5
#define PAN_STEP_PX 80

typedef enum { AGAINST_NOTHING, AGAINST_ORIGIN, AGAINST_OTHER } Against;

struct _LimnerLargeView {
  GtkWidget parent_instance;
  // Template
  GtkWidget *header;
  AdwToastOverlay *toasts;
  AdwWindowTitle *title;
  GtkToggleButton *original_button;
  GtkToggleButton *before_button;
  GtkToggleButton *compare_button;
  GtkButton *favourite_button;
  LimnerStage *stage;
  GtkWidget *compare_bar;
  GtkToggleButton *slider_button;
  GtkToggleButton *sides_button;
  GMenu *origin_section;
  // Owned
  LimnerSample *sample;
  GSignalGroup *sample_signals;
  GdkTexture *texture;   // of the sample
  GdkTexture *before;    // the picture it was made from; NULL = none, or not worked out yet
  GCancellable *fitting; // which is being worked out; NULL = nothing under way
  LimnerPicture *other;  // that it is compared with; NULL = none
  GdkTexture *other_texture;
  char *other_name;
  // Plain
  Against against;
  gboolean is_updating; // the buttons follow the stage, not the other way round
};

G_DEFINE_FINAL_TYPE(LimnerLargeView, limner_large_view, GTK_TYPE_WIDGET)

// --- the stage -----------------------------------------------------------------------------------

static gboolean has_input(LimnerLargeView *self) {
  return self->sample && limner_sample_get_request(self->sample)->input;
}

static GdkTexture *get_partner(LimnerLargeView *self) {
  return self->against == AGAINST_ORIGIN  ? self->before
         : self->against == AGAINST_OTHER ? self->other_texture
                                          : NULL;
}

static void update_names(LimnerLargeView *self) {
  if (self->against == AGAINST_ORIGIN)
    limner_stage_set_names(self->stage, _("After"), _("Before"));
  else if (self->against == AGAINST_OTHER)
    limner_stage_set_names(self->stage, _("This One"), self->other_name);
  else
    limner_stage_set_names(self->stage, "", "");
}

static void update_label(LimnerLargeView *self) {
  g_autofree char *words =
      self->sample ? limner_words_for_sample(self->sample) : g_strdup(_("No picture"));
  const char *other = self->against == AGAINST_OTHER    ? self->other_name
                      : self->against == AGAINST_ORIGIN ? _("the picture it was made from")
                                                        : NULL;
  // Translators: two pictures, each in a few words
  g_autofree char *both = other ? g_strdup_printf(_("%s, compared with: %s"), words, other) : NULL;
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->stage), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 both ? both : words, -1);
}

static void update_stage(LimnerLargeView *self) {
  const gboolean is_before = gtk_toggle_button_get_active(self->before_button) && self->before;
  GdkTexture *partner = is_before ? NULL : get_partner(self);
  limner_stage_set_pictures(self->stage, is_before ? self->before : self->texture, partner);
  limner_stage_set_mode(self->stage, !partner ? LIMNER_STAGE_ONE
                                     : gtk_toggle_button_get_active(self->sides_button)
                                         ? LIMNER_STAGE_SIDES
                                         : LIMNER_STAGE_SLIDER);
  update_names(self);
  update_label(self);
}

static void update_picture(LimnerLargeView *self) {
  LimnerPicture *picture = self->sample ? limner_sample_get_picture(self->sample) : NULL;
  g_clear_object(&self->texture);
  self->texture = picture ? limner_texture_new(picture) : NULL;
  update_stage(self);
}

// --- zoom ----------------------------------------------------------------------------------------

static void on_zoomed(LimnerLargeView *self) {
  self->is_updating = TRUE;
  gtk_toggle_button_set_active(self->original_button, limner_stage_get_scale(self->stage) == 1 &&
                                                          !limner_stage_fits(self->stage));
  self->is_updating = FALSE;
}

static void on_original_toggled(LimnerLargeView *self) {
  if (!self->is_updating)
    limner_stage_set_zoom(self->stage, gtk_toggle_button_get_active(self->original_button) ? 1 : 0);
}

static void zoom_in(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_stage_zoom_by(LIMNER_LARGE_VIEW(widget)->stage, ZOOM_STEP);
}

static void zoom_out(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_stage_zoom_by(LIMNER_LARGE_VIEW(widget)->stage, 1 / ZOOM_STEP);
}

static void zoom_fit(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_stage_set_zoom(LIMNER_LARGE_VIEW(widget)->stage, 0);
}

static void zoom_original(GtkWidget *widget, const char *action, GVariant *parameter) {
  limner_stage_set_zoom(LIMNER_LARGE_VIEW(widget)->stage, 1);
}

static void pan(GtkWidget *widget, const char *action, GVariant *parameter) {
  int x = 0, y = 0;
  g_variant_get(parameter, "(ii)", &x, &y);
  limner_stage_pan(LIMNER_LARGE_VIEW(widget)->stage, x * PAN_STEP_PX, y * PAN_STEP_PX);
}

// --- comparing -----------------------------------------------------------------------------------

// With a line to be moved, the keys move that.
static void focus_stage(LimnerLargeView *self) {
  GtkWidget *divider = limner_stage_get_divider(self->stage);
  gtk_widget_grab_focus(gtk_widget_get_visible(divider) ? divider : GTK_WIDGET(self->stage));
}

static void set_against(LimnerLargeView *self, Against against) {
  self->against = against;
  if (against != AGAINST_OTHER) {
    g_clear_pointer(&self->other, limner_picture_unref);
    g_clear_object(&self->other_texture);
  }
  gtk_toggle_button_set_active(self->before_button, FALSE);
  gtk_toggle_button_set_active(self->compare_button, against != AGAINST_NOTHING);
  gtk_widget_set_visible(self->compare_bar, against != AGAINST_NOTHING);
  update_stage(self);
  focus_stage(self);
}

gboolean limner_large_view_compare_origin(LimnerLargeView *self) {
  if (!has_input(self))
    return FALSE;
  set_against(self, AGAINST_ORIGIN);
  return TRUE;
}

void limner_large_view_compare(LimnerLargeView *self, LimnerPicture *other, const char *name) {
  g_autoptr(LimnerPicture) kept = limner_picture_ref(other);
  g_clear_pointer(&self->other, limner_picture_unref);
  g_clear_object(&self->other_texture);
  g_free(self->other_name);
  self->other = g_steal_pointer(&kept);
  self->other_texture = limner_texture_new(other);
  self->other_name = g_strdup(name);
  set_against(self, AGAINST_OTHER);
}

// The window knows what there is to compare with.
static void on_compare_toggled(LimnerLargeView *self) {
  if (gtk_toggle_button_get_active(self->compare_button) != (self->against != AGAINST_NOTHING))
    gtk_widget_activate_action(GTK_WIDGET(self), "win.compare", NULL);
  gtk_toggle_button_set_active(self->compare_button, self->against != AGAINST_NOTHING);
}

static void toggle_sides(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerLargeView *self = LIMNER_LARGE_VIEW(widget);
  const gboolean is_sides = gtk_toggle_button_get_active(self->sides_button);
  if (self->against == AGAINST_NOTHING)
    return;
  gtk_toggle_button_set_active(is_sides ? self->slider_button : self->sides_button, TRUE);
  focus_stage(self);
}

void limner_large_view_end_comparing(LimnerLargeView *self) {
  set_against(self, AGAINST_NOTHING);
}

gboolean limner_large_view_is_comparing(LimnerLargeView *self) {
  return self->against != AGAINST_NOTHING;
}

// --- the picture it was made from ----------------------------------------------------------------

// A view that goes cancels first, so that it is there unless the fitting was cancelled.
static void on_fitted(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GdkTexture) texture = limner_seen_fit_finish(result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerLargeView *self = data;
  g_clear_object(&self->fitting);
  g_set_object(&self->before, texture);
  update_stage(self);
}

static void set_before(LimnerLargeView *self) {
  const LimnerRequest *request = self->sample ? limner_sample_get_request(self->sample) : NULL;
  if (self->fitting)
    g_cancellable_cancel(self->fitting);
  g_clear_object(&self->fitting);
  g_clear_object(&self->before);
  if (has_input(self)) {
    self->fitting = g_cancellable_new();
    limner_seen_fit_async(request->input, request->fit, self->fitting, on_fitted, self);
  }
  gtk_widget_set_visible(GTK_WIDGET(self->before_button), has_input(self));
  gtk_toggle_button_set_active(self->before_button, FALSE);
  g_menu_remove_all(self->origin_section);
  if (!has_input(self))
    return;
  g_menu_append(self->origin_section, _("The Picture It Was Made From"),
                "win.compare-with::origin");
  g_menu_append(self->origin_section, _("The First Picture of Its Chain"),
                "win.compare-with::first");
}

// Held, as one lifts a sheet to see what lies below.
static gboolean show_before(LimnerLargeView *self, guint key, gboolean is_down) {
  const gboolean is_space = key == GDK_KEY_space || key == GDK_KEY_KP_Space;
  if (!is_space || !gtk_widget_get_visible(GTK_WIDGET(self->before_button)))
    return GDK_EVENT_PROPAGATE;
  gtk_toggle_button_set_active(self->before_button, is_down);
  return GDK_EVENT_STOP;
}

static gboolean on_key_pressed(LimnerLargeView *self, guint key) {
  return show_before(self, key, TRUE);
}

static void on_key_released(LimnerLargeView *self, guint key) {
  show_before(self, key, FALSE);
}

// --- the sample ----------------------------------------------------------------------------------

// "Sample 2 of 4 – seed 7"; of one of the library when it was made instead. Owned.
static char *dup_made(LimnerSample *sample, LimnerEntry *entry) {
  const LimnerRequest *request = limner_sample_get_request(sample);
  g_autofree char *seed = g_strdup_printf("%" G_GUINT64_FORMAT, request->seed);
  if (!entry)
    return g_strdup_printf(_("Sample %u of %d – seed %s"), limner_sample_get_index(sample) + 1,
                           request->n_samples, seed);
  g_autofree char *time = limner_words_for_time(limner_entry_get_facts(entry)->made_us);
  return g_strdup_printf(_("Sample %u – seed %s – %s"), limner_sample_get_index(sample) + 1, seed,
                         time);
}

void limner_large_view_update_entry(LimnerLargeView *self) {
  if (!self->sample)
    return;
  LimnerEntry *entry = limner_sample_get_entry(self->sample);
  const gboolean is_favourite = entry && limner_entry_get_facts(entry)->is_favourite;
  g_autofree char *made = dup_made(self->sample, entry);
  adw_window_title_set_subtitle(self->title, made);
  gtk_widget_set_visible(GTK_WIDGET(self->favourite_button), entry != NULL);
  gtk_button_set_icon_name(self->favourite_button,
                           is_favourite ? "starred-symbolic" : "non-starred-symbolic");
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->favourite_button),
                                 GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 is_favourite ? _("No favourite any more") : _("Favourite"), -1);
}

// What it is compared with stays, unless it was what the last one was made from, and this one was
// made from nothing.
static void keep_comparing(LimnerLargeView *self) {
  if (self->against != AGAINST_NOTHING &&
      (!self->sample || (self->against == AGAINST_ORIGIN && !has_input(self))))
    limner_large_view_end_comparing(self);
}

void limner_large_view_set_sample(LimnerLargeView *self, LimnerSample *sample) {
  if (!g_set_object(&self->sample, sample))
    return;
  g_signal_group_set_target(self->sample_signals, sample);
  set_before(self);
  update_picture(self);
  keep_comparing(self);
  if (!sample)
    return;
  const char *prompt = limner_sample_get_request(sample)->prompt;
  adw_window_title_set_title(self->title, *prompt ? prompt : _("No prompt"));
  limner_large_view_update_entry(self);
}

LimnerSample *limner_large_view_get_sample(LimnerLargeView *self) {
  return self->sample;
}

AdwToastOverlay *limner_large_view_get_toasts(LimnerLargeView *self) {
  return self->toasts;
}

static gboolean limner_large_view_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(GTK_WIDGET(LIMNER_LARGE_VIEW(widget)->stage));
}

// --- the object ----------------------------------------------------------------------------------

static void limner_large_view_dispose(GObject *object) {
  LimnerLargeView *self = LIMNER_LARGE_VIEW(object);
  if (self->fitting)
    g_cancellable_cancel(self->fitting);
  g_clear_object(&self->fitting);
  g_clear_object(&self->sample_signals);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_LARGE_VIEW);
  g_clear_object(&self->sample);
  g_clear_pointer(&self->other, limner_picture_unref);
  g_clear_pointer(&self->other_name, g_free);
  g_clear_object(&self->texture);
  g_clear_object(&self->before);
  g_clear_object(&self->other_texture);
  G_OBJECT_CLASS(limner_large_view_parent_class)->dispose(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-large-view.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, title);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, header);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, original_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, before_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, compare_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, favourite_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, stage);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, compare_bar);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, sides_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, slider_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, origin_section);
  gtk_widget_class_bind_template_callback(widget_class, update_stage);
  gtk_widget_class_bind_template_callback(widget_class, on_zoomed);
  gtk_widget_class_bind_template_callback(widget_class, on_original_toggled);
  gtk_widget_class_bind_template_callback(widget_class, on_compare_toggled);
  gtk_widget_class_bind_template_callback(widget_class, on_key_pressed);
  gtk_widget_class_bind_template_callback(widget_class, on_key_released);
}

static void limner_large_view_class_init(LimnerLargeViewClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_large_view_dispose;
  g_type_ensure(LIMNER_TYPE_STAGE);
  widget_class->grab_focus = limner_large_view_grab_focus;
  bind_template(widget_class);
  gtk_widget_class_install_action(widget_class, "large.zoom-in", NULL, zoom_in);
  gtk_widget_class_install_action(widget_class, "large.zoom-out", NULL, zoom_out);
  gtk_widget_class_install_action(widget_class, "large.zoom-fit", NULL, zoom_fit);
  gtk_widget_class_install_action(widget_class, "large.zoom-original", NULL, zoom_original);
  gtk_widget_class_install_action(widget_class, "large.sides", NULL, toggle_sides);
  gtk_widget_class_install_action(widget_class, "large.pan", "(ii)", pan);
}

static void limner_large_view_init(LimnerLargeView *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  self->sample_signals = g_signal_group_new(LIMNER_TYPE_SAMPLE);
  g_signal_group_connect_swapped(self->sample_signals, "notify::picture",
                                 G_CALLBACK(update_picture), self);
  update_label(self);
}
