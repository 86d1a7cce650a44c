// SPDX-License-Identifier: MIT
// Inside the engine: the states of an answer's last token, open to tests.
#ifndef JANUS_DESCRIBE_H
#define JANUS_DESCRIBE_H

#include "engine/engine.h"

// Of the last token drawn: the normed hidden state [dim] and lm_head's logits [vocab]. Device
// memory, borrowed.
const float *answer_get_hidden(const JanusAnswer *answer);
const float *answer_get_logits(const JanusAnswer *answer);

#endif
