// SPDX-License-Identifier: MIT
// Loading, dropping and clearing; the newest picture asked for is the one that stays.
#include "ui/limner-drop-zone.h"

#include "ui/limner-pick.h"
#include "ui/limner-seen.h"

#include <glib/gi18n.h>

// A picture that is read sooner needs no words meanwhile.
#define PATIENCE_MS 300

struct _LimnerDropZone {
  GtkWidget parent_instance;
  // Template
  GtkWidget *header;
  GtkWidget *frame;
  GtkWidget *empty_box;
  GtkWidget *full_box;
  LimnerSeen *seen;
  GtkLabel *name_label;
  GtkLabel *size_label;
  GtkWidget *fit_box;
  GtkWidget *recipe_box;
  GtkToggleButton *pad_button;
  GtkToggleButton *crop_button;
  GtkWidget *choose_button;
  GtkWidget *clear_button;
  GtkLabel *note_label;
  // Owned
  LimnerInput *input;
  GCancellable *loading; // NULL = nothing is being read
  // Plain
  guint patience; // source that says a picture is being read; 0 = none
};

G_DEFINE_FINAL_TYPE(LimnerDropZone, limner_drop_zone, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_INPUT, N_PROPS };
static GParamSpec *properties[N_PROPS];

// --- what is shown -------------------------------------------------------------------------------

// A quiet line below, or one sentence of what went wrong; NULL = neither.
static void set_note(LimnerDropZone *self, const char *text, gboolean is_error) {
  gtk_label_set_label(self->note_label, text ? text : "");
  gtk_widget_set_visible(GTK_WIDGET(self->note_label), text != NULL);
  if (is_error)
    gtk_widget_add_css_class(GTK_WIDGET(self->note_label), "error");
  else
    gtk_widget_remove_css_class(GTK_WIDGET(self->note_label), "error");
  if (is_error)
    gtk_widget_remove_css_class(GTK_WIDGET(self->note_label), "dim-label");
  else
    gtk_widget_add_css_class(GTK_WIDGET(self->note_label), "dim-label");
}

static void update_seen(LimnerDropZone *self) {
  limner_seen_set(self->seen, self->input, limner_drop_zone_get_fit(self));
}

static void describe(LimnerDropZone *self) {
  LimnerPicture *picture = limner_input_get_picture(self->input);
  const int width_px = limner_picture_get_width(picture);
  const int height_px = limner_picture_get_height(picture);
  const char *name = limner_input_get_name(self->input);
  g_autofree char *size = g_strdup_printf(_("%d × %d pixels"), width_px, height_px);
  gtk_label_set_label(self->name_label, name);
  gtk_widget_set_tooltip_text(GTK_WIDGET(self->name_label), name);
  gtk_label_set_label(self->size_label, size);
  gtk_widget_set_visible(self->fit_box, width_px != height_px);
}

static void update(LimnerDropZone *self) {
  const gboolean has_input = self->input != NULL;
  if (has_input)
    describe(self);
  gtk_widget_set_visible(self->empty_box, !has_input);
  gtk_widget_set_visible(self->full_box, has_input);
  gtk_widget_set_visible(self->choose_button, has_input);
  gtk_widget_set_visible(self->clear_button, has_input);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "zone.clear", has_input);
  g_autofree char *words = g_strdup_printf(
      _("Picture to change: %s"), has_input ? limner_input_get_name(self->input) : _("none"));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->frame), GTK_ACCESSIBLE_PROPERTY_LABEL, words,
                                 -1);
  update_seen(self);
}

// --- the picture ---------------------------------------------------------------------------------

static void on_impatient(gpointer data) {
  LimnerDropZone *self = data;
  self->patience = 0;
  set_note(self, _("Reading the picture…"), FALSE);
}

static void stop_loading(LimnerDropZone *self) {
  g_clear_handle_id(&self->patience, g_source_remove);
  if (self->loading)
    g_cancellable_cancel(self->loading);
  g_clear_object(&self->loading);
}

static void start_loading(LimnerDropZone *self) {
  stop_loading(self);
  self->loading = g_cancellable_new();
  set_note(self, NULL, FALSE);
  self->patience = g_timeout_add_once(PATIENCE_MS, on_impatient, self);
}

LimnerInput *limner_drop_zone_get_input(LimnerDropZone *self) {
  return self->input;
}

void limner_drop_zone_set_input(LimnerDropZone *self, LimnerInput *input) {
  stop_loading(self);
  set_note(self, NULL, FALSE);
  gtk_widget_set_visible(self->recipe_box, FALSE);
  if (input == self->input)
    return;
  g_clear_pointer(&self->input, limner_input_unref);
  self->input = input ? limner_input_ref(input) : NULL;
  update(self);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_INPUT]);
}

JanusFit limner_drop_zone_get_fit(LimnerDropZone *self) {
  return gtk_toggle_button_get_active(self->crop_button) ? JANUS_FIT_CROP : JANUS_FIT_PAD;
}

void limner_drop_zone_set_fit(LimnerDropZone *self, JanusFit fit) {
  gtk_toggle_button_set_active(fit == JANUS_FIT_CROP ? self->crop_button : self->pad_button, TRUE);
}

gboolean limner_drop_zone_is_loading(LimnerDropZone *self) {
  return self->loading != NULL;
}

// A zone that goes cancels first, so that it is there unless the loading was cancelled.
static void on_picked(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  guint n_files = 0;
  g_autoptr(LimnerInput) input = limner_pick_finish(result, &n_files, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerDropZone *self = data;
  stop_loading(self);
  if (error) {
    set_note(self, error->message, TRUE);
    return;
  }
  limner_drop_zone_set_input(self, input);
  gtk_widget_set_visible(self->recipe_box, limner_input_get_recipe(input) != NULL);
  if (n_files > 1) {
    g_autofree char *note = g_strdup_printf(
        ngettext("The first of %u picture", "The first of %u pictures", n_files), n_files);
    set_note(self, note, FALSE);
  }
}

void limner_drop_zone_load(LimnerDropZone *self, GFile *file) {
  start_loading(self);
  limner_pick_files_async(&file, 1, self->loading, on_picked, self);
}

void limner_drop_zone_paste(LimnerDropZone *self) {
  start_loading(self);
  limner_pick_clipboard_async(gtk_widget_get_clipboard(GTK_WIDGET(self)), self->loading, on_picked,
                              self);
}

static void clear(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerDropZone *self = LIMNER_DROP_ZONE(widget);
  limner_drop_zone_set_input(self, NULL);
  gtk_widget_grab_focus(self->frame);
}

// --- dropping ------------------------------------------------------------------------------------

static GdkDragAction on_drag_enter(LimnerDropZone *self) {
  gtk_widget_add_css_class(self->frame, "over");
  return GDK_ACTION_COPY;
}

static void on_drag_leave(LimnerDropZone *self) {
  gtk_widget_remove_css_class(self->frame, "over");
}

static gboolean on_drop(LimnerDropZone *self, GdkDrop *drop) {
  on_drag_leave(self);
  start_loading(self);
  limner_pick_drop_async(drop, self->loading, on_picked, self);
  return TRUE;
}

static void accept_drops(LimnerDropZone *self) {
  GtkDropTargetAsync *target =
      gtk_drop_target_async_new(limner_pick_dup_formats(), GDK_ACTION_COPY);
  g_signal_connect_swapped(target, "drag-enter", G_CALLBACK(on_drag_enter), self);
  g_signal_connect_swapped(target, "drag-leave", G_CALLBACK(on_drag_leave), self);
  g_signal_connect_swapped(target, "drop", G_CALLBACK(on_drop), self);
  gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(target));
}

// --- the object ----------------------------------------------------------------------------------

static gboolean limner_drop_zone_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(LIMNER_DROP_ZONE(widget)->frame);
}

static void limner_drop_zone_get_property(GObject *object, guint id, GValue *value,
                                          GParamSpec *pspec) {
  g_value_set_boxed(value, LIMNER_DROP_ZONE(object)->input);
}

static void limner_drop_zone_set_property(GObject *object, guint id, const GValue *value,
                                          GParamSpec *pspec) {
  limner_drop_zone_set_input(LIMNER_DROP_ZONE(object), g_value_get_boxed(value));
}

static void limner_drop_zone_dispose(GObject *object) {
  LimnerDropZone *self = LIMNER_DROP_ZONE(object);
  stop_loading(self);
  g_clear_pointer(&self->input, limner_input_unref);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_DROP_ZONE);
  G_OBJECT_CLASS(limner_drop_zone_parent_class)->dispose(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-drop-zone.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, header);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, frame);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, empty_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, full_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, seen);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, name_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, size_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, fit_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, recipe_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, pad_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, crop_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, choose_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, clear_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerDropZone, note_label);
  gtk_widget_class_bind_template_callback(widget_class, update_seen);
}

static void limner_drop_zone_class_init(LimnerDropZoneClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  object_class->get_property = limner_drop_zone_get_property;
  object_class->set_property = limner_drop_zone_set_property;
  object_class->dispose = limner_drop_zone_dispose;
  widget_class->grab_focus = limner_drop_zone_grab_focus;
  properties[PROP_INPUT] =
      g_param_spec_boxed("input", NULL, NULL, LIMNER_TYPE_INPUT,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_properties(object_class, N_PROPS, properties);
  g_type_ensure(LIMNER_TYPE_SEEN);
  gtk_widget_class_set_css_name(widget_class, "dropzone");
  bind_template(widget_class);
  gtk_widget_class_install_action(widget_class, "zone.clear", NULL, clear);
}

static void limner_drop_zone_init(LimnerDropZone *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  // its own label says what the one above says, and the picture's name
  gtk_accessible_reset_relation(GTK_ACCESSIBLE(self->frame), GTK_ACCESSIBLE_RELATION_LABELLED_BY);
  accept_drops(self);
  update(self);
}
