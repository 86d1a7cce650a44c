// SPDX-License-Identifier: MIT
// Where the pictures of `generate` go, and under which names.
#ifndef LIMNER_CLI_OUTPUT_H
#define LIMNER_CLI_OUTPUT_H

#include "app/picture.h"

typedef struct CliOutput {
  char *folder; // generated names in this folder; or NULL and
  char *file;   // the name that was asked for
  int n_samples;
  guint64 seed;
} CliOutput;

// From --out (NULL = the current folder). FALSE after one line on stderr when the pictures could
// not be written there: known before anything is painted.
gboolean cli_output_init(CliOutput *output, const char *out, int n_samples, guint64 seed);
void cli_output_clear(CliOutput *output);
// Saves one picture. Named files are overwritten, generated names never: the next free one is
// taken. The path that was written, owned; NULL on failure.
char *cli_output_save(const CliOutput *output, LimnerPicture *picture, int index, GError **error);

#endif
