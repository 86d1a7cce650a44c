// SPDX-License-Identifier: MIT
// What the subcommands share: opening the model, saying things, JSON, and Ctrl+C.
#ifndef LIMNER_CLI_COMMON_H
#define LIMNER_CLI_COMMON_H

#include "app/cli/options.h"
#include "app/input.h"
#include "app/job.h"

// The subcommands: arguments after their name; the exit status.
int cli_generate(int argc, char **argv);
int cli_describe(int argc, char **argv);
int cli_tokenize(int argc, char **argv);
int cli_encode(int argc, char **argv);
int cli_decode(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_suggest(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_replay(int argc, char **argv);
int cli_restore(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_bench(int argc, char **argv);
// info's other half: what a saved picture carries.
int cli_info_picture(const CliCommon *common, const char *path);

// Opens what --model, --device, --weights and --threads say; lines about it to stderr. NULL after
// one line on stderr. `info` receives borrowed facts and may be NULL.
JanusModel *cli_open_model(const CliCommon *common, const JanusModelInfo **info);

// Makes what a run needs of its weights, saying how far it is on a terminal; FALSE after one line
// on stderr. Where "auto" took a card that fails at it, *model becomes another, on the CPU; it may
// be NULL when this fails.
gboolean cli_prepare_model(const CliCommon *common, JanusModel **model);

// One line on stderr for an engine error or a GError; returns CLI_FAILED.
int cli_fail_engine(const JanusError *error);
int cli_fail_error(const GError *error);

// Loaders of GdkPixbuf warn of broken files, about which an error says what is to be said. What was
// in force goes back by g_log_set_default_handler().
GLogFunc cli_hush_loaders(void);
// limner_input_load() without such warnings. Owned.
LimnerInput *cli_load_input(const char *path, GError **error);

// {"tokens": [...]} in one line.
void cli_print_tokens(const gint32 *tokens, gsize n_tokens);

// FALSE after one line on stderr when no file can be written at `path`: its folder is missing or
// read-only, or something that is no file is there. Asked before work that would be lost.
gboolean cli_can_write(const char *option, const char *path);
// The same for a picture, which does not go into a pipe or a device.
gboolean cli_can_write_picture(const char *option, const char *path);

// `text` as a JSON string with its quotes, or null; owned.
char *cli_json_text(const char *text);
// The number with a point, as short as it can be read back; owned.
char *cli_json_number(double number);
// "12.3 MB"; owned.
char *cli_bytes_text(gsize n_bytes);

// The one answer of a subcommand that wrote a file: its path, or {"file": ...}.
void cli_print_file(const CliCommon *common, const char *path);
// `status`, unless what was printed could not be written.
int cli_finish(int status);

// SIGINT ends the process at once with status 130.
void cli_exit_on_interrupt(void);
// The same, and the file at `path` goes if there is one then. Before any thread is made.
void cli_exit_on_interrupt_without(const char *path);
// Saves a picture under the first of these; SIGINT comes too late for the moment it takes.
gboolean cli_save_picture(LimnerPicture *picture, const char *path, GError **error);

#endif
