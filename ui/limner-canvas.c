// SPDX-License-Identifier: MIT
// Drawing one sample. The picture's bytes become a texture without a copy, once per new preview.
#include "ui/limner-canvas.h"

#include <math.h>

#define MIN_SIDE_PX 64
#define NATURAL_SIDE_PX 210
#define LINE_HEIGHT_PX 3

struct _LimnerCanvas {
  GtkWidget parent_instance;
  // Owned
  LimnerSample *sample;
  GSignalGroup *sample_signals;
  GdkTexture *texture;
  LimnerPicture *textured; // the picture `texture` shows
  // Plain
  gboolean busy;
  int fixed_side_px; // 0 = as wide as there is room
};

G_DEFINE_FINAL_TYPE(LimnerCanvas, limner_canvas, GTK_TYPE_WIDGET)

enum { PROP_0, PROP_SAMPLE, PROP_BUSY, PROP_FIXED_SIDE, N_PROPS };
static GParamSpec *properties[N_PROPS];

GdkTexture *limner_texture_new(LimnerPicture *picture) {
  const int width_px = limner_picture_get_width(picture);
  return gdk_memory_texture_new(width_px, limner_picture_get_height(picture), GDK_MEMORY_R8G8B8,
                                limner_picture_get_bytes(picture), (gsize)width_px * 3);
}

static void forget_texture(LimnerCanvas *self) {
  g_clear_object(&self->texture);
  g_clear_pointer(&self->textured, limner_picture_unref);
}

static GdkTexture *ensure_texture(LimnerCanvas *self) {
  LimnerPicture *picture = self->sample ? limner_sample_get_picture(self->sample) : NULL;
  if (picture == self->textured)
    return self->texture;
  forget_texture(self);
  if (picture) {
    self->textured = limner_picture_ref(picture);
    self->texture = limner_texture_new(picture);
  }
  return self->texture;
}

static GdkRGBA named_color(LimnerCanvas *self, const char *name) {
  GdkRGBA color = {0.5f, 0.5f, 0.5f, 1.0f};
  gtk_style_context_lookup_color(gtk_widget_get_style_context(GTK_WIDGET(self)), name, &color);
  return color;
}

// The known rows of a square picture; the newest fade into the ground.
static void snapshot_known(LimnerCanvas *self, GtkSnapshot *snapshot, GdkTexture *texture,
                           float side, float known) {
  GdkRGBA ground = named_color(self, "limner_ground");
  GdkRGBA clear = ground;
  clear.alpha = 0.0f;
  const GskColorStop stops[] = {{0.0f, clear}, {1.0f, ground}};
  const float start = MAX(0.0f, known - side / 24.0f);
  gtk_snapshot_push_clip(snapshot, &GRAPHENE_RECT_INIT(0, 0, side, known));
  gtk_snapshot_append_texture(snapshot, texture, &GRAPHENE_RECT_INIT(0, 0, side, side));
  gtk_snapshot_append_linear_gradient(snapshot, &GRAPHENE_RECT_INIT(0, start, side, side - start),
                                      &GRAPHENE_POINT_INIT(0, start),
                                      &GRAPHENE_POINT_INIT(0, known), stops, G_N_ELEMENTS(stops));
  gtk_snapshot_pop(snapshot);
}

static void snapshot_line(LimnerCanvas *self, GtkSnapshot *snapshot, float width, float height,
                          float fraction) {
  const GdkRGBA accent = named_color(self, "accent_bg_color");
  const float length = width * fraction;
  const gboolean is_rtl = gtk_widget_get_direction(GTK_WIDGET(self)) == GTK_TEXT_DIR_RTL;
  const float x = is_rtl ? width - length : 0.0f;
  gtk_snapshot_append_color(
      snapshot, &accent, &GRAPHENE_RECT_INIT(x, height - LINE_HEIGHT_PX, length, LINE_HEIGHT_PX));
}

static void limner_canvas_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  LimnerCanvas *self = LIMNER_CANVAS(widget);
  const float width = (float)gtk_widget_get_width(widget);
  const float height = (float)gtk_widget_get_height(widget);
  const float side = MIN(width, height);
  GdkTexture *texture = ensure_texture(self);
  if (!self->sample)
    return;
  const guint grid = limner_sample_get_grid(self->sample);
  const gboolean finished = limner_sample_get_finished(self->sample);
  const float fraction =
      grid ? MIN(1.0f, (float)limner_sample_get_n_rows(self->sample) / (float)grid) : 0.0f;
  if (texture) {
    gtk_snapshot_save(snapshot);
    gtk_snapshot_translate(snapshot,
                           &GRAPHENE_POINT_INIT((width - side) / 2.0f, (height - side) / 2.0f));
    if (finished || fraction >= 1.0f)
      gtk_snapshot_append_texture(snapshot, texture, &GRAPHENE_RECT_INIT(0, 0, side, side));
    else
      snapshot_known(self, snapshot, texture, side, floorf(side * fraction));
    gtk_snapshot_restore(snapshot);
  }
  if (self->busy && !finished)
    snapshot_line(self, snapshot, width, height, fraction);
}

static GtkSizeRequestMode limner_canvas_get_request_mode(GtkWidget *widget) {
  return GTK_SIZE_REQUEST_HEIGHT_FOR_WIDTH;
}

static void limner_canvas_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                  int *minimum, int *natural, int *minimum_baseline,
                                  int *natural_baseline) {
  const int fixed_px = LIMNER_CANVAS(widget)->fixed_side_px;
  *minimum = fixed_px ? fixed_px : MIN_SIDE_PX;
  *natural = fixed_px ? fixed_px : NATURAL_SIDE_PX;
  if (!fixed_px && orientation == GTK_ORIENTATION_VERTICAL && for_size >= 0)
    *minimum = *natural = MAX(for_size, MIN_SIDE_PX);
}

LimnerSample *limner_canvas_get_sample(LimnerCanvas *self) {
  return self->sample;
}

void limner_canvas_set_sample(LimnerCanvas *self, LimnerSample *sample) {
  if (!g_set_object(&self->sample, sample))
    return;
  forget_texture(self);
  g_signal_group_set_target(self->sample_signals, sample);
  gtk_widget_queue_draw(GTK_WIDGET(self));
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_SAMPLE]);
}

void limner_canvas_set_busy(LimnerCanvas *self, gboolean busy) {
  if (self->busy == busy)
    return;
  self->busy = busy;
  gtk_widget_queue_draw(GTK_WIDGET(self));
  g_object_notify_by_pspec(G_OBJECT(self), properties[PROP_BUSY]);
}

static void limner_canvas_get_property(GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec) {
  LimnerCanvas *self = LIMNER_CANVAS(object);
  if (id == PROP_SAMPLE)
    g_value_set_object(value, self->sample);
  else if (id == PROP_FIXED_SIDE)
    g_value_set_int(value, self->fixed_side_px);
  else
    g_value_set_boolean(value, self->busy);
}

static void limner_canvas_set_property(GObject *object, guint id, const GValue *value,
                                       GParamSpec *pspec) {
  LimnerCanvas *self = LIMNER_CANVAS(object);
  if (id == PROP_SAMPLE)
    limner_canvas_set_sample(self, g_value_get_object(value));
  else if (id == PROP_FIXED_SIDE)
    self->fixed_side_px = g_value_get_int(value);
  else
    limner_canvas_set_busy(self, g_value_get_boolean(value));
}

static void limner_canvas_dispose(GObject *object) {
  LimnerCanvas *self = LIMNER_CANVAS(object);
  g_clear_object(&self->sample_signals);
  g_clear_object(&self->sample);
  forget_texture(self);
  G_OBJECT_CLASS(limner_canvas_parent_class)->dispose(object);
}

static void limner_canvas_class_init(LimnerCanvasClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  object_class->get_property = limner_canvas_get_property;
  object_class->set_property = limner_canvas_set_property;
  object_class->dispose = limner_canvas_dispose;
  widget_class->snapshot = limner_canvas_snapshot;
  widget_class->measure = limner_canvas_measure;
  widget_class->get_request_mode = limner_canvas_get_request_mode;
  properties[PROP_SAMPLE] = g_param_spec_object("sample", NULL, NULL, LIMNER_TYPE_SAMPLE, flags);
  properties[PROP_BUSY] = g_param_spec_boolean("busy", NULL, NULL, FALSE, flags);
  properties[PROP_FIXED_SIDE] =
      g_param_spec_int("fixed-side", NULL, NULL, 0, G_MAXINT, 0,
                       G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties(object_class, N_PROPS, properties);
  gtk_widget_class_set_css_name(widget_class, "canvas");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void limner_canvas_init(LimnerCanvas *self) {
  gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
  self->sample_signals = g_signal_group_new(LIMNER_TYPE_SAMPLE);
  g_signal_group_connect_swapped(self->sample_signals, "notify", G_CALLBACK(gtk_widget_queue_draw),
                                 self);
}
