// SPDX-License-Identifier: MIT
// limner-cli: which subcommand.
#include "app/cli/common.h"
#include "config.h"

#include <stdio.h>
#include <string.h>

typedef struct Subcommand {
  const char *name;
  int (*run)(int argc, char **argv); // NULL: not in this build
  const char *about;
} Subcommand;

static const Subcommand subcommands[] = {
    {"generate", cli_generate, "paint pictures from a prompt, or change one"},
    {"describe", cli_describe, "answer a question about a picture"},
    {"suggest", cli_suggest, "prompts to try"},
    {"tokenize", cli_tokenize, "a text as token ids"},
    {"encode", cli_encode, "a picture as picture tokens"},
    {"decode", cli_decode, "picture tokens as a PNG file"},
    {"trace", cli_trace, "the model's inner states for given tokens"},
    {"info", cli_info, "a model, the devices and the memory needed; or what a picture carries"},
    {"replay", cli_replay, "make a saved picture again, and say whether it is the same"},
    {"export", cli_export, "a picture, or the chain of edits it came from, for other programs"},
    {"restore", cli_restore, "bring the chain that a picture carries back into the library"},
    {"bench", cli_bench, "the speed of this machine beside what it could be"},
};

static int print_help(void) {
  printf("Usage: limner-cli SUBCOMMAND [OPTIONS]\n"
         "Paints and edits pictures with Janus models.\n\n");
  for (gsize i = 0; i < G_N_ELEMENTS(subcommands); i++)
    printf("  %-10s %s\n", subcommands[i].name, subcommands[i].about);
  printf("\n\"limner-cli SUBCOMMAND --help\" lists a subcommand's options.\n");
  return CLI_DONE;
}

static gboolean has_help(int argc, char **argv) {
  for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--help") == 0)
      return TRUE;
  return FALSE;
}

static int run(const Subcommand *subcommand, int argc, char **argv) {
  if (subcommand->run)
    return subcommand->run(argc, argv);
  if (!has_help(argc, argv))
    return cli_fail(CLI_FAILED, "%s: not in this build", subcommand->name);
  printf("limner-cli %s: %s\n", subcommand->name, subcommand->about);
  return CLI_DONE;
}

// The locale is left at "C": messages are English, and numbers have a point.
int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : NULL;
  if (!name)
    return cli_fail(CLI_USAGE,
                    "expected a subcommand, found none; \"limner-cli --help\" lists them");
  if (strcmp(name, "--help") == 0)
    return cli_finish(print_help());
  if (strcmp(name, "--version") == 0) {
    printf("limner-cli %s\n", LIMNER_VERSION);
    return cli_finish(CLI_DONE);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(subcommands); i++)
    if (strcmp(name, subcommands[i].name) == 0)
      return cli_finish(run(&subcommands[i], argc - 2, argv + 2));
  return cli_fail(CLI_USAGE,
                  "expected a subcommand, found \"%s\"; \"limner-cli --help\" lists them", name);
}
