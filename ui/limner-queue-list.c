// SPDX-License-Identifier: MIT
// One row per job, which follows it.
#include "ui/limner-queue-list.h"

#include "ui/limner-words.h"

#include <glib/gi18n.h>

#define CHARS 24 // so wide a row is at least

struct _LimnerQueueList {
  GtkWidget parent_instance;
  // Children
  GtkWidget *column;
  GtkLabel *total_label;
  GtkListBox *box;
  // Owned
  LimnerJobQueue *queue;
  GSignalGroup *running_signals; // of the job that runs, by whose speed the others are judged
};

G_DEFINE_FINAL_TYPE(LimnerQueueList, limner_queue_list, GTK_TYPE_WIDGET)

enum { REPEAT, N_SIGNALS };
static guint signals[N_SIGNALS];

// --- a row ---------------------------------------------------------------------------------------

typedef struct Row {
  LimnerQueueList *list; // borrowed; the row is its child
  LimnerJob *job;        // owned
  GtkLabel *words;
  GtkProgressBar *bar;
  GtkWidget *up, *down;
} Row;

static void row_free(gpointer data) {
  Row *row = data;
  g_object_unref(row->job);
  g_free(row);
}

static Row *row_at(LimnerQueueList *self, guint index) {
  GtkListBoxRow *row = gtk_list_box_get_row_at_index(self->box, (int)index);
  return row ? g_object_get_data(G_OBJECT(gtk_list_box_row_get_child(row)), "row") : NULL;
}

static gboolean is_waiting(LimnerJob *job) {
  return limner_job_get_state(job) <= LIMNER_JOB_LOADING;
}

static void update_row(LimnerQueueList *self, guint index, guint n_rows) {
  Row *row = row_at(self, index);
  const Row *before = index > 0 ? row_at(self, index - 1) : NULL;
  const gboolean waits = is_waiting(row->job);
  g_autofree char *words = limner_words_for_turn(self->queue, row->job);
  gtk_label_set_label(row->words, words);
  gtk_progress_bar_set_fraction(row->bar, limner_words_get_fraction(row->job));
  gtk_widget_set_visible(GTK_WIDGET(row->bar), !waits);
  gtk_widget_set_sensitive(row->up, waits && before && is_waiting(before->job));
  gtk_widget_set_sensitive(row->down, waits && index + 1 < n_rows);
}

static void update(LimnerQueueList *self) {
  const guint n_rows = self->queue ? limner_job_queue_get_n_active(self->queue) : 0;
  g_autofree char *total = n_rows > 1 ? limner_words_for_queue(self->queue) : NULL;
  for (guint i = 0; i < n_rows && row_at(self, i); i++)
    update_row(self, i, n_rows);
  gtk_label_set_label(self->total_label, total ? total : "");
  gtk_widget_set_visible(GTK_WIDGET(self->total_label), total != NULL);
}

// --- what is done with one -----------------------------------------------------------------------

static void on_cancel(Row *row) {
  limner_job_cancel(row->job);
}

static void on_repeat(Row *row) {
  g_signal_emit(row->list, signals[REPEAT], 0, row->job);
}

// The rows are made anew: the focus goes on with the job, or to its other button at an end.
static void move(Row *row, int by) {
  LimnerQueueList *self = row->list;
  LimnerJob *job = row->job;
  if (!limner_job_queue_move(self->queue, job, by))
    return;
  for (guint i = 0; row_at(self, i); i++) {
    const Row *now = row_at(self, i);
    if (now->job != job)
      continue;
    GtkWidget *same = by < 0 ? now->up : now->down, *other = by < 0 ? now->down : now->up;
    gtk_widget_grab_focus(gtk_widget_is_sensitive(same) ? same : other);
  }
}

static void on_up(Row *row) {
  move(row, -1);
}

static void on_down(Row *row) {
  move(row, 1);
}

// --- making one ----------------------------------------------------------------------------------

static GtkWidget *new_label(const char *text, const char *css_class) {
  GtkWidget *label = gtk_label_new(text);
  gtk_label_set_xalign(GTK_LABEL(label), 0);
  gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
  gtk_label_set_width_chars(GTK_LABEL(label), CHARS);
  gtk_label_set_max_width_chars(GTK_LABEL(label), CHARS);
  gtk_widget_set_hexpand(label, TRUE);
  gtk_widget_add_css_class(label, css_class);
  return label;
}

// `name` has one %s for the prompt. Takes `name`.
static GtkWidget *add_button(GtkWidget *box, const char *icon, const char *tooltip, char *name,
                             GCallback callback, Row *row) {
  GtkWidget *button = gtk_button_new_from_icon_name(icon);
  gtk_widget_set_tooltip_text(button, tooltip);
  gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
  gtk_widget_add_css_class(button, "flat");
  gtk_widget_add_css_class(button, "small");
  gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
  g_signal_connect_swapped(button, "clicked", callback, row);
  gtk_box_append(GTK_BOX(box), button);
  g_free(name);
  return button;
}

static GtkWidget *new_row(gpointer item, gpointer data) {
  LimnerQueueList *self = data;
  const char *prompt = limner_job_get_request(item)->prompt;
  GtkWidget *column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 3);
  GtkWidget *first = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *second = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
  GtkWidget *name = new_label(*prompt ? prompt : _("No prompt"), "heading");
  Row *row = g_new0(Row, 1);
  row->list = self;
  row->job = g_object_ref(item);
  row->words = GTK_LABEL(new_label("", "dim-label"));
  row->bar = GTK_PROGRESS_BAR(gtk_progress_bar_new());
  gtk_accessible_update_relation(GTK_ACCESSIBLE(row->bar), GTK_ACCESSIBLE_RELATION_LABELLED_BY,
                                 name, NULL, -1);
  gtk_box_append(GTK_BOX(first), name);
  add_button(first, "window-close-symbolic", _("Take It Out"),
             g_strdup_printf(_("Take “%s” out"), prompt), G_CALLBACK(on_cancel), row);
  gtk_box_append(GTK_BOX(second), GTK_WIDGET(row->words));
  row->up = add_button(second, "go-up-symbolic", _("Sooner"),
                       g_strdup_printf(_("“%s” sooner"), prompt), G_CALLBACK(on_up), row);
  row->down = add_button(second, "go-down-symbolic", _("Later"),
                         g_strdup_printf(_("“%s” later"), prompt), G_CALLBACK(on_down), row);
  add_button(second, "media-playlist-repeat-symbolic", _("Once More, With Another Seed"),
             g_strdup_printf(_("“%s” once more, with another seed"), prompt), G_CALLBACK(on_repeat),
             row);
  gtk_box_append(GTK_BOX(column), first);
  gtk_box_append(GTK_BOX(column), second);
  gtk_box_append(GTK_BOX(column), GTK_WIDGET(row->bar));
  gtk_widget_add_css_class(column, "queue-row");
  g_object_set_data_full(G_OBJECT(column), "row", row, row_free);
  return column;
}

// --- the list ------------------------------------------------------------------------------------

static void on_queue_changed(LimnerQueueList *self) {
  g_autoptr(LimnerJob) first = g_list_model_get_item(G_LIST_MODEL(self->queue), 0);
  g_signal_group_set_target(self->running_signals, first);
  update(self);
}

void limner_queue_list_set_queue(LimnerQueueList *self, LimnerJobQueue *queue) {
  self->queue = g_object_ref(queue);
  gtk_list_box_bind_model(self->box, G_LIST_MODEL(queue), new_row, self, NULL);
  g_signal_connect_object(queue, "items-changed", G_CALLBACK(on_queue_changed), self,
                          G_CONNECT_SWAPPED);
  on_queue_changed(self);
}

static void limner_queue_list_dispose(GObject *object) {
  LimnerQueueList *self = LIMNER_QUEUE_LIST(object);
  g_clear_object(&self->running_signals);
  if (self->column) {
    gtk_list_box_bind_model(self->box, NULL, NULL, NULL, NULL);
    g_clear_pointer(&self->column, gtk_widget_unparent);
  }
  g_clear_object(&self->queue);
  G_OBJECT_CLASS(limner_queue_list_parent_class)->dispose(object);
}

static void limner_queue_list_class_init(LimnerQueueListClass *klass) {
  G_OBJECT_CLASS(klass)->dispose = limner_queue_list_dispose;
  signals[REPEAT] = g_signal_new("repeat", LIMNER_TYPE_QUEUE_LIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, LIMNER_TYPE_JOB);
  gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
}

static void limner_queue_list_init(LimnerQueueList *self) {
  self->column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
  self->total_label = GTK_LABEL(gtk_label_new(""));
  self->box = GTK_LIST_BOX(gtk_list_box_new());
  gtk_widget_set_visible(GTK_WIDGET(self->total_label), FALSE);
  gtk_label_set_xalign(self->total_label, 0);
  gtk_widget_add_css_class(GTK_WIDGET(self->total_label), "queue-total");
  gtk_widget_add_css_class(GTK_WIDGET(self->total_label), "numeric");
  gtk_list_box_set_selection_mode(self->box, GTK_SELECTION_NONE);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->box), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Jobs"), -1);
  gtk_box_append(GTK_BOX(self->column), GTK_WIDGET(self->total_label));
  gtk_box_append(GTK_BOX(self->column), GTK_WIDGET(self->box));
  gtk_widget_set_parent(self->column, GTK_WIDGET(self));
  self->running_signals = g_signal_group_new(LIMNER_TYPE_JOB);
  g_signal_group_connect_swapped(self->running_signals, "notify", G_CALLBACK(update), self);
}
