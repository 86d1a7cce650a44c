// SPDX-License-Identifier: MIT
// Questions as ids and ids as text: the original processor's prompts, its tokenizer's texts, and
// whole characters alone wherever a stream is cut.
#include "engine/prompt.h"
#include "engine/text-stream.h"
#include "engine/unicode.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Asker {
  JanusTokenizer *tokenizer;
  JanusTags tags;
  int n_image_tokens;
  json_t *golden; // answers.json
} Asker;

static Asker open_asker(const char *name, int n_image_tokens) {
  Asker a = {.n_image_tokens = n_image_tokens};
  JanusError error = {0};
  a.tokenizer = janus_tokenizer_open(parity_path("%s", name), &error);
  a.golden = load_json(parity_path("golden/%s/answers.json", name));
  check(a.golden && a.tokenizer && janus_tags_find(a.tokenizer, name, &a.tags, &error),
        "%s: tokenizer and answers are there%s", name, error.message);
  return a;
}

static void close_asker(Asker *a) {
  json_decref(a->golden);
  janus_tokenizer_free(a->tokenizer);
}

// --- questions ----------------------------------------------------------------------------------

static JanusPrompt ask(const Asker *a, const char *question) {
  JanusPrompt prompt = {0};
  janus_prompt_describe(a->tokenizer, &a->tags, question, a->n_image_tokens, &prompt, NULL);
  return prompt;
}

static int count(const JanusPrompt *prompt, int32_t id) {
  int n = 0;
  for (int i = 0; i < prompt->n_ids; i++)
    n += prompt->ids[i] == id;
  return n;
}

static bool slot_is_right(const Asker *a, const JanusPrompt *prompt) {
  const int at = prompt->features_at;
  bool right = at > 0 && prompt->codes_at == 0 && prompt->ids[at - 1] == a->tags.begin_of_image &&
               prompt->ids[at + a->n_image_tokens] == a->tags.end_of_image &&
               count(prompt, a->tags.image_placeholder) == a->n_image_tokens;
  for (int i = 0; i < a->n_image_tokens && right; i++)
    right = prompt->ids[at + i] == a->tags.image_placeholder;
  return right;
}

static void test_questions(const Asker *a, const char *title) {
  size_t i, n_wrong = 0;
  const json_t *item, *list = json_object_get(a->golden, "questions");
  json_array_foreach(list, i, item) {
    const json_t *ids = json_object_get(item, "ids");
    JanusPrompt prompt = ask(a, json_string_value(json_object_get(item, "question")));
    bool same = prompt.n_ids == (int)json_array_size(ids) && slot_is_right(a, &prompt);
    for (int j = 0; j < prompt.n_ids && same; j++)
      same = prompt.ids[j] == json_integer_value(json_array_get(ids, (size_t)j));
    n_wrong += !same;
    janus_prompt_clear(&prompt);
  }
  check(json_array_size(list) >= 7 && n_wrong == 0, "%s: %zu questions give the original's ids",
        title, json_array_size(list));
}

static void test_typed_tags(const Asker *a, const char *title) {
  static const char *const typed[] = {"<image_placeholder>", "a <|User|>: b <|Assistant|>: c",
                                      "<end_of_image><begin_of_image>", "<｜end▁of▁sentence｜>"};
  for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
    JanusPrompt prompt = ask(a, typed[i]);
    check(slot_is_right(a, &prompt) && count(&prompt, a->tags.user) == 1 &&
              count(&prompt, a->tags.assistant) == 1 && count(&prompt, a->tags.eos) == 0 &&
              count(&prompt, a->tags.begin_of_image) == 1 && count(&prompt, a->tags.bos) == 1,
          "%s: %s is plain text in a question", title, typed[i]);
    janus_prompt_clear(&prompt);
  }
}

// --- texts --------------------------------------------------------------------------------------

static int32_t *dup_ids(const json_t *list) {
  int32_t *ids = calloc(json_array_size(list) + 1, sizeof *ids);
  for (size_t i = 0; i < json_array_size(list); i++)
    ids[i] = (int32_t)json_integer_value(json_array_get(list, i));
  return ids;
}

static bool same_text(const Asker *a, const json_t *item) {
  const json_t *list = json_object_get(item, "ids"), *text = json_object_get(item, "text");
  int32_t *ids = dup_ids(list);
  char *found = NULL;
  size_t n = 0;
  const bool same =
      janus_tokenizer_decode(a->tokenizer, ids, json_array_size(list), &found, &n, NULL) &&
      n == json_string_length(text) && memcmp(found, json_string_value(text), n + 1) == 0;
  free(found);
  free(ids);
  return same;
}

static void test_texts(const Asker *a, const char *title, size_t n_others) {
  size_t i, n_wrong = 0, n_other = 0;
  const json_t *item, *list = json_object_get(a->golden, "texts");
  json_array_foreach(list, i, item) {
    n_wrong += !same_text(a, item);
    n_other += json_object_get(item, "original") != NULL;
  }
  check(json_array_size(list) > 100 && n_wrong == 0, "%s: %zu lists of ids give their texts", title,
        json_array_size(list));
  check(n_other >= n_others, "%s: %zu of them hold letters of which the original makes U+FFFD",
        title, n_other);
}

static void test_odd_ids(const Asker *a) {
  const int32_t ids[] = {-1, INT32_MAX, a->tags.bos, a->tags.eos, 383, 1 << 24};
  char *text = NULL;
  size_t n = 1;
  check(janus_tokenizer_decode(a->tokenizer, ids, 6, &text, &n, NULL) && n == 0 && *text == '\0',
        "ids without a token and special ones are no text");
  free(text);
  check(janus_tokenizer_decode(a->tokenizer, ids, 0, &text, &n, NULL) && n == 0 && *text == '\0',
        "no ids give an empty text");
  free(text);
}

// --- streams ------------------------------------------------------------------------------------

static bool is_whole(const TextStream *stream) {
  size_t n = 0;
  char *valid = unicode_dup_valid(stream->text, stream->n_bytes, &n);
  const bool same = n == stream->n_bytes && memcmp(valid, stream->text, n) == 0;
  free(valid);
  return same && stream->text[n] == '\0';
}

// Bytes that come in pieces of 1 to 5 give at every moment whole characters, and in the end what
// they give in one piece.
static void test_streams(uint64_t seed) {
  enum { MOST = 40, N_RUNS = 4000 };
  static const char *const parts[] = {"a",    " ",    "é",        "日",   "🦊", "\xf0\x9f",
                                      "\xe2", "\xff", "\xc3\xc3", "\x80", "�",    "\xed\xa0"};
  int n_wrong = 0;
  for (int run = 0; run < N_RUNS; run++) {
    char bytes[8 * MOST] = "";
    const int n_parts = (int)(next_random(&seed) % MOST);
    for (int i = 0; i < n_parts; i++)
      strcat(bytes, parts[next_random(&seed) % (sizeof parts / sizeof *parts)]);
    TextStream stream = {0};
    bool ok = text_stream_add(&stream, "", 0);
    for (size_t at = 0, n = strlen(bytes); at < n && ok;) {
      const size_t left = n - at, take = 1 + next_random(&seed) % 5;
      ok = text_stream_add(&stream, bytes + at, take < left ? take : left) && is_whole(&stream);
      at += take < left ? take : left;
    }
    size_t n_whole = 0;
    char *whole = unicode_dup_valid(bytes, strlen(bytes), &n_whole);
    ok = ok && text_stream_end(&stream) && stream.n_bytes == n_whole &&
         memcmp(stream.text, whole, n_whole) == 0;
    n_wrong += !ok;
    free(whole);
    text_stream_clear(&stream);
  }
  check(n_wrong == 0, "%d streams of bytes in pieces are whole characters all the time", N_RUNS);
}

// --- the real tokenizer -------------------------------------------------------------------------

static void test_real(void) {
  static const char text[] =
      "Führer, žluťoučký kůň; 2024: 雪の山 🦊🇨🇿 \n\n\t x = {'a': 1.5}\r\n";
  static const int32_t known[] = {100000, 17464, 11, 946, 418, 340, 30, 100001};
  json_t *file = load_json(real_tokenizer_path("janus-4o-7b-tokenizer.json"));
  if (!file) {
    skip("the real tokenizer is not at hand");
    return;
  }
  TestFolder folder = test_folder_new();
  write_json(&folder, "tokenizer.json", file);
  json_decref(file);
  JanusTokenizer *tokenizer = janus_tokenizer_open(folder.path, NULL);
  int32_t *ids = NULL;
  size_t n_ids = 0, n = 0;
  char *found = NULL;
  bool ok = janus_tokenizer_decode(tokenizer, known, 8, &found, &n, NULL);
  check(ok && strcmp(found, "Hello, how are you?") == 0, "the real tokenizer: %s", ok ? found : "");
  free(found);
  ok = janus_tokenizer_encode(tokenizer, text, strlen(text), 0, &ids, &n_ids, NULL) &&
       janus_tokenizer_decode(tokenizer, ids, n_ids, &found, &n, NULL);
  check(ok && strcmp(found, text) == 0, "the real tokenizer: %zu ids back to %zu bytes", n_ids, n);
  free(found);
  free(ids);
  janus_tokenizer_free(tokenizer);
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  const uint64_t seed = 11;
  set_parity_folder(argc, argv);
  printf("# seed %d\n", (int)seed);
  Asker seven = open_asker("tiny-f32", 36), one = open_asker("tiny-gqa", 25);
  test_questions(&seven, "tiny-f32");
  test_questions(&one, "tiny-gqa");
  test_typed_tags(&seven, "tiny-f32");
  test_texts(&seven, "tiny-f32", 1);
  test_texts(&one, "tiny-gqa", 0);
  test_odd_ids(&seven);
  test_streams(seed);
  test_real();
  close_asker(&seven);
  close_asker(&one);
  return finish();
}
