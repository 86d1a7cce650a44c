// SPDX-License-Identifier: MIT
// Where config.json states which size, in both layouts.
#include "engine/config.h"
#include "engine/error.h"
#include "engine/json.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SIZE = 1 << 24, MAX_HEADS = 65536, MAX_IMAGE_PX = 8192, MAX_POSITIONS = 1 << 30 };

#define FIELD(name) offsetof(StatedConfig, name)
#define LANGUAGE(key) "language_config." key, "text_config." key

// A whole number of config.json.
static const struct {
  size_t field; // in StatedConfig
  int max;
  const char *original, *port; // NULL = not stated
} keys[] = {
    {FIELD(dim), MAX_SIZE, LANGUAGE("hidden_size")},
    {FIELD(hidden_dim), MAX_SIZE, LANGUAGE("intermediate_size")},
    {FIELD(n_layers), MAX_SIZE, LANGUAGE("num_hidden_layers")},
    {FIELD(n_heads), MAX_HEADS, LANGUAGE("num_attention_heads")},
    {FIELD(n_kv_heads), MAX_HEADS, LANGUAGE("num_key_value_heads")},
    {FIELD(head_dim), MAX_HEADS, LANGUAGE("head_dim")},
    {FIELD(vocab), MAX_SIZE, LANGUAGE("vocab_size")},
    {FIELD(max_positions), MAX_POSITIONS, LANGUAGE("max_position_embeddings")},
    {FIELD(n_codes), MAX_SIZE, "gen_vision_config.params.image_token_size",
     "vq_config.num_embeddings"},
    {FIELD(code_dim), MAX_SIZE, "gen_vision_config.params.n_embed", "vq_config.embed_dim"},
    {FIELD(vq_norm_groups), MAX_SIZE, "gen_vision_config.params.norm_groups",
     "vq_config.norm_groups"},
    {FIELD(n_head_codes), MAX_SIZE, "gen_head_config.params.image_token_size", NULL},
    {FIELD(gen_head_dim), MAX_SIZE, "gen_head_config.params.image_token_embed",
     "vq_config.projection_dim"},
    {FIELD(gen_head_input), MAX_SIZE, "gen_head_config.params.n_embed",
     "vq_config.image_token_embed_dim"},
    {FIELD(gen_embed_dim), MAX_SIZE, "gen_aligner_config.params.input_dim", NULL},
    {FIELD(gen_aligner_dim), MAX_SIZE, "gen_aligner_config.params.n_embed", NULL},
    {FIELD(aligner_input), MAX_SIZE, "aligner_config.params.input_dim",
     "vision_config.hidden_size"},
    {FIELD(aligner_dim), MAX_SIZE, "aligner_config.params.n_embed", "vision_config.projection_dim"},
    {FIELD(image_size_px), MAX_IMAGE_PX, "vision_config.params.image_size",
     "vision_config.image_size"},
    {FIELD(n_vision_heads), MAX_HEADS, "vision_config.params.num_heads",
     "vision_config.num_attention_heads"},
};

static const char *key_of(JanusLayout layout, size_t index) {
  return layout == JANUS_LAYOUT_ORIGINAL ? keys[index].original : keys[index].port;
}

const char *config_key(JanusLayout layout, size_t field) {
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (keys[i].field == field)
      return key_of(layout, i);
  return NULL;
}

bool config_find_section(const JsonPlace *root, const char *section, char where[CONFIG_WHERE_BYTES],
                         JsonPlace *place, JanusError *error) {
  *place = (JsonPlace){.path = root->path, .where = where};
  const bool ok = json_get_object(root, section, &place->object, error);
  snprintf(where, CONFIG_WHERE_BYTES, "%s%s.", root->where, section);
  return ok;
}

// The number that a key "section.key" or "section.params.key" names.
static bool read_key(const JsonPlace *root, const char *key, int max, int *value,
                     JanusError *error) {
  char section[CONFIG_WHERE_BYTES], where[CONFIG_WHERE_BYTES], inner_where[CONFIG_WHERE_BYTES];
  const char *rest = strchr(key, '.') + 1;
  JsonPlace place, inner;
  snprintf(section, sizeof section, "%.*s", (int)(rest - key - 1), key);
  if (!config_find_section(root, section, where, &place, error))
    return false;
  if (strncmp(rest, "params.", 7) != 0)
    return json_get_int(&place, rest, 1, max, value, error);
  return config_find_section(&place, "params", inner_where, &inner, error) &&
         json_get_int(&inner, rest + 7, 1, max, value, error);
}

bool config_read_sizes(const JsonPlace *root, JanusLayout layout, StatedConfig *stated,
                       JanusError *error) {
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    const char *key = key_of(layout, i);
    int *value = (int *)(void *)((char *)stated + keys[i].field);
    if (key && !read_key(root, key, keys[i].max, value, error))
      return false;
  }
  return true;
}
