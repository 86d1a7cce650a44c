// SPDX-License-Identifier: MIT
// Recipes: told and read back, in files that libpng reads too, and JSON that means no good.
#include "config.h"

#include "app/recipe.h"
#include "tests/app/support.h"

#include <gdk-pixbuf/gdk-pixbuf.h>
#include <string.h>
#include <unistd.h>

#define FOREIGN LIMNER_SOURCE_DATA_DIR "/../tests/app/inputs/foreign.png"
#define SHA256 "a83d365fb53db3cbb4aafa21a9014f8253c2b157e139c12a1bb166a33f5c4cb7"

static const gint32 some_tokens[] = {0, 16383, 7, 7};
static const JanusModelInfo some_model = {.folder = "/somewhere/private",
                                          .name = "small, \"quick\"",
                                          .device = "cpu",
                                          .device_name = "CPU (AVX2), 3 threads",
                                          .weights = JANUS_WEIGHTS_F32,
                                          .image_size_px = 2};

static LimnerPicture *new_picture(void) {
  static const guint8 rgb[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  g_autoptr(GBytes) bytes = g_bytes_new_static(rgb, sizeof rgb);
  return limner_picture_new(bytes, 2, 2);
}

// An edit or a text-to-image; everything in it is unusual.
static LimnerRecipe *new_recipe(const char *prompt, gboolean is_edit) {
  LimnerRequest request = {.prompt = (char *)prompt,
                           .fit = JANUS_FIT_CROP,
                           .n_samples = 5,
                           .seed = (1ull << 53) - 1,
                           .cfg = 1.0 / 3,
                           .image_cfg = 0,
                           .temperature = 0.1,
                           .top_k = 50,
                           .top_p = 0.95};
  g_autoptr(LimnerPicture) picture = new_picture();
  g_autoptr(LimnerInput) input = limner_input_new_from_picture(picture, "/a/path.jpg", SHA256);
  request.input = is_edit ? input : NULL;
  return limner_recipe_new(&request, 3, some_tokens, G_N_ELEMENTS(some_tokens), &some_model);
}

static void assert_same(const LimnerRecipe *a, const LimnerRecipe *b) {
  g_assert_cmpstr(limner_recipe_get_kind(a), ==, limner_recipe_get_kind(b));
  g_assert_cmpstr(a->program, ==, b->program);
  g_assert_cmpstr(a->model, ==, b->model);
  g_assert_cmpstr(a->weights, ==, b->weights);
  g_assert_cmpstr(a->device, ==, b->device);
  g_assert_cmpstr(a->input_sha256, ==, b->input_sha256);
  g_assert_cmpstr(a->request.prompt, ==, b->request.prompt);
  g_assert_cmpuint(a->request.seed, ==, b->request.seed);
  g_assert_true(a->request.cfg == b->request.cfg);
  g_assert_true(a->request.temperature == b->request.temperature);
  g_assert_cmpint(a->request.top_k, ==, b->request.top_k);
  g_assert_true(a->request.top_p == b->request.top_p);
  g_assert_cmpint(a->request.n_samples, ==, b->request.n_samples);
  g_assert_cmpuint(a->sample, ==, b->sample);
  g_assert_cmpint(a->size_px, ==, b->size_px);
  g_assert_cmpmem(a->tokens, (gsize)a->n_tokens * 4, b->tokens, (gsize)b->n_tokens * 4);
  if (!a->input_sha256)
    return;
  g_assert_true(a->request.image_cfg == b->request.image_cfg);
  g_assert_true(a->request.fit == b->request.fit);
}

static void test_round_trip(void) {
  static const char *const prompts[] = {
      "a red house",
      "",
      "two\nlines, \"quoted\", back\\slash, Steps: 3",
      "Grüße, \xe5\xae\xb6, \xf0\x9f\x8f\xa0, \x01\x1f\x7f",
  };
  for (gsize i = 0; i < 2 * G_N_ELEMENTS(prompts); i++) {
    g_autoptr(LimnerRecipe) recipe = new_recipe(prompts[i / 2], i % 2);
    g_autofree char *json = limner_recipe_dup_json(recipe);
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerRecipe) parsed = limner_recipe_parse(json, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(parsed->request.prompt, ==, prompts[i / 2]);
    g_assert_cmpstr(limner_recipe_get_kind(parsed), ==, i % 2 ? "edit" : "text-to-image");
    assert_same(recipe, parsed);
    g_assert_null(strchr(json, '\n'));
  }
}

// Whole numbers stay whole, however long; others come back to the last bit.
static void test_numbers(void) {
  static const guint64 seeds[] = {0, 1, 4294967295, 1000000000000000, 9007199254740000};
  static const double numbers[] = {0, 1e-300, 0.1, 1.0 / 3, 5, 100, 1000};
  g_autoptr(LimnerRecipe) recipe = new_recipe("x", TRUE);
  for (gsize i = 0; i < G_N_ELEMENTS(seeds) * G_N_ELEMENTS(numbers); i++) {
    recipe->request.seed = seeds[i % G_N_ELEMENTS(seeds)];
    recipe->request.cfg = recipe->request.image_cfg = numbers[i / G_N_ELEMENTS(seeds)];
    g_autofree char *json = limner_recipe_dup_json(recipe);
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerRecipe) parsed = limner_recipe_parse(json, &error);
    g_assert_no_error(error);
    assert_same(recipe, parsed);
  }
}

// Of tokens that were decoded only these and the model are known.
static void test_tokens_only(void) {
  const LimnerRequest nothing = {0};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&nothing, 0, some_tokens, 4, &some_model);
  g_autofree char *json = limner_recipe_dup_json(recipe);
  g_autoptr(LimnerRecipe) parsed = limner_recipe_parse(json, NULL);
  g_assert_nonnull(parsed);
  g_assert_cmpstr(limner_recipe_get_kind(parsed), ==, "tokens");
  g_assert_null(parsed->request.prompt);
  assert_same(recipe, parsed);
}

static void test_texts(void) {
  g_autoptr(LimnerRecipe) recipe = new_recipe("a red house\non a hill", TRUE);
  g_autofree char *parameters = limner_recipe_dup_parameters(recipe);
  g_autofree char *expected = g_strdup_printf(
      "a red house\non a hill\n"
      "Steps: 4, CFG scale: 0.3333333333333333, Image CFG scale: 0, Seed: 9007199254740991, "
      "Sample: 3, Temperature: 0.1, Top-k: 50, Top-p: 0.95, Size: 2x2, "
      "Model: \"small, \\\"quick\\\"\", Weights: f32, Device: cpu, Fit: crop, "
      "Input SHA-256: " SHA256 ", Version: Limner %s",
      LIMNER_VERSION);
  g_assert_cmpstr(parameters, ==, expected);
  g_autofree char *json = limner_recipe_dup_json(recipe);
  const char *const secrets[] = {"private", "path", "AVX", "thread", g_get_host_name()};
  for (gsize i = 0; i < G_N_ELEMENTS(secrets); i++) {
    g_assert_null(strstr(json, secrets[i]));
    g_assert_null(strstr(parameters, secrets[i]));
  }
  g_autoptr(LimnerRecipe) empty = new_recipe("", FALSE);
  g_autofree char *line = limner_recipe_dup_parameters(empty);
  g_assert_true(g_str_has_prefix(line, "Steps: 4, CFG scale: "));
}

// --- files ---------------------------------------------------------------------------------------

static guint32 number_at(const guint8 *bytes) {
  return (guint32)bytes[0] << 24 | (guint32)bytes[1] << 16 | (guint32)bytes[2] << 8 | bytes[3];
}

// The types of a PNG file's chunks, one after the other. Owned.
static char *dup_types(GBytes *png) {
  gsize n_bytes = 0;
  const guint8 *bytes = g_bytes_get_data(png, &n_bytes);
  GString *types = g_string_new(NULL);
  for (gsize at = 8; at < n_bytes; at += 12 + number_at(bytes + at))
    g_string_append_printf(types, "%.4s ", (const char *)bytes + at + 4);
  return g_string_free(types, FALSE);
}

// What libpng finds, which checks every chunk's sum.
static void assert_option(GBytes *png, const char *key, const char *expected) {
  g_autoptr(GInputStream) stream = g_memory_input_stream_new_from_bytes(png);
  g_autoptr(GError) error = NULL;
  g_autoptr(GdkPixbuf) pixbuf = gdk_pixbuf_new_from_stream(stream, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(gdk_pixbuf_get_option(pixbuf, key), ==, expected);
}

static void assert_carried(const char *prompt, const char *types) {
  g_autoptr(LimnerRecipe) recipe = new_recipe(prompt, TRUE);
  g_autoptr(LimnerPicture) plain = new_picture();
  g_autoptr(LimnerPicture) picture =
      limner_recipe_dup_picture(recipe, limner_picture_get_bytes(plain));
  g_autofree char *parameters = limner_recipe_dup_parameters(recipe);
  g_autofree char *json = limner_recipe_dup_json(recipe);
  g_assert_cmpstr(limner_picture_get_parameters(picture), ==, parameters);
  g_assert_cmpstr(limner_picture_get_recipe(picture), ==, json);
  g_autoptr(GBytes) png = limner_picture_dup_png(picture, NULL);
  g_autoptr(GBytes) again = limner_picture_dup_png(picture, NULL);
  g_assert_true(g_bytes_equal(png, again));
  g_autofree char *found_types = dup_types(png);
  g_assert_cmpstr(found_types, ==, types);
  assert_option(png, "tEXt::parameters", parameters);
  assert_option(png, "tEXt::limner", json);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_assert_true(limner_picture_save_png(picture, path, NULL));
  g_autofree char *found_json = NULL, *found_parameters = NULL;
  g_assert_true(limner_recipe_read_chunks(path, &found_json, &found_parameters, NULL));
  g_assert_cmpstr(found_json, ==, json);
  g_assert_cmpstr(found_parameters, ==, parameters);
  remove_folder(folder);
}

static void test_chunks(void) {
  assert_carried("a red house", "IHDR tEXt iTXt iTXt sBIT IDAT IEND ");
  assert_carried("Gr\xc3\xbc\xc3\x9f\x65\nzwei", "IHDR tEXt iTXt iTXt sBIT IDAT IEND "); // Latin-1
  assert_carried("\xe5\xae\xb6 \xf0\x9f\x8f\xa0", "IHDR iTXt iTXt iTXt sBIT IDAT IEND ");
}

static void test_other_files(void) {
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL);
  g_autofree char *json = NULL, *parameters = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerPicture) plain = new_picture();
  g_assert_true(limner_picture_save_png(plain, path, NULL));
  g_assert_true(limner_recipe_read_chunks(path, &json, &parameters, NULL));
  g_assert_null(json);
  g_assert_null(parameters);
  // Packed texts of another program.
  g_assert_true(limner_recipe_read_chunks(FOREIGN, &json, &parameters, NULL));
  g_assert_cmpstr(json, ==, "{\"format\": 2}");
  g_assert_cmpstr(parameters, ==, "a cat\nSteps: 20, Seed: 1, Size: 8x8");
  g_assert_true(g_file_set_contents(path, "GIF89a", -1, NULL));
  g_autofree char *none = NULL, *nothing = NULL;
  g_assert_false(limner_recipe_read_chunks(path, &none, &nothing, &error));
  g_assert_true(g_str_has_prefix(error->message, path));
  g_assert_nonnull(strstr(error->message, "expected a PNG picture"));
  remove_folder(folder);
}

// Files cut or changed anywhere are read as far as they make sense.
static void test_damaged_files(void) {
  const guint32 seed = 11;
  g_test_message("seed %u", seed);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "a.png", NULL), *whole = NULL;
  gsize n_bytes = 0;
  g_assert_true(g_file_get_contents(FOREIGN, &whole, &n_bytes, NULL));
  for (int i = 0; i < 500; i++) {
    g_autofree char *bytes = g_memdup2(whole, n_bytes);
    bytes[g_rand_int_range(rand, 0, (gint32)n_bytes)] = (char)g_rand_int(rand);
    const gint32 length = i % 2 ? g_rand_int_range(rand, 0, (gint32)n_bytes) : (gint32)n_bytes;
    g_assert_true(g_file_set_contents(path, bytes, length, NULL));
    g_autofree char *json = NULL, *parameters = NULL;
    g_autoptr(GError) error = NULL;
    const gboolean ok = limner_recipe_read_chunks(path, &json, &parameters, &error);
    g_assert_true(ok == (error == NULL));
  }
  remove_folder(folder);
}

// --- JSON that means no good ---------------------------------------------------------------------

#define HEAD                                                                                       \
  "{\"format\": 1, \"program\": \"p\", \"model\": \"m\", \"weights\": \"f32\", "                   \
  "\"device\": \"cpu\", \"size\": 8, "
#define TEXT                                                                                       \
  "\"kind\": \"text-to-image\", \"prompt\": \"x\", \"sample\": 0, \"cfg\": 5, "                    \
  "\"temperature\": 1, \"top_k\": 0, "

static const struct {
  const char *json, *says;
} refused[] = {
    {"", "JSON"},
    {"[]", "object"},
    {"3", "JSON"},
    {"{\"format\": 1", "JSON"},
    {"{}", "\"format\""},
    {"{\"format\": 2}", "later Limner"},
    {"{\"format\": \"1\"}", "\"format\""},
    {"{\"format\": 1.0}", "\"format\""},
    {"{\"format\": -1}", "\"format\""},
    {"{\"format\": 99999999999999999999}", "JSON"},
    {"{\"format\": 1, \"format\": 1}", "JSON"},
    {"{\"format\": 1, \"program\": 3}", "\"program\""},
    {"{\"prompt\": \"a\\u0000b\"}", "JSON"},
    {"{\"prompt\": \"\xff\xfe\"}", "JSON"},
    {HEAD "\"kind\": \"tokens\"}", "\"tokens\""},
    {HEAD "\"kind\": \"tokens\", \"tokens\": {}}", "\"tokens\""},
    {HEAD "\"kind\": \"tokens\", \"tokens\": [1, \"2\"]}", "\"tokens\""},
    {HEAD "\"kind\": \"tokens\", \"tokens\": [-1]}", "\"tokens\""},
    {HEAD "\"kind\": \"tokens\", \"tokens\": [4294967296]}", "\"tokens\""},
    {HEAD "\"kind\": \"video\", \"tokens\": []}", "\"prompt\""},
    {HEAD TEXT "\"top_p\": 1, \"seed\": -1, \"tokens\": []}", "\"seed\""},
    {HEAD TEXT "\"top_p\": 1, \"seed\": 9007199254740992, \"tokens\": []}", "\"seed\""},
    {HEAD TEXT "\"top_p\": 1, \"seed\": 1.5, \"tokens\": []}", "\"seed\""},
    {HEAD TEXT "\"top_p\": 0, \"seed\": 1, \"tokens\": []}", "\"top_p\""},
    {HEAD TEXT "\"top_p\": 1e999, \"seed\": 1, \"tokens\": []}", "JSON"},
    {HEAD TEXT "\"top_p\": null, \"seed\": 1, \"tokens\": []}", "\"top_p\""},
    {HEAD TEXT "\"top_p\": 1, \"seed\": 1, \"tokens\": [], \"input\": {}}", "\"input\""},
    {HEAD TEXT "\"top_p\": 1, \"seed\": 1, \"tokens\": [], \"input\": {\"sha256\": \"../a\"}}",
     "\"input\""},
};

static void test_refused(void) {
  for (gsize i = 0; i < G_N_ELEMENTS(refused); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(limner_recipe_parse(refused[i].json, &error));
    g_test_message("%s", error->message);
    g_assert_nonnull(strstr(error->message, refused[i].says));
    g_assert_null(strchr(error->message, '\n'));
  }
  // The least that is enough, with members that nobody knows.
  g_autoptr(LimnerRecipe) least =
      limner_recipe_parse(HEAD TEXT "\"top_p\": 1, \"seed\": 1, \"tokens\": [], \"x\": {}}", NULL);
  g_assert_nonnull(least);
  // What the reader of JSON cites from a file steers no terminal.
  g_autoptr(GError) error = NULL;
  g_assert_null(limner_recipe_parse("{\x1b[2J\xc2\x9b\n", &error));
  g_test_message("%s", error->message);
  g_assert_null(strpbrk(error->message, "\x1b\n"));
  g_assert_null(strstr(error->message, "\xc2\x9b"));
  g_autofree char *deep = g_strnfill(1 << 20, '[');
  g_assert_null(limner_recipe_parse(deep, NULL));
}

static void test_harmless(void) {
  static const struct {
    const char *text, *expected;
    gboolean keeps_lines;
  } texts[] = {
      {"a red\nhouse\t", "a red\nhouse ", TRUE},
      {"a red\nhouse", "a red house", FALSE},
      {"\x1b[2J\x7f\r\b", " [2J   ", TRUE},
      {"\xc2\x9b[2J \xc3\xbc", " [2J \xc3\xbc", TRUE},
      {"x\xe2\x80\xaey\xe2\x81\xa6z", "x y z", TRUE},
      {"\xff", "\xef\xbf\xbd", TRUE},
  };
  for (gsize i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *found = limner_recipe_dup_harmless(texts[i].text, texts[i].keeps_lines);
    g_assert_cmpstr(found, ==, texts[i].expected);
  }
}

static void test_mutated(void) {
  const guint32 seed = 12;
  g_test_message("seed %u", seed);
  g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
  g_autoptr(LimnerRecipe) recipe = new_recipe("a \"red\" house", TRUE);
  g_autofree char *json = limner_recipe_dup_json(recipe);
  guint n_read = 0;
  for (int i = 0; i < 4000; i++) {
    g_autofree char *mutated = g_strdup(json);
    for (int k = 0; k < 1 + i % 3; k++)
      mutated[g_rand_int_range(rand, 0, (gint32)strlen(json))] =
          "0123456789eE+-.\"{}[],:x\\\xff"[g_rand_int_range(rand, 0, 25)];
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerRecipe) parsed = limner_recipe_parse(mutated, &error);
    g_assert_true((parsed != NULL) == (error == NULL));
    if (!parsed)
      continue;
    n_read++;
    g_autofree char *told = limner_recipe_dup_json(parsed);
    g_autoptr(LimnerRecipe) again = limner_recipe_parse(told, &error);
    g_assert_no_error(error);
    assert_same(parsed, again);
  }
  g_test_message("%u of 4000 could be read", n_read);
  g_assert_cmpuint(n_read, >, 100);
}

// --- a job's pictures ----------------------------------------------------------------------------

static void test_job(void) {
  JanusModel *model = open_tiny();
  g_autoptr(LimnerJob) job = new_job(2);
  g_assert_true(limner_job_run(job, model, NULL));
  for (guint i = 0; i < 2; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(job, i);
    LimnerPicture *picture = limner_sample_get_picture(sample);
    g_autoptr(GError) error = NULL;
    g_autoptr(LimnerRecipe) recipe =
        limner_recipe_parse(limner_picture_get_recipe(picture), &error);
    g_assert_no_error(error);
    g_assert_cmpuint(recipe->sample, ==, i);
    g_assert_cmpstr(recipe->request.prompt, ==, "a red house");
    g_assert_cmpuint(recipe->request.seed, ==, 7);
    g_assert_cmpstr(recipe->model, ==, "tiny-f32");
    g_assert_cmpint(recipe->size_px, ==, TINY_SIZE_PX);
    int n_tokens = 0;
    const gint32 *tokens = limner_sample_get_tokens(sample, &n_tokens);
    g_assert_cmpmem(recipe->tokens, (gsize)recipe->n_tokens * 4, tokens, (gsize)n_tokens * 4);
    g_assert_true(
        g_str_has_prefix(limner_picture_get_parameters(picture), "a red house\nSteps: 36"));
  }
  janus_model_free(model);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/recipe/round-trip", test_round_trip);
  g_test_add_func("/recipe/numbers", test_numbers);
  g_test_add_func("/recipe/tokens-only", test_tokens_only);
  g_test_add_func("/recipe/texts", test_texts);
  g_test_add_func("/recipe/chunks", test_chunks);
  g_test_add_func("/recipe/other-files", test_other_files);
  g_test_add_func("/recipe/damaged-files", test_damaged_files);
  g_test_add_func("/recipe/refused", test_refused);
  g_test_add_func("/recipe/harmless", test_harmless);
  g_test_add_func("/recipe/mutated", test_mutated);
  g_test_add_func("/recipe/job", test_job);
  return g_test_run();
}
