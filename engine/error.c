// SPDX-License-Identifier: MIT
// Filling a JanusError.
#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool janus_fail(JanusError *error, JanusErrorCode code, const char *format, ...) {
  if (!error || error->code != JANUS_ERROR_NONE)
    return false;
  va_list args;
  va_start(args, format);
  vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  // Names come from files; a message stays one line whatever they hold.
  for (char *c = error->message; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      *c = '?';
  error->code = code;
  return false;
}

size_t janus_error_sentence_bytes(const char *message) {
  const char *advice = strstr(message, "; --");
  return advice ? (size_t)(advice - message) : strlen(message);
}

const char *janus_bytes_text(uint64_t n_bytes, char text[BYTES_TEXT]) {
  static const struct {
    double bytes;
    const char *name;
  } units[] = {{1e9, "GB"}, {1e6, "MB"}, {1e3, "KB"}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if ((double)n_bytes < units[i].bytes)
      continue;
    snprintf(text, BYTES_TEXT, "%.1f %s", (double)n_bytes / units[i].bytes, units[i].name);
    return text;
  }
  snprintf(text, BYTES_TEXT, "%d bytes", (int)n_bytes);
  return text;
}

const char *janus_quoted_text(const void *text, size_t n_bytes, char out[QUOTED_TEXT]) {
  const unsigned char *bytes = text;
  const size_t n = n_bytes < QUOTED_TEXT ? n_bytes : QUOTED_TEXT - 1;
  for (size_t i = 0; i < n; i++)
    out[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
  out[n] = '\0';
  return out;
}
