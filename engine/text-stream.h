// SPDX-License-Identifier: MIT
// Inside the engine: text that grows token by token. A token may end inside a character: those
// bytes are held back until the character is whole, or known to be none.
#ifndef JANUS_TEXT_STREAM_H
#define JANUS_TEXT_STREAM_H

#include "engine/engine.h"

// Zero = empty.
typedef struct TextStream {
  char *text; // valid UTF-8 and a NUL; NULL before the first call
  size_t n_bytes, capacity;
  char held[4]; // the beginning of a character
  size_t n_held;
} TextStream;

// False for want of memory; the stream then stays as it is, but for characters that went in before.
// What is no UTF-8 becomes U+FFFD, as unicode_decode() says.
bool text_stream_add(TextStream *stream, const char *bytes, size_t n_bytes);
// The bytes that an id stands for.
bool text_stream_add_token(TextStream *stream, const JanusTokenizer *tokenizer, int32_t id);
// Nothing follows: what is held is no character.
bool text_stream_end(TextStream *stream);
void text_stream_clear(TextStream *stream); // an empty one is allowed

#endif
