// SPDX-License-Identifier: MIT
// Filling a JanusError.
#include "engine/error.h"

#include <stdarg.h>
#include <stdio.h>

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
