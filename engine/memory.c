// SPDX-License-Identifier: MIT
// How much memory a request needs: the sums of what its parts say they allocate.
#include "engine/generation.h"
#include "engine/vision.h"
#include "engine/vq-decoder.h"

// An edit's prompt holds the picture twice, each time between two tags.
static int n_picture_positions(const JanusModel *model) {
  return 2 * (model->config.n_image_tokens + 2);
}

// Mapped weights that are never read: a text does not look at pictures, and of the embedding only
// its words' rows count.
static size_t unread_bytes(const JanusModel *model, bool is_edit) {
  const jk_weight *table = &model->text_embedding;
  if (model->has_copies)
    return 0;
  return (size_t)table->n_rows * (size_t)table->n_cols * jk_dtype_size(table->dtype) +
         (is_edit ? 0 : model->vision_bytes);
}

JanusMemory janus_estimate_memory(const JanusModel *model, int n_samples, int n_prompt_tokens,
                                  bool is_edit) {
  const GenerationPlan plan = generation_plan(n_samples, is_edit, 5, 5);
  const int n_prompt = n_prompt_tokens + (is_edit ? n_picture_positions(model) : 0);
  JanusMemory memory = {
      .weights_bytes = model->resident_bytes - unread_bytes(model, is_edit),
      .kv_bytes = generation_kv_bytes(model, &plan, n_prompt),
      // The encoders give back what they worked in before a picture is decoded.
      .activation_bytes = generation_activation_bytes(model, &plan) +
                          (is_edit ? vision_bytes(model) : vq_workspace_bytes(model)),
  };
  memory.total_bytes = memory.weights_bytes + memory.kv_bytes + memory.activation_bytes;
  return memory;
}
