// SPDX-License-Identifier: MIT
// Inside the engine: the two ways in which checkpoints name their tensors.
#ifndef JANUS_LAYOUT_H
#define JANUS_LAYOUT_H

typedef enum JanusLayout {
  JANUS_LAYOUT_ORIGINAL,     // deepseek-ai's code: model_type "multi_modality"
  JANUS_LAYOUT_TRANSFORMERS, // the port in the transformers library: model_type "janus"
} JanusLayout;

// "original" or "transformers": static text.
const char *layout_text(JanusLayout layout);

// What a tensor of the original's name, or a beginning of such names that ends with a point, is
// called in a layout; into `text`, which is returned. The query, key and value parts of SigLIP's
// fused attn.qkv are asked for as attn.q, attn.k and attn.v.
enum { LAYOUT_NAME_BYTES = 256 };
const char *layout_name(JanusLayout layout, const char *name, char text[LAYOUT_NAME_BYTES]);

#endif
