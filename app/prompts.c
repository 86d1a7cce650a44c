// SPDX-License-Identifier: MIT
// Picking prompts, telling known words from others, and what a prompts.json must look like.
#include "app/prompts.h"

#include "app/recipe.h"

#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>

#define FILE_NAME "prompts.json"
enum { N_KINDS = 2, MAX_FILE_BYTES = 1 << 20, MAX_TEXT_BYTES = 1000, MAX_SHOWN = 40 };

struct LimnerPrompts {
  char *about[N_KINDS];      // by LimnerPromptKind; may be NULL
  GPtrArray *texts[N_KINDS]; // of char *, all different; never empty
  GHashTable *words;         // keys of dup_key(); NULL = not listed
  char *problem;
};

// For models that say nothing about themselves.
static const char *const general_prompts[] = {
    "A red house on a green hill at night",
    "A lighthouse on a rocky coast in a storm, oil painting",
    "A fox asleep in autumn leaves, watercolor",
    "A steaming cup of coffee on a windowsill on a rainy morning",
    "A hot air balloon over snowy mountains at sunrise",
    "A cozy bookshop on a cobbled street at dusk",
    "A portrait of an old fisherman with a white beard, soft light",
    "A tabby cat in a knitted sweater reading a newspaper",
    "A bowl of ripe peaches on a blue cloth, still life",
    "A sailing boat on a calm lake in the morning mist",
    "A paper-cut landscape of layered hills and a low sun",
    "A glass greenhouse full of tropical plants",
    "An astronaut riding a horse through a field of sunflowers",
    "A small robot watering a potted plant, 3D render",
    "A medieval castle on a cliff above the clouds",
    "A street market in Marrakesh with lamps and spices",
    "A hummingbird at a red flower, close-up photograph",
    "A Japanese garden with a red bridge in spring, woodblock print",
    "A night train crossing a long stone viaduct under the stars",
    "A corgi wearing sunglasses on a sunny beach",
    "A treehouse with warm windows in a pine forest in winter",
    "A plate of pancakes with berries and honey, food photograph",
    "A city skyline reflected in a river at blue hour",
    "A whale swimming through clouds, surreal illustration",
    "A vintage green car in front of a pastel house",
    "An isometric drawing of a tiny bakery",
    "A wolf howling at a full moon, flat poster design",
    "A desert road that leads to red rocks under a wide sky",
    "A still pond with water lilies in the style of impressionism",
    "A snow globe with a little village in it on a wooden table",
};
static const char *const general_edits[] = {
    "Turn the image into a nighttime scene.",
    "Make it winter, with snow on everything.",
    "Turn it into a watercolor painting.",
    "Turn the image into a pencil sketch.",
    "Add a rainbow in the sky.",
    "Make it look like a sunny summer day.",
    "Replace the background with a beach at sunset.",
    "Add falling rain and wet reflections.",
    "Make the colors warmer.",
    "Turn the image into black and white.",
    "Add a hot air balloon in the sky.",
    "Turn the scene into autumn.",
    "Make it look like an old photograph.",
    "Add fog in the distance.",
    "Turn it into a comic book drawing.",
};

// --- the file ------------------------------------------------------------------------------------

static char *dup_found(const json_t *value) {
  static const char *const names[] = {
      [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a text",
      [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
      [JSON_FALSE] = "false",      [JSON_NULL] = "null",
  };
  if (!json_is_string(value))
    return g_strdup(names[json_typeof(value)]);
  const char *text = json_string_value(value);
  if (g_utf8_strlen(text, -1) <= MAX_SHOWN)
    return g_strdup_printf("\"%s\"", text);
  g_autofree char *start = g_utf8_substring(text, 0, MAX_SHOWN);
  return g_strdup_printf("\"%s…\"", start);
}

// The first complaint counts.
static void complain(LimnerPrompts *self, const char *where, const char *expected,
                     const json_t *value) {
  g_autofree char *found = dup_found(value);
  if (!self->problem)
    self->problem = g_strdup_printf("%s: expected %s, found %s", where, expected, found);
}

static gboolean is_line(const char *text) {
  gboolean has_ink = FALSE;
  for (const char *c = text; *c; c = g_utf8_next_char(c)) {
    const gunichar letter = g_utf8_get_char(c);
    if (g_unichar_iscntrl(letter))
      return FALSE;
    has_ink |= !g_unichar_isspace(letter);
  }
  return has_ink && strlen(text) <= MAX_TEXT_BYTES;
}

static gboolean is_word(const char *text) {
  return is_line(text) && !strchr(text, ' ');
}

// Upper and lower case, and the two ways to write an accent, are the same. Owned.
static char *dup_key(const char *word) {
  g_autofree char *folded = g_utf8_casefold(word, -1);
  return g_utf8_normalize(folded, -1, G_NORMALIZE_NFC);
}

static char *read_about(LimnerPrompts *self, const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!value)
    return NULL;
  if (json_is_string(value) && is_line(json_string_value(value)))
    return g_strdup(json_string_value(value));
  complain(self, key, "a line of text of at most 1000 bytes", value);
  return NULL;
}

// The different texts of a list; NULL when it is missing or bad. Owned strings.
static GPtrArray *read_list(LimnerPrompts *self, const json_t *object, const char *key,
                            gboolean (*is_good)(const char *), const char *expected) {
  const json_t *list = json_object_get(object, key);
  if (!list)
    return NULL;
  if (!json_is_array(list))
    complain(self, key, "a list of texts", list);
  GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *value = json_array_get(list, i);
    const char *text = json_string_value(value);
    g_autofree char *where = g_strdup_printf("%s, entry %zu", key, i + 1);
    if (!text || !is_good(text))
      complain(self, where, expected, value);
    else if (g_hash_table_add(seen, (gpointer)text))
      g_ptr_array_add(texts, g_strdup(text));
  }
  return texts;
}

static void read_words(LimnerPrompts *self, const json_t *object) {
  g_autoptr(GPtrArray) words = read_list(self, object, "words", is_word, "a single word");
  if (!words || words->len == 0)
    return;
  self->words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < words->len; i++)
    g_hash_table_add(self->words, dup_key(words->pdata[i]));
}

static void read_file(LimnerPrompts *self, const json_t *object) {
  static const char *const abouts[] = {"about", "about_edits"}, *const lists[] = {"prompts",
                                                                                  "edits"};
  if (!json_is_object(object)) {
    complain(self, "the file", "a JSON object", object);
    return;
  }
  for (int kind = 0; kind < N_KINDS; kind++) {
    self->about[kind] = read_about(self, object, abouts[kind]);
    self->texts[kind] =
        read_list(self, object, lists[kind], is_line, "a line of text of at most 1000 bytes");
  }
  read_words(self, object);
}

// The file's bytes; NULL with or without a problem when there are none to read. Owned.
static char *load_file(LimnerPrompts *self, const char *path, gsize *n_bytes) {
  GStatBuf info;
  char *bytes = NULL;
  g_autoptr(GError) error = NULL;
  if (g_stat(path, &info) != 0)
    return NULL;
  if (!S_ISREG(info.st_mode))
    self->problem = g_strdup("expected a file, found something else");
  else if (info.st_size > MAX_FILE_BYTES)
    self->problem = g_strdup_printf("expected at most %d bytes, found %" G_GINT64_FORMAT,
                                    MAX_FILE_BYTES, (gint64)info.st_size);
  else if (!g_file_get_contents(path, &bytes, n_bytes, &error))
    self->problem = g_strdup_printf("cannot be read: %s", error->message);
  return bytes;
}

static void parse_file(LimnerPrompts *self, const char *bytes, gsize n_bytes) {
  json_error_t where;
  json_t *object = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES, &where);
  if (object)
    read_file(self, object);
  else
    self->problem = g_strdup_printf("line %d: expected JSON, found: %s", where.line, where.text);
  json_decref(object);
}

// --- the object ----------------------------------------------------------------------------------

static void clear_contents(LimnerPrompts *self) {
  for (int kind = 0; kind < N_KINDS; kind++) {
    g_clear_pointer(&self->about[kind], g_free);
    g_clear_pointer(&self->texts[kind], g_ptr_array_unref);
  }
  g_clear_pointer(&self->words, g_hash_table_unref);
}

static void use_general(LimnerPrompts *self, LimnerPromptKind kind, const char *const *texts,
                        guint n_texts) {
  if (self->texts[kind] && self->texts[kind]->len > 0)
    return;
  g_clear_pointer(&self->texts[kind], g_ptr_array_unref);
  self->texts[kind] = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; i < n_texts; i++)
    g_ptr_array_add(self->texts[kind], g_strdup(texts[i]));
}

LimnerPrompts *limner_prompts_load(const char *folder) {
  LimnerPrompts *self = g_atomic_rc_box_new0(LimnerPrompts);
  g_autofree char *path = g_build_filename(folder, FILE_NAME, NULL);
  gsize n_bytes = 0;
  g_autofree char *bytes = load_file(self, path, &n_bytes);
  if (bytes)
    parse_file(self, bytes, n_bytes);
  if (self->problem) {
    g_autofree char *problem = g_strdup_printf("%s: %s", path, self->problem);
    g_free(self->problem);
    self->problem = limner_recipe_dup_harmless(problem, FALSE); // it cites the file
    clear_contents(self);
  }
  use_general(self, LIMNER_PROMPT_PAINT, general_prompts, G_N_ELEMENTS(general_prompts));
  use_general(self, LIMNER_PROMPT_EDIT, general_edits, G_N_ELEMENTS(general_edits));
  return self;
}

LimnerPrompts *limner_prompts_ref(LimnerPrompts *self) {
  return g_atomic_rc_box_acquire(self);
}

static void finalize(gpointer data) {
  LimnerPrompts *self = data;
  clear_contents(self);
  g_free(self->problem);
}

void limner_prompts_unref(LimnerPrompts *self) {
  if (self)
    g_atomic_rc_box_release_full(self, finalize);
}

const char *limner_prompts_get_problem(const LimnerPrompts *self) {
  return self->problem;
}

const char *limner_prompts_get_about(const LimnerPrompts *self, LimnerPromptKind kind) {
  return self->about[kind] ? self->about[kind] : self->about[LIMNER_PROMPT_PAINT];
}

guint limner_prompts_get_n(const LimnerPrompts *self, LimnerPromptKind kind) {
  return self->texts[kind]->len;
}

// --- picking -------------------------------------------------------------------------------------

// Spreads neighbouring seeds over all numbers (the finaliser of SplitMix64).
static guint64 mix(guint64 seed) {
  guint64 x = seed + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

static guint64 common_divisor(guint64 a, guint64 b) {
  return b ? common_divisor(b, a % b) : a;
}

// A walk in equal steps that share no divisor with the number of prompts meets each of them once.
const char *limner_prompts_pick(const LimnerPrompts *self, LimnerPromptKind kind, guint64 seed,
                                guint index) {
  const GPtrArray *texts = self->texts[kind];
  const guint64 n = texts->len, mixed = mix(seed);
  guint64 step = 1 + (mixed >> 32) % n;
  while (common_divisor(step, n) != 1)
    step++;
  return texts->pdata[(mixed % n + index % n * step) % n];
}

// --- words ---------------------------------------------------------------------------------------

// Letters, digits and their marks; pictures such as emoji, which no list of words holds.
static gboolean is_part_of_word(gunichar c) {
  return g_unichar_isalnum(c) || g_unichar_ismark(c) || g_unichar_type(c) == G_UNICODE_OTHER_SYMBOL;
}

static gboolean is_apostrophe(gunichar c) {
  return c == '\'' || c == 0x2019;
}

// The end of the word that begins at `start`, with the apostrophes inside it.
static const char *find_end(const char *start) {
  const char *end = start;
  while (*end) {
    const char *next = g_utf8_next_char(end);
    const gunichar c = g_utf8_get_char(end);
    if (!is_part_of_word(c) &&
        !(is_apostrophe(c) && end > start && is_part_of_word(g_utf8_get_char(next))))
      break;
    end = next;
  }
  return end;
}

GStrv limner_prompts_dup_unknown(const LimnerPrompts *self, const char *text, guint max) {
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  GStrvBuilder *unknown = g_strv_builder_new();
  const char *at = valid;
  while (self->words && *at && g_hash_table_size(seen) < max) {
    const char *end = find_end(at);
    g_autofree char *word = g_strndup(at, (gsize)(end - at));
    char *key = dup_key(word);
    if (end == at || g_hash_table_contains(self->words, key))
      g_free(key);
    else if (g_hash_table_add(seen, key))
      g_strv_builder_add(unknown, word);
    at = end > at ? end : g_utf8_next_char(at);
  }
  GStrv words = g_strv_builder_end(unknown);
  g_strv_builder_unref(unknown);
  return words;
}
