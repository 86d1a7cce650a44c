// SPDX-License-Identifier: MIT
// A line with a knob; its parent puts it where its position says.
//
// GTK 4.8 tells assistive programs values of its own widgets alone: an unseen scale inside has the
// value, the keyboard's focus and the name.
#include "ui/limner-divider.h"

#include <glib/gi18n.h>

#define LINE_PX 2.0f
#define KNOB_PX 24.0f
#define PERCENT 100.0
#define STEP 0.02
#define PAGE 0.1

struct _LimnerDivider {
  GtkWidget parent_instance;
  // Children
  GtkWidget *scale;
  // Borrowed
  GtkAdjustment *adjustment; // the scale's, in percent
  // Plain
  double start_px, range_px; // of the pictures, in the parent
};

G_DEFINE_FINAL_TYPE(LimnerDivider, limner_divider, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_POSITION, N_PROPS };
static GParamSpec *properties[N_PROPS];

static void update_words(LimnerDivider *self) {
  g_autofree char *text = g_strdup_printf(_("%.0f %%"), gtk_adjustment_get_value(self->adjustment));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->scale), GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT,
                                 text, -1);
}

static void on_value_changed(LimnerDivider *self) {
  update_words(self);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_POSITION]);
}

double limner_divider_get_position(LimnerDivider *self) {
  return gtk_adjustment_get_value(self->adjustment) / PERCENT;
}

void limner_divider_set_position(LimnerDivider *self, double position) {
  gtk_adjustment_set_value(self->adjustment, PERCENT * position);
}

void limner_divider_set_range(LimnerDivider *self, double start_px, double range_px) {
  self->start_px = start_px;
  self->range_px = range_px;
}

// --- moving it -----------------------------------------------------------------------------------

// Left is left, whatever the direction of the text: the pictures have none.
static gboolean on_key_pressed(LimnerDivider *self, guint key, guint code, GdkModifierType state) {
  const double position = limner_divider_get_position(self);
  const double step = state & GDK_SHIFT_MASK ? PAGE : STEP;
  if (state & (GDK_CONTROL_MASK | GDK_ALT_MASK))
    return GDK_EVENT_PROPAGATE;
  if (key == GDK_KEY_Left || key == GDK_KEY_KP_Left)
    limner_divider_set_position(self, position - step);
  else if (key == GDK_KEY_Right || key == GDK_KEY_KP_Right)
    limner_divider_set_position(self, position + step);
  else if (key == GDK_KEY_Home || key == GDK_KEY_KP_Home)
    limner_divider_set_position(self, 0);
  else if (key == GDK_KEY_End || key == GDK_KEY_KP_End)
    limner_divider_set_position(self, 1);
  else
    return GDK_EVENT_PROPAGATE;
  return GDK_EVENT_STOP;
}

static void on_drag_begin(LimnerDivider *self, double x, double y, GtkGesture *gesture) {
  gtk_widget_grab_focus(GTK_WIDGET(self));
  gtk_gesture_set_state(gesture, GTK_EVENT_SEQUENCE_CLAIMED);
}

// The line moves away from under the pointer: where that is, is asked in the parent.
static void on_drag_update(LimnerDivider *self, double dx, double dy, GtkGesture *gesture) {
  GtkWidget *parent = gtk_widget_get_parent(GTK_WIDGET(self));
  double x = 0, y = 0;
  graphene_point_t there;
  gtk_gesture_drag_get_start_point(GTK_GESTURE_DRAG(gesture), &x, &y);
  if (parent && self->range_px > 0 &&
      gtk_widget_compute_point(GTK_WIDGET(self), parent,
                               &GRAPHENE_POINT_INIT((float)(x + dx), (float)y), &there))
    limner_divider_set_position(self, (there.x - self->start_px) / self->range_px);
}

// --- the object ----------------------------------------------------------------------------------

static void limner_divider_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  const float width = (float)gtk_widget_get_width(widget);
  const float height = (float)gtk_widget_get_height(widget);
  const GdkRGBA light = {1, 1, 1, 0.95f}, dark = {0, 0, 0, 0.5f};
  GdkRGBA accent = light;
  if (gtk_widget_has_visible_focus(LIMNER_DIVIDER(widget)->scale))
    gtk_style_context_lookup_color(gtk_widget_get_style_context(widget), "accent_bg_color",
                                   &accent);
  const float x = (width - LINE_PX) / 2;
  gtk_snapshot_append_color(snapshot, &dark, &GRAPHENE_RECT_INIT(x - 1, 0, LINE_PX + 2, height));
  gtk_snapshot_append_color(snapshot, &light, &GRAPHENE_RECT_INIT(x, 0, LINE_PX, height));
  GskRoundedRect knob;
  const graphene_rect_t bounds =
      GRAPHENE_RECT_INIT((width - KNOB_PX) / 2, (height - KNOB_PX) / 2, KNOB_PX, KNOB_PX);
  gsk_rounded_rect_init_from_rect(&knob, &bounds, KNOB_PX / 2);
  gtk_snapshot_push_rounded_clip(snapshot, &knob);
  gtk_snapshot_append_color(snapshot, &accent, &bounds);
  gtk_snapshot_pop(snapshot);
  const float edges[4] = {1, 1, 1, 1};
  const GdkRGBA colors[4] = {dark, dark, dark, dark};
  gtk_snapshot_append_border(snapshot, &knob, edges, colors);
}

static void limner_divider_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                   int *minimum, int *natural, int *minimum_baseline,
                                   int *natural_baseline) {
  *minimum = *natural = (int)KNOB_PX;
}

// As large as it has to be: it is not seen.
static void limner_divider_size_allocate(GtkWidget *widget, int width, int height, int baseline) {
  GtkWidget *scale = LIMNER_DIVIDER(widget)->scale;
  int least_width = 0, least_height = 0;
  gtk_widget_measure(scale, GTK_ORIENTATION_HORIZONTAL, -1, &least_width, NULL, NULL, NULL);
  gtk_widget_measure(scale, GTK_ORIENTATION_VERTICAL, -1, &least_height, NULL, NULL, NULL);
  const GtkAllocation at = {0, 0, MAX(width, least_width), MAX(height, least_height)};
  gtk_widget_size_allocate(scale, &at, -1);
}

static gboolean limner_divider_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(LIMNER_DIVIDER(widget)->scale);
}

static void limner_divider_get_property(GObject *object, guint id, GValue *value,
                                        GParamSpec *pspec) {
  g_value_set_double(value, limner_divider_get_position(LIMNER_DIVIDER(object)));
}

static void limner_divider_set_property(GObject *object, guint id, const GValue *value,
                                        GParamSpec *pspec) {
  limner_divider_set_position(LIMNER_DIVIDER(object), g_value_get_double(value));
}

static void limner_divider_dispose(GObject *object) {
  g_clear_pointer(&LIMNER_DIVIDER(object)->scale, gtk_widget_unparent);
  G_OBJECT_CLASS(limner_divider_parent_class)->dispose(object);
}

static void limner_divider_class_init(LimnerDividerClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  object_class->get_property = limner_divider_get_property;
  object_class->set_property = limner_divider_set_property;
  object_class->dispose = limner_divider_dispose;
  widget_class->snapshot = limner_divider_snapshot;
  widget_class->measure = limner_divider_measure;
  widget_class->size_allocate = limner_divider_size_allocate;
  widget_class->grab_focus = limner_divider_grab_focus;
  properties[PROP_POSITION] =
      g_param_spec_double("position", NULL, NULL, 0, 1, 0.5,
                          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_properties(object_class, N_PROPS, properties);
  gtk_widget_class_set_css_name(widget_class, "divider");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_GROUP);
}

static void add_scale(LimnerDivider *self) {
  self->scale = gtk_scale_new_with_range(GTK_ORIENTATION_HORIZONTAL, 0, PERCENT, PERCENT * STEP);
  self->adjustment = gtk_range_get_adjustment(GTK_RANGE(self->scale));
  gtk_adjustment_set_value(self->adjustment, PERCENT / 2);
  gtk_widget_set_can_target(self->scale, FALSE);
  gtk_widget_set_parent(self->scale, GTK_WIDGET(self));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->scale), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Where one picture gives way to the other"), -1);
  g_signal_connect_object(self->adjustment, "value-changed", G_CALLBACK(on_value_changed), self,
                          G_CONNECT_SWAPPED);
  update_words(self);
}

static void limner_divider_init(LimnerDivider *self) {
  GtkEventController *keys = gtk_event_controller_key_new();
  GtkGesture *drag = gtk_gesture_drag_new();
  add_scale(self);
  gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE); // before the scale's own
  g_signal_connect_swapped(keys, "key-pressed", G_CALLBACK(on_key_pressed), self);
  g_signal_connect_swapped(drag, "drag-begin", G_CALLBACK(on_drag_begin), self);
  g_signal_connect_swapped(drag, "drag-update", G_CALLBACK(on_drag_update), self);
  gtk_widget_add_controller(GTK_WIDGET(self), keys);
  gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(drag));
  gtk_widget_set_cursor_from_name(GTK_WIDGET(self), "col-resize");
}
