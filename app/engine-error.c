// SPDX-License-Identifier: MIT
// The one place where the engine's errors become GErrors.
#include "app/job.h"
#include "app/recipe.h"

G_DEFINE_QUARK(limner - engine - error - quark, limner_engine_error)

void limner_propagate_engine_error(GError **error, const JanusError *engine_error) {
  if (engine_error->code == JANUS_ERROR_CANCELLED) {
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "stopped");
    return;
  }
  g_autofree char *message = limner_recipe_dup_harmless(engine_error->message, FALSE);
  g_set_error_literal(error, LIMNER_ENGINE_ERROR, (int)engine_error->code,
                      *message ? message : "the engine failed without saying why");
}

gboolean limner_engine_error_is_of_device(const GError *error) {
  return g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_DEVICE) ||
         g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_MEMORY) ||
         g_error_matches(error, LIMNER_ENGINE_ERROR, JANUS_ERROR_UNSUPPORTED);
}

char *limner_engine_error_dup_sentence(const GError *error) {
  return error->domain == LIMNER_ENGINE_ERROR
             ? g_strndup(error->message, janus_error_sentence_bytes(error->message))
             : g_strdup(error->message);
}
