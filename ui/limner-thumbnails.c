// SPDX-License-Identifier: MIT
// A table of textures and the order in which they were asked for.
#include "ui/limner-thumbnails.h"

#include "ui/limner-canvas.h"

#include <gdk-pixbuf/gdk-pixbuf.h>

typedef struct Held {
  char *key; // owned
  GdkTexture *texture;
  GList link; // in the order
} Held;

struct _LimnerThumbnails {
  GObject parent_instance;
  // Owned
  LimnerLibrary *library;
  GHashTable *held; // of Held by their keys
  GQueue order;     // links of Held, the one asked for last first
};

G_DEFINE_FINAL_TYPE(LimnerThumbnails, limner_thumbnails, G_TYPE_OBJECT)

typedef struct Wanted {
  LimnerEntry *entry;
  int side_px;
} Wanted;

static void wanted_free(gpointer data) {
  Wanted *wanted = data;
  g_object_unref(wanted->entry);
  g_free(wanted);
}

static void held_free(gpointer data) {
  Held *held = data;
  g_object_unref(held->texture);
  g_free(held->key);
  g_free(held);
}

static char *dup_key(LimnerEntry *entry, int scale) {
  return g_strdup_printf("%s/%d", limner_entry_get_facts(entry)->sha256, scale);
}

// --- in a worker thread --------------------------------------------------------------------------

// Four bytes a pixel in the order that is drawn without another conversion.
static GdkTexture *new_texture(LimnerPicture *picture, int side_px) {
  const int width_px = limner_picture_get_width(picture);
  const int height_px = limner_picture_get_height(picture);
  const double scale = MIN(1.0, (double)side_px / MAX(width_px, height_px));
  const int to_width_px = MAX(1, (int)(width_px * scale + 0.5));
  const int to_height_px = MAX(1, (int)(height_px * scale + 0.5));
  g_autoptr(GdkPixbuf) whole =
      gdk_pixbuf_new_from_bytes(limner_picture_get_bytes(picture), GDK_COLORSPACE_RGB, FALSE, 8,
                                width_px, height_px, width_px * 3);
  g_autoptr(GdkPixbuf) small =
      gdk_pixbuf_scale_simple(whole, to_width_px, to_height_px, GDK_INTERP_BILINEAR);
  if (!small)
    return limner_texture_new(picture);
  const guint8 *rgb = gdk_pixbuf_read_pixels(small);
  const gsize stride = (gsize)gdk_pixbuf_get_rowstride(small);
  const gsize n_bytes = (gsize)to_width_px * (gsize)to_height_px * 4;
  guint8 *pixels = g_malloc(n_bytes), *to = pixels;
  for (int y = 0; y < to_height_px; y++) {
    const guint8 *from = rgb + (gsize)y * stride;
    for (int x = 0; x < to_width_px; x++, from += 3, to += 4) {
      const guint32 pixel = 0xff000000u | (guint32)from[0] << 16 | (guint32)from[1] << 8 | from[2];
      memcpy(to, &pixel, sizeof pixel);
    }
  }
  g_autoptr(GBytes) bytes = g_bytes_new_take(pixels, n_bytes);
  return gdk_memory_texture_new(to_width_px, to_height_px, GDK_MEMORY_DEFAULT, bytes,
                                (gsize)to_width_px * 4);
}

static gpointer load(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                     GError **error) {
  const Wanted *wanted = data;
  g_autoptr(LimnerPicture) picture = limner_library_load_thumbnail(library, wanted->entry, error);
  return picture ? new_texture(picture, wanted->side_px) : NULL;
}

// --- in the window's -----------------------------------------------------------------------------

GdkTexture *limner_thumbnails_get(LimnerThumbnails *self, LimnerEntry *entry, int scale) {
  g_autofree char *key = dup_key(entry, scale);
  Held *held = g_hash_table_lookup(self->held, key);
  if (!held)
    return NULL;
  g_queue_unlink(&self->order, &held->link);
  g_queue_push_head_link(&self->order, &held->link);
  return held->texture;
}

static void hold(LimnerThumbnails *self, const char *key, GdkTexture *texture) {
  if (g_hash_table_contains(self->held, key))
    return;
  Held *held = g_new0(Held, 1);
  held->key = g_strdup(key);
  held->texture = g_object_ref(texture);
  held->link.data = held;
  g_hash_table_insert(self->held, held->key, held);
  g_queue_push_head_link(&self->order, &held->link);
  while (self->order.length > LIMNER_MAX_THUMBNAILS) {
    Held *oldest = g_queue_pop_tail_link(&self->order)->data;
    g_hash_table_remove(self->held, oldest->key);
  }
}

static void on_loaded(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GTask) task = data;
  GError *error = NULL;
  GdkTexture *texture = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (texture)
    hold(g_task_get_source_object(task), g_task_get_task_data(task), texture);
  if (texture)
    g_task_return_pointer(task, texture, g_object_unref);
  else
    g_task_return_error(task, error);
}

void limner_thumbnails_load_async(LimnerThumbnails *self, LimnerEntry *entry, int scale,
                                  GCancellable *cancellable, GAsyncReadyCallback callback,
                                  gpointer user_data) {
  GTask *task = g_task_new(self, cancellable, callback, user_data);
  Wanted *wanted = g_new0(Wanted, 1);
  wanted->entry = g_object_ref(entry);
  wanted->side_px = LIMNER_THUMBNAIL_SIDE * scale;
  g_task_set_source_tag(task, limner_thumbnails_load_async);
  g_task_set_task_data(task, dup_key(entry, scale), g_free);
  limner_library_call_async(self->library, load, wanted, wanted_free, g_object_unref, cancellable,
                            on_loaded, task);
}

GdkTexture *limner_thumbnails_load_finish(LimnerThumbnails *self, GAsyncResult *result,
                                          GError **error) {
  return g_task_propagate_pointer(G_TASK(result), error);
}

guint limner_thumbnails_get_n_held(LimnerThumbnails *self) {
  return self->order.length;
}

static void limner_thumbnails_finalize(GObject *object) {
  LimnerThumbnails *self = LIMNER_THUMBNAILS(object);
  g_hash_table_unref(self->held);
  g_clear_object(&self->library);
  G_OBJECT_CLASS(limner_thumbnails_parent_class)->finalize(object);
}

static void limner_thumbnails_class_init(LimnerThumbnailsClass *klass) {
  G_OBJECT_CLASS(klass)->finalize = limner_thumbnails_finalize;
}

static void limner_thumbnails_init(LimnerThumbnails *self) {
  self->held = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, held_free);
  g_queue_init(&self->order);
}

LimnerThumbnails *limner_thumbnails_new(LimnerLibrary *library) {
  LimnerThumbnails *self = g_object_new(LIMNER_TYPE_THUMBNAILS, NULL);
  self->library = g_object_ref(library);
  return self;
}
