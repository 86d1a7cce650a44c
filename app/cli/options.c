// SPDX-License-Identifier: MIT
// Parsing by the table, the help made of it, and the one line that says what is wrong.
#include "app/cli/options.h"

#include "app/recipe.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int cli_fail(int status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  g_autofree char *raw = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *line = limner_recipe_dup_harmless(raw, FALSE);
  fprintf(stderr, "limner-cli: %s\n", line);
  return status;
}

// --- values --------------------------------------------------------------------------------------

static int wrong(const CliOption *option, const char *expected, const char *found) {
  return cli_fail(CLI_USAGE, "%s: expected %s, found \"%s\"", option->name, expected, found);
}

static int parse_integer(const CliOption *option, const char *text) {
  const guint64 min = (guint64)option->min, max = (guint64)option->max;
  if (g_ascii_string_to_unsigned(text, 10, min, max, option->value, NULL))
    return CLI_GO_ON;
  g_autofree char *expected =
      g_strdup_printf("a whole number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, min, max);
  return wrong(option, expected, text);
}

static char *dup_number(double number) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  return g_strdup(g_ascii_formatd(text, sizeof text, "%g", number));
}

static int parse_number(const CliOption *option, const char *text) {
  char *end = NULL;
  const double number = g_ascii_strtod(text, &end);
  // strtod would also take spaces, hexadecimal, infinities and what is no number.
  const gboolean is_plain = *text && strspn(text, "+-.0123456789eE") == strlen(text) && !*end;
  if (is_plain && isfinite(number) && number <= option->max &&
      (option->above_min ? number > option->min : number >= option->min)) {
    *(double *)option->value = number;
    return CLI_GO_ON;
  }
  g_autofree char *min = dup_number(option->min), *max = dup_number(option->max);
  g_autofree char *expected = g_strdup_printf(
      option->above_min ? "a number above %s and up to %s" : "a number from %s to %s", min, max);
  return wrong(option, expected, text);
}

static int parse_choice(const CliOption *option, const char *text) {
  g_auto(GStrv) choices = g_strsplit(option->choices, "|", -1);
  if (!g_strv_contains((const char *const *)choices, text))
    return wrong(option, option->choices, text);
  *(const char **)option->value = text;
  return CLI_GO_ON;
}

static int parse_weights(const CliOption *option, const char *text) {
  if (!janus_weights_parse(text, option->value))
    return wrong(option, "auto, f32, bf16, q8, q4 or fp8", text);
  return CLI_GO_ON;
}

static int parse_device(const CliOption *option, const char *text) {
  static const char *const plain[] = {"auto", "cpu", "cuda", NULL};
  guint64 index = 0;
  if (!g_strv_contains(plain, text) &&
      !(g_str_has_prefix(text, "cuda:") &&
        g_ascii_string_to_unsigned(text + strlen("cuda:"), 10, 0, 1023, &index, NULL)))
    return wrong(option, "auto, cpu, cuda or cuda:N", text);
  *(const char **)option->value = text;
  return CLI_GO_ON;
}

static int parse_value(const CliOption *option, const char *text) {
  switch (option->kind) {
  case CLI_INTEGER:
    return parse_integer(option, text);
  case CLI_NUMBER:
    return parse_number(option, text);
  case CLI_CHOICE:
    return parse_choice(option, text);
  case CLI_WEIGHTS:
    return parse_weights(option, text);
  case CLI_DEVICE:
    return parse_device(option, text);
  case CLI_TEXT:
    *(const char **)option->value = text;
    return CLI_GO_ON;
  default:
    *(gboolean *)option->value = TRUE;
    return CLI_GO_ON;
  }
}

// --- the table -----------------------------------------------------------------------------------

enum { N_COMMON = 7 };

static void common_options(CliCommon *common, CliOption options[N_COMMON]) {
  const CliOption table[N_COMMON] = {
      {"--model", CLI_TEXT, &common->model, .argument = "DIR|demo", .help = "the model's folder"},
      {"--device", CLI_DEVICE, &common->device, .argument = "auto|cpu|cuda|cuda:N",
       .help = "what computes"},
      {"--weights", CLI_WEIGHTS, &common->weights, .argument = "auto|f32|bf16|q8|q4|fp8",
       .help = "the weights' format in memory"},
      {"--threads", CLI_INTEGER, &common->n_threads, 1, 1024, .argument = "N",
       .help = "threads on the CPU (one per core)"},
      {"--no-packed-cache", CLI_FLAG, &common->no_packed_cache,
       .help = "keep no packed copy of a large model's weights on disk"},
      {"--verbose", CLI_FLAG, &common->verbose, .help = "say more on stderr"},
      {"--json", CLI_FLAG, &common->json, .help = "answer with one JSON object"},
  };
  memcpy(options, table, sizeof table);
}

static const CliOption *find(const CliOption *options, guint n, const char *name, gsize length) {
  for (guint i = 0; i < n; i++)
    if (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0)
      return &options[i];
  return NULL;
}

// One row of the help; `width` letters are for what stands left.
static void print_row(int width, const char *name, const char *argument, const char *help) {
  g_autofree char *left = g_strjoin(" ", name, argument, NULL);
  printf("  %-*s  %s\n", width, left, help);
}

static int widest(const CliOption *options, guint n) {
  gsize width = 0;
  for (guint i = 0; i < n; i++)
    width = MAX(width, strlen(options[i].name) +
                           (options[i].argument ? strlen(options[i].argument) + 1 : 0));
  return (int)width;
}

static int print_help(const CliCommand *command, const CliOption *common, guint n_common) {
  const int width = MAX(widest(command->options, command->n_options), widest(common, n_common));
  printf("Usage: limner-cli %s %s\n%s\n\n", command->name, command->usage, command->about);
  for (guint i = 0; i < command->n_options; i++)
    print_row(width, command->options[i].name, command->options[i].argument,
              command->options[i].help);
  for (guint i = 0; i < n_common; i++)
    print_row(width, common[i].name, common[i].argument, common[i].help);
  print_row(width, "--help", NULL, "this text");
  return CLI_DONE;
}

// --- the arguments -------------------------------------------------------------------------------

typedef struct Parser {
  const CliCommand *command;
  CliOption common[N_COMMON];
  guint n_common, n_texts;
  GHashTable *seen; // options so far, by their row
} Parser;

static int take_text(Parser *parser, const char *text) {
  if (parser->n_texts < parser->command->max_texts) {
    parser->command->texts[parser->n_texts++] = text;
    return CLI_GO_ON;
  }
  if (parser->command->max_texts)
    return cli_fail(CLI_USAGE, "%s: expected one %s, found another: \"%s\"", parser->command->name,
                    parser->command->texts_name, text);
  return cli_fail(CLI_USAGE, "%s: expected options only, found \"%s\"", parser->command->name,
                  text);
}

// One option at argv[*at]; moves *at to the last argument it used.
static int take_option(Parser *parser, int argc, char **argv, int *at) {
  const char *argument = argv[*at], *equals = strchr(argument, '=');
  const gsize length = equals ? (gsize)(equals - argument) : strlen(argument);
  const CliCommand *command = parser->command;
  const CliOption *option = find(command->options, command->n_options, argument, length);
  if (!option)
    option = find(parser->common, parser->n_common, argument, length);
  if (!option)
    return cli_fail(CLI_USAGE, "%s: unknown option \"%.*s\"; \"limner-cli %s --help\" lists them",
                    command->name, (int)length, argument, command->name);
  if (!g_hash_table_add(parser->seen, (gpointer)option) && option->once)
    return cli_fail(CLI_USAGE, "%s: expected once, found a second time", option->name);
  if (option->is_given)
    *option->is_given = TRUE;
  if (option->kind == CLI_FLAG && equals)
    return cli_fail(CLI_USAGE, "%s: expected no value, found \"%s\"", option->name, equals + 1);
  if (option->kind == CLI_FLAG || equals)
    return parse_value(option, equals ? equals + 1 : NULL);
  if (*at + 1 >= argc)
    return cli_fail(CLI_USAGE, "%s: expected %s after it, found nothing", option->name,
                    option->argument);
  return parse_value(option, argv[++*at]);
}

int cli_parse(const CliCommand *command, int argc, char **argv) {
  Parser parser = {.command = command};
  if (command->common) {
    common_options(command->common, parser.common);
    parser.n_common = N_COMMON;
  }
  g_autoptr(GHashTable) seen = parser.seen = g_hash_table_new(NULL, NULL);
  gboolean options_ended = FALSE;
  int status = CLI_GO_ON;
  for (int i = 0; i < argc && status == CLI_GO_ON; i++) {
    if (options_ended || argv[i][0] != '-' || !argv[i][1])
      status = take_text(&parser, argv[i]);
    else if (strcmp(argv[i], "--") == 0)
      options_ended = TRUE;
    else if (strcmp(argv[i], "--help") == 0)
      status = print_help(command, parser.common, parser.n_common);
    else
      status = take_option(&parser, argc, argv, &i);
  }
  return status;
}
