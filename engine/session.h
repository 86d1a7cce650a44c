// SPDX-License-Identifier: MIT
// Inside the engine: checks that sessions and traces share, open to tests.
#ifndef JANUS_SESSION_H
#define JANUS_SESSION_H

#include "engine/generation.h"
#include "engine/memory.h"

enum { JANUS_MAX_SAMPLES = 4096 };

// Every value of a request but the prompt's length and the picture's tokens. Fails with REQUEST and
// a sentence.
bool janus_request_check(const JanusRequest *request, JanusError *error);

// The tokens given for the picture to change, if any.
bool janus_request_tokens_check(const JanusModel *model, const JanusRequest *request,
                                JanusError *error);

// The request's prompt, checked to leave room for a picture. Release with janus_prompt_clear().
bool janus_request_prompt(const JanusModel *model, const JanusRequest *request, JanusPrompt *prompt,
                          JanusError *error);

// Prompt positions that a session computed, rather than find them with the model.
int session_count_prefilled(const JanusSession *session);

#endif
