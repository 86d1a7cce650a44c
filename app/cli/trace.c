// SPDX-License-Identifier: MIT
// limner-cli trace: the model's inner states while given tokens are fed, as safetensors.
#include "app/cli/common.h"
#include "app/cli/edit.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct Options {
  CliCommon common;
  const char *prompt, *tokens, *out;
  guint64 sample;
  double cfg; // NAN: the model's default
  const char *input_tokens;
  CliEdit edit;
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
      CLI_EDIT_IMAGE(&o->edit),
      CLI_EDIT_IMAGE_CFG(&o->edit),
      CLI_EDIT_FIT(&o->edit),
      {"--input-tokens", CLI_TEXT, &o->input_tokens, .argument = "FILE.json",
       .help = "the tokens of --image (its own)"},
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
  const int status = cli_edit_check(&o->edit, o->prompt);
  if (status != CLI_GO_ON)
    return status;
  if (o->input_tokens && !o->edit.image)
    return cli_fail(CLI_USAGE, "--input-tokens: expected --image beside it, found none");
  return cli_can_write("--out", o->out) ? CLI_GO_ON : CLI_FAILED;
}

static JanusRequest request_from(const Options *o, const JanusDefaults *defaults,
                                 const JanusImage *image, const int32_t *image_tokens) {
  return (JanusRequest){.prompt = o->prompt,
                        .image = o->edit.image ? image : NULL,
                        .image_tokens = image_tokens,
                        .n_samples = 1,
                        .cfg = isnan(o->cfg) ? defaults->cfg : o->cfg,
                        .image_cfg =
                            isnan(o->edit.image_cfg) ? defaults->image_cfg : o->edit.image_cfg,
                        .temperature = 1,
                        .top_p = 1};
}

// The tokens of --input-tokens; NULL when there are none to load.
static bool load_input_tokens(const Options *o, const JanusModelInfo *info, int32_t **tokens,
                              JanusError *error) {
  int n_tokens = 0;
  if (!o->input_tokens)
    return true;
  if (!janus_tokens_load(o->input_tokens, 0, tokens, &n_tokens, error))
    return false;
  if (n_tokens == info->n_image_tokens)
    return true;
  error->code = JANUS_ERROR_REQUEST;
  g_snprintf(error->message, sizeof error->message, "%s: expected %d tokens, found %d",
             o->input_tokens, info->n_image_tokens, n_tokens);
  return false;
}

static int trace(const Options *o, JanusModel *model, LimnerInput *input) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const JanusImage image = input ? cli_edit_image(&o->edit, input) : (JanusImage){0};
  int32_t *tokens = NULL, *image_tokens = NULL;
  int n_tokens = 0;
  JanusError error = {0};
  bool ok = janus_tokens_load(o->tokens, (int)o->sample, &tokens, &n_tokens, &error) &&
            load_input_tokens(o, info, &image_tokens, &error);
  if (ok) {
    const JanusRequest request = request_from(o, &info->defaults, &image, image_tokens);
    ok = janus_trace(model, &request, tokens, n_tokens, o->out, &error);
  }
  free(tokens);
  free(image_tokens);
  if (!ok)
    return cli_fail_engine(&error);
  cli_print_file(&o->common, o->out);
  return CLI_DONE;
}

int cli_trace(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT, .cfg = NAN, .edit = CLI_EDIT_DEFAULT};
  o.common.weights = JANUS_WEIGHTS_F32;
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = check(&o);
  if (status != CLI_GO_ON)
    return status;
  // janus_trace() writes at its end, beside the file under this name.
  g_autofree char *beside = g_strdup_printf("%s.%ld-0.part", o.out, (long)getpid());
  cli_exit_on_interrupt_without(beside);
  g_autoptr(LimnerInput) input = NULL;
  if (!cli_edit_load(&o.edit, &input))
    return CLI_FAILED;
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  status = trace(&o, model, input);
  janus_model_free(model);
  return status;
}
