// SPDX-License-Identifier: MIT
// Opening a model where another may be in use: which of the two goes, and when.
#include "app/model-open.h"

gboolean limner_model_is_on_card(const JanusModel *model) {
  return model && !g_str_equal(janus_model_get_info(model)->device, "cpu");
}

// The model in use may be why a card has no room.
static JanusModel *open_alone(const JanusModelOptions *options, JanusModel **in_use,
                              JanusError *error) {
  JanusModel *model = janus_model_open(options, error);
  const gboolean lacks_room =
      model ? janus_model_get_info(model)->fallback && !limner_model_is_on_card(model)
            : error->code == JANUS_ERROR_MEMORY || error->code == JANUS_ERROR_DEVICE;
  if (!lacks_room || !limner_model_is_on_card(*in_use))
    return model;
  janus_model_free(model);
  g_clear_pointer(in_use, janus_model_free);
  *error = (JanusError){0};
  return janus_model_open(options, error);
}

static bool prepare(const LimnerModelOpening *opening, JanusModel **model, JanusModel **in_use,
                    JanusError *error) {
  JanusError first = {0};
  if (janus_model_prepare(*model, opening->progress, opening->user_data, &first))
    return true;
  if (first.code == JANUS_ERROR_MEMORY)
    g_clear_pointer(in_use, janus_model_free);
  if (first.code == JANUS_ERROR_MEMORY || first.code == JANUS_ERROR_DEVICE)
    return janus_model_settle(model, &opening->options, opening->progress, opening->user_data,
                              error);
  *error = first;
  return false;
}

JanusModel *limner_model_open(const LimnerModelOpening *opening, JanusModel **in_use,
                              JanusError *error) {
  JanusModel *model = open_alone(&opening->options, in_use, error);
  if (model)
    opening->opened(model, opening->user_data);
  if (model && prepare(opening, &model, in_use, error))
    return model;
  janus_model_free(model);
  return NULL;
}
