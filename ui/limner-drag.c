// SPDX-License-Identifier: MIT
// The content provider of pictures, and the drags that carry it.
#include "ui/limner-drag.h"

#include "ui/limner-kept.h"
#include "ui/limner-outgoing.h"

#include <glib/gi18n.h>

#define PNG "image/png"
#define ICON_PX 96

// --- what is carried -----------------------------------------------------------------------------

#define LIMNER_TYPE_CONTENT (limner_content_get_type())
G_DECLARE_FINAL_TYPE(LimnerContent, limner_content, LIMNER, CONTENT, GdkContentProvider)

struct _LimnerContent {
  GdkContentProvider parent_instance;
  // Owned
  LimnerInput *input;
};

G_DEFINE_FINAL_TYPE(LimnerContent, limner_content, GDK_TYPE_CONTENT_PROVIDER)

LimnerInput *limner_input_new_from_sample(LimnerSample *sample) {
  const LimnerRequest *request = limner_sample_get_request(sample);
  g_autofree char *seed = g_strdup_printf("%" G_GUINT64_FORMAT, request->seed);
  // Translators: what a painted picture is called when it is changed further
  g_autofree char *name =
      g_strdup_printf(_("Sample %u, seed %s"), limner_sample_get_index(sample) + 1, seed);
  LimnerEntry *entry = limner_sample_get_entry(sample);
  return limner_input_new_from_picture(limner_sample_get_picture(sample), name,
                                       entry ? limner_entry_get_facts(entry)->sha256 : NULL);
}

static GdkContentFormats *limner_content_ref_formats(GdkContentProvider *provider) {
  GdkContentFormatsBuilder *builder = gdk_content_formats_builder_new();
  gdk_content_formats_builder_add_gtype(builder, LIMNER_TYPE_INPUT);
  gdk_content_formats_builder_add_gtype(builder, GDK_TYPE_TEXTURE);
  gdk_content_formats_builder_add_mime_type(builder, PNG);
  return gdk_content_formats_builder_free_to_formats(builder);
}

static gboolean limner_content_get_value(GdkContentProvider *provider, GValue *value,
                                         GError **error) {
  LimnerInput *input = LIMNER_CONTENT(provider)->input;
  if (G_VALUE_HOLDS(value, LIMNER_TYPE_INPUT))
    g_value_set_boxed(value, input);
  else if (G_VALUE_HOLDS(value, GDK_TYPE_TEXTURE))
    g_value_take_object(value, limner_texture_new(limner_input_get_picture(input)));
  else
    return GDK_CONTENT_PROVIDER_CLASS(limner_content_parent_class)
        ->get_value(provider, value, error);
  return TRUE;
}

static void write_in_thread(GTask *task, gpointer source, gpointer data,
                            GCancellable *cancellable) {
  GError *error = NULL;
  LimnerPicture *picture = limner_input_get_picture(LIMNER_CONTENT(source)->input);
  const LimnerExportOptions options = {.without_metadata = limner_outgoing_is_bare()};
  g_autoptr(GBytes) png = limner_picture_encode(picture, &options, &error);
  if (png && g_output_stream_write_all(data, g_bytes_get_data(png, NULL), g_bytes_get_size(png),
                                       NULL, cancellable, &error))
    g_task_return_boolean(task, TRUE);
  else
    g_task_return_error(task, error);
}

static void limner_content_write_async(GdkContentProvider *provider, const char *mime_type,
                                       GOutputStream *stream, int io_priority,
                                       GCancellable *cancellable, GAsyncReadyCallback callback,
                                       gpointer user_data) {
  g_autoptr(GTask) task = g_task_new(provider, cancellable, callback, user_data);
  g_task_set_source_tag(task, limner_content_write_async);
  g_task_set_task_data(task, g_object_ref(stream), g_object_unref);
  g_task_run_in_thread(task, write_in_thread);
}

static gboolean limner_content_write_finish(GdkContentProvider *provider, GAsyncResult *result,
                                            GError **error) {
  return g_task_propagate_boolean(G_TASK(result), error);
}

static void limner_content_finalize(GObject *object) {
  limner_input_unref(LIMNER_CONTENT(object)->input);
  G_OBJECT_CLASS(limner_content_parent_class)->finalize(object);
}

static void limner_content_class_init(LimnerContentClass *klass) {
  GdkContentProviderClass *provider_class = GDK_CONTENT_PROVIDER_CLASS(klass);
  G_OBJECT_CLASS(klass)->finalize = limner_content_finalize;
  provider_class->ref_formats = limner_content_ref_formats;
  provider_class->get_value = limner_content_get_value;
  provider_class->write_mime_type_async = limner_content_write_async;
  provider_class->write_mime_type_finish = limner_content_write_finish;
}

static void limner_content_init(LimnerContent *self) {}

GdkContentProvider *limner_content_provider_new(LimnerInput *input) {
  LimnerContent *self = g_object_new(LIMNER_TYPE_CONTENT, NULL);
  self->input = limner_input_ref(input);
  return GDK_CONTENT_PROVIDER(self);
}

// --- drags ---------------------------------------------------------------------------------------

static GdkContentProvider *on_prepare(GtkDragSource *source, double x, double y) {
  GtkWidget *canvas = gtk_event_controller_get_widget(GTK_EVENT_CONTROLLER(source));
  LimnerSample *sample = limner_canvas_get_sample(LIMNER_CANVAS(canvas));
  if (!sample || !limner_sample_get_finished(sample))
    return NULL;
  g_autoptr(LimnerInput) input = limner_input_new_from_sample(sample);
  return limner_content_provider_new(input);
}

// The picture in hand, small enough to see where it goes.
static void on_drag_begin(GtkDragSource *source, GdkDrag *drag) {
  GtkWidget *canvas = gtk_event_controller_get_widget(GTK_EVENT_CONTROLLER(source));
  LimnerSample *sample = limner_canvas_get_sample(LIMNER_CANVAS(canvas));
  g_autoptr(GdkTexture) texture = limner_texture_new(limner_sample_get_picture(sample));
  GtkSnapshot *snapshot = gtk_snapshot_new();
  gtk_snapshot_append_texture(snapshot, texture, &GRAPHENE_RECT_INIT(0, 0, ICON_PX, ICON_PX));
  g_autoptr(GdkPaintable) icon =
      gtk_snapshot_free_to_paintable(snapshot, &GRAPHENE_SIZE_INIT(ICON_PX, ICON_PX));
  gtk_drag_source_set_icon(source, icon, ICON_PX / 2, ICON_PX / 2);
}

void limner_canvas_make_draggable(LimnerCanvas *canvas) {
  GtkDragSource *source = gtk_drag_source_new();
  gtk_drag_source_set_actions(source, GDK_ACTION_COPY);
  g_signal_connect(source, "prepare", G_CALLBACK(on_prepare), NULL);
  g_signal_connect(source, "drag-begin", G_CALLBACK(on_drag_begin), NULL);
  gtk_widget_add_controller(GTK_WIDGET(canvas), GTK_EVENT_CONTROLLER(source));
}
