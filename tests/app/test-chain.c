// SPDX-License-Identifier: MIT
// Chains of edits, painted by a real model: as strips, animations and frames, and as one file that
// brings them back; and that nothing else tells of the pictures before.
#define _GNU_SOURCE // memmem()
#include "config.h"

#include "app/caption.h"
#include "app/chain.h"
#include "app/export.h"
#include "app/picture-load.h"
#include "app/png-text.h"
#include "tests/app/library-support.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <webp/demux.h>

enum { N_STEPS = 4, PHOTO_WIDTH_PX = 90, PHOTO_HEIGHT_PX = 40 };
#define SECRET "a secret boat"

static const char *const words[N_STEPS] = {SECRET, "make it blue", "make it night",
                                           "remove the boat"};

// --- a chain -------------------------------------------------------------------------------------

typedef struct Studio {
  Place place;
  JanusModel *model;
  LimnerLibrary *library;
  LimnerEntry *entries[N_STEPS];
} Studio;

// A picture that `input` (NULL = none) is changed to, kept with it.
static LimnerEntry *paint(Studio *studio, const char *prompt, LimnerInput *input) {
  const LimnerRequest request = {.prompt = (char *)prompt,
                                 .input = input,
                                 .uses_input_tokens = TRUE,
                                 .n_samples = 1,
                                 .seed = 7,
                                 .cfg = 5,
                                 .image_cfg = 5,
                                 .temperature = 1,
                                 .top_p = 1};
  LimnerJob *job = limner_job_new(&request);
  g_autoptr(GError) error = NULL;
  limner_job_run(job, studio->model, &error);
  g_assert_no_error(error);
  g_autoptr(LimnerSample) sample = dup_sample(job, 0);
  LimnerEntry *entry =
      limner_library_keep(studio->library, limner_sample_get_picture(sample), input, &error);
  g_assert_no_error(error);
  g_clear_object(&sample);
  g_assert_finalize_object(job);
  return entry;
}

static LimnerInput *load_input(Studio *studio, LimnerEntry *entry) {
  g_autoptr(GError) error = NULL;
  LimnerInput *input =
      limner_library_load_input(studio->library, limner_entry_get_facts(entry)->sha256, &error);
  g_assert_no_error(error);
  return input;
}

static LimnerInput *new_photo(void) {
  guint8 *rgb = g_malloc(PHOTO_WIDTH_PX * PHOTO_HEIGHT_PX * 3);
  for (int i = 0; i < PHOTO_WIDTH_PX * PHOTO_HEIGHT_PX * 3; i++)
    rgb[i] = (guint8)(i * 5);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, PHOTO_WIDTH_PX * PHOTO_HEIGHT_PX * 3);
  g_autoptr(LimnerPicture) photo = limner_picture_new(bytes, PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX);
  return limner_input_new_from_picture(photo, "photo.png", NULL);
}

// N_STEPS pictures, the first painted from words, or of a photo.
static void studio_init(Studio *studio, gboolean begins_outside) {
  studio->place = place_new();
  studio->model = open_tiny();
  studio->library = open_library(&studio->place);
  g_autoptr(LimnerInput) photo = begins_outside ? new_photo() : NULL;
  for (guint i = 0; i < N_STEPS; i++) {
    g_autoptr(LimnerInput) before = i > 0   ? load_input(studio, studio->entries[i - 1])
                                    : photo ? limner_input_ref(photo)
                                            : NULL;
    studio->entries[i] = paint(studio, words[i], before);
  }
}

static void studio_clear(Studio *studio) {
  for (guint i = 0; i < N_STEPS; i++)
    g_clear_object(&studio->entries[i]);
  close_library(studio->library);
  janus_model_free(studio->model);
  place_clear(&studio->place);
}

static GPtrArray *load_chain(Studio *studio) {
  g_autoptr(GError) error = NULL;
  GPtrArray *chain = limner_chain_load(studio->library, studio->entries[N_STEPS - 1], &error);
  g_assert_no_error(error);
  return chain;
}

static char *export(Studio *studio, GPtrArray *chain, const char *name,
                    const LimnerChainOptions *options) {
  char *path = g_build_filename(studio->place.root, name, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_true(limner_chain_export(chain, path, options, &error));
  g_assert_no_error(error);
  return path;
}

static gboolean file_says(const char *path, const char *text) {
  g_autofree char *data = NULL;
  gsize n = 0;
  g_assert_true(g_file_get_contents(path, &data, &n, NULL));
  return memmem(data, n, text, strlen(text)) != NULL;
}

// --- shown ---------------------------------------------------------------------------------------

static void test_load(void) {
  Studio studio;
  studio_init(&studio, TRUE);
  g_autoptr(GPtrArray) chain = load_chain(&studio);
  g_assert_cmpuint(chain->len, ==, N_STEPS + 1);
  const LimnerChainStep *photo = chain->pdata[0];
  g_assert_null(photo->recipe);
  g_assert_cmpstr(photo->words, ==, "");
  g_assert_cmpint(limner_picture_get_width(photo->picture), ==, TINY_SIZE_PX);
  for (guint i = 0; i < N_STEPS; i++) {
    const LimnerChainStep *step = chain->pdata[i + 1];
    g_assert_cmpstr(step->words, ==, words[i]);
    g_assert_cmpstr(step->sha256, ==, limner_entry_get_facts(studio.entries[i])->sha256);
  }
  // A step that is gone ends the chain there.
  g_autofree char *path = limner_library_dup_path(studio.library, studio.entries[1]);
  g_assert_cmpint(g_unlink(path), ==, 0);
  g_autoptr(GPtrArray) rest = load_chain(&studio);
  g_assert_cmpuint(rest->len, ==, N_STEPS - 2);
  studio_clear(&studio);
}

// That the step's pixels are in a picture with their corner at x, y.
static void assert_shown_at(LimnerPicture *whole, LimnerPicture *part, int x, int y) {
  const int width_px = limner_picture_get_width(whole), side_px = limner_picture_get_width(part);
  const guint8 *a = g_bytes_get_data(limner_picture_get_bytes(whole), NULL);
  const guint8 *b = g_bytes_get_data(limner_picture_get_bytes(part), NULL);
  for (int i = 0; i < limner_picture_get_height(part); i++)
    g_assert_cmpmem(a + ((gsize)(y + i) * (gsize)width_px + (gsize)x) * 3, (gsize)side_px * 3,
                    b + (gsize)i * (gsize)side_px * 3, (gsize)side_px * 3);
}

static LimnerPicture *load_picture(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerInput) input = limner_input_load(path, &error);
  g_assert_no_error(error);
  return limner_picture_ref(limner_input_get_picture(input));
}

static void test_strip(void) {
  Studio studio;
  studio_init(&studio, TRUE);
  g_autoptr(GPtrArray) chain = load_chain(&studio);
  const LimnerChainOptions plain = {0}, captioned = {.has_captions = TRUE};
  const LimnerChainOptions bare = {.without_metadata = TRUE};
  g_autofree char *path = export(&studio, chain, "strip.png", &plain);
  g_autoptr(LimnerPicture) strip = load_picture(path);
  const int gap_px = MAX(1, TINY_SIZE_PX / 32), step_px = TINY_SIZE_PX + gap_px;
  g_assert_cmpint(limner_picture_get_width(strip), ==, (N_STEPS + 1) * step_px + gap_px);
  g_assert_cmpint(limner_picture_get_height(strip), ==, TINY_SIZE_PX + 2 * gap_px);
  for (guint i = 0; i < chain->len; i++)
    assert_shown_at(strip, ((const LimnerChainStep *)chain->pdata[i])->picture,
                    gap_px + (int)i * step_px, gap_px);
  g_assert_true(file_says(path, "compositeWithTrainedAlgorithmicMedia"));
  g_assert_false(file_says(path, "limner"));
  g_assert_false(file_says(path, SECRET));
  g_autofree char *bare_path = export(&studio, chain, "bare.png", &bare);
  g_assert_false(file_says(bare_path, "TrainedAlgorithmicMedia"));
  g_autofree char *captioned_path = export(&studio, chain, "captioned.png", &captioned);
  g_autoptr(LimnerPicture) with_words = load_picture(captioned_path);
  int n_lines = 0; // as many as the longest words need
  for (guint i = 0; i < N_STEPS; i++)
    n_lines = MAX(n_lines, limner_caption_count_lines(words[i], TINY_SIZE_PX));
  g_assert_cmpint(limner_picture_get_height(with_words), ==,
                  TINY_SIZE_PX + limner_caption_get_height(TINY_SIZE_PX, n_lines) + 2 * gap_px);
  assert_shown_at(with_words, ((const LimnerChainStep *)chain->pdata[2])->picture,
                  gap_px + 2 * step_px, gap_px);
  g_autofree char *jpeg = export(&studio, chain, "strip.jpg", &plain);
  g_autoptr(LimnerPicture) small = load_picture(jpeg);
  g_assert_cmpint(limner_picture_get_width(small), ==, limner_picture_get_width(strip));
  studio_clear(&studio);
}

static guint count_ink(LimnerPicture *picture) {
  gsize n_bytes = 0;
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), &n_bytes);
  guint n = 0;
  for (gsize i = 0; i < n_bytes; i += 3)
    n += rgb[i] < 128;
  return n;
}

// Words are written, other words otherwise, and however many there are, within their space.
static void test_captions(void) {
  g_autoptr(LimnerPicture) none = limner_caption_new("", 384, 3);
  g_autoptr(LimnerPicture) few = limner_caption_new("make it night", 384, 3);
  g_autoptr(LimnerPicture) same = limner_caption_new("make\nit night", 384, 3);
  g_autofree char *much = g_strnfill(4000, 'w');
  g_autoptr(LimnerPicture) many = limner_caption_new(much, 384, 3);
  g_autoptr(LimnerPicture) arabic = limner_caption_new("اجعلها ليلا", 384, 3);
  g_test_message("%u, %u and %u dark pixels", count_ink(few), count_ink(many), count_ink(arabic));
  g_assert_cmpint(limner_caption_count_lines("", 384), ==, 1);
  g_assert_cmpint(limner_caption_count_lines("make it night", 384), ==, 1);
  g_assert_cmpint(limner_caption_count_lines(much, 384), ==, 3);
  g_assert_cmpuint(count_ink(none), ==, 0);
  g_assert_cmpuint(count_ink(few), >, 100); // observed 222
  g_assert_cmpuint(count_ink(arabic), >, 50);
  g_assert_cmpuint(count_ink(many), >, 2 * count_ink(few));
  g_assert_cmpint(limner_picture_get_height(many), ==, limner_picture_get_height(none));
  g_assert_true(g_bytes_equal(limner_picture_get_bytes(few), limner_picture_get_bytes(same)));
}

// --- moving --------------------------------------------------------------------------------------

// Mean distance in levels of a frame of RGBA from a picture.
static double distance(const guint8 *rgba, LimnerPicture *picture) {
  const guint8 *rgb = g_bytes_get_data(limner_picture_get_bytes(picture), NULL);
  const int n = limner_picture_get_width(picture) * limner_picture_get_height(picture);
  double sum = 0;
  for (int i = 0; i < n; i++)
    for (int c = 0; c < 3; c++)
      sum += ABS(rgba[i * 4 + c] - rgb[i * 3 + c]);
  return sum / (3 * n);
}

static void test_animation(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autoptr(GPtrArray) chain = load_chain(&studio);
  const LimnerChainOptions options = {
      .form = LIMNER_CHAIN_ANIMATION, .frame_ms = 250, .quality = 95};
  g_autofree char *path = export(&studio, chain, "chain.webp", &options);
  g_assert_true(file_says(path, "compositeWithTrainedAlgorithmicMedia"));
  g_assert_false(file_says(path, SECRET));
  g_autofree char *data = NULL;
  gsize n_bytes = 0;
  g_assert_true(g_file_get_contents(path, &data, &n_bytes, NULL));
  const WebPData file = {(const uint8_t *)data, n_bytes};
  WebPAnimDecoder *decoder = WebPAnimDecoderNew(&file, NULL);
  WebPAnimInfo info;
  g_assert_nonnull(decoder);
  g_assert_true(WebPAnimDecoderGetInfo(decoder, &info));
  g_assert_cmpuint(info.frame_count, ==, N_STEPS);
  g_assert_cmpuint(info.canvas_width, ==, TINY_SIZE_PX);
  g_assert_cmpuint(info.loop_count, ==, 0); // for ever
  for (guint i = 0; i < N_STEPS; i++) {
    uint8_t *rgba = NULL;
    int until_ms = 0;
    g_assert_true(WebPAnimDecoderGetNext(decoder, &rgba, &until_ms));
    g_assert_cmpint(until_ms, ==, 250 * (int)(i + 1) + (i + 1 == N_STEPS ? 250 : 0));
    const double found = distance(rgba, ((const LimnerChainStep *)chain->pdata[i])->picture);
    g_test_message("frame %u: %.2f levels away", i, found);
    g_assert_cmpfloat(found, <, 25); // noise of an untrained model, of which WebP halves colours
  }
  WebPAnimDecoderDelete(decoder);
  const LimnerChainOptions bare = {
      .form = LIMNER_CHAIN_ANIMATION, .without_metadata = TRUE, .has_captions = TRUE};
  g_autofree char *bare_path = export(&studio, chain, "bare.webp", &bare);
  g_assert_false(file_says(bare_path, "XMP "));
  studio_clear(&studio);
}

static void test_frames(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autoptr(GPtrArray) chain = load_chain(&studio);
  const LimnerChainOptions options = {.form = LIMNER_CHAIN_FRAMES};
  g_autofree char *folder = export(&studio, chain, "frames", &options);
  g_assert_cmpuint(count_entries(folder), ==, N_STEPS);
  for (guint i = 0; i < N_STEPS; i++) {
    g_autofree char *path = g_strdup_printf("%s/%02u.png", folder, i + 1);
    g_autoptr(LimnerPicture) frame = load_picture(path);
    assert_shown_at(frame, ((const LimnerChainStep *)chain->pdata[i])->picture, 0, 0);
    g_assert_cmpint(file_says(path, SECRET), ==, i == 0); // each tells of itself alone
  }
  const guint n_before = count_entries(studio.place.root);
  g_autoptr(GError) error = NULL;
  g_assert_false(limner_chain_export(chain, folder, &options, &error)); // nothing is overwritten
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, folder));
  g_assert_cmpuint(count_entries(studio.place.root), ==, n_before); // and nothing left behind
  g_clear_error(&error);
  g_assert_false(limner_chain_export(chain, "/proc/none/frames", &options, &error));
  g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  studio_clear(&studio);
}

// A limit on the size of files stands for a disk that is full: nothing half written is left.
static void test_full(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autoptr(GPtrArray) chain = load_chain(&studio);
  const guint n_before = count_entries(studio.place.root);
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight = {200, before.rlim_max};
  for (int form = LIMNER_CHAIN_STRIP; form <= LIMNER_CHAIN_FILE; form++) {
    const LimnerChainOptions options = {.form = (LimnerChainForm)form};
    g_autofree char *path = g_build_filename(studio.place.root, "full.webp", NULL);
    g_autoptr(GError) error = NULL;
    setrlimit(RLIMIT_FSIZE, &tight);
    const gboolean ok = limner_chain_export(chain, path, &options, &error);
    setrlimit(RLIMIT_FSIZE, &before);
    g_assert_false(ok);
    g_test_message("%s", error->message);
    g_assert_true(g_str_has_prefix(error->message, path));
    g_assert_cmpuint(count_entries(studio.place.root), ==, n_before);
  }
  studio_clear(&studio);
}

// --- told and brought back -----------------------------------------------------------------------

static char *export_file(Studio *studio) {
  g_autoptr(GPtrArray) chain = load_chain(studio);
  const LimnerChainOptions options = {.form = LIMNER_CHAIN_FILE};
  return export(studio, chain, "chain.png", &options);
}

static void assert_restored(Studio *studio, const char *path, gboolean is_same) {
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerInput) file = limner_input_load(path, &error);
  g_autoptr(LimnerEntry) entry = limner_chain_restore(library, file, studio->model, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(GPtrArray) before = limner_library_ancestors(library, entry, &error);
  g_assert_cmpuint(before->len, ==, N_STEPS - 1);
  for (guint i = 0; i < N_STEPS; i++) {
    const LimnerEntryFacts *facts =
        limner_entry_get_facts(i + 1 < N_STEPS ? before->pdata[i] : entry);
    const char *sha256 = limner_entry_get_facts(studio->entries[i])->sha256;
    g_assert_cmpstr(facts->prompt, ==, words[i]);
    if (is_same)
      g_assert_cmpstr(facts->sha256, ==, sha256);
    g_autofree char *kept = g_build_filename(place.pictures, facts->name, NULL);
    g_assert_false(i > 0 && file_says(kept, SECRET)); // each file is a plain one again
  }
  g_clear_object(&entry);
  close_library(library);
  place_clear(&place);
}

static void test_file(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autofree char *path = export_file(&studio);
  g_autoptr(LimnerInput) file = limner_input_load(path, NULL);
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(limner_input_get_recipe(file), NULL);
  g_assert_cmpuint(recipe->n_before, ==, N_STEPS - 1);
  g_assert_true(file_says(path, SECRET));
  assert_restored(&studio, path, TRUE);
  studio_clear(&studio);
}

// A chain that begins with a photo tells of that no more than its SHA-256.
static void test_photo(void) {
  Studio studio;
  studio_init(&studio, TRUE);
  g_autofree char *path = export_file(&studio);
  g_autofree char *data = NULL;
  gsize n_bytes = 0;
  g_assert_true(g_file_get_contents(path, &data, &n_bytes, NULL));
  g_assert_cmpuint(n_bytes, <, 60000); // observed 12 kB
  assert_restored(&studio, path, TRUE);
  studio_clear(&studio);
}

// --- nothing else tells --------------------------------------------------------------------------

static gboolean bytes_say(GBytes *file, const char *text) {
  gsize n = 0;
  const char *data = g_bytes_get_data(file, &n);
  return memmem(data, n, text, strlen(text)) != NULL;
}

// Saved, copied, dragged (both give limner_input_dup_file()), exported.
static void assert_silent(LimnerPicture *picture) {
  const LimnerExportOptions plain = {0};
  g_autoptr(GBytes) saved = limner_picture_dup_png(picture, NULL);
  g_autoptr(GBytes) exported = limner_picture_encode(picture, &plain, NULL);
  g_autoptr(LimnerInput) input = limner_input_new_from_picture(picture, "copied", NULL);
  g_autoptr(GBytes) copied = limner_input_dup_file(input);
  g_assert_false(bytes_say(saved, SECRET));
  g_assert_false(bytes_say(exported, SECRET));
  g_assert_false(bytes_say(copied, SECRET));
  g_assert_true(bytes_say(saved, words[N_STEPS - 1]));
}

static void test_silent(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autoptr(LimnerPicture) kept =
      limner_library_load_picture(studio.library, studio.entries[N_STEPS - 1], NULL);
  assert_silent(kept);
  // Also what is in the library as the file of a chain.
  g_autofree char *path = export_file(&studio);
  Place place = place_new();
  g_assert_cmpint(g_mkdir(place.pictures, 0700), ==, 0);
  g_autofree char *to = g_build_filename(place.pictures, "chain.png", NULL);
  g_assert_cmpint(g_rename(path, to), ==, 0);
  LimnerLibrary *library = open_library(&place);
  const LimnerLibraryQuery all = {0};
  g_autoptr(GPtrArray) entries = limner_library_query(library, &all, NULL);
  g_assert_cmpuint(entries->len, ==, 1);
  g_autoptr(LimnerPicture) picture = limner_library_load_picture(library, entries->pdata[0], NULL);
  assert_silent(picture);
  g_autoptr(LimnerSample) sample = limner_library_load_sample(library, entries->pdata[0], NULL);
  assert_silent(limner_sample_get_picture(sample));
  g_clear_object(&sample);
  close_library(library);
  place_clear(&place);
  studio_clear(&studio);
}

// --- hostile and strange -------------------------------------------------------------------------

static char *replace(const char *text, const char *old, const char *new) {
  g_auto(GStrv) parts = g_strsplit(text, old, -1);
  return g_strjoinv(new, parts);
}

// The file of a chain with another recipe; owned.
static char *with_json(Studio *studio, const char *path, const char *json) {
  g_autoptr(LimnerPicture) picture = load_picture(path);
  g_autoptr(GBytes) bare = limner_picture_dup_png(picture, NULL);
  g_autoptr(GBytes) file = limner_png_text_add(bare, "limner", json, TRUE);
  char *to = g_build_filename(studio->place.root, "strange.png", NULL);
  g_assert_true(limner_file_save(file, to, NULL));
  return to;
}

static void assert_refused(Studio *studio, const char *path, const char *json, const char *word) {
  g_autofree char *strange = with_json(studio, path, json);
  Place place = place_new();
  LimnerLibrary *library = open_library(&place);
  g_autoptr(LimnerInput) file = limner_input_load(strange, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_chain_restore(library, file, studio->model, NULL, &error));
  g_test_message("%s", error->message);
  g_assert_nonnull(strstr(error->message, word));
  g_assert_null(strchr(error->message, '\n'));
  const LimnerLibraryQuery all = {0};
  g_assert_cmpuint(count_matches(library, &all), ==, 0);
  close_library(library);
  place_clear(&place);
}

static void test_strange(void) {
  Studio studio;
  studio_init(&studio, FALSE);
  g_autofree char *path = export_file(&studio);
  g_autoptr(LimnerInput) file = limner_input_load(path, NULL);
  const char *json = limner_input_get_recipe(file);
  const char *first = limner_entry_get_facts(studio.entries[0])->sha256;
  const char *other = "00000000000000000000000000000000000000000000000000000000000000ff";
  g_autofree char *loose = g_strdup(json);
  memcpy(strstr(loose, first), other, 64); // of the two places where it stands
  assert_refused(&studio, path, loose, "one another");
  g_autofree char *no_list = replace(json, "\"chain\":[", "\"chain\":7,\"x\":[");
  assert_refused(&studio, path, no_list, "chain");
  g_autofree char *model = replace(json, "\"model\":\"", "\"model\":\"no ");
  assert_refused(&studio, path, model, "has to be open");
  g_autofree char *huge = replace(json, "\"tokens\":[", "\"tokens\":[99999999,");
  assert_refused(&studio, path, huge, "tokens");
  g_autofree char *negative = replace(json, "\"tokens\":[", "\"tokens\":[-1,");
  assert_refused(&studio, path, negative, "tokens");
  // Painted on another device, where the same tokens decode to another file: it holds together.
  g_autofree char *elsewhere = replace(json, first, other);
  g_autofree char *strange = with_json(&studio, path, elsewhere);
  assert_restored(&studio, strange, FALSE);
  studio_clear(&studio);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/chain/load", test_load);
  g_test_add_func("/chain/strip", test_strip);
  g_test_add_func("/chain/captions", test_captions);
  g_test_add_func("/chain/animation", test_animation);
  g_test_add_func("/chain/frames", test_frames);
  g_test_add_func("/chain/full", test_full);
  g_test_add_func("/chain/file", test_file);
  g_test_add_func("/chain/photo", test_photo);
  g_test_add_func("/chain/silent", test_silent);
  g_test_add_func("/chain/strange", test_strange);
  return g_test_run();
}
