// SPDX-License-Identifier: MIT
// A list of at most a hundred prompts: filtered row by row.
#include "ui/limner-history.h"

#include <glib/gi18n.h>

#define WIDTH_CHARS 28

struct _LimnerHistory {
  GtkWidget parent_instance;
  // Children
  GtkWidget *column;
  GtkEditable *search_entry;
  GtkWidget *scroller;
  GtkListBox *box;
  GtkLabel *empty_label;
  // Plain
  char **words; // searched for, folded; owned
};

G_DEFINE_FINAL_TYPE(LimnerHistory, limner_history, GTK_TYPE_WIDGET)

enum { CHOSEN, N_SIGNALS };
static guint signals[N_SIGNALS];

static const char *get_prompt(GtkListBoxRow *row) {
  return gtk_label_get_label(GTK_LABEL(gtk_list_box_row_get_child(row)));
}

// --- searching -----------------------------------------------------------------------------------

static gboolean is_wanted(GtkListBoxRow *row, gpointer data) {
  LimnerHistory *self = data;
  g_autofree char *folded = g_utf8_casefold(get_prompt(row), -1);
  for (char **word = self->words; word && *word; word++)
    if (!strstr(folded, *word))
      return FALSE;
  return TRUE;
}

guint limner_history_get_n_shown(LimnerHistory *self) {
  guint n = 0;
  for (int i = 0; gtk_list_box_get_row_at_index(self->box, i); i++)
    n += is_wanted(gtk_list_box_get_row_at_index(self->box, i), self);
  return n;
}

static void on_search(LimnerHistory *self) {
  g_autofree char *folded = g_utf8_casefold(gtk_editable_get_text(self->search_entry), -1);
  g_strfreev(self->words);
  self->words = g_strsplit_set(g_strstrip(folded), " \t\n", -1);
  gtk_list_box_invalidate_filter(self->box);
  const gboolean has_some = limner_history_get_n_shown(self) > 0;
  gtk_label_set_label(self->empty_label, *gtk_editable_get_text(self->search_entry)
                                             ? _("No such prompt was used here")
                                             : _("No prompt was used yet"));
  gtk_widget_set_visible(GTK_WIDGET(self->empty_label), !has_some);
  gtk_widget_set_visible(self->scroller, has_some);
}

// --- choosing ------------------------------------------------------------------------------------

static void choose(LimnerHistory *self, GtkListBoxRow *row) {
  g_autofree char *prompt = g_strdup(get_prompt(row));
  g_signal_emit(self, signals[CHOSEN], 0, prompt);
}

// Return takes the newest that is found.
static void on_entry_activated(LimnerHistory *self) {
  for (int i = 0; gtk_list_box_get_row_at_index(self->box, i); i++)
    if (is_wanted(gtk_list_box_get_row_at_index(self->box, i), self)) {
      choose(self, gtk_list_box_get_row_at_index(self->box, i));
      return;
    }
}

// Esc first empties the box.
static void on_stop_search(LimnerHistory *self) {
  GtkWidget *popover = gtk_widget_get_ancestor(GTK_WIDGET(self), GTK_TYPE_POPOVER);
  if (*gtk_editable_get_text(self->search_entry))
    gtk_editable_set_text(self->search_entry, "");
  else if (popover)
    gtk_popover_popdown(GTK_POPOVER(popover));
}

static void add_prompt(LimnerHistory *self, const char *prompt) {
  GtkWidget *label = gtk_label_new(prompt);
  gtk_label_set_xalign(GTK_LABEL(label), 0);
  gtk_label_set_wrap(GTK_LABEL(label), TRUE);
  gtk_label_set_lines(GTK_LABEL(label), 2);
  gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
  gtk_label_set_width_chars(GTK_LABEL(label), WIDTH_CHARS);
  gtk_label_set_max_width_chars(GTK_LABEL(label), WIDTH_CHARS);
  gtk_widget_add_css_class(label, "history-row");
  gtk_list_box_append(self->box, label);
  GtkWidget *row = gtk_widget_get_parent(label);
  gtk_widget_set_tooltip_text(row, prompt);
  gtk_accessible_update_property(GTK_ACCESSIBLE(row), GTK_ACCESSIBLE_PROPERTY_LABEL, prompt, -1);
}

void limner_history_set_prompts(LimnerHistory *self, const char *const *prompts) {
  GtkListBoxRow *row;
  while ((row = gtk_list_box_get_row_at_index(self->box, 0)))
    gtk_list_box_remove(self->box, GTK_WIDGET(row));
  for (guint i = prompts ? g_strv_length((char **)prompts) : 0; i-- > 0;)
    add_prompt(self, prompts[i]);
  gtk_editable_set_text(self->search_entry, "");
  on_search(self);
}

// --- the widget ----------------------------------------------------------------------------------

static gboolean limner_history_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(GTK_WIDGET(LIMNER_HISTORY(widget)->search_entry));
}

static void limner_history_dispose(GObject *object) {
  LimnerHistory *self = LIMNER_HISTORY(object);
  g_clear_pointer(&self->column, gtk_widget_unparent);
  g_clear_pointer(&self->words, g_strfreev);
  G_OBJECT_CLASS(limner_history_parent_class)->dispose(object);
}

static void limner_history_class_init(LimnerHistoryClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_history_dispose;
  widget_class->grab_focus = limner_history_grab_focus;
  signals[CHOSEN] = g_signal_new("chosen", LIMNER_TYPE_HISTORY, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
  gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
}

static void limner_history_init(LimnerHistory *self) {
  self->scroller = gtk_scrolled_window_new();
  self->column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
  self->search_entry = GTK_EDITABLE(gtk_search_entry_new());
  self->box = GTK_LIST_BOX(gtk_list_box_new());
  self->empty_label = GTK_LABEL(gtk_label_new(""));
  g_object_set(self->search_entry, "placeholder-text", _("Search the prompts"), NULL);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->search_entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Search the prompts"), -1);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->box), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Prompts used before"), -1);
  gtk_widget_add_css_class(GTK_WIDGET(self->empty_label), "dim-label");
  gtk_list_box_set_selection_mode(self->box, GTK_SELECTION_NONE);
  gtk_list_box_set_filter_func(self->box, is_wanted, self, NULL);
  g_object_set(self->scroller, "hscrollbar-policy", GTK_POLICY_NEVER, "propagate-natural-height",
               TRUE, "max-content-height", 320, "child", self->box, NULL);
  gtk_box_append(GTK_BOX(self->column), GTK_WIDGET(self->search_entry));
  gtk_box_append(GTK_BOX(self->column), self->scroller);
  gtk_box_append(GTK_BOX(self->column), GTK_WIDGET(self->empty_label));
  gtk_widget_set_parent(self->column, GTK_WIDGET(self));
  g_signal_connect_object(self->search_entry, "search-changed", G_CALLBACK(on_search), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->search_entry, "activate", G_CALLBACK(on_entry_activated), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->search_entry, "stop-search", G_CALLBACK(on_stop_search), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->box, "row-activated", G_CALLBACK(choose), self, G_CONNECT_SWAPPED);
  on_search(self);
}
