// SPDX-License-Identifier: MIT
// The command line as a table: one row an option, parsed and explained by the same table.
#ifndef LIMNER_CLI_OPTIONS_H
#define LIMNER_CLI_OPTIONS_H

#include "engine/engine.h"

#include <glib.h>

// Exit statuses.
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };
// From cli_parse(): nothing to return yet.
enum { CLI_GO_ON = -1 };

typedef enum {
  CLI_FLAG,    // gboolean
  CLI_TEXT,    // const char *, borrowed from argv
  CLI_CHOICE,  // const char *, one of `choices`
  CLI_INTEGER, // guint64 from min to max
  CLI_NUMBER,  // double from min to max
  CLI_WEIGHTS, // JanusWeights
  CLI_DEVICE,  // const char *: auto, cpu, cuda, cuda:N
} CliKind;

typedef struct CliOption {
  const char *name; // with its two dashes
  CliKind kind;
  void *value;          // what `kind` says; left alone when the option is absent
  double min, max;      // INTEGER, NUMBER
  gboolean above_min;   // NUMBER: min itself is out of range
  const char *argument; // "FILE", for the help
  const char *help;
  const char *choices; // CHOICE: "pad|crop"
  gboolean once;       // a second one is an error
  gboolean *is_given;  // set when present; may be NULL
} CliOption;

// What every subcommand takes.
typedef struct CliCommon {
  const char *model;
  const char *device;
  JanusWeights weights;
  guint64 n_threads;
  gboolean verbose;
  gboolean json;
  gboolean no_packed_cache;
} CliCommon;

#define CLI_COMMON_DEFAULT                                                                         \
  { .model = "demo", .device = "auto" }

typedef struct CliCommand {
  const char *name;  // "generate"
  const char *usage; // after the name
  const char *about; // one sentence
  const CliOption *options;
  guint n_options;
  CliCommon *common;      // NULL = takes none of them
  guint max_texts;        // arguments that are no options
  const char **texts;     // [max_texts], NULL where absent
  const char *texts_name; // "TEXT", for messages
} CliCommand;

// Reads the arguments after the subcommand's name. CLI_GO_ON, CLI_DONE after --help, or CLI_USAGE
// after one line on stderr.
int cli_parse(const CliCommand *command, int argc, char **argv);

// One line on stderr, "limner-cli: " before it; returns `status`.
int cli_fail(int status, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
