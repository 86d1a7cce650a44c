// SPDX-License-Identifier: MIT
// Any bytes as a model folder's prompts.json: there are always prompts to pick, and they are lines.
#include "app/prompts.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_line(const char *text) {
  if (!g_utf8_validate(text, -1, NULL) || strpbrk(text, "\n\r\x1b"))
    abort();
}

static void pick_all(const LimnerPrompts *prompts, LimnerPromptKind kind) {
  const guint n = limner_prompts_get_n(prompts, kind);
  if (n == 0)
    abort();
  for (guint i = 0; i < MIN(n, 50); i++) {
    const char *prompt = limner_prompts_pick(prompts, kind, n, i);
    g_auto(GStrv) unknown = limner_prompts_dup_unknown(prompts, prompt, 3);
    check_line(prompt);
    if (g_strv_length(unknown) > 3)
      abort();
  }
  const char *about = limner_prompts_get_about(prompts, kind);
  if (about)
    check_line(about);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  fuzz_write("prompts.json", data, n_bytes);
  g_autoptr(LimnerPrompts) prompts = limner_prompts_load(fuzz_folder());
  pick_all(prompts, LIMNER_PROMPT_PAINT);
  pick_all(prompts, LIMNER_PROMPT_EDIT);
  g_autofree char *text = g_strndup((const char *)data, n_bytes);
  g_auto(GStrv) unknown = limner_prompts_dup_unknown(prompts, text, 5);
  for (guint i = 0; unknown[i]; i++)
    if (!g_utf8_validate(unknown[i], -1, NULL))
      abort();
  if (limner_prompts_get_problem(prompts))
    check_line(limner_prompts_get_problem(prompts));
  return 0;
}
