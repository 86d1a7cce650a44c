// SPDX-License-Identifier: MIT
// Inside the engine: filling a JanusError.
#ifndef JANUS_ERROR_H
#define JANUS_ERROR_H

#include "engine/engine.h"

// Sets code and message (printf style) unless `error` is NULL or already holds an error; always
// returns false, so that a failure is `return janus_fail(...)`.
bool janus_fail(JanusError *error, JanusErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// "1.5 GB", "20.0 MB", "4.1 KB" or "17 bytes", into `text`, for messages. Returns it.
enum { BYTES_TEXT = 32 };
const char *janus_bytes_text(uint64_t n_bytes, char text[BYTES_TEXT]);

// The first characters of a text that a file holds, other than plain ASCII as '?', into `out`, for
// messages. Returns it.
enum { QUOTED_TEXT = 128 };
const char *janus_quoted_text(const void *text, size_t n_bytes, char out[QUOTED_TEXT]);

#endif
