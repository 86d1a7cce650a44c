// SPDX-License-Identifier: MIT
// Pictures encoded by what GdkPixbuf can write, and the XMP that PNG files of ours carry.
#include "app/export.h"

#include "app/picture-load.h"
#include "app/recipe.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <string.h>

enum { USUAL_QUALITY = 90 };

G_DEFINE_ENUM_TYPE(LimnerFormat, limner_format, G_DEFINE_ENUM_VALUE(LIMNER_FORMAT_PNG, "png"),
                   G_DEFINE_ENUM_VALUE(LIMNER_FORMAT_JPEG, "jpeg"),
                   G_DEFINE_ENUM_VALUE(LIMNER_FORMAT_WEBP, "webp"))

// --- formats -------------------------------------------------------------------------------------

static const struct {
  const char *pixbuf_name, *extension, *other_extension;
} formats[] = {
    [LIMNER_FORMAT_PNG] = {"png", "png", NULL},
    [LIMNER_FORMAT_JPEG] = {"jpeg", "jpg", "jpeg"},
    [LIMNER_FORMAT_WEBP] = {"webp", "webp", NULL},
};

const char *limner_format_get_extension(LimnerFormat format) {
  return formats[format].extension;
}

gboolean limner_format_from_name(const char *name, LimnerFormat *format) {
  const char *dot = strrchr(name, '.');
  for (guint i = 0; dot && i < G_N_ELEMENTS(formats); i++)
    if (g_ascii_strcasecmp(dot + 1, formats[i].extension) == 0 ||
        (formats[i].other_extension &&
         g_ascii_strcasecmp(dot + 1, formats[i].other_extension) == 0)) {
      *format = (LimnerFormat)i;
      return TRUE;
    }
  return FALSE;
}

gboolean limner_format_can_save(LimnerFormat format) {
  GSList *known = gdk_pixbuf_get_formats();
  gboolean can = FALSE;
  for (GSList *l = known; l; l = l->next) {
    g_autofree char *name = gdk_pixbuf_format_get_name(l->data);
    can |= strcmp(name, formats[format].pixbuf_name) == 0 && gdk_pixbuf_format_is_writable(l->data);
  }
  g_slist_free(known);
  return can;
}

// --- encoding ------------------------------------------------------------------------------------

static GBytes *encode_with_quality(LimnerPicture *picture, const LimnerExportOptions *options,
                                   GError **error) {
  const int width_px = limner_picture_get_width(picture);
  const char *name = formats[options->format].pixbuf_name;
  if (!limner_format_can_save(options->format)) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                "%s: expected a format that GdkPixbuf can write here, found none of that name",
                name);
    return NULL;
  }
  g_autoptr(GdkPixbuf) pixbuf =
      gdk_pixbuf_new_from_bytes(limner_picture_get_bytes(picture), GDK_COLORSPACE_RGB, FALSE, 8,
                                width_px, limner_picture_get_height(picture), width_px * 3);
  const int quality = CLAMP(options->quality ? options->quality : USUAL_QUALITY, 1, 100);
  g_autofree char *text = g_strdup_printf("%d", quality);
  char *data = NULL;
  gsize n_bytes = 0;
  if (!gdk_pixbuf_save_to_buffer(pixbuf, &data, &n_bytes, name, error, "quality", text, NULL))
    return NULL;
  return g_bytes_new_take(data, n_bytes);
}

static GBytes *encode_bare_png(LimnerPicture *picture, GError **error) {
  g_autoptr(LimnerPicture) bare =
      limner_picture_new(limner_picture_get_bytes(picture), limner_picture_get_width(picture),
                         limner_picture_get_height(picture));
  return limner_picture_dup_png(bare, error);
}

GBytes *limner_picture_encode(LimnerPicture *picture, const LimnerExportOptions *options,
                              GError **error) {
  g_autoptr(LimnerPicture) shaped = options->shape
                                        ? limner_picture_reshape(picture, options->shape, error)
                                        : limner_picture_ref(picture);
  g_autoptr(LimnerPicture) final = !shaped               ? NULL
                                   : options->is_doubled ? limner_picture_double(shaped, error)
                                                         : limner_picture_ref(shaped);
  if (!final)
    return NULL;
  if (options->format != LIMNER_FORMAT_PNG)
    return encode_with_quality(final, options, error);
  return options->without_metadata ? encode_bare_png(final, error)
                                   : limner_picture_dup_png(final, error);
}

gboolean limner_picture_export(LimnerPicture *picture, const char *path,
                               const LimnerExportOptions *options, GError **error) {
  g_autoptr(GBytes) file = limner_picture_encode(picture, options, error);
  return file && limner_file_save(file, path, error);
}

// --- XMP -----------------------------------------------------------------------------------------

char *limner_picture_dup_xmp(const LimnerPicture *picture) {
  const char *json = limner_picture_get_recipe(picture);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, NULL) : NULL;
  // Tokens from elsewhere say nothing of where they come from.
  if (!recipe || !recipe->request.prompt)
    return NULL;
  const char *source =
      recipe->input_sha256 ? "compositeWithTrainedAlgorithmicMedia" : "trainedAlgorithmicMedia";
  return g_strdup_printf(
      "<?xpacket begin=\"\xef\xbb\xbf\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n"
      "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n"
      " <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n"
      "  <rdf:Description rdf:about=\"\"\n"
      "    xmlns:Iptc4xmpExt=\"http://iptc.org/std/Iptc4xmpExt/2008-02-29/\"\n"
      "    Iptc4xmpExt:DigitalSourceType=\"http://cv.iptc.org/newscodes/digitalsourcetype/%s\"/>\n"
      " </rdf:RDF>\n"
      "</x:xmpmeta>\n"
      "<?xpacket end=\"r\"?>",
      source);
}
