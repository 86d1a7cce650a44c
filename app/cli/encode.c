// SPDX-License-Identifier: MIT
// limner-cli encode: a picture as the tokens that the model knows it by.
#include "app/cli/common.h"
#include "app/cli/edit.h"

#include <math.h>

typedef struct Options {
  CliCommon common;
  CliEdit edit;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--image", CLI_TEXT, &o->edit.image, .argument = "FILE", .once = TRUE,
       .help = "the picture"},
      CLI_EDIT_FIT(&o->edit),
  };
  const CliCommand command = {
      .name = "encode",
      .usage = "--image FILE [OPTIONS]",
      .about = "Prints a picture's tokens as {\"tokens\": [...]}, row by row.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

static int encode(const Options *o, JanusModel *model, LimnerInput *input) {
  const int n_tokens = janus_model_get_info(model)->n_image_tokens;
  const JanusImage image = cli_edit_image(&o->edit, input);
  g_autofree gint32 *tokens = g_new0(gint32, (gsize)n_tokens);
  JanusError error = {0};
  if (!janus_model_encode(model, &image, tokens, &error))
    return cli_fail_engine(&error);
  cli_print_tokens(tokens, (gsize)n_tokens);
  return CLI_DONE;
}

int cli_encode(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT, .edit = CLI_EDIT_DEFAULT};
  int status = parse(&o, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  if (!o.edit.image)
    return cli_fail(CLI_USAGE, "encode: expected --image FILE, found no such option");
  cli_exit_on_interrupt();
  g_autoptr(LimnerInput) input = NULL;
  if (!cli_edit_load(&o.edit, &input))
    return CLI_FAILED;
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  status = encode(&o, model, input);
  janus_model_free(model);
  return status;
}
