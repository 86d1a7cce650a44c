// SPDX-License-Identifier: MIT
// How much memory a request needs: the sums of what its parts say they allocate.
#include "engine/generation.h"
#include "engine/vq-decoder.h"

JanusMemory janus_estimate_memory(const JanusModel *model, int n_samples, int n_prompt_tokens,
                                  bool is_edit) {
  (void)is_edit;
  const GenerationPlan plan = generation_plan(n_samples, true);
  JanusMemory memory = {
      .weights_bytes = model->resident_bytes,
      .kv_bytes = generation_kv_bytes(model, &plan, n_prompt_tokens),
      .activation_bytes = generation_activation_bytes(model, &plan) + vq_workspace_bytes(model),
  };
  memory.total_bytes = memory.weights_bytes + memory.kv_bytes + memory.activation_bytes;
  return memory;
}
