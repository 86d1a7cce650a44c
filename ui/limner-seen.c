// SPDX-License-Identifier: MIT
// Fitting in a worker thread, and drawing what came of it.
#include "ui/limner-seen.h"

#include "ui/limner-canvas.h"

struct _LimnerSeen {
  GtkWidget parent_instance;
  // Owned
  LimnerInput *input;
  GdkTexture *texture;
  GCancellable *fitting; // NULL = nothing under way
  // Plain
  JanusFit fit;
};

G_DEFINE_FINAL_TYPE(LimnerSeen, limner_seen, GTK_TYPE_WIDGET)

typedef struct Fitting {
  LimnerInput *input;
  JanusFit fit;
} Fitting;

static void fitting_free(Fitting *fitting) {
  limner_input_unref(fitting->input);
  g_free(fitting);
}

static void fit_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  const Fitting *fitting = data;
  GError *error = NULL;
  g_autoptr(LimnerPicture) seen = limner_input_dup_seen(fitting->input, fitting->fit, NULL, &error);
  if (seen)
    g_task_return_pointer(task, limner_texture_new(seen), g_object_unref);
  else
    g_task_return_error(task, error);
}

void limner_seen_fit_async(LimnerInput *input, JanusFit fit, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data) {
  Fitting *fitting = g_new0(Fitting, 1);
  fitting->input = limner_input_ref(input);
  fitting->fit = fit;
  g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
  g_task_set_source_tag(task, limner_seen_fit_async);
  g_task_set_task_data(task, fitting, (GDestroyNotify)fitting_free);
  g_task_run_in_thread(task, fit_in_thread);
}

GdkTexture *limner_seen_fit_finish(GAsyncResult *result, GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}

static void show_texture(LimnerSeen *self, GdkTexture *texture) {
  g_set_object(&self->texture, texture);
  gtk_widget_queue_draw(GTK_WIDGET(self));
}

// A widget that goes cancels first, so that it is there unless the fitting was cancelled.
static void on_fitted(GObject *object, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GdkTexture) texture = limner_seen_fit_finish(result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerSeen *self = data;
  g_clear_object(&self->fitting);
  show_texture(self, texture);
}

static void stop_fitting(LimnerSeen *self) {
  if (self->fitting)
    g_cancellable_cancel(self->fitting);
  g_clear_object(&self->fitting);
}

static void start_fitting(LimnerSeen *self) {
  self->fitting = g_cancellable_new();
  limner_seen_fit_async(self->input, self->fit, self->fitting, on_fitted, self);
}

void limner_seen_set(LimnerSeen *self, LimnerInput *input, JanusFit fit) {
  if (input == self->input && fit == self->fit)
    return;
  stop_fitting(self);
  g_clear_pointer(&self->input, limner_input_unref);
  self->input = input ? limner_input_ref(input) : NULL;
  self->fit = fit;
  if (input)
    start_fitting(self);
  else
    show_texture(self, NULL);
}

gboolean limner_seen_has_picture(LimnerSeen *self) {
  return self->texture != NULL;
}

static void limner_seen_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  LimnerSeen *self = LIMNER_SEEN(widget);
  const float width = (float)gtk_widget_get_width(widget);
  const float height = (float)gtk_widget_get_height(widget);
  const float side = MIN(width, height);
  if (self->texture)
    gtk_snapshot_append_texture(
        snapshot, self->texture,
        &GRAPHENE_RECT_INIT((width - side) / 2, (height - side) / 2, side, side));
}

static void limner_seen_dispose(GObject *object) {
  LimnerSeen *self = LIMNER_SEEN(object);
  stop_fitting(self);
  g_clear_pointer(&self->input, limner_input_unref);
  g_clear_object(&self->texture);
  G_OBJECT_CLASS(limner_seen_parent_class)->dispose(object);
}

static void limner_seen_class_init(LimnerSeenClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_seen_dispose;
  widget_class->snapshot = limner_seen_snapshot;
  gtk_widget_class_set_css_name(widget_class, "seen");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void limner_seen_init(LimnerSeen *self) {
  gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
}
