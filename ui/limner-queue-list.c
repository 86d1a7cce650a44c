// SPDX-License-Identifier: MIT
// One row per job, which follows it.
#include "ui/limner-queue-list.h"

#include "ui/limner-words.h"

#include <glib/gi18n.h>

struct _LimnerQueueList {
  GtkWidget parent_instance;
  // Children
  GtkListBox *box;
};

G_DEFINE_FINAL_TYPE(LimnerQueueList, limner_queue_list, GTK_TYPE_WIDGET)

// --- a row ---------------------------------------------------------------------------------------

static void update_words(LimnerJob *job, GParamSpec *pspec, GtkLabel *label) {
  g_autofree char *words = limner_words_for_job(job);
  gtk_label_set_label(label, words);
}

static void update_bar(LimnerJob *job, GParamSpec *pspec, GtkProgressBar *bar) {
  gtk_progress_bar_set_fraction(bar, limner_words_get_fraction(job));
}

static void on_cancel(LimnerJob *job) {
  limner_job_cancel(job);
}

static GtkWidget *new_label(const char *text, const char *css_class) {
  GtkWidget *label = gtk_label_new(text);
  gtk_label_set_xalign(GTK_LABEL(label), 0);
  gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
  gtk_label_set_width_chars(GTK_LABEL(label), 24);
  gtk_label_set_max_width_chars(GTK_LABEL(label), 36);
  gtk_widget_add_css_class(label, css_class);
  return label;
}

static GtkWidget *new_cancel_button(LimnerJob *job, const char *prompt) {
  GtkWidget *button = gtk_button_new_from_icon_name("process-stop-symbolic");
  g_autofree char *label = g_strdup_printf(_("Take “%s” out"), prompt);
  gtk_widget_set_tooltip_text(button, _("Take It Out"));
  gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, label, -1);
  gtk_widget_add_css_class(button, "flat");
  gtk_widget_add_css_class(button, "circular");
  gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
  g_signal_connect_object(button, "clicked", G_CALLBACK(on_cancel), job, G_CONNECT_SWAPPED);
  return button;
}

static GtkWidget *new_row(gpointer item, gpointer data) {
  LimnerJob *job = item;
  const char *prompt = limner_job_get_request(job)->prompt;
  GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 12);
  GtkWidget *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 3);
  GtkWidget *name = new_label(*prompt ? prompt : _("No prompt"), "heading");
  GtkWidget *words = new_label("", "dim-label");
  GtkWidget *bar = gtk_progress_bar_new();
  gtk_accessible_update_relation(GTK_ACCESSIBLE(bar), GTK_ACCESSIBLE_RELATION_LABELLED_BY, name,
                                 NULL, -1);
  gtk_widget_set_hexpand(column, TRUE);
  gtk_box_append(GTK_BOX(column), name);
  gtk_box_append(GTK_BOX(column), words);
  gtk_box_append(GTK_BOX(column), bar);
  gtk_box_append(GTK_BOX(row), column);
  gtk_box_append(GTK_BOX(row), new_cancel_button(job, prompt));
  gtk_widget_add_css_class(row, "queue-row");
  g_signal_connect_object(job, "notify", G_CALLBACK(update_words), words, 0);
  g_signal_connect_object(job, "notify", G_CALLBACK(update_bar), bar, 0);
  update_words(job, NULL, GTK_LABEL(words));
  update_bar(job, NULL, GTK_PROGRESS_BAR(bar));
  return row;
}

// --- the list ------------------------------------------------------------------------------------

void limner_queue_list_set_queue(LimnerQueueList *self, LimnerJobQueue *queue) {
  gtk_list_box_bind_model(self->box, G_LIST_MODEL(queue), new_row, NULL, NULL);
}

static void limner_queue_list_dispose(GObject *object) {
  LimnerQueueList *self = LIMNER_QUEUE_LIST(object);
  if (self->box) {
    gtk_list_box_bind_model(self->box, NULL, NULL, NULL, NULL);
    gtk_widget_unparent(GTK_WIDGET(self->box));
    self->box = NULL;
  }
  G_OBJECT_CLASS(limner_queue_list_parent_class)->dispose(object);
}

static void limner_queue_list_class_init(LimnerQueueListClass *klass) {
  G_OBJECT_CLASS(klass)->dispose = limner_queue_list_dispose;
  gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
}

static void limner_queue_list_init(LimnerQueueList *self) {
  self->box = GTK_LIST_BOX(gtk_list_box_new());
  gtk_list_box_set_selection_mode(self->box, GTK_SELECTION_NONE);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->box), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Jobs"), -1);
  gtk_widget_set_parent(GTK_WIDGET(self->box), GTK_WIDGET(self));
}
