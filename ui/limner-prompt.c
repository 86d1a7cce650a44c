// SPDX-License-Identifier: MIT
// A text view with a placeholder and a history.
#include "ui/limner-prompt.h"

#include "ui/limner-pick.h"

#define MAX_HISTORY 100

struct _LimnerPrompt {
  GtkWidget parent_instance;
  // Template
  GtkWidget *overlay;
  GtkTextView *text_view;
  GtkLabel *placeholder_label;
  // Borrowed
  GtkTextBuffer *buffer;
  // Owned
  GPtrArray *history; // oldest first
  char *draft;        // what was typed before the walk began
  // Plain
  guint position; // in the history; its length = the draft
};

G_DEFINE_FINAL_TYPE(LimnerPrompt, limner_prompt, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_PLACEHOLDER, N_PROPS };
static GParamSpec *properties[N_PROPS];
enum { CHANGED, N_SIGNALS };
static guint signals[N_SIGNALS];

static char *dup_raw_text(LimnerPrompt *self) {
  GtkTextIter start, end;
  gtk_text_buffer_get_bounds(self->buffer, &start, &end);
  return gtk_text_buffer_get_text(self->buffer, &start, &end, FALSE);
}

char *limner_prompt_dup_text(LimnerPrompt *self) {
  return g_strstrip(dup_raw_text(self));
}

void limner_prompt_set_text(LimnerPrompt *self, const char *text) {
  gtk_text_buffer_set_text(self->buffer, text, -1);
  self->position = self->history->len;
}

void limner_prompt_replace_text(LimnerPrompt *self, const char *text) {
  GtkTextIter start, end;
  gtk_text_buffer_begin_user_action(self->buffer);
  gtk_text_buffer_get_bounds(self->buffer, &start, &end);
  gtk_text_buffer_delete(self->buffer, &start, &end);
  gtk_text_buffer_insert(self->buffer, &end, text, -1);
  gtk_text_buffer_place_cursor(self->buffer, &end);
  gtk_text_buffer_end_user_action(self->buffer);
  self->position = self->history->len;
}

void limner_prompt_select_all(LimnerPrompt *self) {
  GtkTextIter start, end;
  gtk_text_buffer_get_bounds(self->buffer, &start, &end);
  gtk_text_buffer_select_range(self->buffer, &end, &start);
}

void limner_prompt_set_history(LimnerPrompt *self, const char *const *history) {
  g_ptr_array_set_size(self->history, 0);
  for (guint i = 0; history && history[i]; i++)
    g_ptr_array_add(self->history, g_strdup(history[i]));
  self->position = self->history->len;
}

GStrv limner_prompt_dup_history(LimnerPrompt *self) {
  GStrv history = g_new0(char *, self->history->len + 1);
  for (guint i = 0; i < self->history->len; i++)
    history[i] = g_strdup(self->history->pdata[i]);
  return history;
}

void limner_prompt_remember(LimnerPrompt *self) {
  g_autofree char *text = limner_prompt_dup_text(self);
  guint index = 0;
  if (!*text)
    return;
  if (g_ptr_array_find_with_equal_func(self->history, text, g_str_equal, &index))
    g_ptr_array_remove_index(self->history, index);
  g_ptr_array_add(self->history, g_steal_pointer(&text));
  if (self->history->len > MAX_HISTORY)
    g_ptr_array_remove_index(self->history, 0);
  self->position = self->history->len;
}

// Shows the entry at `position`, or the draft after the last.
static void show_entry(LimnerPrompt *self, guint position) {
  if (self->position == self->history->len) {
    g_free(self->draft);
    self->draft = dup_raw_text(self);
  }
  const gboolean is_draft = position == self->history->len;
  const char *text = is_draft ? self->draft : self->history->pdata[position];
  gtk_text_buffer_set_text(self->buffer, text ? text : "", -1);
  self->position = position;
}

static gboolean is_at_edge(LimnerPrompt *self, gboolean first) {
  GtkTextIter cursor;
  gtk_text_buffer_get_iter_at_mark(self->buffer, &cursor, gtk_text_buffer_get_insert(self->buffer));
  GtkTextIter moved = cursor;
  if (first)
    return !gtk_text_view_backward_display_line(self->text_view, &moved);
  // Moving down from the last line goes to the end of the text.
  return !gtk_text_view_forward_display_line(self->text_view, &moved) ||
         gtk_text_iter_is_end(&moved);
}

static gboolean on_key_pressed(LimnerPrompt *self, guint key, guint code, GdkModifierType state) {
  if (state & gtk_accelerator_get_default_mod_mask())
    return GDK_EVENT_PROPAGATE;
  const gboolean is_up = key == GDK_KEY_Up || key == GDK_KEY_KP_Up;
  const gboolean is_down = key == GDK_KEY_Down || key == GDK_KEY_KP_Down;
  if (is_up && self->position > 0 && is_at_edge(self, TRUE))
    show_entry(self, self->position - 1);
  else if (is_down && self->position < self->history->len && is_at_edge(self, FALSE))
    show_entry(self, self->position + 1);
  else
    return GDK_EVENT_PROPAGATE;
  return GDK_EVENT_STOP;
}

// A picture that is pasted here is one to change; words are words.
static void on_paste(LimnerPrompt *self) {
  GdkClipboard *clipboard = gtk_widget_get_clipboard(GTK_WIDGET(self));
  if (!limner_pick_has_picture(gdk_clipboard_get_formats(clipboard)))
    return;
  g_signal_stop_emission_by_name(self->text_view, "paste-clipboard");
  gtk_widget_activate_action(GTK_WIDGET(self), "win.paste-picture", NULL);
}

static void on_text_changed(LimnerPrompt *self) {
  gtk_widget_set_visible(GTK_WIDGET(self->placeholder_label),
                         gtk_text_buffer_get_char_count(self->buffer) == 0);
  g_signal_emit(self, signals[CHANGED], 0);
}

void limner_prompt_set_label(LimnerPrompt *self, GtkWidget *label) {
  gtk_accessible_update_relation(GTK_ACCESSIBLE(self->text_view),
                                 GTK_ACCESSIBLE_RELATION_LABELLED_BY, label, NULL, -1);
}

static gboolean limner_prompt_grab_focus(GtkWidget *widget) {
  return gtk_widget_grab_focus(GTK_WIDGET(LIMNER_PROMPT(widget)->text_view));
}

static void limner_prompt_get_property(GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec) {
  g_value_set_string(value, gtk_label_get_label(LIMNER_PROMPT(object)->placeholder_label));
}

static void limner_prompt_set_property(GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec) {
  gtk_label_set_label(LIMNER_PROMPT(object)->placeholder_label, g_value_get_string(value));
}

static void limner_prompt_dispose(GObject *object) {
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_PROMPT);
  G_OBJECT_CLASS(limner_prompt_parent_class)->dispose(object);
}

static void limner_prompt_finalize(GObject *object) {
  LimnerPrompt *self = LIMNER_PROMPT(object);
  g_ptr_array_unref(self->history);
  g_free(self->draft);
  G_OBJECT_CLASS(limner_prompt_parent_class)->finalize(object);
}

static void limner_prompt_class_init(LimnerPromptClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  object_class->get_property = limner_prompt_get_property;
  object_class->set_property = limner_prompt_set_property;
  object_class->dispose = limner_prompt_dispose;
  object_class->finalize = limner_prompt_finalize;
  widget_class->grab_focus = limner_prompt_grab_focus;
  properties[PROP_PLACEHOLDER] = g_param_spec_string("placeholder", NULL, NULL, NULL,
                                                     G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties(object_class, N_PROPS, properties);
  signals[CHANGED] = g_signal_new("changed", LIMNER_TYPE_PROMPT, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                  NULL, G_TYPE_NONE, 0);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-prompt.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerPrompt, overlay);
  gtk_widget_class_bind_template_child(widget_class, LimnerPrompt, text_view);
  gtk_widget_class_bind_template_child(widget_class, LimnerPrompt, placeholder_label);
  gtk_widget_class_bind_template_callback(widget_class, on_key_pressed);
  gtk_widget_class_bind_template_callback(widget_class, on_paste);
}

static void limner_prompt_init(LimnerPrompt *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  self->history = g_ptr_array_new_with_free_func(g_free);
  self->buffer = gtk_text_view_get_buffer(self->text_view);
  g_signal_connect_object(self->buffer, "changed", G_CALLBACK(on_text_changed), self,
                          G_CONNECT_SWAPPED);
}
