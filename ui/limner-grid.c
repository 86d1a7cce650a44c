// SPDX-License-Identifier: MIT
// Two axes that are typed, and a cell for every pair of their values.
#include "ui/limner-grid.h"

#include "ui/limner-canvas.h"

#include <glib/gi18n.h>

#define CELL_PX 160
#define EPSILON 1e-9

typedef struct Cell {
  LimnerRequest *request; // owned
  GtkWidget *button;      // borrowed; the grid's child
  LimnerCanvas *canvas;
  LimnerJob *job; // owned; NULL = it is still to come
} Cell;

struct _LimnerGrid {
  GtkWidget parent_instance;
  // Template
  GtkWidget *header;
  AdwWindowTitle *title;
  GtkWidget *form;
  GtkDropDown *settings[2]; // of columns and rows
  GtkEditable *values[2];
  GtkLabel *problem_label;
  GtkButton *paint_button;
  AdwToastOverlay *toasts;
  GtkStack *stack;
  GtkGrid *cells_grid;
  // Owned
  GArray *cells; // of Cell
  LimnerGridAxis axes[2];
  // Plain
  gboolean is_change;
  gboolean is_typed; // by a person
};

G_DEFINE_FINAL_TYPE(LimnerGrid, limner_grid, GTK_TYPE_WIDGET)

enum { PAINT, OPEN, N_SIGNALS };
static guint signals[N_SIGNALS];

static const struct {
  const char *name;
  double lower, upper;
} facts[] = {
    [LIMNER_SETTING_GUIDANCE] = {N_("Follow the Prompt"), 1, 10},
    [LIMNER_SETTING_VARIETY] = {N_("Variety"), 0, 1.5},
    [LIMNER_SETTING_FREEDOM] = {N_("Freedom to Redraw"), 0, 10},
};

// --- axes ----------------------------------------------------------------------------------------

// What is between two numbers becomes spaces, what is inside of one a point. Owned.
static char *dup_plain(const char *text) {
  char *plain = g_strdup(text);
  for (char *c = plain; *c; c++)
    if (*c == ',')
      *c = g_ascii_isdigit(c[1]) ? '.' : ' ';
    else if (*c == ';' || *c == '\t')
      *c = ' ';
  return plain;
}

static gboolean has_value(const LimnerGridAxis *axis, double value) {
  for (guint i = 0; i < axis->n; i++)
    if (axis->values[i] == value)
      return TRUE;
  return FALSE;
}

char *limner_grid_axis_parse(LimnerGridAxis *axis, LimnerSetting setting, const char *text) {
  g_autofree char *plain = dup_plain(text);
  g_auto(GStrv) words = g_strsplit(plain, " ", -1);
  *axis = (LimnerGridAxis){.setting = setting};
  for (char **word = words; *word; word++) {
    char *end = NULL;
    const double value = g_ascii_strtod(*word, &end);
    if (!**word)
      continue;
    if (*end || !(value >= facts[setting].lower && value <= facts[setting].upper))
      return g_strdup_printf(_("%s: expected numbers from %g to %g, found “%s”"),
                             _(facts[setting].name), facts[setting].lower, facts[setting].upper,
                             *word);
    if (axis->n == LIMNER_GRID_MAX)
      return g_strdup_printf(_("%s: expected at most %d numbers"), _(facts[setting].name),
                             LIMNER_GRID_MAX);
    if (!has_value(axis, value))
      axis->values[axis->n++] = value;
  }
  return axis->n > 0
             ? NULL
             : g_strdup_printf(_("%s: expected numbers from %g to %g"), _(facts[setting].name),
                               facts[setting].lower, facts[setting].upper);
}

static LimnerSetting get_setting(LimnerGrid *self, int axis) {
  return (LimnerSetting)gtk_drop_down_get_selected(self->settings[axis]);
}

// NULL = what is typed can be painted. Owned.
static char *dup_problem(LimnerGrid *self) {
  for (int i = 0; i < 2; i++) {
    char *problem = limner_grid_axis_parse(&self->axes[i], get_setting(self, i),
                                           gtk_editable_get_text(self->values[i]));
    if (problem)
      return problem;
  }
  if (self->axes[0].setting == self->axes[1].setting)
    return g_strdup(_("Choose two different settings."));
  for (int i = 0; i < 2; i++)
    if (self->axes[i].setting == LIMNER_SETTING_FREEDOM && !self->is_change)
      return g_strdup(_("Freedom to redraw needs a picture to change."));
  return NULL;
}

static void update_form(LimnerGrid *self) {
  g_autofree char *problem = dup_problem(self);
  const guint n = self->axes[0].n * self->axes[1].n;
  g_autofree char *words =
      g_strdup_printf(ngettext("_Paint %u Picture", "_Paint %u Pictures", n), n);
  gtk_label_set_label(self->problem_label, problem ? problem : "");
  gtk_widget_set_visible(GTK_WIDGET(self->problem_label), problem != NULL);
  gtk_widget_set_sensitive(GTK_WIDGET(self->paint_button), problem == NULL);
  gtk_button_set_label(self->paint_button, problem ? _("_Paint") : words);
}

void limner_grid_set_is_change(LimnerGrid *self, gboolean is_change) {
  self->is_change = is_change;
  update_form(self);
}

// "1.0 1.5 2.2": less, the same and more.
static void suggest(LimnerGrid *self, int axis, double value) {
  const LimnerSetting setting = get_setting(self, axis);
  static const double factors[] = {2 / 3.0, 1, 1.5};
  g_autoptr(GString) text = g_string_new(NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(factors); i++) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    const double near = CLAMP(value * factors[i], facts[setting].lower, facts[setting].upper);
    g_string_append_printf(text, "%s%s", i ? " " : "",
                           g_ascii_formatd(number, sizeof number, "%.1f", near));
  }
  gtk_editable_set_text(self->values[axis], text->str);
}

void limner_grid_suggest(LimnerGrid *self, double cfg, double temperature) {
  if (self->cells->len > 0 || self->is_typed || get_setting(self, 0) != LIMNER_SETTING_GUIDANCE ||
      get_setting(self, 1) != LIMNER_SETTING_VARIETY)
    return;
  suggest(self, 0, cfg);
  suggest(self, 1, temperature);
  self->is_typed = FALSE;
}

static void on_values_changed(LimnerGrid *self) {
  self->is_typed = TRUE;
  update_form(self);
}

static void on_paint(LimnerGrid *self) {
  if (gtk_widget_get_sensitive(GTK_WIDGET(self->paint_button)))
    g_signal_emit(self, signals[PAINT], 0);
}

// --- cells ---------------------------------------------------------------------------------------

static void cell_clear(gpointer data) {
  Cell *cell = data;
  limner_request_free(cell->request);
  g_clear_object(&cell->job);
}

static Cell *cell_at(LimnerGrid *self, guint index) {
  return &g_array_index(self->cells, Cell, index);
}

static void apply(LimnerRequest *request, LimnerSetting setting, double value) {
  double *const fields[] = {[LIMNER_SETTING_GUIDANCE] = &request->cfg,
                            [LIMNER_SETTING_VARIETY] = &request->temperature,
                            [LIMNER_SETTING_FREEDOM] = &request->image_cfg};
  *fields[setting] = value;
}

static char *dup_caption(const LimnerGridAxis *axis, guint index) {
  return g_strdup_printf(_("%s %.2g"), _(facts[axis->setting].name), axis->values[index]);
}

static void add_caption(LimnerGrid *self, int axis, guint index) {
  g_autofree char *caption = dup_caption(&self->axes[axis], index);
  GtkWidget *label = gtk_label_new(caption);
  gtk_label_set_wrap(GTK_LABEL(label), TRUE);
  gtk_label_set_max_width_chars(GTK_LABEL(label), 10);
  gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
  gtk_widget_add_css_class(label, "caption-heading");
  gtk_grid_attach(self->cells_grid, label, axis == 0 ? (int)index + 1 : 0,
                  axis == 0 ? 0 : (int)index + 1, 1, 1);
}

static void on_clicked(LimnerGrid *self, GtkWidget *button) {
  for (guint i = 0; i < self->cells->len; i++) {
    const Cell *cell = cell_at(self, i);
    LimnerSample *sample = limner_canvas_get_sample(cell->canvas);
    if (cell->button == button && sample && limner_sample_get_picture(sample))
      g_signal_emit(self, signals[OPEN], 0, sample);
  }
}

static void add_cell(LimnerGrid *self, const LimnerRequest *base, guint column, guint row) {
  g_autofree char *over = dup_caption(&self->axes[0], column);
  g_autofree char *beside = dup_caption(&self->axes[1], row);
  g_autofree char *name = g_strdup_printf("%s, %s", over, beside);
  Cell cell = {.request = limner_request_copy(base), .button = gtk_button_new()};
  apply(cell.request, self->axes[0].setting, self->axes[0].values[column]);
  apply(cell.request, self->axes[1].setting, self->axes[1].values[row]);
  cell.canvas = g_object_new(LIMNER_TYPE_CANVAS, "fixed-side", CELL_PX, NULL);
  gtk_button_set_child(GTK_BUTTON(cell.button), GTK_WIDGET(cell.canvas));
  gtk_widget_add_css_class(cell.button, "flat");
  gtk_widget_add_css_class(cell.button, "tree-node");
  gtk_widget_set_tooltip_text(cell.button, name);
  gtk_accessible_update_property(GTK_ACCESSIBLE(cell.button), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                 -1);
  gtk_accessible_update_property(GTK_ACCESSIBLE(cell.canvas), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                 -1);
  g_signal_connect_object(cell.button, "clicked", G_CALLBACK(on_clicked), self, G_CONNECT_SWAPPED);
  gtk_grid_attach(self->cells_grid, cell.button, (int)column + 1, (int)row + 1, 1, 1);
  g_array_append_val(self->cells, cell);
}

static void clear_cells(LimnerGrid *self) {
  GtkWidget *child;
  while ((child = gtk_widget_get_first_child(GTK_WIDGET(self->cells_grid))))
    gtk_grid_remove(self->cells_grid, child);
  g_array_set_size(self->cells, 0);
}

GPtrArray *limner_grid_begin(LimnerGrid *self, const LimnerRequest *request) {
  GPtrArray *requests = g_ptr_array_new_with_free_func((GDestroyNotify)limner_request_free);
  g_autoptr(LimnerRequest) base = limner_request_copy(request);
  base->n_samples = 1;
  clear_cells(self);
  for (guint i = 0; i < self->axes[0].n; i++)
    add_caption(self, 0, i);
  for (guint row = 0; row < self->axes[1].n; row++) {
    add_caption(self, 1, row);
    for (guint column = 0; column < self->axes[0].n; column++)
      add_cell(self, base, column, row);
  }
  for (guint i = 0; i < self->cells->len; i++)
    g_ptr_array_add(requests, limner_request_copy(cell_at(self, i)->request));
  adw_window_title_set_subtitle(self->title, request->prompt);
  gtk_stack_set_visible_child_name(self->stack, "cells");
  return requests;
}

// --- jobs ----------------------------------------------------------------------------------------

static gboolean is_near(double a, double b) {
  return ABS(a - b) < EPSILON;
}

static gboolean asks_for(const LimnerRequest *a, const LimnerRequest *b) {
  return strcmp(a->prompt, b->prompt) == 0 && a->seed == b->seed && a->n_samples == b->n_samples &&
         (a->input != NULL) == (b->input != NULL) && is_near(a->cfg, b->cfg) &&
         is_near(a->image_cfg, b->image_cfg) && is_near(a->temperature, b->temperature);
}

static void on_job_state(LimnerCanvas *canvas, GParamSpec *pspec, LimnerJob *job) {
  limner_canvas_set_busy(canvas, !limner_job_is_over(job));
}

void limner_grid_take_job(LimnerGrid *self, LimnerJob *job) {
  for (guint i = 0; i < self->cells->len; i++) {
    Cell *cell = cell_at(self, i);
    if (cell->job == job)
      return; // it has changed its place in the queue
    if (cell->job || !asks_for(cell->request, limner_job_get_request(job)))
      continue;
    g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), 0);
    cell->job = g_object_ref(job);
    limner_canvas_set_sample(cell->canvas, sample);
    limner_canvas_set_busy(cell->canvas, TRUE);
    g_signal_connect_object(job, "notify::state", G_CALLBACK(on_job_state), cell->canvas,
                            G_CONNECT_SWAPPED);
    return;
  }
}

AdwToastOverlay *limner_grid_get_toasts(LimnerGrid *self) {
  return self->toasts;
}

// --- the widget ----------------------------------------------------------------------------------

static gboolean limner_grid_grab_focus(GtkWidget *widget) {
  LimnerGrid *self = LIMNER_GRID(widget);
  return gtk_widget_grab_focus(self->cells->len > 0 ? cell_at(self, 0)->button
                                                    : GTK_WIDGET(self->values[0]));
}

static void limner_grid_dispose(GObject *object) {
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_GRID);
  G_OBJECT_CLASS(limner_grid_parent_class)->dispose(object);
}

static void limner_grid_finalize(GObject *object) {
  g_array_unref(LIMNER_GRID(object)->cells);
  G_OBJECT_CLASS(limner_grid_parent_class)->finalize(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class, "/org/limner/Limner/ui/limner-grid.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, header);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, title);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, form);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, problem_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, paint_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, stack);
  gtk_widget_class_bind_template_child(widget_class, LimnerGrid, cells_grid);
  gtk_widget_class_bind_template_child_full(widget_class, "column_drop", FALSE,
                                            G_STRUCT_OFFSET(LimnerGrid, settings[0]));
  gtk_widget_class_bind_template_child_full(widget_class, "row_drop", FALSE,
                                            G_STRUCT_OFFSET(LimnerGrid, settings[1]));
  gtk_widget_class_bind_template_child_full(widget_class, "column_entry", FALSE,
                                            G_STRUCT_OFFSET(LimnerGrid, values[0]));
  gtk_widget_class_bind_template_child_full(widget_class, "row_entry", FALSE,
                                            G_STRUCT_OFFSET(LimnerGrid, values[1]));
  gtk_widget_class_bind_template_callback(widget_class, update_form);
  gtk_widget_class_bind_template_callback(widget_class, on_values_changed);
  gtk_widget_class_bind_template_callback(widget_class, on_paint);
}

static void limner_grid_class_init(LimnerGridClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_grid_dispose;
  G_OBJECT_CLASS(klass)->finalize = limner_grid_finalize;
  widget_class->grab_focus = limner_grid_grab_focus;
  signals[PAINT] = g_signal_new("paint", LIMNER_TYPE_GRID, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                G_TYPE_NONE, 0);
  signals[OPEN] = g_signal_new("open", LIMNER_TYPE_GRID, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                               G_TYPE_NONE, 1, LIMNER_TYPE_SAMPLE);
  bind_template(widget_class);
}

// GTK 4.8 names nothing inside of a drop-down, and lets a part of its button take the focus.
static void calm(GtkWidget *widget) {
  for (GtkWidget *child = gtk_widget_get_first_child(widget); child;
       child = gtk_widget_get_next_sibling(child)) {
    gtk_widget_set_focusable(child, FALSE);
    calm(child);
  }
}

static void name_button(GtkDropDown *drop, const char *name) {
  GtkWidget *button = gtk_widget_get_first_child(GTK_WIDGET(drop));
  gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
  calm(button);
}

static void limner_grid_init(LimnerGrid *self) {
  self->cells = g_array_new(FALSE, FALSE, sizeof(Cell));
  g_array_set_clear_func(self->cells, cell_clear);
  gtk_widget_init_template(GTK_WIDGET(self));
  name_button(self->settings[0], _("Columns"));
  name_button(self->settings[1], _("Rows"));
  update_form(self);
}
