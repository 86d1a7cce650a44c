// SPDX-License-Identifier: MIT
// limner-cli suggest: prompts that the model understands.
#include "app/cli/common.h"
#include "app/model-folder.h"
#include "app/prompts.h"

#include <stdio.h>

#define MAX_SEED ((double)((1ull << 53) - 1))
enum { MAX_COUNT = 10000 };

typedef struct Suggest {
  CliCommon common;
  gboolean is_edit, has_seed;
  guint64 seed, count;
} Suggest;

static int parse(Suggest *suggest, int argc, char **argv) {
  const CliOption options[] = {
      {"--edit", CLI_FLAG, &suggest->is_edit, .help = "instructions that change a picture"},
      {"--seed", CLI_INTEGER, &suggest->seed, 0, MAX_SEED, .argument = "S",
       .help = "the same seed gives the same prompts (random)", .is_given = &suggest->has_seed},
      {"--count", CLI_INTEGER, &suggest->count, 1, MAX_COUNT, .argument = "N",
       .help = "how many (1)"},
  };
  const CliCommand command = {
      .name = "suggest",
      .usage = "[OPTIONS]",
      .about = "Prints prompts that the model understands, one a line: those of its folder's "
               "prompts.json, else general ones.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &suggest->common,
  };
  return cli_parse(&command, argc, argv);
}

static void print_lines(const Suggest *suggest, const LimnerPrompts *prompts,
                        LimnerPromptKind kind) {
  for (guint i = 0; i < suggest->count; i++)
    printf("%s\n", limner_prompts_pick(prompts, kind, suggest->seed, i));
}

static void print_json(const Suggest *suggest, const LimnerPrompts *prompts,
                       LimnerPromptKind kind) {
  printf("{\"seed\": %" G_GUINT64_FORMAT ", \"kind\": \"%s\", \"prompts\": [", suggest->seed,
         suggest->is_edit ? "edit" : "text-to-image");
  for (guint i = 0; i < suggest->count; i++) {
    g_autofree char *text = cli_json_text(limner_prompts_pick(prompts, kind, suggest->seed, i));
    printf("%s%s", i ? ", " : "", text);
  }
  printf("]}\n");
}

int cli_suggest(int argc, char **argv) {
  Suggest suggest = {.common = CLI_COMMON_DEFAULT, .count = 1};
  const int status = parse(&suggest, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  g_autofree char *folder = limner_model_folder_resolve(suggest.common.model);
  if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
    return cli_fail(CLI_FAILED, "%s: expected a model folder, found none of that name", folder);
  g_autoptr(LimnerPrompts) prompts = limner_prompts_load(folder);
  if (limner_prompts_get_problem(prompts))
    cli_fail(CLI_DONE, "%s; general prompts instead", limner_prompts_get_problem(prompts));
  if (!suggest.has_seed)
    suggest.seed = limner_random_seed();
  const LimnerPromptKind kind = suggest.is_edit ? LIMNER_PROMPT_EDIT : LIMNER_PROMPT_PAINT;
  (suggest.common.json ? print_json : print_lines)(&suggest, prompts, kind);
  return CLI_DONE;
}
