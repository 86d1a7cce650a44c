// SPDX-License-Identifier: MIT
// Prompts as ids: the original processor's on the toy tokenizers, the seed prompt on the real one,
// stripping as Python does.
#include "engine/prompt.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Prompter {
  JanusTokenizer *tokenizer;
  JanusTags tags;
} Prompter;

static Prompter open_prompter(const char *folder) {
  Prompter p = {0};
  JanusError error = {0};
  p.tokenizer = janus_tokenizer_open(folder, &error);
  check(p.tokenizer && janus_tags_find(p.tokenizer, folder, &p.tags, &error),
        "the tags are found%s", error.message);
  return p;
}

static bool same_prompt(const Prompter *p, const char *prompt, const json_t *expected) {
  int32_t *ids = NULL;
  int n = 0;
  if (!janus_prompt_text_to_image(p->tokenizer, &p->tags, prompt, &ids, &n, NULL))
    return false;
  bool same = n == (int)json_array_size(expected);
  for (int i = 0; i < n && same; i++)
    same = ids[i] == json_integer_value(json_array_get(expected, (size_t)i));
  free(ids);
  return same;
}

static void check_list(const Prompter *p, const json_t *cases, const char *title) {
  size_t n_wrong = 0;
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *item = json_array_get(cases, i);
    const char *prompt = json_string_value(json_object_get(item, "prompt"));
    if (same_prompt(p, prompt, json_object_get(item, "ids")))
      continue;
    printf("# wrong: %s\n", prompt);
    n_wrong++;
  }
  check(json_array_size(cases) > 0 && n_wrong == 0, "%s: %zu prompts give the reference's ids",
        title, json_array_size(cases));
}

static void test_toy(const char *name) {
  Prompter p = open_prompter(parity_path("%s", name));
  json_t *golden = load_json(parity_path("golden/%s/tokenizer.json", name));
  check_list(&p, json_object_get(golden, "text_prompts"), name);
  check_list(&p, json_object_get(golden, "literal_prompts"), name);
  json_decref(golden);
  janus_tokenizer_free(p.tokenizer);
}

static bool equal_prompts(const Prompter *p, const char *a, const char *b) {
  int32_t *ids[2] = {0};
  int n[2] = {0};
  const bool ok = janus_prompt_text_to_image(p->tokenizer, &p->tags, a, &ids[0], &n[0], NULL) &&
                  janus_prompt_text_to_image(p->tokenizer, &p->tags, b, &ids[1], &n[1], NULL);
  const bool same =
      ok && n[0] == n[1] && memcmp(ids[0], ids[1], (size_t)n[0] * sizeof(int32_t)) == 0;
  free(ids[0]);
  free(ids[1]);
  return same;
}

static void test_strip(void) {
  // What str.strip() of Python takes away: Unicode white space and U+001C to U+001F.
  static const char *const stripped[] = {" ",        "\t",       "\n",     "\v",     "\f",
                                         "\r",       "\x1c",     "\x1d",   "\x1e",   "\x1f",
                                         "\xc2\x85", "\xc2\xa0", "\u1680", "\u2000", "\u200a",
                                         "\u2028",   "\u2029",   "\u202f", "\u205f", "\u3000"};
  static const char *const kept[] = {"\u200b", "\u180e", "\ufeff", "\x1b", "\u2060"};
  Prompter p = open_prompter(parity_path("tiny-f32"));
  char text[64];
  int n_wrong = 0;
  for (size_t i = 0; i < sizeof stripped / sizeof *stripped; i++) {
    snprintf(text, sizeof text, "%s%sa b%s", stripped[i], stripped[i], stripped[i]);
    n_wrong += !equal_prompts(&p, text, "a b");
    n_wrong += !equal_prompts(&p, stripped[i], "");
  }
  check(n_wrong == 0, "20 kinds of white space are stripped");
  n_wrong = 0;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    snprintf(text, sizeof text, "%sa b%s", kept[i], kept[i]);
    n_wrong += equal_prompts(&p, text, "a b");
  }
  check(n_wrong == 0, "5 characters that look alike are kept");
  janus_tokenizer_free(p.tokenizer);
}

static void test_real(void) {
  static const char seed_prompt[] =
      "A stunning princess from kabul in red, white traditional clothing, blue eyes, brown hair";
  static const char seed_ids[] =
      "[100000,100601,25,338,18064,29061,473,530,21069,279,3074,11,3682,8046,16015,11,5501,3545,11,"
      "10176,5539,185,185,100602,25,100016]";
  json_t *file = load_json(real_tokenizer_path("janus-4o-7b-tokenizer.json"));
  if (!file) {
    skip("the real tokenizer is not at hand");
    return;
  }
  TestFolder folder = test_folder_new();
  write_json(&folder, "tokenizer.json", file);
  Prompter p = open_prompter(folder.path);
  json_t *ids = json_loads(seed_ids, 0, NULL);
  check(same_prompt(&p, seed_prompt, ids), "the README's prompt gives its 26 ids");
  json_decref(ids);
  json_decref(file);
  janus_tokenizer_free(p.tokenizer);
  test_folder_free(&folder);
}

static void test_missing_tag(void) {
  static const char *const tags[] = {"<|User|>", "<begin_of_image>", "<｜▁pad▁｜>"};
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
    TestFolder folder = test_folder_new();
    json_t *file = load_json(parity_path("tiny-f32/tokenizer.json"));
    json_t *added = json_object_get(file, "added_tokens");
    for (size_t j = json_array_size(added); j-- > 0;)
      if (strcmp(json_string_value(json_object_get(json_array_get(added, j), "content")),
                 tags[i]) == 0)
        json_array_remove(added, j);
    write_json(&folder, "tokenizer.json", file);
    JanusError error = {0};
    JanusTags found;
    JanusTokenizer *tokenizer = janus_tokenizer_open(folder.path, &error);
    check(tokenizer && !janus_tags_find(tokenizer, folder.path, &found, &error) &&
              strstr(error.message, tags[i]),
          "refused: %s", error.message);
    janus_tokenizer_free(tokenizer);
    json_decref(file);
    test_folder_free(&folder);
  }
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_toy("tiny-f32");
  test_toy("tiny-gqa");
  test_strip();
  test_missing_tag();
  test_real();
  return finish();
}
