// SPDX-License-Identifier: MIT
// Any bytes as a file of picture tokens: refused with a sentence, or a list that survives being
// written and read again.
#include "engine/engine.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_again(const int32_t *tokens, int n_tokens) {
  int32_t *again = NULL;
  int n_again = -1;
  if (!janus_tokens_save(fuzz_path("again.json"), &tokens, &n_tokens, 1, NULL) ||
      !janus_tokens_load(fuzz_path("again.json"), 0, &again, &n_again, NULL))
    abort();
  if (n_again != n_tokens || memcmp(again, tokens, (size_t)n_tokens * sizeof *tokens) != 0)
    abort();
  free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  fuzz_write("tokens.json", data, n_bytes);
  for (int sample = -1; sample < 3; sample++) {
    JanusError error = {0};
    int32_t *tokens = NULL;
    int n = 0;
    if (janus_tokens_load(fuzz_path("tokens.json"), sample, &tokens, &n, &error))
      check_again(tokens, n);
    else if (error.code == JANUS_ERROR_NONE || error.message[0] == '\0' || tokens)
      abort();
    free(tokens);
  }
  return 0;
}
