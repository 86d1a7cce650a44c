// SPDX-License-Identifier: MIT
// Inside the engine: the SFT template "deepseek" as token ids.
#ifndef JANUS_PROMPT_H
#define JANUS_PROMPT_H

#include "engine/engine.h"

// Ids of the tags the template needs, looked up by text.
typedef struct JanusTags {
  int32_t bos, eos, pad, begin_of_image, end_of_image, image_placeholder, user, assistant;
} JanusTags;

// Fails with a sentence naming the first tag the tokenizer lacks. `folder` is for the message.
bool janus_tags_find(const JanusTokenizer *tokenizer, const char *folder, JanusTags *tags,
                     JanusError *error);

// BOS <|User|> ": prompt\n\n" <|Assistant|> ":" <begin_of_image>; the prompt stripped like Python's
// str.strip(); an empty one gives BOS <|User|> ":" <|Assistant|> ":" <begin_of_image>. *ids is
// malloc'd.
bool janus_prompt_text_to_image(const JanusTokenizer *tokenizer, const JanusTags *tags,
                                const char *prompt, int32_t **ids, int *n_ids, JanusError *error);

#endif
