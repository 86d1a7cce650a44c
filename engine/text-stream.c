// SPDX-License-Identifier: MIT
// Text that grows token by token.
#include "engine/text-stream.h"

#include "engine/tokenizer.h"
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

// Room for n_bytes more and a NUL.
static bool reserve(TextStream *stream, size_t n_bytes) {
  if (stream->n_bytes + n_bytes < stream->capacity)
    return true;
  const size_t capacity = 2 * (stream->n_bytes + n_bytes) + 64;
  char *grown = realloc(stream->text, capacity);
  if (!grown)
    return false;
  stream->text = grown;
  stream->capacity = capacity;
  stream->text[stream->n_bytes] = '\0';
  return true;
}

// The first held character, whole or not; the rest moves up.
static void write_first(TextStream *stream) {
  uint32_t c;
  const size_t n = unicode_decode(stream->held, stream->n_held, &c);
  stream->n_bytes += unicode_encode(c, stream->text + stream->n_bytes);
  stream->text[stream->n_bytes] = '\0';
  stream->n_held -= n;
  memmove(stream->held, stream->held + n, stream->n_held);
}

bool text_stream_add(TextStream *stream, const char *bytes, size_t n_bytes) {
  // One byte that is no character becomes three.
  if (n_bytes > SIZE_MAX / 16 || !reserve(stream, 3 * (stream->n_held + n_bytes)))
    return false;
  for (size_t i = 0; i < n_bytes; i++) {
    stream->held[stream->n_held++] = bytes[i];
    while (stream->n_held > 0 && !unicode_is_begun(stream->held, stream->n_held))
      write_first(stream);
  }
  return true;
}

bool text_stream_add_token(TextStream *stream, const JanusTokenizer *tokenizer, int32_t id) {
  size_t n_bytes = 0;
  const char *bytes = token_texts_find(&tokenizer->texts, id, &n_bytes);
  return text_stream_add(stream, bytes, n_bytes);
}

bool text_stream_end(TextStream *stream) {
  if (!reserve(stream, 3 * stream->n_held))
    return false;
  while (stream->n_held > 0)
    write_first(stream);
  return true;
}

void text_stream_clear(TextStream *stream) {
  free(stream->text);
  *stream = (TextStream){0};
}
