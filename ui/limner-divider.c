// SPDX-License-Identifier: MIT
// A line with a knob; its parent puts it where its position says.
#include "ui/limner-divider.h"

#include <glib/gi18n.h>

#define LINE_PX 2.0f
#define KNOB_PX 24.0f
#define STEP 0.02
#define PAGE 0.1

struct _LimnerDivider {
  GtkWidget parent_instance;
  // Plain
  double position;
  double start_px, range_px; // of the pictures, in the parent
};

G_DEFINE_FINAL_TYPE(LimnerDivider, limner_divider, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_POSITION, N_PROPS };
static GParamSpec *properties[N_PROPS];

static void update_value(LimnerDivider *self) {
  g_autofree char *text = g_strdup_printf(_("%.0f %%"), 100 * self->position);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_VALUE_MIN, 0.0,
                                 GTK_ACCESSIBLE_PROPERTY_VALUE_MAX, 1.0,
                                 GTK_ACCESSIBLE_PROPERTY_VALUE_NOW, self->position,
                                 GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT, text, -1);
}

double limner_divider_get_position(LimnerDivider *self) {
  return self->position;
}

void limner_divider_set_position(LimnerDivider *self, double position) {
  const double clamped = CLAMP(position, 0, 1);
  if (clamped == self->position)
    return;
  self->position = clamped;
  update_value(self);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_POSITION]);
}

void limner_divider_set_range(LimnerDivider *self, double start_px, double range_px) {
  self->start_px = start_px;
  self->range_px = range_px;
}

// --- moving it -----------------------------------------------------------------------------------

static gboolean on_key_pressed(LimnerDivider *self, guint key, guint code, GdkModifierType state) {
  const double step = state & GDK_SHIFT_MASK ? PAGE : STEP;
  if (state & (GDK_CONTROL_MASK | GDK_ALT_MASK))
    return GDK_EVENT_PROPAGATE;
  if (key == GDK_KEY_Left || key == GDK_KEY_KP_Left)
    limner_divider_set_position(self, self->position - step);
  else if (key == GDK_KEY_Right || key == GDK_KEY_KP_Right)
    limner_divider_set_position(self, self->position + step);
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
  if (gtk_widget_has_visible_focus(widget))
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

static void limner_divider_get_property(GObject *object, guint id, GValue *value,
                                        GParamSpec *pspec) {
  g_value_set_double(value, LIMNER_DIVIDER(object)->position);
}

static void limner_divider_set_property(GObject *object, guint id, const GValue *value,
                                        GParamSpec *pspec) {
  limner_divider_set_position(LIMNER_DIVIDER(object), g_value_get_double(value));
}

static void limner_divider_class_init(LimnerDividerClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  object_class->get_property = limner_divider_get_property;
  object_class->set_property = limner_divider_set_property;
  widget_class->snapshot = limner_divider_snapshot;
  widget_class->measure = limner_divider_measure;
  properties[PROP_POSITION] =
      g_param_spec_double("position", NULL, NULL, 0, 1, 0.5,
                          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_properties(object_class, N_PROPS, properties);
  gtk_widget_class_set_css_name(widget_class, "divider");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_SLIDER);
}

static void limner_divider_init(LimnerDivider *self) {
  GtkEventController *keys = gtk_event_controller_key_new();
  GtkGesture *drag = gtk_gesture_drag_new();
  self->position = 0.5;
  g_signal_connect_swapped(keys, "key-pressed", G_CALLBACK(on_key_pressed), self);
  g_signal_connect_swapped(drag, "drag-begin", G_CALLBACK(on_drag_begin), self);
  g_signal_connect_swapped(drag, "drag-update", G_CALLBACK(on_drag_update), self);
  gtk_widget_add_controller(GTK_WIDGET(self), keys);
  gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(drag));
  gtk_widget_set_focusable(GTK_WIDGET(self), TRUE);
  gtk_widget_set_cursor_from_name(GTK_WIDGET(self), "col-resize");
  gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Where one picture gives way to the other"), -1);
  update_value(self);
}
