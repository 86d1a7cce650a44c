// SPDX-License-Identifier: MIT
// limner-cli trace: the model's inner states while given tokens are fed, as safetensors.
#include "app/cli/common.h"

#include <math.h>
#include <stdlib.h>

typedef struct Options {
  CliCommon common;
  const char *prompt, *tokens, *out;
  guint64 sample;
  double cfg; // NAN: the model's default
  // of a later build
  const char *image, *input_tokens;
  double image_cfg;
  gboolean has_image_cfg;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--prompt", CLI_TEXT, &o->prompt, .argument = "TEXT", .help = "the prompt"},
      {"--force-tokens", CLI_TEXT, &o->tokens, .argument = "FILE.json",
       .help = "picture tokens to feed"},
      {"--sample", CLI_INTEGER, &o->sample, 0, 4095, .argument = "K",
       .help = "which list of the file (0)"},
      {"--cfg", CLI_NUMBER, &o->cfg, 0, 1000, .argument = "X",
       .help = "guidance (the model's, else 5)"},
      {"--out", CLI_TEXT, &o->out, .argument = "FILE.safetensors", .help = "where to write"},
      {"--image", CLI_TEXT, &o->image, .argument = "FILE", .once = TRUE,
       .help = "a picture to change (not in this build)"},
      {"--image-cfg", CLI_NUMBER, &o->image_cfg, 0, 1000, .argument = "X",
       .help = "freedom to redraw (not in this build)", .is_given = &o->has_image_cfg},
      {"--input-tokens", CLI_TEXT, &o->input_tokens, .argument = "FILE.json",
       .help = "the input picture's tokens (not in this build)"},
  };
  const CliCommand command = {
      .name = "trace",
      .usage = "--prompt TEXT --force-tokens FILE.json --out FILE.safetensors [OPTIONS]",
      .about = "Writes the model's states and logits while it is fed the given tokens.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

static int check(const Options *o) {
  const char *missing = !o->prompt   ? "--prompt"
                        : !o->tokens ? "--force-tokens"
                        : !o->out    ? "--out"
                                     : NULL;
  if (missing)
    return cli_fail(CLI_USAGE, "trace: expected --prompt, --force-tokens and --out, found no %s",
                    missing);
  if (o->has_image_cfg && !o->image)
    return cli_fail(CLI_USAGE, "--image-cfg: expected --image beside it, found none");
  if (o->image)
    return cli_fail(CLI_FAILED, "--image %s: editing a picture is not in this build", o->image);
  if (o->input_tokens)
    return cli_fail(CLI_FAILED, "--input-tokens %s: editing a picture is not in this build",
                    o->input_tokens);
  return cli_can_write("--out", o->out) ? CLI_GO_ON : CLI_FAILED;
}

static int trace(const Options *o, JanusModel *model) {
  const JanusDefaults *defaults = &janus_model_get_info(model)->defaults;
  const JanusRequest request = {.prompt = o->prompt,
                                .n_samples = 1,
                                .cfg = isnan(o->cfg) ? defaults->cfg : o->cfg,
                                .temperature = 1,
                                .top_p = 1};
  int32_t *tokens = NULL;
  int n_tokens = 0;
  JanusError error = {0};
  const bool ok = janus_tokens_load(o->tokens, (int)o->sample, &tokens, &n_tokens, &error) &&
                  janus_trace(model, &request, tokens, n_tokens, o->out, &error);
  free(tokens);
  if (!ok)
    return cli_fail_engine(&error);
  cli_print_file(&o->common, o->out);
  return CLI_DONE;
}

int cli_trace(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT, .cfg = NAN};
  o.common.weights = JANUS_WEIGHTS_F32;
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = check(&o);
  if (status != CLI_GO_ON)
    return status;
  cli_exit_on_interrupt();
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  status = trace(&o, model);
  janus_model_free(model);
  return status;
}
