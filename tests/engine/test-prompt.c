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

static bool make_prompt(const Prompter *p, const char *text, int n_image_tokens,
                        JanusPrompt *prompt) {
  if (n_image_tokens > 0)
    return janus_prompt_edit(p->tokenizer, &p->tags, text, n_image_tokens, prompt, NULL);
  return janus_prompt_text_to_image(p->tokenizer, &p->tags, text, prompt, NULL);
}

// Both slots hold what they should and are closed.
static bool slots_are_right(const Prompter *p, const JanusPrompt *prompt, int n) {
  if (n == 0)
    return prompt->features_at == 0 && prompt->codes_at == 0;
  bool right = prompt->ids[prompt->features_at - 1] == p->tags.begin_of_image &&
               prompt->ids[prompt->features_at + n] == p->tags.end_of_image &&
               prompt->ids[prompt->codes_at - 1] == p->tags.begin_of_image &&
               prompt->ids[prompt->codes_at + n] == p->tags.end_of_image;
  for (int i = 0; i < n && right; i++)
    right = prompt->ids[prompt->features_at + i] == p->tags.image_placeholder &&
            prompt->ids[prompt->codes_at + i] == p->tags.pad;
  return right;
}

static bool same_prompt(const Prompter *p, const char *text, int n_image_tokens,
                        const json_t *expected) {
  JanusPrompt prompt;
  if (!make_prompt(p, text, n_image_tokens, &prompt))
    return false;
  bool same =
      prompt.n_ids == (int)json_array_size(expected) && slots_are_right(p, &prompt, n_image_tokens);
  for (int i = 0; i < prompt.n_ids && same; i++)
    same = prompt.ids[i] == json_integer_value(json_array_get(expected, (size_t)i));
  janus_prompt_clear(&prompt);
  return same;
}

static void check_list(const Prompter *p, const json_t *cases, int n_image_tokens,
                       const char *title) {
  size_t n_wrong = 0;
  for (size_t i = 0; i < json_array_size(cases); i++) {
    const json_t *item = json_array_get(cases, i);
    const char *prompt = json_string_value(json_object_get(item, "prompt"));
    if (same_prompt(p, prompt, n_image_tokens, json_object_get(item, "ids")))
      continue;
    printf("# wrong: %s\n", prompt);
    n_wrong++;
  }
  check(json_array_size(cases) > 0 && n_wrong == 0, "%s: %zu prompts give the reference's ids",
        title, json_array_size(cases));
}

static void test_toy(const char *name, int n_image_tokens) {
  Prompter p = open_prompter(parity_path("%s", name));
  json_t *golden = load_json(parity_path("golden/%s/tokenizer.json", name));
  check_list(&p, json_object_get(golden, "text_prompts"), 0, name);
  check_list(&p, json_object_get(golden, "literal_prompts"), 0, name);
  check_list(&p, json_object_get(golden, "edit_prompts"), n_image_tokens, "edits");
  json_decref(golden);
  janus_tokenizer_free(p.tokenizer);
}

static bool equal_prompts(const Prompter *p, const char *a, const char *b, int n_image_tokens) {
  JanusPrompt prompts[2] = {0};
  const bool ok = make_prompt(p, a, n_image_tokens, &prompts[0]) &&
                  make_prompt(p, b, n_image_tokens, &prompts[1]);
  const bool same =
      ok && prompts[0].n_ids == prompts[1].n_ids &&
      memcmp(prompts[0].ids, prompts[1].ids, (size_t)prompts[0].n_ids * sizeof(int32_t)) == 0;
  janus_prompt_clear(&prompts[0]);
  janus_prompt_clear(&prompts[1]);
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
    n_wrong += !equal_prompts(&p, text, "a b", 0);
    n_wrong += !equal_prompts(&p, stripped[i], "", 0);
  }
  check(n_wrong == 0, "20 kinds of white space are stripped");
  n_wrong = 0;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    snprintf(text, sizeof text, "%sa b%s", kept[i], kept[i]);
    n_wrong += equal_prompts(&p, text, "a b", 0);
  }
  check(n_wrong == 0, "5 characters that look alike are kept");
  janus_tokenizer_free(p.tokenizer);
}

static void test_edit_strip(void) {
  Prompter p = open_prompter(parity_path("tiny-f32"));
  JanusPrompt prompt;
  JanusError error = {0};
  check(equal_prompts(&p, " a b \n\u3000", " a b", 4), "an edit's prompt is stripped on the right");
  check(!equal_prompts(&p, " a b", "a b", 4), "but not on the left");
  check(!janus_prompt_edit(p.tokenizer, &p.tags, " \n\t", 4, &prompt, &error), "refused: %s",
        error.message);
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
  check(same_prompt(&p, seed_prompt, 0, ids), "the README's prompt gives its 26 ids");
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
  test_toy("tiny-f32", 36);
  test_toy("tiny-gqa", 25);
  test_strip();
  test_edit_strip();
  test_missing_tag();
  test_real();
  return finish();
}
