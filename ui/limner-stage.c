// SPDX-License-Identifier: MIT
// Where the pictures lie follows from the zoom and from which point of theirs is in the middle.
#include "ui/limner-stage.h"

#include "ui/limner-divider.h"

#define MARGIN_PX 18.0f
#define GAP_PX 12.0f
#define MAX_ZOOM 16.0
#define SCROLL_FACTOR 1.2
#define SCROLL_PX 60.0
#define MIN_SIDE_PX 96

struct _LimnerStage {
  GtkWidget parent_instance;
  // Children
  GtkWidget *divider;
  GtkWidget *names[2]; // of `picture` and of `other`
  // Owned
  GdkTexture *picture;
  GdkTexture *other;
  // Plain
  LimnerStageMode mode;
  double zoom;                 // 0 = as large as fits
  double middle_x, middle_y;   // of what is seen, 0 .. 1
  double dragged_x, dragged_y; // as they were when a drag began
  double pointer_x, pointer_y; // in the widget
};

G_DEFINE_FINAL_TYPE(LimnerStage, limner_stage, GTK_TYPE_WIDGET)

enum { ZOOMED, N_SIGNALS };
static guint signals[N_SIGNALS];

// --- where things are ----------------------------------------------------------------------------

static gboolean is_rtl(LimnerStage *self) {
  return gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
}

// The part of the widget that picture 0 (`picture`) or 1 (`other`) is seen in.
static graphene_rect_t get_pane(LimnerStage *self, int which) {
  const float width = (float)gtk_widget_get_width(GTK_WIDGET(self));
  const float height = (float)gtk_widget_get_height(GTK_WIDGET(self));
  const graphene_rect_t all = GRAPHENE_RECT_INIT(
      MARGIN_PX, MARGIN_PX, MAX(1, width - 2 * MARGIN_PX), MAX(1, height - 2 * MARGIN_PX));
  if (self->mode != LIMNER_STAGE_SIDES)
    return all;
  // A high window has them above each other.
  const gboolean is_wide = width >= height;
  const gboolean is_second = (which == 0) != (is_wide && is_rtl(self));
  graphene_rect_t pane = all;
  if (is_wide) {
    pane.size.width = MAX(1, (all.size.width - GAP_PX) / 2);
    pane.origin.x += is_second ? pane.size.width + GAP_PX : 0;
  } else {
    pane.size.height = MAX(1, (all.size.height - GAP_PX) / 2);
    pane.origin.y += is_second ? pane.size.height + GAP_PX : 0;
  }
  return pane;
}

static double get_fitting_scale(LimnerStage *self) {
  const graphene_rect_t pane = get_pane(self, 0);
  if (!self->picture)
    return 1;
  return MIN(pane.size.width / (double)gdk_texture_get_width(self->picture),
             pane.size.height / (double)gdk_texture_get_height(self->picture));
}

double limner_stage_get_scale(LimnerStage *self) {
  return self->zoom > 0 ? self->zoom : get_fitting_scale(self);
}

// The whole picture, of which the pane shows a part.
static graphene_rect_t get_whole(LimnerStage *self, int which) {
  const graphene_rect_t pane = get_pane(self, which);
  const double scale = limner_stage_get_scale(self);
  const double width = gdk_texture_get_width(self->picture) * scale;
  const double height = gdk_texture_get_height(self->picture) * scale;
  return GRAPHENE_RECT_INIT((float)(pane.origin.x + pane.size.width / 2 - self->middle_x * width),
                            (float)(pane.origin.y + pane.size.height / 2 - self->middle_y * height),
                            (float)width, (float)height);
}

static double clamp_middle(double middle, double pane_px, double whole_px) {
  if (whole_px <= pane_px)
    return 0.5;
  const double half = pane_px / 2 / whole_px;
  return CLAMP(middle, half, 1 - half);
}

// No room is left empty that the picture could fill.
static void clamp(LimnerStage *self) {
  const graphene_rect_t pane = get_pane(self, 0);
  if (!self->picture)
    return;
  const double scale = limner_stage_get_scale(self);
  self->middle_x =
      clamp_middle(self->middle_x, pane.size.width, gdk_texture_get_width(self->picture) * scale);
  self->middle_y =
      clamp_middle(self->middle_y, pane.size.height, gdk_texture_get_height(self->picture) * scale);
}

static void changed(LimnerStage *self) {
  clamp(self);
  gtk_widget_queue_allocate(GTK_WIDGET(self)); // the line moves too
  gtk_widget_queue_draw(GTK_WIDGET(self));
}

// --- what is shown -------------------------------------------------------------------------------

static void update_children(LimnerStage *self) {
  const gboolean are_two = self->mode != LIMNER_STAGE_ONE && self->picture && self->other;
  gtk_widget_set_visible(self->divider, are_two && self->mode == LIMNER_STAGE_SLIDER);
  for (int i = 0; i < 2; i++)
    gtk_widget_set_visible(self->names[i],
                           are_two && *gtk_label_get_label(GTK_LABEL(self->names[i])));
  changed(self);
}

void limner_stage_set_names(LimnerStage *self, const char *picture, const char *other) {
  gtk_label_set_label(GTK_LABEL(self->names[0]), picture);
  gtk_label_set_label(GTK_LABEL(self->names[1]), other);
  update_children(self);
}

void limner_stage_set_pictures(LimnerStage *self, GdkTexture *picture, GdkTexture *other) {
  g_set_object(&self->picture, picture);
  g_set_object(&self->other, other);
  update_children(self);
  g_signal_emit(self, signals[ZOOMED], 0);
}

GdkTexture *limner_stage_get_picture(LimnerStage *self) {
  return self->picture;
}

GdkTexture *limner_stage_get_other(LimnerStage *self) {
  return self->other;
}

void limner_stage_set_mode(LimnerStage *self, LimnerStageMode mode) {
  if (self->mode == mode)
    return;
  self->mode = mode;
  update_children(self);
  g_signal_emit(self, signals[ZOOMED], 0);
}

LimnerStageMode limner_stage_get_mode(LimnerStage *self) {
  return self->mode;
}

GtkWidget *limner_stage_get_divider(LimnerStage *self) {
  return self->divider;
}

// --- zoom and place ------------------------------------------------------------------------------

// Keeps what lies under a point of the window there.
static void zoom_about(LimnerStage *self, double zoom, double x, double y) {
  const graphene_rect_t *at = NULL;
  graphene_rect_t panes[2] = {get_pane(self, 0), get_pane(self, 1)};
  for (int i = 0; i < 2 && !at; i++)
    if (graphene_rect_contains_point(&panes[i], &GRAPHENE_POINT_INIT((float)x, (float)y)))
      at = &panes[i];
  const double from = limner_stage_get_scale(self);
  const double fitting = get_fitting_scale(self);
  // Further out than all of it there is nothing to see.
  self->zoom = zoom <= MIN(fitting, 1) ? 0 : MIN(zoom, MAX_ZOOM);
  const double to = limner_stage_get_scale(self);
  if (at && self->picture) {
    const double dx = x - (at->origin.x + at->size.width / 2);
    const double dy = y - (at->origin.y + at->size.height / 2);
    self->middle_x += dx * (1 / from - 1 / to) / gdk_texture_get_width(self->picture);
    self->middle_y += dy * (1 / from - 1 / to) / gdk_texture_get_height(self->picture);
  }
  changed(self);
  g_signal_emit(self, signals[ZOOMED], 0);
}

void limner_stage_set_zoom(LimnerStage *self, double zoom) {
  self->zoom = MIN(zoom, MAX_ZOOM);
  changed(self);
  g_signal_emit(self, signals[ZOOMED], 0);
}

gboolean limner_stage_fits(LimnerStage *self) {
  return self->zoom <= 0;
}

void limner_stage_zoom_by(LimnerStage *self, double factor) {
  const graphene_rect_t pane = get_pane(self, 0);
  zoom_about(self, limner_stage_get_scale(self) * factor, pane.origin.x + pane.size.width / 2,
             pane.origin.y + pane.size.height / 2);
}

void limner_stage_pan(LimnerStage *self, double dx_px, double dy_px) {
  if (!self->picture)
    return;
  const double scale = limner_stage_get_scale(self);
  self->middle_x += dx_px / scale / gdk_texture_get_width(self->picture);
  self->middle_y += dy_px / scale / gdk_texture_get_height(self->picture);
  changed(self);
}

void limner_stage_get_middle(LimnerStage *self, double *x, double *y) {
  *x = self->middle_x;
  *y = self->middle_y;
}

// --- pointer -------------------------------------------------------------------------------------

static void on_motion(LimnerStage *self, double x, double y) {
  self->pointer_x = x;
  self->pointer_y = y;
}

static gboolean on_scroll(LimnerStage *self, double dx, double dy, GtkEventController *scroll) {
  const GdkModifierType state = gtk_event_controller_get_current_event_state(scroll);
  if (state & GDK_CONTROL_MASK)
    zoom_about(self, limner_stage_get_scale(self) * (dy > 0 ? 1 / SCROLL_FACTOR : SCROLL_FACTOR),
               self->pointer_x, self->pointer_y);
  else if (!limner_stage_fits(self))
    limner_stage_pan(self, dx * SCROLL_PX, dy * SCROLL_PX);
  else
    return GDK_EVENT_PROPAGATE;
  return GDK_EVENT_STOP;
}

static void on_drag_begin(LimnerStage *self) {
  self->dragged_x = self->middle_x;
  self->dragged_y = self->middle_y;
  gtk_widget_grab_focus(GTK_WIDGET(self));
}

static void on_drag_update(LimnerStage *self, double dx, double dy, GtkGesture *gesture) {
  self->middle_x = self->dragged_x;
  self->middle_y = self->dragged_y;
  limner_stage_pan(self, -dx, -dy);
}

// --- drawing -------------------------------------------------------------------------------------

static void draw(GtkSnapshot *snapshot, GdkTexture *texture, const graphene_rect_t *clip,
                 const graphene_rect_t *whole) {
  gtk_snapshot_push_clip(snapshot, clip);
  gtk_snapshot_append_texture(snapshot, texture, whole);
  gtk_snapshot_pop(snapshot);
}

// What is seen of a picture.
static graphene_rect_t get_seen(LimnerStage *self, int which) {
  const graphene_rect_t pane = get_pane(self, which), whole = get_whole(self, which);
  graphene_rect_t seen = pane;
  graphene_rect_intersection(&pane, &whole, &seen);
  return seen;
}

static float get_line(LimnerStage *self, const graphene_rect_t *seen) {
  const double position = limner_divider_get_position(LIMNER_DIVIDER(self->divider));
  return seen->origin.x + seen->size.width * (float)position;
}

static void snapshot_slider(LimnerStage *self, GtkSnapshot *snapshot) {
  const graphene_rect_t whole = get_whole(self, 0), seen = get_seen(self, 0);
  const float line = get_line(self, &seen);
  graphene_rect_t left = seen, right = seen;
  left.size.width = line - seen.origin.x;
  right.origin.x = line;
  right.size.width = seen.origin.x + seen.size.width - line;
  draw(snapshot, is_rtl(self) ? self->picture : self->other, &left, &whole);
  draw(snapshot, is_rtl(self) ? self->other : self->picture, &right, &whole);
}

static void limner_stage_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  LimnerStage *self = LIMNER_STAGE(widget);
  if (!self->picture)
    return;
  const graphene_rect_t panes[2] = {get_pane(self, 0), get_pane(self, 1)};
  const graphene_rect_t wholes[2] = {get_whole(self, 0), get_whole(self, 1)};
  if (self->mode == LIMNER_STAGE_SLIDER && self->other)
    snapshot_slider(self, snapshot);
  else
    draw(snapshot, self->picture, &panes[0], &wholes[0]);
  if (self->mode == LIMNER_STAGE_SIDES && self->other)
    draw(snapshot, self->other, &panes[1], &wholes[1]);
  gtk_widget_snapshot_child(widget, self->divider, snapshot);
  for (int i = 0; i < 2; i++)
    gtk_widget_snapshot_child(widget, self->names[i], snapshot);
}

static void limner_stage_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                 int *minimum, int *natural, int *minimum_baseline,
                                 int *natural_baseline) {
  *minimum = MIN_SIDE_PX;
  *natural = 4 * MIN_SIDE_PX;
}

// In a corner of its picture.
static void allocate_name(LimnerStage *self, int which) {
  const graphene_rect_t seen = get_seen(self, which);
  const gboolean is_slider = self->mode == LIMNER_STAGE_SLIDER;
  const int room_px = (int)seen.size.width / (is_slider ? 2 : 1) - 2 * (int)GAP_PX;
  int width = 0, height = 0, minimum = 0;
  gtk_widget_measure(self->names[which], GTK_ORIENTATION_HORIZONTAL, -1, &minimum, &width, NULL,
                     NULL);
  width = MAX(minimum, MIN(width, room_px));
  gtk_widget_measure(self->names[which], GTK_ORIENTATION_VERTICAL, width, NULL, &height, NULL,
                     NULL);
  const gboolean is_right = is_slider ? (which == 0) != is_rtl(self) : is_rtl(self);
  const GtkAllocation at = {
      (int)(seen.origin.x + (is_right ? seen.size.width - (float)width - GAP_PX : GAP_PX)),
      (int)(seen.origin.y + GAP_PX), width, height};
  gtk_widget_size_allocate(self->names[which], &at, -1);
}

static void limner_stage_size_allocate(GtkWidget *widget, int width, int height, int baseline) {
  LimnerStage *self = LIMNER_STAGE(widget);
  clamp(self);
  for (int i = 0; i < 2; i++)
    if (gtk_widget_get_visible(self->names[i]))
      allocate_name(self, i);
  if (!gtk_widget_get_visible(self->divider))
    return;
  const graphene_rect_t seen = get_seen(self, 0);
  int line_width = 0;
  gtk_widget_measure(self->divider, GTK_ORIENTATION_HORIZONTAL, -1, &line_width, NULL, NULL, NULL);
  const GtkAllocation at = {(int)get_line(self, &seen) - line_width / 2, (int)seen.origin.y,
                            line_width, MAX(line_width, (int)seen.size.height)};
  limner_divider_set_range(LIMNER_DIVIDER(self->divider), seen.origin.x, seen.size.width);
  gtk_widget_size_allocate(self->divider, &at, -1);
}

// --- the object ----------------------------------------------------------------------------------

static void limner_stage_dispose(GObject *object) {
  LimnerStage *self = LIMNER_STAGE(object);
  g_clear_pointer(&self->divider, gtk_widget_unparent);
  for (int i = 0; i < 2; i++)
    g_clear_pointer(&self->names[i], gtk_widget_unparent);
  g_clear_object(&self->picture);
  g_clear_object(&self->other);
  G_OBJECT_CLASS(limner_stage_parent_class)->dispose(object);
}

static void limner_stage_class_init(LimnerStageClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_stage_dispose;
  widget_class->snapshot = limner_stage_snapshot;
  widget_class->measure = limner_stage_measure;
  widget_class->size_allocate = limner_stage_size_allocate;
  signals[ZOOMED] = g_signal_new("zoomed", LIMNER_TYPE_STAGE, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 0);
  gtk_widget_class_set_css_name(widget_class, "stage");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void add_controllers(LimnerStage *self) {
  GtkEventController *motion = gtk_event_controller_motion_new();
  GtkEventController *scroll =
      gtk_event_controller_scroll_new(GTK_EVENT_CONTROLLER_SCROLL_BOTH_AXES);
  GtkGesture *drag = gtk_gesture_drag_new();
  g_signal_connect_swapped(motion, "motion", G_CALLBACK(on_motion), self);
  g_signal_connect_swapped(motion, "enter", G_CALLBACK(on_motion), self);
  g_signal_connect_swapped(scroll, "scroll", G_CALLBACK(on_scroll), self);
  g_signal_connect_swapped(drag, "drag-begin", G_CALLBACK(on_drag_begin), self);
  g_signal_connect_swapped(drag, "drag-update", G_CALLBACK(on_drag_update), self);
  gtk_widget_add_controller(GTK_WIDGET(self), motion);
  gtk_widget_add_controller(GTK_WIDGET(self), scroll);
  gtk_widget_add_controller(GTK_WIDGET(self), GTK_EVENT_CONTROLLER(drag));
}

static void limner_stage_init(LimnerStage *self) {
  self->middle_x = self->middle_y = 0.5;
  self->divider = g_object_new(LIMNER_TYPE_DIVIDER, "visible", FALSE, NULL);
  gtk_widget_set_parent(self->divider, GTK_WIDGET(self));
  for (int i = 0; i < 2; i++) {
    self->names[i] = gtk_label_new("");
    gtk_widget_set_visible(self->names[i], FALSE);
    gtk_widget_set_can_target(self->names[i], FALSE);
    gtk_widget_add_css_class(self->names[i], "stage-name");
    gtk_label_set_ellipsize(GTK_LABEL(self->names[i]), PANGO_ELLIPSIZE_END);
    gtk_widget_set_parent(self->names[i], GTK_WIDGET(self));
  }
  g_signal_connect_object(self->divider, "notify::position", G_CALLBACK(changed), self,
                          G_CONNECT_SWAPPED);
  gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
  gtk_widget_set_focusable(GTK_WIDGET(self), TRUE);
  add_controllers(self);
}
