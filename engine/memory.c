// SPDX-License-Identifier: MIT
// How much memory a request needs: the sums of what its parts say they allocate.
#include "engine/generation.h"
#include "engine/model-make.h"
#include "engine/vision.h"
#include "engine/vq-decoder.h"

// An edit's prompt holds the picture twice, each time between two tags.
static int n_picture_positions(const JanusModel *model) {
  return 2 * (model->config.n_image_tokens + 2);
}

// What a picture's rows read, and what turns it into pixels.
static unsigned groups_of(bool is_edit) {
  return MODEL_LANGUAGE | MODEL_DECODER | (is_edit ? MODEL_ENCODER | MODEL_SIGLIP : 0);
}

static JanusMemory estimate(const JanusModel *model, JanusWeights weights, int n_samples,
                            int n_prompt_tokens, bool is_edit) {
  const GenerationPlan plan = generation_plan(n_samples, is_edit, 5, 5);
  const int n_prompt = n_prompt_tokens + (is_edit ? n_picture_positions(model) : 0);
  const PartBytes bytes = model_bytes(model, groups_of(is_edit), weights);
  const size_t kv_size = jk_dtype_size(weights == JANUS_WEIGHTS_F32 ? JK_F32 : JK_BF16);
  JanusMemory memory = {
      .weights_bytes = bytes.owned + bytes.mapped,
      .kv_bytes = generation_kv_bytes(model, &plan, n_prompt) /
                  jk_dtype_size(model->config.kv_dtype) * kv_size,
      // The encoders give back what they worked in before a picture is decoded.
      .activation_bytes = generation_activation_bytes(model, &plan) +
                          (is_edit ? vision_bytes(model) : vq_workspace_bytes(model)),
  };
  memory.total_bytes = memory.weights_bytes + memory.kv_bytes + memory.activation_bytes;
  return memory;
}

JanusMemory janus_estimate_memory_in(const JanusModel *model, JanusWeights weights, int n_samples,
                                     int n_prompt_tokens, bool is_edit) {
  pthread_mutex_lock(model_lock(model));
  const JanusMemory memory = estimate(model, weights, n_samples, n_prompt_tokens, is_edit);
  pthread_mutex_unlock(model_lock(model));
  return memory;
}

JanusMemory janus_estimate_memory(const JanusModel *model, int n_samples, int n_prompt_tokens,
                                  bool is_edit) {
  pthread_mutex_lock(model_lock(model));
  JanusMemory memory = estimate(model, model->info.weights, n_samples, n_prompt_tokens, is_edit);
  memory.unmade_bytes = model_unmade_bytes(model, groups_of(is_edit));
  pthread_mutex_unlock(model_lock(model));
  return memory;
}
