// SPDX-License-Identifier: MIT
// Showing a job's words and fraction as they change.
#include "ui/limner-progress.h"

#include "app/draft.h"
#include "ui/limner-words.h"

#include <adwaita.h>
#include <glib/gi18n.h>

struct _LimnerProgress {
  GtkWidget parent_instance;
  // Template
  GtkWidget *row;
  GtkLabel *words_label;
  GtkWidget *stop_button;
  GtkWidget *draft_box;
  GtkProgressBar *bar;
  // Owned
  LimnerJob *job;
  GSignalGroup *job_signals;
};

G_DEFINE_FINAL_TYPE(LimnerProgress, limner_progress, GTK_TYPE_WIDGET)

static void update(LimnerProgress *self) {
  const gboolean failed = self->job && limner_job_get_state(self->job) == LIMNER_JOB_FAILED;
  // A failure is told where the pictures would be.
  gtk_widget_set_visible(GTK_WIDGET(self), self->job && !failed);
  if (!self->job)
    return;
  const gboolean is_over = limner_job_is_over(self->job);
  g_autofree char *words = limner_words_for_job(self->job);
  gtk_label_set_label(self->words_label, words);
  const gboolean is_stopped = limner_job_get_state(self->job) == LIMNER_JOB_CANCELLED;
  gtk_widget_set_visible(self->stop_button, !is_over);
  gtk_widget_set_visible(self->draft_box, is_stopped && limner_job_get_draft_id(self->job));
  gtk_widget_set_visible(GTK_WIDGET(self->bar), !is_over);
  gtk_progress_bar_set_fraction(self->bar, limner_words_get_fraction(self->job));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->bar), GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT,
                                 words, -1);
}

void limner_progress_set_job(LimnerProgress *self, LimnerJob *job) {
  if (!g_set_object(&self->job, job))
    return;
  g_signal_group_set_target(self->job_signals, job);
  update(self);
}

static void limner_progress_dispose(GObject *object) {
  LimnerProgress *self = LIMNER_PROGRESS(object);
  g_clear_object(&self->job_signals);
  g_clear_object(&self->job);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_PROGRESS);
  G_OBJECT_CLASS(limner_progress_parent_class)->dispose(object);
}

static void limner_progress_class_init(LimnerProgressClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_progress_dispose;
  g_type_ensure(ADW_TYPE_SPLIT_BUTTON);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-progress.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerProgress, words_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerProgress, row);
  gtk_widget_class_bind_template_child(widget_class, LimnerProgress, stop_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerProgress, draft_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerProgress, bar);
}

// libadwaita names neither half of its button.
static void name_halves(GtkWidget *button) {
  for (GtkWidget *half = gtk_widget_get_first_child(button); half;
       half = gtk_widget_get_next_sibling(half)) {
    const char *name = GTK_IS_MENU_BUTTON(half) ? _("How to stop") : _("Stop");
    GtkWidget *inner = GTK_IS_MENU_BUTTON(half) ? gtk_widget_get_first_child(half) : half;
    gtk_accessible_update_property(GTK_ACCESSIBLE(half), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    gtk_accessible_update_property(GTK_ACCESSIBLE(inner), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
  }
}

static void limner_progress_init(LimnerProgress *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  name_halves(self->stop_button);
  self->job_signals = g_signal_group_new(LIMNER_TYPE_JOB);
  g_signal_group_connect_swapped(self->job_signals, "notify", G_CALLBACK(update), self);
}
