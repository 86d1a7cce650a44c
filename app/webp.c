// SPDX-License-Identifier: MIT
// Animations by libwebpmux's encoder, which stores of a frame what has changed.
#include "app/webp.h"

#include <string.h>
#include <webp/encode.h>
#include <webp/mux.h>

static gboolean fail(GError **error, const char *why) {
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the animation cannot be encoded: %s", why);
  return FALSE;
}

static gboolean add_frame(WebPAnimEncoder *encoder, LimnerPicture *picture, int time_ms,
                          const WebPConfig *config, GError **error) {
  WebPPicture frame;
  if (!WebPPictureInit(&frame))
    return fail(error, "another version of libwebp");
  frame.use_argb = 1;
  frame.width = limner_picture_get_width(picture);
  frame.height = limner_picture_get_height(picture);
  const gboolean ok =
      WebPPictureImportRGB(&frame, g_bytes_get_data(limner_picture_get_bytes(picture), NULL),
                           frame.width * 3) &&
      WebPAnimEncoderAdd(encoder, &frame, time_ms, config);
  WebPPictureFree(&frame);
  return ok || fail(error, WebPAnimEncoderGetError(encoder));
}

static gboolean add_frames(WebPAnimEncoder *encoder, GPtrArray *pictures, int frame_ms, int last_ms,
                           int quality, GError **error) {
  WebPConfig config;
  if (!WebPConfigPreset(&config, WEBP_PRESET_PICTURE, (float)quality))
    return fail(error, "another version of libwebp");
  for (guint i = 0; i < pictures->len; i++)
    if (!add_frame(encoder, pictures->pdata[i], (int)i * frame_ms, &config, error))
      return FALSE;
  const int end_ms = ((int)pictures->len - 1) * frame_ms + last_ms;
  return WebPAnimEncoderAdd(encoder, NULL, end_ms, NULL) ||
         fail(error, WebPAnimEncoderGetError(encoder));
}

// A copy, for the library's own memory is freed by the library. Takes `data` over.
static GBytes *take(WebPData *data) {
  GBytes *bytes = g_bytes_new(data->bytes, data->size);
  WebPDataClear(data);
  return bytes;
}

static GBytes *add_xmp(GBytes *file, const char *xmp, GError **error) {
  WebPData in = {.bytes = g_bytes_get_data(file, NULL), .size = g_bytes_get_size(file)}, out = {0};
  const WebPData text = {.bytes = (const uint8_t *)xmp, .size = strlen(xmp)};
  WebPMux *mux = WebPMuxCreate(&in, 0);
  const gboolean ok = mux && WebPMuxSetChunk(mux, "XMP ", &text, 0) == WEBP_MUX_OK &&
                      WebPMuxAssemble(mux, &out) == WEBP_MUX_OK;
  WebPMuxDelete(mux);
  if (ok)
    return take(&out);
  fail(error, "its source cannot be written into it");
  return NULL;
}

GBytes *limner_webp_encode_animation(GPtrArray *pictures, int frame_ms, int last_ms, int quality,
                                     const char *xmp, GError **error) {
  WebPAnimEncoderOptions options;
  if (!WebPAnimEncoderOptionsInit(&options)) {
    fail(error, "another version of libwebp");
    return NULL;
  }
  WebPAnimEncoder *encoder =
      WebPAnimEncoderNew(limner_picture_get_width(pictures->pdata[0]),
                         limner_picture_get_height(pictures->pdata[0]), &options);
  WebPData data = {0};
  gboolean ok = encoder || fail(error, "there is no memory for it");
  ok = ok && add_frames(encoder, pictures, frame_ms, last_ms, quality, error);
  if (ok && !WebPAnimEncoderAssemble(encoder, &data))
    ok = fail(error, WebPAnimEncoderGetError(encoder));
  WebPAnimEncoderDelete(encoder);
  g_autoptr(GBytes) file = ok ? take(&data) : NULL;
  return file && xmp ? add_xmp(file, xmp, error) : g_steal_pointer(&file);
}
