// SPDX-License-Identifier: MIT
// limner-cli restore FILE.png: the chain that a picture carries, painted again into the library.
#include "app/chain.h"
#include "app/cli/common.h"
#include "app/cli/library.h"
#include "app/recipe.h"

typedef struct Options {
  CliCommon common;
  const char *file, *library;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {CLI_LIBRARY(&o->library)};
  const CliCommand command = {
      .name = "restore",
      .usage = "FILE.png [--library DIR]",
      .about = "Paints the chain of edits that a picture carries again, into the library.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
      .max_texts = 1,
      .texts = &o->file,
      .texts_name = "FILE.png",
  };
  const int status = cli_parse(&command, argc, argv);
  if (status == CLI_GO_ON && !o->file)
    return cli_fail(CLI_USAGE, "restore: expected a FILE.png, found none");
  return status;
}

static int restore(const Options *o, LimnerInput *file, JanusModel *model) {
  LimnerLibrary *library = cli_library_open(o->library);
  if (!library)
    return CLI_FAILED;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerEntry) entry = limner_chain_restore(library, file, model, NULL, &error);
  g_autofree char *path = entry ? limner_library_dup_path(library, entry) : NULL;
  const int status = entry ? CLI_DONE : cli_fail_error(error);
  if (path)
    cli_print_file(&o->common, path);
  cli_library_close(library);
  return status;
}

int cli_restore(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT};
  const int parsed = parse(&o, argc, argv);
  if (parsed != CLI_GO_ON)
    return parsed;
  cli_exit_on_interrupt();
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerInput) file = cli_load_input(o.file, &error);
  if (!file)
    return cli_fail_error(error);
  const char *json = limner_input_get_recipe(file);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, NULL) : NULL;
  if (!recipe || recipe->n_before == 0)
    return cli_fail(CLI_FAILED, "%s: expected a picture that carries a chain, found none", o.file);
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  const int status = restore(&o, file, model);
  janus_model_free(model);
  return status;
}
