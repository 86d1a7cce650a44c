// SPDX-License-Identifier: MIT
// limner-cli replay FILE.png: makes a saved picture again, from its tokens or from its seed, and
// says whether that is the picture in the file.
#include "app/cli/common.h"
#include "app/cli/library.h"
#include "app/cli/watch.h"
#include "app/picture-load.h"
#include "app/recipe.h"

#include <stdio.h>
#include <string.h>

// How far the same tokens may decode apart on two devices, in levels of 255.
enum { OTHER_DEVICE_LEVELS = 4 };

typedef struct Options {
  CliCommon common;
  const char *file, *image, *library, *out;
  gboolean from_seed;
} Options;

// A saved picture.
typedef struct Saved {
  char *json, *parameters;
  LimnerRecipe *recipe;
  LimnerPicture *picture; // as the file shows it
} Saved;

// What was made again, against what is in the file.
typedef struct Verdict {
  int n_tokens, n_pixels; // that differ
  int max_levels;
  gboolean agrees;
} Verdict;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--from-seed", CLI_FLAG, &o->from_seed,
       .help = "paint it anew instead of decoding its tokens"},
      {"--image", CLI_TEXT, &o->image, .argument = "FILE",
       .help = "the picture that was changed (else it is looked for in the library)"},
      CLI_LIBRARY(&o->library),
      {"--out", CLI_TEXT, &o->out, .argument = "FILE.png", .help = "write what was made"},
  };
  const CliCommand command = {
      .name = "replay",
      .usage = "FILE.png [--from-seed] [--image FILE] [--out FILE.png]",
      .about = "Makes a saved picture again from what it carries; says whether it is the same.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
      .max_texts = 1,
      .texts = &o->file,
      .texts_name = "FILE.png",
  };
  const int status = cli_parse(&command, argc, argv);
  if (status == CLI_GO_ON && !o->file)
    return cli_fail(CLI_USAGE, "replay: expected a FILE.png, found none");
  if (status == CLI_GO_ON && o->image && !o->from_seed)
    return cli_fail(CLI_USAGE, "--image: expected --from-seed beside it, found none");
  return status;
}

// --- the file ------------------------------------------------------------------------------------

static LimnerPicture *decode_file(GBytes *file, const char *name, GError **error) {
  const GLogFunc before = cli_hush_loaders();
  LimnerPicture *picture = limner_picture_decode(file, name, error);
  g_log_set_default_handler(before, NULL);
  return picture;
}

static gboolean load(Saved *saved, const char *path, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(path, error);
  if (!file || !limner_recipe_find_chunks(file, path, &saved->json, &saved->parameters, error))
    return FALSE;
  saved->recipe = saved->json ? limner_recipe_parse(saved->json, error) : NULL;
  if (!saved->json)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                "%s: expected a picture with a recipe of Limner's, found none", path);
  else if (!saved->recipe)
    g_prefix_error(error, "%s: ", path);
  saved->picture = saved->recipe ? decode_file(file, path, error) : NULL;
  if (!saved->picture)
    return FALSE;
  const int width_px = limner_picture_get_width(saved->picture);
  const int height_px = limner_picture_get_height(saved->picture);
  if (width_px == saved->recipe->size_px && height_px == saved->recipe->size_px)
    return TRUE;
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "%s: expected %d x %d px as its recipe says, found %d x %d", path,
              saved->recipe->size_px, saved->recipe->size_px, width_px, height_px);
  return FALSE;
}

static void saved_clear(Saved *saved) {
  g_free(saved->json);
  g_free(saved->parameters);
  limner_recipe_free(saved->recipe);
  g_clear_pointer(&saved->picture, limner_picture_unref);
}

// --- comparing -----------------------------------------------------------------------------------

static void compare_pixels(Verdict *verdict, LimnerPicture *a, LimnerPicture *b) {
  gsize n_bytes = 0;
  const guint8 *x = g_bytes_get_data(limner_picture_get_bytes(a), &n_bytes);
  const guint8 *y = g_bytes_get_data(limner_picture_get_bytes(b), NULL);
  for (gsize i = 0; i < n_bytes; i += 3) {
    const int levels =
        MAX(MAX(ABS(x[i] - y[i]), ABS(x[i + 1] - y[i + 1])), ABS(x[i + 2] - y[i + 2]));
    verdict->n_pixels += levels > 0;
    verdict->max_levels = MAX(verdict->max_levels, levels);
  }
}

static void judge(Verdict *verdict, const Saved *saved, LimnerPicture *made,
                  const JanusModelInfo *info) {
  compare_pixels(verdict, saved->picture, made);
  const gboolean is_same_device = strcmp(saved->recipe->device, info->device) == 0;
  verdict->agrees =
      verdict->n_tokens == 0 && verdict->max_levels <= (is_same_device ? 0 : OTHER_DEVICE_LEVELS);
}

static int tell(const Options *o, const Verdict *verdict) {
  g_autofree char *differs =
      g_strdup_printf("%d tokens and %d pixels differ, by up to %d levels", verdict->n_tokens,
                      verdict->n_pixels, verdict->max_levels);
  g_autofree char *file = cli_json_text(o->file);
  g_autofree char *out = cli_json_text(o->out);
  if (o->common.json)
    printf("{\"file\": %s, \"agrees\": %s, \"from_seed\": %s, \"tokens_differing\": %d, "
           "\"pixels_differing\": %d, \"max_difference\": %d, \"out\": %s}\n",
           file, verdict->agrees ? "true" : "false", o->from_seed ? "true" : "false",
           verdict->n_tokens, verdict->n_pixels, verdict->max_levels, out);
  else if (verdict->agrees && verdict->n_pixels > 0)
    printf("agrees, as two devices do: %s\n", differs);
  else if (verdict->agrees)
    printf("agrees\n");
  if (!o->common.json && verdict->agrees && o->out)
    printf("%s\n", o->out);
  if (verdict->agrees)
    return CLI_DONE;
  return cli_fail(CLI_FAILED, "%s: expected the picture that its recipe makes, found that %s",
                  o->file, differs);
}

static int conclude(const Options *o, const Verdict *verdict, LimnerPicture *made) {
  g_autoptr(GError) error = NULL;
  if (o->out && !cli_save_picture(made, o->out, &error))
    return cli_fail_error(error);
  return tell(o, verdict);
}

// --- from the tokens -----------------------------------------------------------------------------

static int replay_tokens(const Options *o, const Saved *saved, JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const LimnerRecipe *recipe = saved->recipe;
  if (recipe->size_px != info->image_size_px)
    return cli_fail(CLI_FAILED,
                    "%s: expected a picture of %d px for this model, found one of %d px", o->file,
                    info->image_size_px, recipe->size_px);
  const gsize n_bytes = (gsize)info->image_size_px * (gsize)info->image_size_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  JanusError engine_error = {0};
  if (!janus_model_decode(model, recipe->tokens, recipe->n_tokens, rgb, &engine_error))
    return cli_fail_engine(&engine_error);
  g_autoptr(LimnerPicture) made = limner_picture_new_with_texts(
      bytes, info->image_size_px, info->image_size_px, saved->parameters, saved->json);
  Verdict verdict = {0};
  judge(&verdict, saved, made, info);
  return conclude(o, &verdict, made);
}

// --- from the seed -------------------------------------------------------------------------------

static LimnerInput *load_from_library(const Options *o, const char *sha256, GError **error) {
  g_autofree char *folder = o->library ? g_strdup(o->library) : limner_library_dup_default_folder();
  if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) { // none is made to look into it
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                "%s: expected --image, or a library in %s, with the changed picture, whose SHA-256 "
                "is %s; found none",
                o->file, folder, sha256);
    return NULL;
  }
  g_autoptr(LimnerLibrary) library = limner_library_open(folder, NULL);
  limner_library_rescan(library, NULL, NULL, NULL);
  LimnerInput *input = limner_library_load_input(library, sha256, error);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
  return input;
}

static LimnerInput *load_input(const Options *o, const char *sha256, GError **error) {
  if (!o->image)
    return load_from_library(o, sha256, error);
  g_autoptr(LimnerInput) input = cli_load_input(o->image, error);
  if (!input || strcmp(limner_input_get_sha256(input), sha256) == 0)
    return g_steal_pointer(&input);
  g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
              "--image %s: expected the file with SHA-256 %s, found %s", o->image, sha256,
              limner_input_get_sha256(input));
  return NULL;
}

// CLI_GO_ON when this is the model that painted it, as far as it can be known.
static int check_model(const Options *o, const LimnerRecipe *recipe, const JanusModelInfo *info) {
  const char *weights = janus_weights_text(info->weights);
  if (!recipe->request.prompt)
    return cli_fail(CLI_FAILED, "%s: expected a picture with a seed, found tokens from elsewhere",
                    o->file);
  g_autofree char *found = g_utf8_make_valid(info->name, -1);
  g_autofree char *expected = limner_recipe_dup_harmless(recipe->model, FALSE);
  if (strcmp(recipe->model, found) != 0)
    return cli_fail(CLI_FAILED, "%s: expected --model to be \"%s\", which painted it, found \"%s\"",
                    o->file, expected, found);
  g_autofree char *format = limner_recipe_dup_harmless(recipe->weights, FALSE);
  if (strcmp(recipe->weights, weights) != 0)
    return cli_fail(CLI_FAILED, "%s: expected --weights %s, which painted it, found %s", o->file,
                    format, weights);
  return CLI_GO_ON;
}

static int count_other_tokens(const LimnerRecipe *recipe, LimnerSample *sample) {
  int n_tokens = 0, n = 0;
  const gint32 *tokens = limner_sample_get_tokens(sample, &n_tokens);
  for (int i = 0; i < n_tokens && i < recipe->n_tokens; i++)
    n += tokens[i] != recipe->tokens[i];
  return n + ABS(n_tokens - recipe->n_tokens);
}

static int compare_job(const Options *o, const Saved *saved, LimnerJob *job,
                       const JanusModelInfo *info) {
  if (limner_job_get_state(job) == LIMNER_JOB_FAILED)
    return cli_fail_error(limner_job_get_error(job));
  if (limner_job_get_state(job) == LIMNER_JOB_CANCELLED)
    return CLI_INTERRUPTED;
  g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), 0);
  LimnerPicture *made = limner_sample_get_picture(sample);
  Verdict verdict = {.n_tokens = count_other_tokens(saved->recipe, sample)};
  if (limner_picture_get_width(made) != saved->recipe->size_px)
    return cli_fail(CLI_FAILED,
                    "%s: expected a picture of %d px, found that this model makes %d px", o->file,
                    saved->recipe->size_px, limner_picture_get_width(made));
  judge(&verdict, saved, made, info);
  return conclude(o, &verdict, made);
}

static int replay_seed(const Options *o, const Saved *saved, JanusModel **place) {
  const LimnerRecipe *recipe = saved->recipe;
  const int status = check_model(o, recipe, janus_model_get_info(*place));
  if (status != CLI_GO_ON)
    return status;
  if (!cli_prepare_model(&o->common, place))
    return CLI_FAILED;
  JanusModel *model = *place;
  const JanusModelInfo *info = janus_model_get_info(model);
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerInput) input =
      recipe->input_sha256 ? load_input(o, recipe->input_sha256, &error) : NULL;
  if (error)
    return cli_fail_error(error);
  LimnerRequest request = recipe->request;
  request.input = input;
  request.first_sample = (int)recipe->sample;
  request.n_samples = 1;
  g_autoptr(LimnerJob) job = limner_job_new(&request);
  limner_job_set_shows_growth(job, FALSE);
  CliInterrupt interrupt;
  cli_interrupt_begin(&interrupt, job);
  cli_watch_job(job, model, o->common.verbose);
  const int result = compare_job(o, saved, job, info);
  cli_interrupt_end(&interrupt);
  return result;
}

// --- the subcommand ------------------------------------------------------------------------------

static int replay(Options *o, const Saved *saved) {
  JanusWeights painted = JANUS_WEIGHTS_AUTO;
  if (o->from_seed && o->common.weights == JANUS_WEIGHTS_AUTO &&
      janus_weights_parse(saved->recipe->weights, &painted))
    o->common.weights = painted;
  JanusModel *model = cli_open_model(&o->common, NULL);
  if (!model)
    return CLI_FAILED;
  const int status = o->from_seed ? replay_seed(o, saved, &model) : replay_tokens(o, saved, model);
  janus_model_free(model);
  return status;
}

int cli_replay(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT};
  int status = parse(&o, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  if (o.out && !cli_can_write_picture("--out", o.out))
    return CLI_FAILED;
  cli_exit_on_interrupt();
  Saved saved = {0};
  g_autoptr(GError) error = NULL;
  status = load(&saved, o.file, &error) ? replay(&o, &saved) : cli_fail_error(error);
  saved_clear(&saved);
  return status;
}
