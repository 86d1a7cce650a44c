// SPDX-License-Identifier: MIT
// The large view follows its sample.
#include "ui/limner-large-view.h"

#include "ui/limner-canvas.h"
#include "ui/limner-kept.h"
#include "ui/limner-seen.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

struct _LimnerLargeView {
  GtkWidget parent_instance;
  // Template
  GtkWidget *header;
  AdwToastOverlay *toasts;
  AdwWindowTitle *title;
  GtkToggleButton *original_button;
  GtkToggleButton *before_button;
  GtkButton *favourite_button;
  GtkStack *stack;
  GtkPicture *picture;
  LimnerSeen *before;
  // Owned
  LimnerSample *sample;
  GSignalGroup *sample_signals;
};

G_DEFINE_FINAL_TYPE(LimnerLargeView, limner_large_view, GTK_TYPE_WIDGET)

static void update_picture(LimnerLargeView *self) {
  LimnerPicture *picture = self->sample ? limner_sample_get_picture(self->sample) : NULL;
  g_autoptr(GdkTexture) texture = picture ? limner_texture_new(picture) : NULL;
  gtk_picture_set_paintable(self->picture, GDK_PAINTABLE(texture));
}

// Fitted pictures fill the view; at its own size a picture lies in the middle.
static void update_fit(LimnerLargeView *self) {
  const gboolean is_original = gtk_toggle_button_get_active(self->original_button);
  const GtkAlign align = is_original ? GTK_ALIGN_CENTER : GTK_ALIGN_FILL;
  gtk_widget_set_halign(GTK_WIDGET(self->stack), align);
  gtk_widget_set_valign(GTK_WIDGET(self->stack), align);
}

// --- the picture it was made from ----------------------------------------------------------------

static void update_before(LimnerLargeView *self) {
  const gboolean is_before = gtk_toggle_button_get_active(self->before_button);
  gtk_stack_set_visible_child(self->stack,
                              GTK_WIDGET(is_before ? (gpointer)self->before : self->picture));
}

static void set_before(LimnerLargeView *self, LimnerSample *sample) {
  const LimnerRequest *request = sample ? limner_sample_get_request(sample) : NULL;
  LimnerInput *input = request ? request->input : NULL;
  limner_seen_set(self->before, input, request ? request->fit : JANUS_FIT_PAD);
  gtk_widget_set_visible(GTK_WIDGET(self->before_button), input != NULL);
  gtk_toggle_button_set_active(self->before_button, FALSE);
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

void limner_large_view_set_sample(LimnerLargeView *self, LimnerSample *sample) {
  if (!g_set_object(&self->sample, sample))
    return;
  g_signal_group_set_target(self->sample_signals, sample);
  update_picture(self);
  set_before(self, sample);
  if (!sample)
    return;
  const LimnerRequest *request = limner_sample_get_request(sample);
  g_autofree char *words = limner_words_for_sample(sample);
  const char *prompt = request->prompt;
  adw_window_title_set_title(self->title, *prompt ? prompt : _("No prompt"));
  limner_large_view_update_entry(self);
  gtk_picture_set_alternative_text(self->picture, words);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->stack), GTK_ACCESSIBLE_PROPERTY_LABEL, words,
                                 -1);
}

LimnerSample *limner_large_view_get_sample(LimnerLargeView *self) {
  return self->sample;
}

AdwToastOverlay *limner_large_view_get_toasts(LimnerLargeView *self) {
  return self->toasts;
}

static gboolean limner_large_view_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(GTK_WIDGET(LIMNER_LARGE_VIEW(widget)->stack));
}

static void limner_large_view_dispose(GObject *object) {
  LimnerLargeView *self = LIMNER_LARGE_VIEW(object);
  g_clear_object(&self->sample_signals);
  g_clear_object(&self->sample);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_LARGE_VIEW);
  G_OBJECT_CLASS(limner_large_view_parent_class)->dispose(object);
}

static void limner_large_view_class_init(LimnerLargeViewClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_large_view_dispose;
  g_type_ensure(LIMNER_TYPE_SEEN);
  widget_class->grab_focus = limner_large_view_grab_focus;
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-large-view.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, title);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, header);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, before_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, favourite_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, stack);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, before);
  gtk_widget_class_bind_template_callback(widget_class, update_before);
  gtk_widget_class_bind_template_callback(widget_class, on_key_pressed);
  gtk_widget_class_bind_template_callback(widget_class, on_key_released);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, original_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLargeView, picture);
}

static void limner_large_view_init(LimnerLargeView *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->stack), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("No picture"), -1);
  self->sample_signals = g_signal_group_new(LIMNER_TYPE_SAMPLE);
  g_signal_group_connect_swapped(self->sample_signals, "notify::picture",
                                 G_CALLBACK(update_picture), self);
  g_signal_connect_object(self->original_button, "notify::active", G_CALLBACK(update_fit), self,
                          G_CONNECT_SWAPPED);
}
