// SPDX-License-Identifier: MIT
// The tokenizer: golden ids of the toy tokenizers, the real vocabulary where it is at hand, rules
// of added tokens and of broken text, long texts, and files that are refused.
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_ids(const JanusTokenizer *tokenizer, const char *text, size_t n_bytes,
                     unsigned flags, const json_t *expected) {
  int32_t *ids = NULL;
  size_t n = 0;
  JanusError error = {0};
  if (!janus_tokenizer_encode(tokenizer, text, n_bytes, flags, &ids, &n, &error)) {
    printf("# %s\n", error.message);
    return false;
  }
  bool same = n == json_array_size(expected);
  for (size_t i = 0; i < n && same; i++)
    same = ids[i] == json_integer_value(json_array_get(expected, i));
  free(ids);
  return same;
}

// Checks a list of {text, ids}; returns the number that failed.
static void check_cases(const JanusTokenizer *tokenizer, const json_t *cases, const char *title) {
  size_t n_wrong = 0;
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *item = json_array_get(cases, i), *text = json_object_get(item, "text");
    if (same_ids(tokenizer, json_string_value(text), json_string_length(text),
                 JANUS_TOKENIZE_ALL_ADDED, json_object_get(item, "ids")))
      continue;
    printf("# wrong: %s\n", json_string_value(text));
    n_wrong++;
  }
  check(json_array_size(cases) > 0 && n_wrong == 0, "%s: %zu texts give the reference's ids", title,
        json_array_size(cases));
}

static JanusTokenizer *open_at(const char *folder) {
  JanusError error = {0};
  JanusTokenizer *tokenizer = janus_tokenizer_open(folder, &error);
  check(tokenizer != NULL, "the tokenizer opens%s", error.message);
  return tokenizer;
}

static void test_toy(const char *name) {
  JanusTokenizer *tokenizer = open_at(parity_path("%s", name));
  json_t *golden = load_json(parity_path("golden/%s/tokenizer.json", name));
  if (tokenizer && golden)
    check_cases(tokenizer, json_object_get(golden, "raw"), name);
  janus_tokenizer_free(tokenizer);
  json_decref(golden);
}

// --- the real vocabulary ------------------------------------------------------------------------

static void check_ids(const JanusTokenizer *tokenizer, const char *text, unsigned flags,
                      const char *expected, const char *title) {
  json_t *list = json_loads(expected, 0, NULL);
  check(same_ids(tokenizer, text, strlen(text), flags, list), "%s", title);
  json_decref(list);
}

static void test_real_7b(json_t *file) {
  TestFolder folder = test_folder_new();
  write_json(&folder, "tokenizer.json", file);
  const double before = cpu_ms();
  JanusTokenizer *tokenizer = open_at(folder.path);
  const double took = cpu_ms() - before;
  // Observed: 60 to 90 ms with optimisation on two shared cores; sanitizers take several times it.
  check(took < 2000, "the vocabulary of 100000 opens in %.0f ms", took);
  json_t *cases = load_json(real_tokenizer_path("cases.json"));
  if (tokenizer && cases)
    check_cases(tokenizer, cases, "real 7B");
  check_ids(tokenizer, "F\xc3\xbchrer", 0, "[37,100014,71,6245]", "7B: u-umlaut is added");
  check_ids(tokenizer, "F\xc3\xbchrer", JANUS_TOKENIZE_PLAIN_SPECIAL, "[37,100014,71,6245]",
            "7B: it stays so where special ones are plain");
  check_ids(tokenizer, "<|User|>: \n\n", JANUS_TOKENIZE_BOS, "[100000,100601,25,207,185,185]",
            "7B: BOS and tags");
  json_decref(cases);
  janus_tokenizer_free(tokenizer);
  test_folder_free(&folder);
}

static void test_real_1b(json_t *file) {
  json_t *added = load_json(real_tokenizer_path("janus-pro-1b-added-tokens.json"));
  TestFolder folder = test_folder_new();
  json_object_set(file, "added_tokens", added);
  write_json(&folder, "tokenizer.json", file);
  JanusTokenizer *tokenizer = open_at(folder.path);
  check(janus_tokenizer_find_added(tokenizer, "<begin_of_image>") == 100003 &&
            janus_tokenizer_find_added(tokenizer, "\xc3\xbc") == -1,
        "1B: ids come from the file's texts");
  check_ids(tokenizer, "Hello, how are you?", JANUS_TOKENIZE_BOS,
            "[100000,17464,11,946,418,340,30]", "1B: a plain text");
  int32_t *ids = NULL;
  size_t n = 0;
  janus_tokenizer_encode(tokenizer, "F\xc3\xbchrer", 7, 0, &ids, &n, NULL);
  bool is_plain = n > 0;
  for (size_t i = 0; i < n; i++)
    is_plain = is_plain && ids[i] < 100000;
  check(is_plain, "1B: u-umlaut is bytes");
  free(ids);
  janus_tokenizer_free(tokenizer);
  test_folder_free(&folder);
  json_decref(added);
}

static void test_real(void) {
  json_t *file = load_json(real_tokenizer_path("janus-4o-7b-tokenizer.json"));
  if (!file) {
    skip("the real tokenizer is not at hand");
    return;
  }
  test_real_7b(file);
  test_real_1b(file);
  json_decref(file);
}

// --- a tokenizer made here ----------------------------------------------------------------------

static const char tiny_json[] =
    "{\"normalizer\":null,\"added_tokens\":["
    "{\"id\":20,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":21,\"content\":\"<s>x\",\"special\":true},"
    "{\"id\":22,\"content\":\"<m>\",\"special\":false,\"lstrip\":true,\"rstrip\":true},"
    "{\"id\":23,\"content\":\"b<\",\"special\":false,\"normalized\":true}],"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"String\":\"|\"},\"behavior\":\"Isolated\"},"
    "{\"type\":\"Digits\",\"individual_digits\":true},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"|\":2,\"<\":3,\"s\":4,\">\":5,"
    "\"x\":6,\"1\":7,\"aa\":8,\"ab\":9,\"aaa\":10,\"11\":11,\"a|\":12,\"m\":13,"
    "\"\xc3\xaf\":14,\"\xc2\xbf\":15,\"\xc2\xbd\":16,\"\xc4\xa0\":17,\"z\":18},"
    "\"merges\":[\"a a\",[\"a\",\"b\"],\"aa a\",\"1 1\",\"a |\"]}}";

static void test_rules(void) {
  TestFolder folder = test_folder_new();
  write_text(&folder, "tokenizer.json", tiny_json);
  JanusTokenizer *t = open_at(folder.path);
  check_ids(t, "aab", 0, "[8,1]", "the merge of lowest rank comes first");
  check_ids(t, "aaaaa", 0, "[8,10]", "equal ranks merge from the left");
  check_ids(t, "a|a", 0, "[0,2,0]", "a literal pattern splits");
  check_ids(t, "11", 0, "[7,7]", "digits stand alone");
  check_ids(t, "<s>xa", 0, "[21,0]", "the longest added token counts");
  check_ids(t, "<s>xa", JANUS_TOKENIZE_PLAIN_SPECIAL, "[3,4,5,6,0]", "special ones can be plain");
  check_ids(t, "a <m>  b", 0, "[0,22,1]", "white space beside a token is stripped");
  check_ids(t, "b<s>", 0, "[1,20]", "normalized tokens come second");
  check_ids(t, "b<z", 0, "[23,18]", "normalized tokens are found");
  check_ids(t, "", 0, "[]", "an empty text is no ids");
  check_ids(t, "a\x80", 0, "[0,14,15,16]", "a stray byte becomes U+FFFD");
  check_ids(t, "\xf0\x9f\x92z", 0, "[14,15,16,18]", "a broken sequence becomes one U+FFFD");
  check_ids(t, "\xed\xa0\x80z", 0, "[14,15,16,14,15,16,14,15,16,18]", "a surrogate becomes three");
  int32_t *ids = NULL;
  size_t n = 0;
  JanusError error = {0};
  check(!janus_tokenizer_encode(t, "a", 1, JANUS_TOKENIZE_BOS, &ids, &n, &error) && !ids,
        "BOS is refused where there is none: %s", error.message);
  check(janus_tokenizer_encode(t, "z\0z", 3, 0, &ids, &n, NULL) && n == 2,
        "a NUL does not end the text, a byte without a symbol is left out");
  free(ids);
  check(janus_tokenizer_get_max_id(t) == 23, "the highest id is known");
  janus_tokenizer_free(t);
  test_folder_free(&folder);
}

// --- long texts ---------------------------------------------------------------------------------

static void check_long(const JanusTokenizer *tokenizer, const char *unit, const char *end,
                       const char *title) {
  enum { LENGTH = 1000000 };
  const size_t n_unit = strlen(unit), n_end = strlen(end);
  char *text = malloc(LENGTH + 16);
  size_t n = 0, n_ids = 0;
  for (; n + n_unit <= LENGTH; n += n_unit)
    memcpy(text + n, unit, n_unit);
  memcpy(text + n, end, n_end);
  int32_t *ids = NULL;
  const double before = cpu_ms();
  const bool ok = janus_tokenizer_encode(tokenizer, text, n + n_end, 0, &ids, &n_ids, NULL);
  const double took = cpu_ms() - before;
  // Observed: 20 to 400 ms; a cost that grows with the square would take minutes.
  check(ok && n_ids > 0 && took < 10000, "1 MB of %s: %zu ids in %.0f ms", title, n_ids, took);
  free(ids);
  free(text);
}

static void test_long(void) {
  JanusTokenizer *tokenizer = open_at(parity_path("tiny-f32"));
  if (!tokenizer)
    return;
  check_long(tokenizer, "a", "", "one letter");
  check_long(tokenizer, "the fox ", "", "words");
  check_long(tokenizer, " ", "1", "spaces before a digit");
  check_long(tokenizer, "<", "", "beginnings of tags");
  check_long(tokenizer, "\xe4\xb8\x80", "", "ideographs");
  check_long(tokenizer, "\n", "", "line ends");
  check_long(tokenizer, "\xff", "", "bytes that are not UTF-8");
  janus_tokenizer_free(tokenizer);
}

// --- files that are refused ---------------------------------------------------------------------

// The tiny tokenizer with `old` replaced, which must be refused with `words` in the message.
static void check_refused(const char *old, const char *new, const char *words) {
  TestFolder folder = test_folder_new();
  char *text = replace_text(tiny_json, old, new);
  write_text(&folder, "tokenizer.json", text);
  JanusError error = {0};
  JanusTokenizer *tokenizer = janus_tokenizer_open(folder.path, &error);
  check(!tokenizer && strstr(error.message, words) && strstr(error.message, "tokenizer.json"),
        "refused: %s", error.message);
  janus_tokenizer_free(tokenizer);
  free(text);
  test_folder_free(&folder);
}

static void test_refused(void) {
  check_refused("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}", "NFC");
  check_refused("\"Digits\"", "\"Metaspace\"", "Metaspace");
  check_refused("\"Isolated\"", "\"Removed\"", "Removed");
  check_refused("{\"String\":\"|\"}", "{\"Regex\":\"[a\"}", "[a");
  check_refused("\"BPE\"", "\"Unigram\"", "Unigram");
  check_refused("\"a a\"", "\"a q\"", "merges[0]");
  check_refused("\"a a\"", "\"aa\"", "merges[0]");
  check_refused("[\"a\",\"b\"]", "[\"a\",7]", "merges[1]");
  check_refused("\"a\":0", "\"a\":-1", "vocab");
  check_refused("\"a\":0", "\"a\":\"0\"", "a string");
  check_refused("\"id\":20", "\"id\":99999999999", "added_tokens[0]");
  check_refused("\"merges\"", "\"mergers\"", "merges");
  check_refused("\"ByteLevel\"", "\"ByteFallback\"", "ByteFallback");
  check_refused("\"add_prefix_space\":false", "\"add_prefix_space\":true", "add_prefix_space");
  check_refused("\"special\":true}", "\"single_word\":true}", "single_word");
  check_refused("{\"normalizer\":null", "[{\"normalizer\":null", "JSON");
  JanusError error = {0};
  check(!janus_tokenizer_open("no/such/folder", &error) && error.code == JANUS_ERROR_IO,
        "refused: %s", error.message);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_toy("tiny-f32");
  test_toy("tiny-gqa");
  test_rules();
  test_long();
  test_refused();
  test_real();
  return finish();
}
