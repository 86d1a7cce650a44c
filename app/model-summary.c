// SPDX-License-Identifier: MIT
// Summaries of models, with what each format of the weights would need.
#include "app/model-summary.h"

#include "app/model-folder.h"

enum { TYPICAL_PROMPT_TOKENS = 64 };

static void fill_plan(LimnerFormatPlan *plan, const JanusModel *model, JanusWeights weights) {
  plan->weights = weights;
  if (!janus_model_has_format(model, weights))
    return;
  plan->paint_bytes =
      janus_estimate_memory_in(model, weights, 1, TYPICAL_PROMPT_TOKENS, FALSE).total_bytes;
  plan->edit_bytes =
      janus_estimate_memory_in(model, weights, 1, TYPICAL_PROMPT_TOKENS, TRUE).total_bytes;
}

LimnerModelSummary *limner_model_summary_new(const char *folder, const JanusModel *model) {
  static const JanusWeights formats[LIMNER_N_FORMATS] = {
      JANUS_WEIGHTS_F32, JANUS_WEIGHTS_BF16, JANUS_WEIGHTS_FP8, JANUS_WEIGHTS_Q8, JANUS_WEIGHTS_Q4};
  const JanusModelInfo *info = janus_model_get_info(model);
  LimnerModelSummary *summary = g_new0(LimnerModelSummary, 1);
  summary->folder = g_strdup(folder);
  summary->is_demo = limner_model_folder_is_demo(folder);
  summary->name = g_strdup(summary->is_demo ? "Demo model" : info->name);
  summary->device = g_strdup(info->device);
  summary->device_name = g_strdup(info->device_name);
  summary->device_why = g_strdup(info->fallback);
  summary->weights = g_strdup(janus_weights_text(info->weights));
  summary->weights_why = g_strdup(info->weights_why);
  summary->is_on_card = !g_str_equal(info->device, "cpu");
  janus_model_measure_memory(model, &summary->total_bytes, &summary->free_bytes);
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    fill_plan(&summary->formats[i], model, formats[i]);
  summary->defaults = info->defaults;
  summary->prompts = limner_prompts_load(info->folder);
  summary->image_size_px = info->image_size_px;
  summary->grid = info->grid;
  summary->n_image_tokens = info->n_image_tokens;
  return summary;
}

void limner_model_summary_free(LimnerModelSummary *summary) {
  if (!summary)
    return;
  g_free(summary->folder);
  g_free(summary->name);
  g_free(summary->device);
  g_free(summary->device_name);
  g_free(summary->device_why);
  g_free(summary->weights);
  g_free(summary->weights_why);
  limner_prompts_unref(summary->prompts);
  g_free(summary);
}

const LimnerFormatPlan *limner_model_summary_get_plan(const LimnerModelSummary *summary) {
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    if (g_str_equal(janus_weights_text(summary->formats[i].weights), summary->weights))
      return &summary->formats[i];
  return &summary->formats[0]; // not reached: AUTO is one of them
}
