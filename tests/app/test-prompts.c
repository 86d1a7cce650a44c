// SPDX-License-Identifier: MIT
// prompts.json: there, missing, malformed, huge; the order of what is picked; unknown words.
#include "config.h"

#include "app/prompts.h"
#include "tests/app/support.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEMO_FOLDER LIMNER_SOURCE_DATA_DIR "/demo-model"

static const char good[] = "{\"about\": \"Boats only.\", \"about_edits\": \"No changes yet.\","
                           " \"words\": [\"a\", \"red\", \"boat\", \"cafe\\u0301\"],"
                           " \"prompts\": [\"A red boat\", \"A boat\", \"A red boat\", \"Boat\"],"
                           " \"edits\": [\"Red boat.\"], \"more\": {}}";

// What a folder with this prompts.json gives. Owned.
static LimnerPrompts *load(const char *json, gssize n_bytes) {
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "prompts.json", NULL);
  if (json)
    g_assert_true(g_file_set_contents(path, json, n_bytes, NULL));
  LimnerPrompts *prompts = limner_prompts_load(folder);
  remove_folder(folder);
  return prompts;
}

static void expect_unknown(const LimnerPrompts *prompts, const char *text, const char *expected) {
  g_auto(GStrv) words = limner_prompts_dup_unknown(prompts, text, 3);
  g_autofree char *joined = g_strjoinv(" ", words);
  g_assert_cmpstr(joined, ==, expected);
}

static void expect_general(const LimnerPrompts *prompts) {
  g_assert_null(limner_prompts_get_about(prompts, LIMNER_PROMPT_PAINT));
  g_assert_null(limner_prompts_get_about(prompts, LIMNER_PROMPT_EDIT));
  g_assert_cmpuint(limner_prompts_get_n(prompts, LIMNER_PROMPT_PAINT), ==, 30);
  g_assert_cmpuint(limner_prompts_get_n(prompts, LIMNER_PROMPT_EDIT), ==, 15);
  expect_unknown(prompts, "xyzzy", "");
}

static void test_file(void) {
  g_autoptr(LimnerPrompts) prompts = load(good, -1);
  g_assert_null(limner_prompts_get_problem(prompts));
  g_assert_cmpstr(limner_prompts_get_about(prompts, LIMNER_PROMPT_PAINT), ==, "Boats only.");
  g_assert_cmpstr(limner_prompts_get_about(prompts, LIMNER_PROMPT_EDIT), ==, "No changes yet.");
  g_assert_cmpuint(limner_prompts_get_n(prompts, LIMNER_PROMPT_PAINT), ==, 3); // once each
  for (guint i = 0; i < 3; i++)
    g_assert_cmpstr(limner_prompts_pick(prompts, LIMNER_PROMPT_EDIT, 7, i), ==, "Red boat.");
  LimnerPrompts *again = limner_prompts_ref(prompts);
  limner_prompts_unref(again);
}

static void test_parts(void) {
  g_autoptr(LimnerPrompts) missing = load(NULL, 0);
  g_assert_null(limner_prompts_get_problem(missing));
  expect_general(missing);
  g_autoptr(LimnerPrompts) empty = load("{\"words\": [], \"prompts\": [], \"edits\": []}", -1);
  g_assert_null(limner_prompts_get_problem(empty));
  expect_general(empty);
  g_autoptr(LimnerPrompts) about = load("{\"about\": \"All kinds of things.\"}", -1);
  g_assert_cmpstr(limner_prompts_get_about(about, LIMNER_PROMPT_EDIT), ==, "All kinds of things.");
  g_assert_cmpuint(limner_prompts_get_n(about, LIMNER_PROMPT_PAINT), ==, 30);
  g_autoptr(LimnerPrompts) nowhere = limner_prompts_load("/nonexistent/model");
  g_assert_null(limner_prompts_get_problem(nowhere));
  expect_general(nowhere);
}

static void expect_problem(const char *json, gssize n_bytes, const char *part) {
  g_autoptr(LimnerPrompts) prompts = load(json, n_bytes);
  const char *problem = limner_prompts_get_problem(prompts);
  g_assert_nonnull(problem);
  g_test_message("%s", problem);
  g_assert_nonnull(strstr(problem, "/prompts.json: "));
  g_assert_nonnull(strstr(problem, part));
  g_assert_true(g_utf8_validate(problem, -1, NULL));
  g_assert_null(strpbrk(problem, "\n\x1b"));
  g_assert_null(strstr(problem, "\xc2\x9b"));
  expect_general(prompts);
}

static void test_malformed(void) {
  expect_problem("", 0, "line 1: expected JSON");
  expect_problem("{\n \"prompts\": [\n", -1, "line 3: expected JSON");
  expect_problem("[]", -1, "the file: expected a JSON object, found a list");
  expect_problem("{\"about\": 7}", -1, "about: expected a line of text of at most 1000 bytes");
  expect_problem("{\"about\": \" \\u00a0\"}", -1, "about: expected a line");
  expect_problem("{\"about\": \"two\\nlines\"}", -1, "found \"two lines\"");
  expect_problem("{\"prompts\": {}}", -1, "prompts: expected a list of texts, found an object");
  expect_problem("{\"prompts\": [\"A boat\", null]}", -1, "prompts, entry 2: expected");
  expect_problem("{\"edits\": [\"\"]}", -1, "edits, entry 1: expected a line");
  expect_problem("{\"words\": [\"a\", \"hot air\"]}", -1,
                 "words, entry 2: expected a single word, found \"hot air\"");
  expect_problem("{\"words\": [], \"words\": []}", -1, "duplicate");
  expect_problem("{\"about\": \"\xff\"}", -1, "byte 0xff");
  expect_problem("{\"about\": \"a\\u0000b\"}", -1, "expected JSON");
  expect_problem("{\x1b[2J", -1, "expected JSON");
  expect_problem("{\"about\": \"\xc2\x9b"
                 "31m\"}",
                 -1, "about: expected a line");
  expect_problem("[\"\xe2\x82", -1, "expected JSON");
}

static void test_huge(void) {
  GString *json = g_string_new("{\"prompts\": [\"A boat\"");
  while (json->len <= 1 << 20)
    g_string_append(json, ", \"A boat on the sea\"");
  g_string_append(json, "]}");
  expect_problem(json->str, (gssize)json->len, "expected at most 1048576 bytes, found 104");
  g_string_free(json, TRUE);
  json = g_string_new(NULL);
  for (guint i = 0; i < 100000; i++)
    g_string_append_c(json, '[');
  expect_problem(json->str, (gssize)json->len, "expected JSON");
  g_string_free(json, TRUE);
  g_autofree char *line = g_strnfill(1001, 'x');
  g_autofree char *text = g_strdup_printf("{\"prompts\": [\"%s\"]}", line);
  expect_problem(text, -1, "found \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\"");
}

static void test_no_file(void) {
  char *folder = make_folder();
  g_autofree char *path = g_build_filename(folder, "prompts.json", NULL);
  g_assert_cmpint(mkfifo(path, 0600), ==, 0); // opening it would wait for ever
  g_autoptr(LimnerPrompts) prompts = limner_prompts_load(folder);
  g_assert_nonnull(strstr(limner_prompts_get_problem(prompts), "expected a file"));
  expect_general(prompts);
  remove_folder(folder);
}

// Each prompt once in a round, whatever the seed; the round's order depends on it.
static void expect_rounds(const LimnerPrompts *prompts, LimnerPromptKind kind) {
  const guint n = limner_prompts_get_n(prompts, kind);
  g_autoptr(GHashTable) starts = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint64 seed = 0; seed < 200; seed++) {
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    const char *before = NULL;
    for (guint i = 0; i < n; i++) {
      const char *text = limner_prompts_pick(prompts, kind, seed, i);
      g_assert_true(g_hash_table_add(seen, (gpointer)text));
      g_assert_cmpstr(text, !=, before);
      before = text;
    }
    if (n > 1)
      g_assert_cmpstr(limner_prompts_pick(prompts, kind, seed, n), !=, before);
    g_assert_true(limner_prompts_pick(prompts, kind, seed, n) ==
                  limner_prompts_pick(prompts, kind, seed, 0));
    g_hash_table_add(starts, (gpointer)limner_prompts_pick(prompts, kind, seed, 0));
  }
  g_test_message("%u of %u begin a round", g_hash_table_size(starts), n);
  g_assert_cmpuint(g_hash_table_size(starts), >=, MIN(n, 10)); // observed: 3, 30, 15
  limner_prompts_pick(prompts, kind, G_MAXUINT64, G_MAXUINT);
}

static void test_pick(void) {
  g_autoptr(LimnerPrompts) prompts = load(good, -1);
  g_autoptr(LimnerPrompts) general = load(NULL, 0);
  expect_rounds(prompts, LIMNER_PROMPT_PAINT);
  expect_rounds(prompts, LIMNER_PROMPT_EDIT);
  expect_rounds(general, LIMNER_PROMPT_PAINT);
  expect_rounds(general, LIMNER_PROMPT_EDIT);
}

static void test_unknown(void) {
  g_autoptr(LimnerPrompts) prompts = load(good, -1);
  expect_unknown(prompts, "", "");
  expect_unknown(prompts, "A red, RED boat.", "");
  expect_unknown(prompts, "a red zebra on a boat", "zebra on");
  expect_unknown(prompts, "Zebra, zebra and ZEBRA", "Zebra and");
  expect_unknown(prompts, "one two three four five", "one two three");
  expect_unknown(prompts, "a caf\u00e9 boat, Cafe\u0301", "");
  expect_unknown(prompts, "3 boats", "3 boats");
  expect_unknown(prompts, "a red-boat a \u201cboat\u201d", "");
  expect_unknown(prompts, "a boat's 'boat' don\u2019t '", "boat's don\u2019t");
  expect_unknown(prompts, "a \U0001F993 boat", "\U0001F993");
  expect_unknown(prompts, "\u7ea2\u8272\u7684\u8239", "\u7ea2\u8272\u7684\u8239");
  expect_unknown(prompts, "boat \xff boat", "\uFFFD");
  g_auto(GStrv) none = limner_prompts_dup_unknown(prompts, "zebra", 0);
  g_assert_cmpuint(g_strv_length(none), ==, 0);
}

// The demo model's own file, and everything it suggests.
static void test_demo(void) {
  g_autoptr(LimnerPrompts) prompts = limner_prompts_load(DEMO_FOLDER);
  g_assert_cmpstr(limner_prompts_get_problem(prompts), ==, NULL);
  g_assert_nonnull(limner_prompts_get_about(prompts, LIMNER_PROMPT_PAINT));
  g_assert_cmpuint(limner_prompts_get_n(prompts, LIMNER_PROMPT_PAINT), >=, 200);
  g_assert_cmpuint(limner_prompts_get_n(prompts, LIMNER_PROMPT_EDIT), >=, 40);
  expect_unknown(prompts, "A zebra", "zebra");
  for (int kind = LIMNER_PROMPT_PAINT; kind <= LIMNER_PROMPT_EDIT; kind++)
    for (guint i = 0; i < limner_prompts_get_n(prompts, kind); i++) {
      const char *text = limner_prompts_pick(prompts, kind, 1, i);
      expect_unknown(prompts, text, "");
      g_assert_true(g_ascii_isupper(text[0]));
    }
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/prompts/file", test_file);
  g_test_add_func("/prompts/parts", test_parts);
  g_test_add_func("/prompts/malformed", test_malformed);
  g_test_add_func("/prompts/huge", test_huge);
  g_test_add_func("/prompts/no-file", test_no_file);
  g_test_add_func("/prompts/pick", test_pick);
  g_test_add_func("/prompts/unknown", test_unknown);
  g_test_add_func("/prompts/demo", test_demo);
  return g_test_run();
}
