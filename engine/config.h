// SPDX-License-Identifier: MIT
// Inside the engine: what a folder's JSON files say about the model, and the sizes that follow from
// them and from the tensors.
#ifndef JANUS_CONFIG_H
#define JANUS_CONFIG_H

#include "engine/model.h"

// What config.json, preprocessor_config.json and processor_config.json state; 0 = not stated.
typedef struct StatedConfig {
  JanusLayout layout;
  // language_config
  int dim, hidden_dim, n_layers, n_heads, n_kv_heads, head_dim, vocab, max_positions;
  double norm_eps, rope_theta;
  // the generation side
  int n_codes, code_dim, vq_norm_groups;
  int n_head_codes, gen_head_dim, gen_head_input;
  int gen_embed_dim, gen_aligner_dim;
  int aligner_input, aligner_dim;
  // the picture
  int image_size_px;      // vision_config
  int preprocessor_px;    // preprocessor_config.json
  int n_image_tokens;     // processor_config.json
  int n_vision_heads;     // vision_config
  JanusImageRules rules;  // preprocessor_config.json, else the original's
  JanusDefaults defaults; // generation_config.json, else the original's
  bool describes;         // likewise
} StatedConfig;

// Where config.json states one of the whole numbers above, by its offset in StatedConfig:
// "language_config.hidden_size", or as the transformers port has it. NULL where a layout does not
// state it. Static text.
const char *config_key(JanusLayout layout, size_t field);
#define CONFIG_KEY(layout, name) config_key(layout, offsetof(StatedConfig, name))

// Reads all those that the object states; `layout` says where.
typedef struct JsonPlace JsonPlace;
bool config_read_sizes(const JsonPlace *root, JanusLayout layout, StatedConfig *stated,
                       JanusError *error);
// A section of the object, absent ones included, named in `where` for messages: "language_config.".
enum { CONFIG_WHERE_BYTES = 64 };
bool config_find_section(const JsonPlace *root, const char *section, char where[CONFIG_WHERE_BYTES],
                         JsonPlace *place, JanusError *error);

// What holds where no file says otherwise.
void config_defaults(StatedConfig *stated);
// Reads the JSON files. Only config.json must be there.
bool config_read(const char *folder, StatedConfig *stated, JanusError *error);

// Sizes from tensor shapes and counts, which must agree with what is stated; LlamaConfig's and the
// original's defaults for what neither tells. `folder` is for messages.
bool config_resolve(const char *folder, const StatedConfig *stated, const TensorSet *files,
                    JanusConfig *config, JanusError *error);

// Number of children of `prefix` ("...layers.", the original's), that is the highest index + 1.
int config_count_children(const TensorSet *files, const char *prefix);

#endif
