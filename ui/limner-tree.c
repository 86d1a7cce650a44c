// SPDX-License-Identifier: MIT
// Reading a tree in a worker thread, and laying it out: a column for every step, a row for every
// end.
#include "ui/limner-tree.h"

#include "ui/limner-thumbnail.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

enum {
  MAX_NODES = 300,  // shown
  MAX_BEFORE = 100, // of those that a picture was made of
  NODE_WIDTH = LIMNER_THUMBNAIL_SIDE + 16,
  NODE_HEIGHT = LIMNER_THUMBNAIL_SIDE + 60,
  GAP = 36, // between columns, where the edges are
  MARGIN = 18,
  EDGE = 2,
  PLACED_MS = 60, // a frame or two
  THUMBNAIL_MIDDLE = 8 + LIMNER_THUMBNAIL_SIDE / 2,
};

typedef struct Node {
  LimnerEntry *entry; // owned
  int parent;         // index; -1 = none
  int column, row;
  GtkWidget *button; // NULL until it is shown
} Node;

struct _LimnerTree {
  GtkWidget parent_instance;
  // Owned
  LimnerLibrary *library;
  LimnerThumbnails *thumbnails;
  LimnerEntry *entry;  // the one it is shown for
  LimnerEntry *chosen; // the one that had the focus last; marked
  GArray *nodes;       // of Node, parents first
  GCancellable *reading;
  // Plain
  guint focusing; // a source; 0 = none
};

G_DEFINE_FINAL_TYPE(LimnerTree, limner_tree, GTK_TYPE_WIDGET)

enum { SIGNAL_OPEN, SIGNAL_PROBLEM, N_SIGNALS };
static guint signals[N_SIGNALS];

static void node_clear(gpointer data) {
  Node *node = data;
  g_clear_object(&node->entry);
  g_clear_pointer(&node->button, gtk_widget_unparent);
}

#define node_at(nodes, index) (&g_array_index(nodes, Node, index))

// --- reading, in a worker thread -----------------------------------------------------------------

typedef struct Walk {
  LimnerLibrary *library;
  GArray *nodes;
  int n_rows;
} Walk;

// Takes in a picture and all that was made of it; where it ends, a row ends. A first child stays in
// its parent's row.
static gboolean add(Walk *walk, LimnerEntry *entry, int parent, int column, GError **error) {
  const int index = (int)walk->nodes->len;
  const Node node = {g_object_ref(entry), parent, column, walk->n_rows, NULL};
  g_array_append_val(walk->nodes, node);
  g_autoptr(GPtrArray) children = limner_library_children(walk->library, entry, error);
  if (!children)
    return FALSE;
  guint n_added = 0;
  for (guint i = 0; i < children->len && walk->nodes->len < MAX_NODES; i++, n_added++)
    if (!add(walk, children->pdata[i], index, column + 1, error))
      return FALSE;
  if (n_added == 0)
    walk->n_rows++;
  return TRUE;
}

static gpointer read_tree(LimnerLibrary *library, gpointer entry, GCancellable *cancellable,
                          GError **error) {
  g_autoptr(GPtrArray) before = limner_library_ancestors(library, entry, error);
  if (!before)
    return NULL;
  const guint first = before->len > MAX_BEFORE ? before->len - MAX_BEFORE : 0;
  Walk walk = {.library = library, .nodes = g_array_new(FALSE, FALSE, sizeof(Node))};
  g_array_set_clear_func(walk.nodes, node_clear);
  if (add(&walk, before->len > 0 ? before->pdata[first] : entry, -1, 0, error))
    return walk.nodes;
  g_array_unref(walk.nodes);
  return NULL;
}

// --- nodes ---------------------------------------------------------------------------------------

static void on_clicked(LimnerTree *self, GtkWidget *button) {
  for (guint i = 0; i < self->nodes->len; i++)
    if (node_at(self->nodes, i)->button == button)
      g_signal_emit(self, signals[SIGNAL_OPEN], 0, node_at(self->nodes, i)->entry);
}

static gboolean is_same(LimnerEntry *a, LimnerEntry *b) {
  return strcmp(limner_entry_get_facts(a)->sha256, limner_entry_get_facts(b)->sha256) == 0;
}

static void mark(LimnerTree *self, const Node *node) {
  if (node->button && is_same(node->entry, self->chosen))
    gtk_widget_add_css_class(node->button, "current");
  else if (node->button)
    gtk_widget_remove_css_class(node->button, "current");
}

static void on_focused(LimnerTree *self, GtkEventController *controller) {
  GtkWidget *button = gtk_event_controller_get_widget(controller);
  for (guint i = 0; i < self->nodes->len; i++)
    if (node_at(self->nodes, i)->button == button)
      g_set_object(&self->chosen, node_at(self->nodes, i)->entry);
  for (guint i = 0; i < self->nodes->len; i++)
    mark(self, node_at(self->nodes, i));
}

static GtkWidget *new_words(const char *prompt) {
  GtkWidget *label = gtk_label_new(*prompt ? prompt : _("No prompt"));
  gtk_label_set_wrap(GTK_LABEL(label), TRUE);
  gtk_label_set_lines(GTK_LABEL(label), 2);
  gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
  gtk_label_set_max_width_chars(GTK_LABEL(label), 20);
  gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
  gtk_widget_add_css_class(label, "caption");
  return label;
}

// "make it night, made of: a boat", "…, this picture". Owned.
static char *dup_name(LimnerTree *self, const Node *node) {
  g_autofree char *words = limner_words_for_entry(node->entry);
  const char *place = is_same(node->entry, self->entry) ? _("this picture")
                      : node->parent < 0                ? _("the first picture")
                                                        : _("a step");
  return g_strdup_printf("%s, %s", words, place);
}

static void show_node(LimnerTree *self, Node *node) {
  const char *prompt = limner_entry_get_facts(node->entry)->prompt;
  GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
  GtkWidget *thumbnail = limner_thumbnail_new(self->thumbnails);
  g_autofree char *name = dup_name(self, node);
  limner_thumbnail_set_entry(LIMNER_THUMBNAIL(thumbnail), node->entry);
  gtk_box_append(GTK_BOX(box), thumbnail);
  gtk_box_append(GTK_BOX(box), new_words(prompt));
  node->button = gtk_button_new();
  gtk_button_set_child(GTK_BUTTON(node->button), box);
  gtk_widget_set_tooltip_text(node->button, prompt);
  gtk_widget_add_css_class(node->button, "flat");
  gtk_widget_add_css_class(node->button, "tree-node");
  mark(self, node);
  GtkEventController *focus = gtk_event_controller_focus_new();
  g_signal_connect_object(focus, "enter", G_CALLBACK(on_focused), self, G_CONNECT_SWAPPED);
  gtk_widget_add_controller(node->button, focus);
  gtk_accessible_update_property(GTK_ACCESSIBLE(node->button), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                 -1);
  g_signal_connect_object(node->button, "clicked", G_CALLBACK(on_clicked), self, G_CONNECT_SWAPPED);
  gtk_widget_set_parent(node->button, GTK_WIDGET(self));
}

static const Node *find_focused(LimnerTree *self) {
  GtkWidget *focus = gtk_widget_get_focus_child(GTK_WIDGET(self));
  for (guint i = 0; focus && i < self->nodes->len; i++)
    if (node_at(self->nodes, i)->button == focus)
      return node_at(self->nodes, i);
  return NULL;
}

// Once everything has its place: what takes the focus is scrolled to.
static gboolean on_placed(gpointer data) {
  LimnerTree *self = data;
  self->focusing = 0;
  gtk_widget_grab_focus(GTK_WIDGET(self));
  return G_SOURCE_REMOVE;
}

static void set_nodes(LimnerTree *self, GArray *nodes) {
  const Node *focused = find_focused(self);
  g_autoptr(LimnerEntry) chosen = focused ? g_object_ref(focused->entry) : NULL;
  const gboolean is_new = self->nodes->len == 0;
  g_array_unref(self->nodes);
  self->nodes = nodes;
  for (guint i = 0; i < nodes->len; i++) {
    show_node(self, node_at(nodes, i));
    if (chosen && is_same(node_at(nodes, i)->entry, chosen))
      gtk_widget_grab_focus(node_at(nodes, i)->button);
  }
  if (is_new && !self->focusing)
    self->focusing = g_timeout_add(PLACED_MS, on_placed, self);
  gtk_widget_queue_resize(GTK_WIDGET(self));
}

// --- the library ---------------------------------------------------------------------------------

// A tree that goes cancels first, so that it is there unless the reading was cancelled.
static void on_read(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  GArray *nodes = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerTree *self = data;
  g_clear_object(&self->reading);
  if (nodes)
    set_nodes(self, nodes);
  else
    g_signal_emit(self, signals[SIGNAL_PROBLEM], 0, error->message);
}

static void stop_reading(LimnerTree *self) {
  if (self->reading)
    g_cancellable_cancel(self->reading);
  g_clear_object(&self->reading);
}

static void start_reading(LimnerTree *self) {
  stop_reading(self);
  self->reading = g_cancellable_new();
  limner_library_call_async(self->library, read_tree, g_object_ref(self->entry), g_object_unref,
                            (GDestroyNotify)g_array_unref, self->reading, on_read, self);
}

// Reads anew only while it is seen.
static void on_changed(LimnerTree *self) {
  if (self->entry && gtk_widget_get_mapped(GTK_WIDGET(self)))
    start_reading(self);
}

void limner_tree_show(LimnerTree *self, LimnerLibrary *library, LimnerThumbnails *thumbnails,
                      LimnerEntry *entry) {
  if (g_set_object(&self->library, library))
    g_signal_connect_object(library, "changed", G_CALLBACK(on_changed), self, G_CONNECT_SWAPPED);
  g_set_object(&self->thumbnails, thumbnails);
  g_set_object(&self->entry, entry);
  g_set_object(&self->chosen, entry);
  g_array_set_size(self->nodes, 0);
  start_reading(self);
}

LimnerEntry *limner_tree_get_chosen(LimnerTree *self) {
  return self->chosen;
}

LimnerEntry *limner_tree_get_shown(LimnerTree *self) {
  return self->entry;
}

guint limner_tree_get_n_nodes(LimnerTree *self) {
  return self->nodes->len;
}

// --- the widget ----------------------------------------------------------------------------------

static int left_of(LimnerTree *self, const Node *node) {
  const int x = MARGIN + node->column * (NODE_WIDTH + GAP);
  const gboolean is_rtl = gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
  return is_rtl ? gtk_widget_get_width(GTK_WIDGET(self)) - x - NODE_WIDTH : x;
}

static int top_of(const Node *node) {
  return MARGIN + node->row * NODE_HEIGHT;
}

static void limner_tree_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                int *minimum, int *natural, int *minimum_baseline,
                                int *natural_baseline) {
  LimnerTree *self = LIMNER_TREE(widget);
  int n_columns = 1, n_rows = 1;
  for (guint i = 0; i < self->nodes->len; i++) {
    const Node *node = node_at(self->nodes, i);
    n_columns = MAX(n_columns, node->column + 1);
    n_rows = MAX(n_rows, node->row + 1);
    int ignored = 0; // GTK wants every child measured before it is placed
    gtk_widget_measure(node->button, orientation, -1, &ignored, NULL, NULL, NULL);
  }
  *minimum = *natural = orientation == GTK_ORIENTATION_HORIZONTAL
                            ? 2 * MARGIN + n_columns * (NODE_WIDTH + GAP) - GAP
                            : 2 * MARGIN + n_rows * NODE_HEIGHT;
}

static void limner_tree_size_allocate(GtkWidget *widget, int width, int height, int baseline) {
  LimnerTree *self = LIMNER_TREE(widget);
  for (guint i = 0; i < self->nodes->len; i++) {
    const Node *node = node_at(self->nodes, i);
    gtk_widget_size_allocate(
        node->button,
        &(GtkAllocation){left_of(self, node), top_of(node), NODE_WIDTH, NODE_HEIGHT - 8}, -1);
  }
}

static void append_line(GtkSnapshot *snapshot, const GdkRGBA *color, float from, float to,
                        float y) {
  gtk_snapshot_append_color(snapshot, color,
                            &GRAPHENE_RECT_INIT(MIN(from, to), y, ABS(to - from), EDGE));
}

// From the parent's edge to a vertical in the gap, along it, and to the child.
static void snapshot_edge(LimnerTree *self, GtkSnapshot *snapshot, const Node *parent,
                          const Node *child, const GdkRGBA *color) {
  const gboolean is_rtl = gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
  const float from_x = (float)(left_of(self, parent) + (is_rtl ? 0 : NODE_WIDTH));
  const float to_x = (float)(left_of(self, child) + (is_rtl ? NODE_WIDTH : 0));
  const float from_y = (float)(top_of(parent) + THUMBNAIL_MIDDLE);
  const float to_y = (float)(top_of(child) + THUMBNAIL_MIDDLE);
  const float x = (from_x + to_x) / 2;
  append_line(snapshot, color, from_x, x, from_y);
  gtk_snapshot_append_color(snapshot, color,
                            &GRAPHENE_RECT_INIT(x, from_y, EDGE, to_y - from_y + EDGE));
  append_line(snapshot, color, x, to_x, to_y);
}

static void limner_tree_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  LimnerTree *self = LIMNER_TREE(widget);
  GdkRGBA color;
  gtk_style_context_get_color(gtk_widget_get_style_context(widget), &color);
  gtk_snapshot_push_opacity(snapshot, 0.4); // all together: edges lie over one another
  for (guint i = 0; i < self->nodes->len; i++) {
    const Node *node = node_at(self->nodes, i);
    if (node->parent >= 0)
      snapshot_edge(self, snapshot, node_at(self->nodes, node->parent), node, &color);
  }
  gtk_snapshot_pop(snapshot);
  GTK_WIDGET_CLASS(limner_tree_parent_class)->snapshot(widget, snapshot);
}

static gboolean limner_tree_grab_focus(GtkWidget *widget) {
  LimnerTree *self = LIMNER_TREE(widget);
  for (guint i = 0; i < self->nodes->len; i++)
    if (is_same(node_at(self->nodes, i)->entry, self->chosen))
      return gtk_widget_grab_focus(node_at(self->nodes, i)->button);
  return FALSE;
}

static void limner_tree_dispose(GObject *object) {
  LimnerTree *self = LIMNER_TREE(object);
  stop_reading(self);
  g_clear_handle_id(&self->focusing, g_source_remove);
  g_array_set_size(self->nodes, 0);
  g_clear_object(&self->entry);
  g_clear_object(&self->chosen);
  g_clear_object(&self->thumbnails);
  g_clear_object(&self->library);
  G_OBJECT_CLASS(limner_tree_parent_class)->dispose(object);
}

static void limner_tree_finalize(GObject *object) {
  g_array_unref(LIMNER_TREE(object)->nodes);
  G_OBJECT_CLASS(limner_tree_parent_class)->finalize(object);
}

static void limner_tree_class_init(LimnerTreeClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_tree_dispose;
  G_OBJECT_CLASS(klass)->finalize = limner_tree_finalize;
  widget_class->measure = limner_tree_measure;
  widget_class->size_allocate = limner_tree_size_allocate;
  widget_class->snapshot = limner_tree_snapshot;
  widget_class->grab_focus = limner_tree_grab_focus;
  gtk_widget_class_set_css_name(widget_class, "tree");
  signals[SIGNAL_OPEN] = g_signal_new("open", LIMNER_TYPE_TREE, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                      NULL, G_TYPE_NONE, 1, LIMNER_TYPE_ENTRY);
  signals[SIGNAL_PROBLEM] = g_signal_new("problem", LIMNER_TYPE_TREE, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void limner_tree_init(LimnerTree *self) {
  self->nodes = g_array_new(FALSE, FALSE, sizeof(Node));
  g_array_set_clear_func(self->nodes, node_clear);
}
