// SPDX-License-Identifier: MIT
// The options about the picture to change, which generate, encode and trace share.
#ifndef LIMNER_CLI_EDIT_H
#define LIMNER_CLI_EDIT_H

#include "app/cli/options.h"
#include "app/input.h"

typedef struct CliEdit {
  const char *image;
  const char *fit;  // NULL = pad
  double image_cfg; // NAN: the model's default
  gboolean own_tokens;
} CliEdit;

#define CLI_EDIT_DEFAULT                                                                           \
  { .image_cfg = NAN }

// Rows of a table of options.
#define CLI_EDIT_IMAGE(edit)                                                                       \
  {                                                                                                \
    "--image", CLI_TEXT, &(edit)->image, .argument = "FILE", .once = TRUE,                         \
                                         .help = "the picture to change"                           \
  }
#define CLI_EDIT_IMAGE_CFG(edit)                                                                   \
  {                                                                                                \
    "--image-cfg", CLI_NUMBER, &(edit)->image_cfg, 0, 1000,                                        \
        .argument = "X", .help = "freedom to redraw the picture (the model's, else 5)"             \
  }
#define CLI_EDIT_FIT(edit)                                                                         \
  {                                                                                                \
    "--fit", CLI_CHOICE, &(edit)->fit,                                                             \
        .argument = "pad|crop", .choices = "pad|crop",                                             \
        .help = "make the picture square with bars, or take its middle (pad)"                      \
  }

#define CLI_EDIT_OWN_TOKENS(edit)                                                                  \
  {                                                                                                \
    "--own-tokens", CLI_FLAG, &(edit)->own_tokens,                                                 \
        .help = "take the tokens that --image carries where this model painted it, instead of "    \
                "encoding its pixels"                                                              \
  }

// CLI_GO_ON, or CLI_USAGE after one line on stderr: an option about a picture that is not there, or
// a picture without words about what to change.
int cli_edit_check(const CliEdit *edit, const char *prompt);
// Loads --image when there is one. FALSE after one line on stderr.
gboolean cli_edit_load(const CliEdit *edit, LimnerInput **input);
JanusFit cli_edit_get_fit(const CliEdit *edit);
// For the engine; its pixels are the input's.
JanusImage cli_edit_image(const CliEdit *edit, LimnerInput *input);

#endif
