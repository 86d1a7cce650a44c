// SPDX-License-Identifier: MIT
// limner-cli export: the chain of edits that a picture came from, as a strip, an animation, frames,
// or one file that brings it back.
#include "app/export.h"
#include "app/chain.h"
#include "app/cli/common.h"
#include "app/cli/library.h"
#include "app/picture-load.h"

#include <string.h>

typedef struct Options {
  CliCommon common;
  const char *file, *out, *as, *library;
  guint64 frame_ms, quality;
  gboolean has_captions, without_metadata;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--out", CLI_TEXT, &o->out, .argument = "FILE|DIR", .help = "where to write"},
      {"--as", CLI_CHOICE, &o->as, .argument = "FORM", .choices = "strip|animation|frames|chain",
       .help = "one picture of all steps, an animated WebP, a folder of PNG files, or a PNG that "
               "tells of all steps"},
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
      .usage = "FILE.png --as FORM --out FILE|DIR [OPTIONS]",
      .about = "Writes the chain of edits that a picture of the library came from.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
      .max_texts = 1,
      .texts = &o->file,
      .texts_name = "FILE.png",
  };
  return cli_parse(&command, argc, argv);
}

static LimnerChainForm form_of(const Options *o) {
  return strcmp(o->as, "strip") == 0       ? LIMNER_CHAIN_STRIP
         : strcmp(o->as, "animation") == 0 ? LIMNER_CHAIN_ANIMATION
         : strcmp(o->as, "frames") == 0    ? LIMNER_CHAIN_FRAMES
                                           : LIMNER_CHAIN_FILE;
}

static int check(const Options *o) {
  if (!o->file)
    return cli_fail(CLI_USAGE, "export: expected a FILE.png, found none");
  if (!o->as)
    return cli_fail(CLI_USAGE, "--as: expected strip, animation, frames or chain, found none");
  if (!o->out)
    return cli_fail(CLI_USAGE, "--out: expected where to write, found no such option");
  const LimnerChainForm form = form_of(o);
  if (form == LIMNER_CHAIN_FILE && o->without_metadata)
    return cli_fail(CLI_USAGE,
                    "--no-metadata: expected another form than chain, which is metadata");
  LimnerFormat format = LIMNER_FORMAT_PNG;
  const gboolean is_known = limner_format_from_name(o->out, &format);
  if (form == LIMNER_CHAIN_STRIP && !is_known)
    return cli_fail(CLI_USAGE, "--out: expected a name ending in .png, .jpg or .webp, found \"%s\"",
                    o->out);
  if (form == LIMNER_CHAIN_ANIMATION && format != LIMNER_FORMAT_WEBP)
    return cli_fail(CLI_USAGE, "--out: expected a name ending in .webp, found \"%s\"", o->out);
  if (form == LIMNER_CHAIN_FILE && (!is_known || format != LIMNER_FORMAT_PNG))
    return cli_fail(CLI_USAGE, "--out: expected a name ending in .png, found \"%s\"", o->out);
  return CLI_GO_ON;
}

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

static gboolean export_chain(const Options *o, LimnerLibrary *library, GError **error) {
  const LimnerChainOptions options = {.form = form_of(o),
                                      .has_captions = o->has_captions,
                                      .without_metadata = o->without_metadata,
                                      .frame_ms = (int)o->frame_ms,
                                      .quality = (int)o->quality};
  g_autoptr(LimnerEntry) entry = find_entry(o, library, error);
  g_autoptr(GPtrArray) chain = entry ? limner_chain_load(library, entry, error) : NULL;
  return chain && limner_chain_export(chain, o->out, &options, error);
}

int cli_export(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT};
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = check(&o);
  if (status != CLI_GO_ON)
    return status;
  LimnerLibrary *library = cli_library_open(o.library);
  if (!library)
    return CLI_FAILED;
  g_autoptr(GError) error = NULL;
  status = export_chain(&o, library, &error) ? CLI_DONE : cli_fail_error(error);
  cli_library_close(library);
  if (status == CLI_DONE)
    cli_print_file(&o.common, o.out);
  return status;
}
