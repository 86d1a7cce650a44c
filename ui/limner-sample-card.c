// SPDX-License-Identifier: MIT
// A card makes itself the chosen one and leaves the work to the window's actions.
#include "ui/limner-sample-card.h"

#include "ui/limner-canvas.h"
#include "ui/limner-drag.h"
#include "ui/limner-words.h"

struct _LimnerSampleCard {
  GtkFlowBoxChild parent_instance;
  // Template
  GtkWidget *buttons;
  LimnerCanvas *canvas;
};

G_DEFINE_FINAL_TYPE(LimnerSampleCard, limner_sample_card, GTK_TYPE_FLOW_BOX_CHILD)

static gboolean has_focus_inside(GtkWidget *widget) {
  GtkRoot *root = gtk_widget_get_root(widget);
  GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
  return focus && (focus == widget || gtk_widget_is_ancestor(focus, widget));
}

// The window's actions work on the sample that has the focus.
static void choose_and_activate(GtkWidget *widget, const char *action) {
  GtkWidget *box = gtk_widget_get_parent(widget);
  if (GTK_IS_FLOW_BOX(box) && !gtk_flow_box_child_is_selected(GTK_FLOW_BOX_CHILD(widget)))
    gtk_flow_box_unselect_all(GTK_FLOW_BOX(box));
  if (GTK_IS_FLOW_BOX(box))
    gtk_flow_box_select_child(GTK_FLOW_BOX(box), GTK_FLOW_BOX_CHILD(widget));
  if (!has_focus_inside(widget))
    gtk_widget_grab_focus(widget);
  gtk_widget_activate_action(widget, action, NULL);
}

static void edit(GtkWidget *widget, const char *action, GVariant *parameter) {
  choose_and_activate(widget, "win.edit");
}

static void save(GtkWidget *widget, const char *action, GVariant *parameter) {
  choose_and_activate(widget, "win.save");
}

static void copy(GtkWidget *widget, const char *action, GVariant *parameter) {
  choose_and_activate(widget, "win.copy");
}

LimnerSample *limner_sample_card_get_sample(LimnerSampleCard *self) {
  return limner_canvas_get_sample(self->canvas);
}

void limner_sample_card_set_busy(LimnerSampleCard *self, gboolean busy) {
  limner_canvas_set_busy(self->canvas, busy);
  LimnerSample *sample = limner_sample_card_get_sample(self);
  const gboolean can_use =
      sample && limner_sample_get_picture(sample) && (!busy || limner_sample_get_finished(sample));
  gtk_widget_set_visible(self->buttons, can_use);
}

GtkWidget *limner_sample_card_new(LimnerSample *sample) {
  LimnerSampleCard *self = g_object_new(LIMNER_TYPE_SAMPLE_CARD, NULL);
  g_autofree char *words = limner_words_for_sample(sample);
  limner_canvas_set_sample(self->canvas, sample);
  limner_sample_card_set_busy(self, FALSE);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_LABEL, words, -1);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->canvas), GTK_ACCESSIBLE_PROPERTY_LABEL, words,
                                 -1);
  return GTK_WIDGET(self);
}

static void limner_sample_card_dispose(GObject *object) {
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_SAMPLE_CARD);
  G_OBJECT_CLASS(limner_sample_card_parent_class)->dispose(object);
}

static void limner_sample_card_class_init(LimnerSampleCardClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_sample_card_dispose;
  g_type_ensure(LIMNER_TYPE_CANVAS);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-sample-card.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerSampleCard, buttons);
  gtk_widget_class_bind_template_child(widget_class, LimnerSampleCard, canvas);
  gtk_widget_class_install_action(widget_class, "card.edit", NULL, edit);
  gtk_widget_class_install_action(widget_class, "card.save", NULL, save);
  gtk_widget_class_install_action(widget_class, "card.copy", NULL, copy);
}

static void limner_sample_card_init(LimnerSampleCard *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  limner_canvas_make_draggable(self->canvas);
}
