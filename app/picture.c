// SPDX-License-Identifier: MIT
// Pictures as shared pixels, and as PNG files.
#include "app/picture.h"

#include "app/export.h"
#include "app/picture-load.h"
#include "app/png-text.h"
#include "app/recipe.h"

#include <gdk-pixbuf/gdk-pixbuf.h>

struct LimnerPicture {
  gatomicrefcount ref_count;
  GBytes *rgb;
  char *parameters;
  char *recipe;
  int width_px;
  int height_px;
};

G_DEFINE_BOXED_TYPE(LimnerPicture, limner_picture, limner_picture_ref, limner_picture_unref)

LimnerPicture *limner_picture_new(GBytes *rgb, int width_px, int height_px) {
  g_return_val_if_fail(rgb != NULL && width_px > 0 && height_px > 0, NULL);
  g_return_val_if_fail(g_bytes_get_size(rgb) == (gsize)width_px * (gsize)height_px * 3, NULL);
  LimnerPicture *picture = g_new0(LimnerPicture, 1);
  g_atomic_ref_count_init(&picture->ref_count);
  picture->rgb = g_bytes_ref(rgb);
  picture->width_px = width_px;
  picture->height_px = height_px;
  return picture;
}

LimnerPicture *limner_picture_new_with_texts(GBytes *rgb, int width_px, int height_px,
                                             const char *parameters, const char *recipe) {
  LimnerPicture *picture = limner_picture_new(rgb, width_px, height_px);
  if (picture) {
    picture->parameters = g_strdup(parameters);
    picture->recipe = recipe ? limner_recipe_dup_plain(recipe) : NULL;
  }
  return picture;
}

LimnerPicture *limner_picture_ref(LimnerPicture *picture) {
  g_atomic_ref_count_inc(&picture->ref_count);
  return picture;
}

void limner_picture_unref(LimnerPicture *picture) {
  if (!g_atomic_ref_count_dec(&picture->ref_count))
    return;
  g_bytes_unref(picture->rgb);
  g_free(picture->parameters);
  g_free(picture->recipe);
  g_free(picture);
}

GBytes *limner_picture_get_bytes(const LimnerPicture *picture) {
  return picture->rgb;
}

int limner_picture_get_width(const LimnerPicture *picture) {
  return picture->width_px;
}

int limner_picture_get_height(const LimnerPicture *picture) {
  return picture->height_px;
}

const char *limner_picture_get_parameters(const LimnerPicture *picture) {
  return picture->parameters;
}

const char *limner_picture_get_recipe(const LimnerPicture *picture) {
  return picture->recipe;
}

// --- PNG files -----------------------------------------------------------------------------------

// Adds a text when there is one.
static void add_text(GBytes **png, const char *keyword, const char *text, gboolean always_utf8) {
  if (!text)
    return;
  GBytes *with_text = limner_png_text_add(*png, keyword, text, always_utf8);
  g_bytes_unref(*png);
  *png = with_text;
}

GBytes *limner_picture_dup_png(LimnerPicture *picture, GError **error) {
  g_autoptr(GdkPixbuf) pixbuf =
      gdk_pixbuf_new_from_bytes(picture->rgb, GDK_COLORSPACE_RGB, FALSE, 8, picture->width_px,
                                picture->height_px, picture->width_px * 3);
  char *data = NULL;
  gsize n_bytes = 0;
  // A fixed compression level: the bytes of a file are a function of its pixels.
  if (!gdk_pixbuf_save_to_buffer(pixbuf, &data, &n_bytes, "png", error, "compression", "6", NULL))
    return NULL;
  GBytes *png = g_bytes_new_take(data, n_bytes);
  add_text(&png, "parameters", picture->parameters, FALSE);
  add_text(&png, "limner", picture->recipe, TRUE);
  g_autofree char *xmp = limner_picture_dup_xmp(picture);
  add_text(&png, "XML:com.adobe.xmp", xmp, TRUE);
  return png;
}

// The file that `path` stands for: a symbolic link is followed, so that renaming replaces what it
// points at and not the link. Anything that is there and is no regular file is refused.
static char *dup_target(const char *path, GError **error) {
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return g_strdup(path);
  if (!g_file_test(path, G_FILE_TEST_IS_REGULAR)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
                "%s: expected a file to write the picture to, found %s", path,
                g_file_test(path, G_FILE_TEST_IS_DIR) ? "a folder" : "something else");
    return NULL;
  }
  char *target = realpath(path, NULL);
  if (!target)
    return g_strdup(path);
  char *copy = g_strdup(target);
  free(target);
  return copy;
}

gboolean limner_picture_save_png(LimnerPicture *picture, const char *path, GError **error) {
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, error);
  return png && limner_file_save(png, path, error);
}

gboolean limner_file_save(GBytes *file, const char *path, GError **error) {
  g_autofree char *target = dup_target(path, error);
  if (!target)
    return FALSE;
  gsize n_bytes = 0;
  const char *data = g_bytes_get_data(file, &n_bytes);
  const GFileSetContentsFlags flags = G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE;
  g_autoptr(GError) reason = NULL;
  if (g_file_set_contents_full(target, data, (gssize)n_bytes, flags, 0666, &reason))
    return TRUE;
  // GLib's sentence names a temporary file that nobody asked for.
  const char *why = strrchr(reason->message, ':');
  g_set_error(error, reason->domain, reason->code, "%s: the picture cannot be written there%s",
              path, why ? why : "");
  return FALSE;
}
