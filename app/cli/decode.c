// SPDX-License-Identifier: MIT
// limner-cli decode: a token file's picture as a PNG.
#include "app/cli/common.h"
#include "app/recipe.h"

#include <stdlib.h>

typedef struct Options {
  CliCommon common;
  const char *tokens, *out;
  guint64 sample;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--tokens", CLI_TEXT, &o->tokens, .argument = "FILE.json", .help = "the picture's tokens"},
      {"--sample", CLI_INTEGER, &o->sample, 0, 4095, .argument = "K",
       .help = "which list of the file (0)"},
      {"--out", CLI_TEXT, &o->out, .argument = "FILE.png", .help = "where to write"},
  };
  const CliCommand command = {
      .name = "decode",
      .usage = "--tokens FILE.json [--sample K] --out FILE.png",
      .about = "Turns picture tokens into a PNG file.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

static LimnerPicture *decode(JanusModel *model, const int32_t *tokens, int n_tokens,
                             JanusError *error) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const gsize n_bytes = (gsize)info->image_size_px * (gsize)info->image_size_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  if (!janus_model_decode(model, tokens, n_tokens, rgb, error))
    return NULL;
  const LimnerRequest nothing_asked = {0};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&nothing_asked, 0, tokens, n_tokens, info);
  return limner_recipe_dup_picture(recipe, bytes);
}

static int decode_file(const Options *o, JanusModel *model) {
  int32_t *tokens = NULL;
  int n_tokens = 0;
  JanusError engine_error = {0};
  g_autoptr(LimnerPicture) picture = NULL;
  if (janus_tokens_load(o->tokens, (int)o->sample, &tokens, &n_tokens, &engine_error))
    picture = decode(model, tokens, n_tokens, &engine_error);
  free(tokens);
  if (!picture)
    return cli_fail_engine(&engine_error);
  g_autoptr(GError) error = NULL;
  if (!cli_save_picture(picture, o->out, &error))
    return cli_fail_error(error);
  cli_print_file(&o->common, o->out);
  return CLI_DONE;
}

int cli_decode(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT};
  int status = parse(&o, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  if (!o.tokens || !o.out)
    return cli_fail(CLI_USAGE,
                    "decode: expected --tokens FILE.json and --out FILE.png, found no %s",
                    o.tokens ? "--out" : "--tokens");
  if (!cli_can_write_picture("--out", o.out))
    return CLI_FAILED;
  cli_exit_on_interrupt();
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  status = decode_file(&o, model);
  janus_model_free(model);
  return status;
}
