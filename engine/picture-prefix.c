// SPDX-License-Identifier: MIT
// What a model has computed of a picture to change.
#include "engine/picture-prefix.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/model-make.h"

#include <stdlib.h>
#include <string.h>

// Instructions differ by some words: rounding up lets one cache serve most of them.
enum { ROUND_WORDS = 64 };
// The default budget is this part of the machine's memory: one picture of a model of 7 B parameters
// with bf16 keys takes 0.9 GB, which a machine of 8 GB may keep. A card's is this part of what it
// has free beside the weights and one edit, since others may want some as well.
enum { MEMORY_PARTS = 6, CARD_PARTS = 2 };

int picture_prefix_common(const JanusPrompt *prompt) {
  return prompt->codes_at;
}

int picture_prefix_own(const JanusConfig *config) {
  return config->n_image_tokens + 1; // and <end_of_image>
}

// --- memory -------------------------------------------------------------------------------------

static int own_capacity(const JanusConfig *config, int n_words) {
  return picture_prefix_own(config) + (n_words + ROUND_WORDS - 1) / ROUND_WORDS * ROUND_WORDS;
}

// BOS, <|User|>, ": ", the two tags before features and tokens and the one between: what stands
// before the tokens beside the features, at most.
enum { COMMON_TAGS = 8 };

size_t picture_prefix_bytes(const JanusConfig *config, int n_own, int n_words) {
  return kv_cache_bytes(config, config->n_image_tokens + COMMON_TAGS) +
         (size_t)n_own * kv_cache_bytes(config, own_capacity(config, n_words));
}

static size_t rgb_bytes(const JanusModel *model) {
  return 3 * (size_t)model->config.image_size_px * (size_t)model->config.image_size_px;
}

size_t picture_prefix_held_bytes(const PicturePrefix *prefix, const JanusModel *model) {
  const JanusConfig *config = &model->config;
  const size_t n = (size_t)config->n_image_tokens;
  size_t n_bytes = rgb_bytes(model) + n * sizeof *prefix->tokens;
  n_bytes += prefix->features ? n * (size_t)config->dim * sizeof(float) : 0;
  n_bytes += kv_cache_bytes(config, prefix->common.capacity);
  for (int i = 0; i < PICTURE_OWN_CACHES; i++)
    n_bytes += kv_cache_bytes(config, prefix->own[i].capacity);
  return n_bytes;
}

size_t picture_prefixes_bytes(const JanusModel *model) {
  size_t n_bytes = 0;
  for (const PicturePrefix *prefix = model->pictures; prefix; prefix = prefix->next)
    n_bytes += picture_prefix_held_bytes(prefix, model);
  return n_bytes;
}

size_t picture_prefixes_default_budget(const JanusModel *model) {
  const MemoryRoom room = model_memory_room(model);
  if (!room.owner)
    return (size_t)(room.total_bytes / MEMORY_PARTS);
  const JanusMemory edit = janus_estimate_memory(model, 1, USUAL_PROMPT_TOKENS, true);
  const uint64_t taken = edit.unmade_bytes + edit.kv_bytes + edit.activation_bytes;
  return taken < room.free_bytes ? (size_t)((room.free_bytes - taken) / CARD_PARTS) : 0;
}

void picture_prefix_free(PicturePrefix *prefix, jk_device *device) {
  if (!prefix)
    return;
  kv_cache_clear(&prefix->common, device);
  for (int i = 0; i < PICTURE_OWN_CACHES; i++)
    kv_cache_clear(&prefix->own[i], device);
  device->free(device, prefix->features);
  free(prefix->tokens);
  free(prefix->rgb);
  free(prefix);
}

void picture_prefixes_trim(JanusModel *model, size_t n_bytes) {
  PicturePrefix **place = &model->pictures;
  size_t n_kept = 0;
  while (*place && n_kept + picture_prefix_held_bytes(*place, model) <= n_bytes) {
    n_kept += picture_prefix_held_bytes(*place, model);
    place = &(*place)->next;
  }
  PicturePrefix *dropped = *place;
  *place = NULL;
  while (dropped) {
    PicturePrefix *next = dropped->next;
    picture_prefix_free(dropped, model->device);
    dropped = next;
  }
}

bool picture_prefixes_make_room(JanusModel *model, const JanusMemory *needed, size_t held_bytes,
                                JanusError *error) {
  MemoryRoom room = model_memory_room(model);
  if (!janus_memory_check(needed, &room, error))
    return false;
  const uint64_t free_bytes = room.free_bytes;
  room.free_bytes = UINT64_MAX - free_bytes < held_bytes ? UINT64_MAX : free_bytes + held_bytes;
  if (janus_memory_check_room(needed, &room, NULL))
    return true;
  picture_prefixes_trim(model, 0);
  room = model_memory_room(model);
  room.free_bytes += UINT64_MAX - room.free_bytes < held_bytes ? 0 : held_bytes;
  return janus_memory_check_room(needed, &room, error);
}

// --- taking and giving back ---------------------------------------------------------------------

static bool is_of(const PicturePrefix *prefix, const JanusModel *model, const uint8_t *rgb,
                  const int32_t *known_tokens) {
  const size_t n_bytes = (size_t)model->config.n_image_tokens * sizeof *known_tokens;
  const bool are_same =
      known_tokens ? memcmp(prefix->tokens, known_tokens, n_bytes) == 0 : !prefix->tokens_are_given;
  return are_same && memcmp(prefix->rgb, rgb, rgb_bytes(model)) == 0;
}

bool janus_model_keeps(JanusModel *model, const JanusImage *image, const int32_t *tokens) {
  uint8_t *rgb = vision_fit(model, image, NULL);
  bool is_kept = false;
  pthread_mutex_lock(&model->lock);
  for (const PicturePrefix *prefix = model->pictures; rgb && prefix; prefix = prefix->next)
    is_kept = is_kept || (prefix->tokens_are_given && is_of(prefix, model, rgb, tokens));
  pthread_mutex_unlock(&model->lock);
  free(rgb);
  return is_kept;
}

static PicturePrefix *take_kept(JanusModel *model, const uint8_t *rgb,
                                const int32_t *known_tokens) {
  PicturePrefix **place = &model->pictures;
  while (*place && !is_of(*place, model, rgb, known_tokens))
    place = &(*place)->next;
  PicturePrefix *prefix = *place;
  if (prefix) {
    *place = prefix->next;
    prefix->next = NULL;
  }
  return prefix;
}

PicturePrefix *picture_prefix_take(JanusModel *model, uint8_t *rgb, const int32_t *known_tokens,
                                   JanusError *error) {
  PicturePrefix *prefix = take_kept(model, rgb, known_tokens);
  if (!prefix)
    return picture_prefix_new(model, rgb, known_tokens, error);
  free(rgb);
  return prefix;
}

PicturePrefix *picture_prefix_new(const JanusModel *model, uint8_t *rgb,
                                  const int32_t *known_tokens, JanusError *error) {
  const size_t n = (size_t)model->config.n_image_tokens;
  PicturePrefix *prefix = calloc(1, sizeof *prefix);
  int32_t *tokens = calloc(n, sizeof *tokens);
  if (!prefix || !tokens) {
    free(rgb);
    free(tokens);
    free(prefix);
    janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory to look at a picture");
    return NULL;
  }
  if (known_tokens)
    memcpy(tokens, known_tokens, n * sizeof *tokens);
  *prefix = (PicturePrefix){.rgb = rgb, .tokens = tokens, .tokens_are_given = known_tokens != NULL};
  return prefix;
}

void picture_prefix_give_back(JanusModel *model, PicturePrefix *prefix) {
  if (!prefix)
    return;
  // What broken weights or a broken device computed is not kept.
  if (!picture_prefix_is_seen(prefix) || !janus_model_check_files(model, NULL) ||
      !janus_device_check(model->device, NULL)) {
    picture_prefix_free(prefix, model->device);
    return;
  }
  // Two sessions may have had the same picture at once.
  picture_prefix_free(
      take_kept(model, prefix->rgb, prefix->tokens_are_given ? prefix->tokens : NULL),
      model->device);
  prefix->next = model->pictures;
  model->pictures = prefix;
  picture_prefixes_trim(model, model->pictures_budget_bytes);
}

// --- filling it ---------------------------------------------------------------------------------

void picture_prefix_see(PicturePrefix *prefix, const JanusModel *model, Vision *vision) {
  prefix->features = vision->aligned;
  vision->aligned = NULL;
  memcpy(prefix->tokens, vision->tokens,
         (size_t)model->config.n_image_tokens * sizeof *prefix->tokens);
}

bool picture_prefix_reserve(PicturePrefix *prefix, const JanusModel *model, int n_common, int i,
                            int n_words, JanusError *error) {
  KvCache *own = &prefix->own[i], grown;
  if (prefix->common.capacity == 0 &&
      !kv_cache_init(&prefix->common, model, n_common, "keys and values of a picture to change",
                     error))
    return false;
  if (own->capacity >= picture_prefix_own(&model->config) + n_words)
    return true;
  if (!kv_cache_init(&grown, model, own_capacity(&model->config, n_words),
                     "keys and values of the prompt", error))
    return false;
  if (prefix->n_own_done[i] > 0)
    kv_cache_copy(&grown, own, model, prefix->n_own_done[i]);
  kv_cache_clear(own, model->device);
  *own = grown;
  return true;
}
