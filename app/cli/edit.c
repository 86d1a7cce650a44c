// SPDX-License-Identifier: MIT
// The picture to change: checked before anything is opened, and loaded.
#include "app/cli/edit.h"

#include "app/cli/common.h"

#include <math.h>
#include <string.h>

static gboolean is_blank(const char *text) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  const char *c = valid;
  while (*c && g_unichar_isspace(g_utf8_get_char(c)))
    c = g_utf8_next_char(c);
  return !*c;
}

int cli_edit_check(const CliEdit *edit, const char *prompt) {
  const char *lonely = edit->image               ? NULL
                       : !isnan(edit->image_cfg) ? "--image-cfg"
                       : edit->fit               ? "--fit"
                       : edit->own_tokens        ? "--own-tokens"
                                                 : NULL;
  if (lonely)
    return cli_fail(CLI_USAGE, "%s: expected --image beside it, found none", lonely);
  if (edit->image && is_blank(prompt))
    return cli_fail(CLI_USAGE,
                    "--prompt: expected a text that says what to change in --image %s, "
                    "found an empty one",
                    edit->image);
  return CLI_GO_ON;
}

gboolean cli_edit_load(const CliEdit *edit, LimnerInput **input) {
  if (!edit->image)
    return TRUE;
  g_autoptr(GError) error = NULL;
  *input = cli_load_input(edit->image, &error);
  if (!*input)
    cli_fail(CLI_FAILED, "--image %s", error->message);
  return *input != NULL;
}

JanusFit cli_edit_get_fit(const CliEdit *edit) {
  return g_strcmp0(edit->fit, "crop") == 0 ? JANUS_FIT_CROP : JANUS_FIT_PAD;
}

JanusImage cli_edit_image(const CliEdit *edit, LimnerInput *input) {
  LimnerPicture *picture = limner_input_get_picture(input);
  return (JanusImage){.rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL),
                      .width_px = limner_picture_get_width(picture),
                      .height_px = limner_picture_get_height(picture),
                      .fit = cli_edit_get_fit(edit)};
}
