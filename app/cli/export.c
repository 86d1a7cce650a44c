// SPDX-License-Identifier: MIT
// limner-cli export: a picture for other programs, in another format, size or shape; or the chain
// of edits that it came from, as a strip, an animation, frames, or one file that brings it back.
#include "app/export.h"
#include "app/chain.h"
#include "app/cli/common.h"
#include "app/cli/library.h"
#include "app/picture-load.h"
#include "app/recipe.h"

#include <string.h>

typedef struct Options {
  CliCommon common;
  const char *file, *out, *as, *library, *image;
  guint64 frame_ms, quality;
  gboolean has_captions, without_metadata, is_doubled, keeps_shape;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--out", CLI_TEXT, &o->out, .argument = "FILE|DIR", .help = "where to write"},
      {"--as", CLI_CHOICE, &o->as, .argument = "FORM",
       .choices = "picture|strip|animation|frames|chain",
       .help = "the picture alone; all steps as one picture, an animated WebP or a folder of PNG "
               "files; or a PNG that tells of all steps (picture)"},
      {"--double", CLI_FLAG, &o->is_doubled, .help = "twice as wide and high (Lanczos)"},
      {"--keep-shape", CLI_FLAG, &o->keeps_shape,
       .help = "in the shape of what was changed: without bars, or with what was cut off"},
      {"--image", CLI_TEXT, &o->image, .argument = "FILE",
       .help = "the picture that was changed (else it is looked for in the library)"},
      CLI_LIBRARY(&o->library),
      {"--captions", CLI_FLAG, &o->has_captions, .help = "the words under each step"},
      {"--no-metadata", CLI_FLAG, &o->without_metadata, .help = "write pixels alone"},
      {"--frame-ms", CLI_INTEGER, &o->frame_ms, 20, 60000, .argument = "MS",
       .help = "how long an animation shows a step (1200)"},
      {"--quality", CLI_INTEGER, &o->quality, 1, 100, .argument = "Q",
       .help = "of JPEG and WebP (90)"},
  };
  const CliCommand command = {
      .name = "export",
      .usage = "FILE.png --out FILE|DIR [OPTIONS]",
      .about = "Writes a picture, or the chain of edits that a picture of the library came from, "
               "for other programs.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
      .max_texts = 1,
      .texts = &o->file,
      .texts_name = "FILE.png",
  };
  return cli_parse(&command, argc, argv);
}

static gboolean is_picture(const Options *o) {
  return !o->as || strcmp(o->as, "picture") == 0;
}

static LimnerChainForm form_of(const Options *o) {
  return strcmp(o->as, "strip") == 0       ? LIMNER_CHAIN_STRIP
         : strcmp(o->as, "animation") == 0 ? LIMNER_CHAIN_ANIMATION
         : strcmp(o->as, "frames") == 0    ? LIMNER_CHAIN_FRAMES
                                           : LIMNER_CHAIN_FILE;
}

// That the name ends in what is written.
static int check_name(const Options *o) {
  LimnerFormat format = LIMNER_FORMAT_PNG;
  const gboolean is_known = limner_format_from_name(o->out, &format);
  if (!is_picture(o) && form_of(o) == LIMNER_CHAIN_FRAMES)
    return CLI_GO_ON;
  if (!is_picture(o) && form_of(o) == LIMNER_CHAIN_ANIMATION && format != LIMNER_FORMAT_WEBP)
    return cli_fail(CLI_USAGE, "--out: expected a name ending in .webp, found \"%s\"", o->out);
  if (!is_picture(o) && form_of(o) == LIMNER_CHAIN_FILE && (!is_known || format))
    return cli_fail(CLI_USAGE, "--out: expected a name ending in .png, found \"%s\"", o->out);
  return is_known ? CLI_GO_ON
                  : cli_fail(CLI_USAGE,
                             "--out: expected a name ending in .png, .jpg or .webp, found \"%s\"",
                             o->out);
}

static int check(const Options *o) {
  if (!o->file)
    return cli_fail(CLI_USAGE, "export: expected a FILE.png, found none");
  if (!o->out)
    return cli_fail(CLI_USAGE, "--out: expected where to write, found no such option");
  const char *of_picture = o->is_doubled ? "--double" : o->keeps_shape ? "--keep-shape" : NULL;
  if (of_picture && !is_picture(o))
    return cli_fail(CLI_USAGE, "%s: expected --as picture, found %s", of_picture, o->as);
  if (o->image && !o->keeps_shape)
    return cli_fail(CLI_USAGE, "--image: expected --keep-shape beside it, found none");
  if (!is_picture(o) && form_of(o) == LIMNER_CHAIN_FILE && o->without_metadata)
    return cli_fail(CLI_USAGE,
                    "--no-metadata: expected another form than chain, which is metadata");
  return check_name(o);
}

// --- the picture alone ---------------------------------------------------------------------------

// With its texts, where it has some.
static LimnerPicture *load_picture(const char *path, GError **error) {
  g_autoptr(LimnerInput) input = cli_load_input(path, error);
  g_autofree char *json = NULL;
  g_autofree char *parameters = NULL;
  if (!input)
    return NULL;
  limner_recipe_read_chunks(path, &json, &parameters, NULL);
  LimnerPicture *bare = limner_input_get_picture(input);
  return limner_picture_new_with_texts(limner_picture_get_bytes(bare),
                                       limner_picture_get_width(bare),
                                       limner_picture_get_height(bare), parameters, json);
}

// What the picture was made of; its SHA-256 must be the one that the recipe tells.
static LimnerInput *load_shape(const Options *o, LimnerPicture *picture, GError **error) {
  const char *json = limner_picture_get_recipe(picture);
  g_autoptr(LimnerRecipe) recipe = json ? limner_recipe_parse(json, error) : NULL;
  if (!recipe || !recipe->input_sha256) {
    if (!*error)
      g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                  "%s: expected a picture that says of which other one it was made, found none",
                  o->file);
    return NULL;
  }
  LimnerLibrary *library = o->image ? NULL : cli_library_open(o->library);
  g_autoptr(LimnerInput) input =
      library    ? limner_library_load_input(library, recipe->input_sha256, error)
      : o->image ? cli_load_input(o->image, error)
                 : NULL;
  cli_library_close(library);
  if (!input || strcmp(limner_input_get_sha256(input), recipe->input_sha256) == 0)
    return g_steal_pointer(&input);
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "--image %s: expected the file with SHA-256 %s, found %s", o->image,
              recipe->input_sha256, limner_input_get_sha256(input));
  return NULL;
}

// CLI_FAILED after one line on stderr.
static int export_picture(const Options *o) {
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerPicture) picture = load_picture(o->file, &error);
  g_autoptr(LimnerInput) shape = picture && o->keeps_shape ? load_shape(o, picture, &error) : NULL;
  LimnerExportOptions options = {.quality = (int)o->quality,
                                 .without_metadata = o->without_metadata,
                                 .is_doubled = o->is_doubled,
                                 .shape = shape};
  limner_format_from_name(o->out, &options.format);
  if (!error && o->keeps_shape && !shape)
    return CLI_FAILED; // which the library has said
  if (!error && picture && limner_picture_export(picture, o->out, &options, &error))
    return CLI_DONE;
  return cli_fail_error(error);
}

// --- chains --------------------------------------------------------------------------------------

static LimnerEntry *find_entry(const Options *o, LimnerLibrary *library, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(o->file, error);
  if (!file)
    return NULL;
  g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file);
  LimnerEntry *entry = limner_library_find(library, sha256, error);
  if (!entry && !*error)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "%s: expected a picture of the library in %s, found that it is not there", o->file,
                limner_library_get_folder(library));
  return entry;
}

static gboolean write_chain(const Options *o, LimnerLibrary *library, GError **error) {
  const LimnerChainOptions options = {.form = form_of(o),
                                      .has_captions = o->has_captions,
                                      .without_metadata = o->without_metadata,
                                      .frame_ms = (int)o->frame_ms,
                                      .quality = (int)o->quality};
  g_autoptr(LimnerEntry) entry = find_entry(o, library, error);
  g_autoptr(GPtrArray) chain = entry ? limner_chain_load(library, entry, error) : NULL;
  return chain && limner_chain_export(chain, o->out, &options, error);
}

static int export_chain(const Options *o) {
  LimnerLibrary *library = cli_library_open(o->library);
  if (!library)
    return CLI_FAILED;
  g_autoptr(GError) error = NULL;
  const int status = write_chain(o, library, &error) ? CLI_DONE : cli_fail_error(error);
  cli_library_close(library);
  return status;
}

int cli_export(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT};
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = check(&o);
  if (status != CLI_GO_ON)
    return status;
  status = is_picture(&o) ? export_picture(&o) : export_chain(&o);
  if (status == CLI_DONE)
    cli_print_file(&o.common, o.out);
  return status;
}
