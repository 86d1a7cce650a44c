// SPDX-License-Identifier: MIT
// Inside the engine: filling a JanusError.
#ifndef JANUS_ERROR_H
#define JANUS_ERROR_H

#include "engine/engine.h"

// Sets code and message (printf style) unless `error` is NULL or already holds an error; always
// returns false, so that a failure is `return janus_fail(...)`.
bool janus_fail(JanusError *error, JanusErrorCode code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
