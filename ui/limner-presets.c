// SPDX-License-Identifier: MIT
// The presets as one value, as the settings keep it; the rows are made anew when it changes.
#include "ui/limner-presets.h"

#include <glib/gi18n.h>

#define KEY "presets"
#define WIDTH_CHARS 22
enum { MAX_PRESETS = 100, MAX_NAME = 60 };

struct _LimnerPresets {
  GtkWidget parent_instance;
  // Children
  GtkWidget *column;
  GtkLabel *empty_label;
  GtkWidget *scroller;
  GtkListBox *box;
  GtkEditable *name_entry;
  GtkWidget *add_button;
  // Owned
  GSettings *settings;
  GVariant *presets; // array of LIMNER_PRESET_TYPE, in the order of their names
};

G_DEFINE_FINAL_TYPE(LimnerPresets, limner_presets, GTK_TYPE_WIDGET)

enum { APPLY, WANTED, N_SIGNALS };
static guint signals[N_SIGNALS];

static const char *name_of(GVariant *preset) {
  const char *name = "";
  g_variant_get_child(preset, 0, "&s", &name);
  return name;
}

guint limner_presets_get_n(LimnerPresets *self) {
  return (guint)g_variant_n_children(self->presets);
}

// --- rows ----------------------------------------------------------------------------------------

static void remove_named(LimnerPresets *self, const char *name, GVariant *in_its_place);

static void on_remove(GtkWidget *button, LimnerPresets *self) {
  g_autofree char *name = g_strdup(g_object_get_data(G_OBJECT(button), "name"));
  remove_named(self, name, NULL);
  gtk_widget_grab_focus(GTK_WIDGET(self->name_entry));
}

// What a preset is, under its name: "5.0, 5.0, 1.0".
static char *dup_values(GVariant *preset) {
  double cfg = 0, image_cfg = 0, temperature = 0, top_p = 0;
  int top_k = 0;
  g_variant_get(preset, "(&sdddid)", NULL, &cfg, &image_cfg, &temperature, &top_k, &top_p);
  // Translators: the names of the three sliders, shortened
  return g_strdup_printf(_("Follow %.1f, redraw %.1f, variety %.1f"), cfg, image_cfg, temperature);
}

static GtkWidget *new_label(const char *text, const char *css_class) {
  GtkWidget *label = gtk_label_new(text);
  gtk_label_set_xalign(GTK_LABEL(label), 0);
  gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
  gtk_label_set_width_chars(GTK_LABEL(label), WIDTH_CHARS);
  gtk_label_set_max_width_chars(GTK_LABEL(label), WIDTH_CHARS);
  gtk_widget_set_hexpand(label, TRUE);
  if (css_class)
    gtk_widget_add_css_class(label, css_class);
  return label;
}

static void add_row(LimnerPresets *self, GVariant *preset) {
  const char *name = name_of(preset);
  g_autofree char *values = dup_values(preset);
  g_autofree char *remove = g_strdup_printf(_("Remove “%s”"), name);
  GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
  GtkWidget *words = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
  GtkWidget *button = gtk_button_new_from_icon_name("user-trash-symbolic");
  GtkWidget *small = new_label(values, "caption");
  gtk_widget_add_css_class(small, "dim-label");
  gtk_widget_set_tooltip_text(small, values);
  gtk_box_append(GTK_BOX(words), new_label(name, NULL));
  gtk_box_append(GTK_BOX(words), small);
  gtk_box_append(GTK_BOX(row), words);
  gtk_box_append(GTK_BOX(row), button);
  gtk_widget_add_css_class(row, "history-row");
  gtk_widget_add_css_class(button, "flat");
  gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
  gtk_widget_set_tooltip_text(button, _("Remove"));
  gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, remove, -1);
  g_object_set_data_full(G_OBJECT(button), "name", g_strdup(name), g_free);
  g_signal_connect_object(button, "clicked", G_CALLBACK(on_remove), self, 0);
  gtk_list_box_append(self->box, row);
  gtk_accessible_update_property(GTK_ACCESSIBLE(gtk_widget_get_parent(row)),
                                 GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
}

static void show_presets(LimnerPresets *self) {
  GtkListBoxRow *row;
  while ((row = gtk_list_box_get_row_at_index(self->box, 0)))
    gtk_list_box_remove(self->box, GTK_WIDGET(row));
  for (gsize i = 0; i < g_variant_n_children(self->presets); i++) {
    g_autoptr(GVariant) preset = g_variant_get_child_value(self->presets, i);
    add_row(self, preset);
  }
  gtk_widget_set_visible(GTK_WIDGET(self->empty_label), limner_presets_get_n(self) == 0);
  gtk_widget_set_visible(self->scroller, limner_presets_get_n(self) > 0);
}

// --- the list ------------------------------------------------------------------------------------

static void set_presets(LimnerPresets *self, GVariant *presets) {
  g_clear_pointer(&self->presets, g_variant_unref);
  self->presets = g_variant_ref_sink(presets);
  show_presets(self);
}

static int compare(gconstpointer a, gconstpointer b) {
  return g_utf8_collate(name_of(*(GVariant **)a), name_of(*(GVariant **)b));
}

static void remove_named(LimnerPresets *self, const char *name, GVariant *in_its_place) {
  g_autoptr(GPtrArray) presets = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
  for (gsize i = 0; i < g_variant_n_children(self->presets); i++) {
    GVariant *preset = g_variant_get_child_value(self->presets, i);
    if (strcmp(name_of(preset), name) == 0)
      g_variant_unref(preset);
    else
      g_ptr_array_add(presets, preset);
  }
  if (in_its_place)
    g_ptr_array_add(presets, g_variant_ref_sink(in_its_place));
  g_ptr_array_sort(presets, compare);
  set_presets(self, g_variant_new_array(G_VARIANT_TYPE(LIMNER_PRESET_TYPE),
                                        (GVariant *const *)presets->pdata, presets->len));
  if (self->settings)
    g_settings_set_value(self->settings, KEY, self->presets);
}

void limner_presets_add(LimnerPresets *self, GVariant *preset) {
  g_autoptr(GVariant) kept = g_variant_ref_sink(preset);
  g_autofree char *name = g_strdup(name_of(kept));
  remove_named(self, name, kept);
}

void limner_presets_bind_settings(LimnerPresets *self, GSettings *settings) {
  if (!settings)
    return;
  self->settings = g_object_ref(settings);
  g_autoptr(GVariant) presets = g_settings_get_value(settings, KEY);
  set_presets(self, presets);
}

// --- what is done --------------------------------------------------------------------------------

static char *dup_name(LimnerPresets *self) {
  return g_strstrip(g_strdup(gtk_editable_get_text(self->name_entry)));
}

static void on_name_changed(LimnerPresets *self) {
  g_autofree char *name = dup_name(self);
  gtk_widget_set_sensitive(self->add_button, *name && limner_presets_get_n(self) < MAX_PRESETS);
}

static void on_add(LimnerPresets *self) {
  g_autofree char *name = dup_name(self);
  if (!gtk_widget_get_sensitive(self->add_button))
    return;
  gtk_editable_set_text(self->name_entry, "");
  g_signal_emit(self, signals[WANTED], 0, name);
}

static void on_activated(LimnerPresets *self, GtkListBoxRow *row) {
  g_autoptr(GVariant) preset =
      g_variant_get_child_value(self->presets, (gsize)gtk_list_box_row_get_index(row));
  g_signal_emit(self, signals[APPLY], 0, preset);
}

// --- the widget ----------------------------------------------------------------------------------

static gboolean limner_presets_grab_focus(GtkWidget *widget) {
  LimnerPresets *self = LIMNER_PRESETS(widget);
  GtkListBoxRow *first = gtk_list_box_get_row_at_index(self->box, 0);
  return gtk_widget_grab_focus(first ? GTK_WIDGET(first) : GTK_WIDGET(self->name_entry));
}

static void limner_presets_dispose(GObject *object) {
  LimnerPresets *self = LIMNER_PRESETS(object);
  g_clear_pointer(&self->column, gtk_widget_unparent);
  g_clear_object(&self->settings);
  g_clear_pointer(&self->presets, g_variant_unref);
  G_OBJECT_CLASS(limner_presets_parent_class)->dispose(object);
}

static void limner_presets_class_init(LimnerPresetsClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_presets_dispose;
  widget_class->grab_focus = limner_presets_grab_focus;
  signals[APPLY] = g_signal_new("apply", LIMNER_TYPE_PRESETS, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                NULL, G_TYPE_NONE, 1, G_TYPE_VARIANT);
  signals[WANTED] = g_signal_new("wanted", LIMNER_TYPE_PRESETS, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
  gtk_widget_class_set_layout_manager_type(widget_class, GTK_TYPE_BIN_LAYOUT);
}

static GtkWidget *new_name_row(LimnerPresets *self) {
  GtkWidget *row = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
  self->name_entry = GTK_EDITABLE(gtk_entry_new());
  self->add_button = gtk_button_new_with_mnemonic(_("_Keep"));
  g_object_set(self->name_entry, "placeholder-text", _("A name for the present settings"),
               "max-length", MAX_NAME, "hexpand", TRUE, NULL);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->name_entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("A name for the present settings"), -1);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->add_button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Keep the present settings"), -1);
  gtk_widget_set_sensitive(self->add_button, FALSE);
  gtk_box_append(GTK_BOX(row), GTK_WIDGET(self->name_entry));
  gtk_box_append(GTK_BOX(row), self->add_button);
  g_signal_connect_object(self->name_entry, "changed", G_CALLBACK(on_name_changed), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->name_entry, "activate", G_CALLBACK(on_add), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->add_button, "clicked", G_CALLBACK(on_add), self, G_CONNECT_SWAPPED);
  return row;
}

static void limner_presets_init(LimnerPresets *self) {
  self->scroller = gtk_scrolled_window_new();
  self->column = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
  self->box = GTK_LIST_BOX(gtk_list_box_new());
  self->empty_label = GTK_LABEL(gtk_label_new(_("No settings have a name yet")));
  gtk_widget_add_css_class(GTK_WIDGET(self->empty_label), "dim-label");
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->box), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("Presets"), -1);
  gtk_list_box_set_selection_mode(self->box, GTK_SELECTION_NONE);
  g_object_set(self->scroller, "hscrollbar-policy", GTK_POLICY_NEVER, "propagate-natural-height",
               TRUE, "max-content-height", 280, "child", self->box, NULL);
  gtk_box_append(GTK_BOX(self->column), GTK_WIDGET(self->empty_label));
  gtk_box_append(GTK_BOX(self->column), self->scroller);
  gtk_box_append(GTK_BOX(self->column), new_name_row(self));
  gtk_widget_set_parent(self->column, GTK_WIDGET(self));
  g_signal_connect_object(self->box, "row-activated", G_CALLBACK(on_activated), self,
                          G_CONNECT_SWAPPED);
  set_presets(self, g_variant_new_array(G_VARIANT_TYPE(LIMNER_PRESET_TYPE), NULL, 0));
}
