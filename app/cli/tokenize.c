// SPDX-License-Identifier: MIT
// limner-cli tokenize: a text as the raw tokenizer's ids.
#include "app/cli/common.h"
#include "app/model-folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_ids(const int32_t *ids, size_t n_ids, gboolean json) {
  if (json) {
    cli_print_tokens(ids, n_ids);
    return;
  }
  for (size_t i = 0; i < n_ids; i++)
    printf("%s%d", i ? " " : "", ids[i]);
  printf("\n");
}

int cli_tokenize(int argc, char **argv) {
  CliCommon common = CLI_COMMON_DEFAULT;
  gboolean no_bos = FALSE;
  const char *text = NULL;
  const CliOption options[] = {
      {"--no-bos", CLI_FLAG, &no_bos, .help = "without the begin-of-sentence token"},
  };
  const CliCommand command = {
      .name = "tokenize",
      .usage = "[--no-bos] TEXT",
      .about = "Prints a text's token ids; special tokens in it count as such.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &common,
      .max_texts = 1,
      .texts = &text,
      .texts_name = "TEXT",
  };
  const int status = cli_parse(&command, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  if (!text)
    return cli_fail(CLI_USAGE, "tokenize: expected a TEXT, found none");
  g_autofree char *folder = limner_model_folder_resolve(common.model);
  JanusError error = {0};
  JanusTokenizer *tokenizer = janus_tokenizer_open(folder, &error);
  if (!tokenizer)
    return cli_fail_engine(&error);
  int32_t *ids = NULL;
  size_t n_ids = 0;
  const unsigned flags = JANUS_TOKENIZE_ALL_ADDED | (no_bos ? 0 : JANUS_TOKENIZE_BOS);
  const bool ok =
      janus_tokenizer_encode(tokenizer, text, strlen(text), flags, &ids, &n_ids, &error);
  if (ok)
    print_ids(ids, n_ids, common.json);
  free(ids);
  janus_tokenizer_free(tokenizer);
  return ok ? CLI_DONE : cli_fail_engine(&error);
}
