// SPDX-License-Identifier: MIT
// Inside the engine: checks that sessions and traces share, open to tests.
#ifndef JANUS_SESSION_H
#define JANUS_SESSION_H

#include "engine/generation.h"

enum { JANUS_MAX_SAMPLES = 4096 };

// Every value of a request but the prompt's length. Fails with REQUEST and a sentence.
bool janus_request_check(const JanusRequest *request, JanusError *error);

// Ids of the request's prompt (malloc'd), checked to leave room for a picture.
bool janus_request_prompt(const JanusModel *model, const char *prompt, int32_t **ids, int *n_ids,
                          JanusError *error);

// Fails with MEMORY when `needed` is more than `present_bytes` of the machine.
bool janus_memory_check(const JanusMemory *needed, uint64_t present_bytes, JanusError *error);

#endif
