// SPDX-License-Identifier: MIT
// Asking for the small picture, drawing it, and a mark on what is a favourite or not there.
#include "ui/limner-thumbnail.h"

#include "ui/limner-words.h"

#include <glib/gi18n.h>

struct _LimnerThumbnail {
  GtkWidget parent_instance;
  // Children
  GtkWidget *mark;
  // Owned
  LimnerThumbnails *thumbnails;
  LimnerEntry *entry;
  GdkTexture *texture;
  GCancellable *loading; // NULL = nothing under way
};

G_DEFINE_FINAL_TYPE(LimnerThumbnail, limner_thumbnail, GTK_TYPE_WIDGET)

static void set_texture(LimnerThumbnail *self, GdkTexture *texture) {
  if (g_set_object(&self->texture, texture))
    gtk_widget_queue_draw(GTK_WIDGET(self));
}

static void set_mark(LimnerThumbnail *self, const char *icon) {
  gtk_widget_set_visible(self->mark, icon != NULL);
  if (icon)
    gtk_image_set_from_icon_name(GTK_IMAGE(self->mark), icon);
}

static void update_mark(LimnerThumbnail *self, gboolean is_broken) {
  const LimnerEntryFacts *facts = self->entry ? limner_entry_get_facts(self->entry) : NULL;
  set_mark(self, !facts                           ? NULL
                 : is_broken || facts->is_missing ? "image-missing-symbolic"
                 : facts->is_favourite            ? "starred-symbolic"
                 : facts->is_deleted              ? "user-trash-symbolic"
                                                  : NULL);
}

// A cell that goes cancels first, so that it is there unless the loading was cancelled.
static void on_loaded(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GdkTexture) texture =
      limner_thumbnails_load_finish(LIMNER_THUMBNAILS(source), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerThumbnail *self = data;
  g_clear_object(&self->loading);
  set_texture(self, texture);
  update_mark(self, texture == NULL);
}

static void stop_loading(LimnerThumbnail *self) {
  if (self->loading)
    g_cancellable_cancel(self->loading);
  g_clear_object(&self->loading);
}

static void load(LimnerThumbnail *self) {
  const int scale = gtk_widget_get_scale_factor(GTK_WIDGET(self));
  GdkTexture *held = limner_thumbnails_get(self->thumbnails, self->entry, scale);
  set_texture(self, held);
  if (held)
    return;
  self->loading = g_cancellable_new();
  limner_thumbnails_load_async(self->thumbnails, self->entry, scale, self->loading, on_loaded,
                               self);
}

static gboolean is_same_picture(LimnerEntry *a, LimnerEntry *b) {
  return a && b &&
         strcmp(limner_entry_get_facts(a)->sha256, limner_entry_get_facts(b)->sha256) == 0;
}

void limner_thumbnail_set_entry(LimnerThumbnail *self, LimnerEntry *entry) {
  const gboolean is_same = is_same_picture(self->entry, entry);
  if (!g_set_object(&self->entry, entry))
    return;
  if (!is_same)
    stop_loading(self);
  if (!is_same && entry)
    load(self);
  else if (!entry)
    set_texture(self, NULL);
  update_mark(self, FALSE);
  g_autofree char *words = entry ? limner_words_for_entry(entry) : g_strdup(_("No picture"));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self), GTK_ACCESSIBLE_PROPERTY_LABEL, words, -1);
}

LimnerEntry *limner_thumbnail_get_entry(LimnerThumbnail *self) {
  return self->entry;
}

gboolean limner_thumbnail_has_picture(LimnerThumbnail *self) {
  return self->texture != NULL;
}

// --- the widget ----------------------------------------------------------------------------------

static void limner_thumbnail_snapshot(GtkWidget *widget, GtkSnapshot *snapshot) {
  LimnerThumbnail *self = LIMNER_THUMBNAIL(widget);
  if (self->texture) {
    const float width = (float)gtk_widget_get_width(widget);
    const float height = (float)gtk_widget_get_height(widget);
    const float width_px = (float)gdk_texture_get_width(self->texture);
    const float height_px = (float)gdk_texture_get_height(self->texture);
    const float scale = MIN(width / width_px, height / height_px);
    const float x = (width - width_px * scale) / 2, y = (height - height_px * scale) / 2;
    gtk_snapshot_append_texture(snapshot, self->texture,
                                &GRAPHENE_RECT_INIT(x, y, width_px * scale, height_px * scale));
  }
  gtk_widget_snapshot_child(widget, self->mark, snapshot);
}

static void limner_thumbnail_measure(GtkWidget *widget, GtkOrientation orientation, int for_size,
                                     int *minimum, int *natural, int *minimum_baseline,
                                     int *natural_baseline) {
  *minimum = *natural = LIMNER_THUMBNAIL_SIDE;
}

static void limner_thumbnail_size_allocate(GtkWidget *widget, int width, int height, int baseline) {
  LimnerThumbnail *self = LIMNER_THUMBNAIL(widget);
  GtkRequisition size;
  gtk_widget_get_preferred_size(self->mark, NULL, &size);
  const gboolean is_rtl = gtk_widget_get_direction(widget) == GTK_TEXT_DIR_RTL;
  const GtkAllocation at = {is_rtl ? 6 : width - size.width - 6, height - size.height - 6,
                            size.width, size.height};
  gtk_widget_size_allocate(self->mark, &at, -1);
}

static void limner_thumbnail_dispose(GObject *object) {
  LimnerThumbnail *self = LIMNER_THUMBNAIL(object);
  stop_loading(self);
  g_clear_pointer(&self->mark, gtk_widget_unparent);
  g_clear_object(&self->entry);
  g_clear_object(&self->texture);
  g_clear_object(&self->thumbnails);
  G_OBJECT_CLASS(limner_thumbnail_parent_class)->dispose(object);
}

static void limner_thumbnail_class_init(LimnerThumbnailClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_thumbnail_dispose;
  widget_class->snapshot = limner_thumbnail_snapshot;
  widget_class->measure = limner_thumbnail_measure;
  widget_class->size_allocate = limner_thumbnail_size_allocate;
  gtk_widget_class_set_css_name(widget_class, "thumbnail");
  gtk_widget_class_set_accessible_role(widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void limner_thumbnail_init(LimnerThumbnail *self) {
  gtk_widget_set_overflow(GTK_WIDGET(self), GTK_OVERFLOW_HIDDEN);
  self->mark = g_object_new(GTK_TYPE_IMAGE, "accessible-role", GTK_ACCESSIBLE_ROLE_PRESENTATION,
                            "visible", FALSE, NULL);
  gtk_widget_add_css_class(self->mark, "mark");
  gtk_widget_set_parent(self->mark, GTK_WIDGET(self));
}

GtkWidget *limner_thumbnail_new(LimnerThumbnails *thumbnails) {
  LimnerThumbnail *self = g_object_new(LIMNER_TYPE_THUMBNAIL, "halign", GTK_ALIGN_CENTER, "valign",
                                       GTK_ALIGN_CENTER, NULL);
  self->thumbnails = g_object_ref(thumbnails);
  return GTK_WIDGET(self);
}
