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

// A prompt as ids. An edit's has two slots of n_image_tokens positions each, a question's one.
typedef struct JanusPrompt {
  int32_t *ids; // malloc'd
  int n_ids;
  int features_at; // placeholders, which the aligned SigLIP features replace; 0 without a picture
  int codes_at;    // pads, which the picture's embedded VQ tokens replace; 0 without a picture
} JanusPrompt;

// BOS <|User|> ": prompt\n\n" <|Assistant|> ":" <begin_of_image>; the prompt stripped like Python's
// str.strip(); an empty one gives BOS <|User|> ":" <|Assistant|> ":" <begin_of_image>.
bool janus_prompt_text_to_image(const JanusTokenizer *tokenizer, const JanusTags *tags,
                                const char *text, JanusPrompt *prompt, JanusError *error);

// BOS <|User|> ": " <begin_of_image> placeholders <end_of_image> <begin_of_image> pads
// <end_of_image> "prompt\n\n" <|Assistant|> ":" <begin_of_image>; the prompt stripped on the right
// alone, since the original strips the whole turn. A prompt of white space is refused.
bool janus_prompt_edit(const JanusTokenizer *tokenizer, const JanusTags *tags, const char *text,
                       int n_image_tokens, JanusPrompt *prompt, JanusError *error);
// BOS "SYSTEM\n\n" <|User|> ": " <begin_of_image> placeholders <end_of_image> "\nquestion\n\n"
// <|Assistant|> ":"; the question stripped on the right alone, and one of white space leaves
// "\n\n". codes_at is 0.
bool janus_prompt_describe(const JanusTokenizer *tokenizer, const JanusTags *tags,
                           const char *question, int n_image_tokens, JanusPrompt *prompt,
                           JanusError *error);
void janus_prompt_clear(JanusPrompt *prompt); // an empty one is allowed

#endif
