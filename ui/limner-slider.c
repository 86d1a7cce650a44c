// SPDX-License-Identifier: MIT
// One adjustment shown twice, as a slider and as a number, and its way back to the default.
#include "ui/limner-slider.h"

#include <math.h>

struct _LimnerSlider {
  GtkWidget parent_instance;
  // Template
  GtkWidget *row;
  GtkAdjustment *adjustment;
  GtkLabel *title_label;
  GtkWidget *reset_button;
  GtkSpinButton *spin;
  GtkScale *scale;
  // Plain
  double default_value;
  gboolean is_given; // its value was: another default leaves it
};

G_DEFINE_FINAL_TYPE(LimnerSlider, limner_slider, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_TITLE, PROP_HINT, PROP_LOWER, PROP_UPPER, PROP_VALUE, PROP_DEFAULT, N_PROPS };
static GParamSpec *properties[N_PROPS];

static gboolean is_at_default(LimnerSlider *self) {
  return fabs(gtk_adjustment_get_value(self->adjustment) - self->default_value) < 1e-6;
}

static void on_value_changed(LimnerSlider *self) {
  const gboolean can_reset = !is_at_default(self);
  gtk_widget_action_set_enabled(GTK_WIDGET(self), "slider.reset", can_reset);
  gtk_widget_set_opacity(self->reset_button, can_reset ? 1 : 0);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_VALUE]);
}

static void reset(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerSlider *self = LIMNER_SLIDER(widget);
  self->is_given = FALSE;
  gtk_adjustment_set_value(self->adjustment, self->default_value);
  gtk_widget_grab_focus(GTK_WIDGET(self->scale));
}

// A double click on the slider goes back as well.
static void on_pressed(LimnerSlider *self, int n_presses, double x, double y, GtkGesture *gesture) {
  if (n_presses != 2)
    return;
  gtk_gesture_set_state(gesture, GTK_EVENT_SEQUENCE_CLAIMED);
  gtk_widget_activate_action(GTK_WIDGET(self), "slider.reset", NULL);
}

double limner_slider_get_value(LimnerSlider *self) {
  gtk_spin_button_update(self->spin);
  return gtk_adjustment_get_value(self->adjustment);
}

void limner_slider_set_value(LimnerSlider *self, double value) {
  self->is_given = TRUE;
  gtk_adjustment_set_value(self->adjustment, value);
}

void limner_slider_set_default(LimnerSlider *self, double value) {
  const gboolean follows = !self->is_given && is_at_default(self);
  self->default_value = value;
  gtk_scale_clear_marks(self->scale);
  gtk_scale_add_mark(self->scale, value, GTK_POS_BOTTOM, NULL);
  if (follows)
    gtk_adjustment_set_value(self->adjustment, value);
  on_value_changed(self);
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_DEFAULT]);
}

static void limner_slider_get_property(GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec) {
  LimnerSlider *self = LIMNER_SLIDER(object);
  switch (id) {
  case PROP_TITLE:
    g_value_set_string(value, gtk_label_get_label(self->title_label));
    break;
  case PROP_HINT:
    g_value_set_string(value, gtk_widget_get_tooltip_text(GTK_WIDGET(self)));
    break;
  case PROP_LOWER:
    g_value_set_double(value, gtk_adjustment_get_lower(self->adjustment));
    break;
  case PROP_UPPER:
    g_value_set_double(value, gtk_adjustment_get_upper(self->adjustment));
    break;
  case PROP_VALUE:
    g_value_set_double(value, gtk_adjustment_get_value(self->adjustment));
    break;
  case PROP_DEFAULT:
    g_value_set_double(value, self->default_value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void limner_slider_set_property(GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec) {
  LimnerSlider *self = LIMNER_SLIDER(object);
  switch (id) {
  case PROP_TITLE:
    gtk_label_set_label(self->title_label, g_value_get_string(value));
    break;
  case PROP_HINT:
    gtk_widget_set_tooltip_text(GTK_WIDGET(self), g_value_get_string(value));
    break;
  case PROP_LOWER:
    gtk_adjustment_set_lower(self->adjustment, g_value_get_double(value));
    break;
  case PROP_UPPER:
    gtk_adjustment_set_upper(self->adjustment, g_value_get_double(value));
    break;
  case PROP_VALUE:
    gtk_adjustment_set_value(self->adjustment, g_value_get_double(value));
    break;
  case PROP_DEFAULT:
    limner_slider_set_default(self, g_value_get_double(value));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void limner_slider_dispose(GObject *object) {
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_SLIDER);
  G_OBJECT_CLASS(limner_slider_parent_class)->dispose(object);
}

static void install_properties(GObjectClass *object_class) {
  const GParamFlags text = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
  const GParamFlags number = text | G_PARAM_EXPLICIT_NOTIFY;
  const double limit = 1000;
  properties[PROP_TITLE] = g_param_spec_string("title", NULL, NULL, NULL, text);
  properties[PROP_HINT] = g_param_spec_string("hint", NULL, NULL, NULL, text);
  properties[PROP_LOWER] = g_param_spec_double("lower", NULL, NULL, -limit, limit, 0, text);
  properties[PROP_UPPER] = g_param_spec_double("upper", NULL, NULL, -limit, limit, 0, text);
  properties[PROP_VALUE] = g_param_spec_double("value", NULL, NULL, -limit, limit, 0, number);
  properties[PROP_DEFAULT] =
      g_param_spec_double("default-value", NULL, NULL, -limit, limit, 0, number);
  g_object_class_install_properties(object_class, N_PROPS, properties);
}

static void limner_slider_class_init(LimnerSliderClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  object_class->get_property = limner_slider_get_property;
  object_class->set_property = limner_slider_set_property;
  object_class->dispose = limner_slider_dispose;
  install_properties(object_class);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-slider.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, adjustment);
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, row);
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, title_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, reset_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, spin);
  gtk_widget_class_bind_template_child(widget_class, LimnerSlider, scale);
  gtk_widget_class_bind_template_callback(widget_class, on_pressed);
  gtk_widget_class_install_action(widget_class, "slider.reset", NULL, reset);
}

static void limner_slider_init(LimnerSlider *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  g_signal_connect_object(self->adjustment, "value-changed", G_CALLBACK(on_value_changed), self,
                          G_CONNECT_SWAPPED);
  on_value_changed(self);
}
