// SPDX-License-Identifier: MIT
// LimnerRequest as a value, and fresh seeds.
#include "app/job.h"

LimnerRequest *limner_request_copy(const LimnerRequest *request) {
  LimnerRequest *copy = g_memdup2(request, sizeof *request);
  copy->prompt = g_strdup(request->prompt);
  copy->input = request->input ? limner_input_ref(request->input) : NULL;
  return copy;
}

void limner_request_free(LimnerRequest *request) {
  if (!request)
    return;
  g_free(request->prompt);
  g_clear_pointer(&request->input, limner_input_unref);
  g_free(request);
}

guint64 limner_random_seed(void) {
  return g_random_int();
}
