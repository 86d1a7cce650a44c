// SPDX-License-Identifier: MIT
// Any bytes as a PNG file's chunks and their texts as recipes: what can be read is told and read
// again the same, and the library takes the file for a picture of ours or leaves it. The sums of
// the chunks are put right first, or hardly any would be looked at.
#include "app/library-files.h"
#include "app/png-text.h"
#include "app/recipe.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static const char head[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\10\2\0\0\0\x90wS\xde";
enum { HEAD_BYTES = sizeof head - 1 };

static guint32 crc_of(const guint8 *bytes, gsize n_bytes) {
  guint32 crc = 0xffffffffu;
  for (gsize i = 0; i < n_bytes * 8; i++) {
    crc ^= i % 8 ? 0 : bytes[i / 8];
    crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return ~crc;
}

static void put_sums_right(guint8 *file, gsize n_bytes) {
  gsize at = HEAD_BYTES;
  while (n_bytes - at >= 12) {
    const gsize length =
        (gsize)file[at] << 24 | (gsize)file[at + 1] << 16 | (gsize)file[at + 2] << 8 | file[at + 3];
    if (length > n_bytes - at - 12)
      return;
    const guint32 crc = crc_of(file + at + 4, length + 4);
    for (int i = 0; i < 4; i++)
      file[at + 8 + length + (gsize)i] = (guint8)(crc >> 8 * (3 - i));
    at += 12 + length;
  }
}

static void parse(const char *json) {
  g_autoptr(GError) error = NULL;
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(json, &error);
  if ((recipe == NULL) != (error != NULL) || (error && strchr(error->message, '\n')))
    abort();
  if (!recipe)
    return;
  g_autofree char *told = limner_recipe_dup_json(recipe);
  g_autofree char *parameters = limner_recipe_dup_parameters(recipe);
  g_autoptr(LimnerRecipe) again = limner_recipe_parse(told, NULL);
  if (!again || !parameters)
    abort();
  g_autofree char *told_again = limner_recipe_dup_json(again);
  if (strcmp(told, told_again) != 0)
    abort();
}

// What tells of no others says the same of its own picture.
static void strip(const char *json) {
  g_autofree char *plain = limner_recipe_dup_plain(json);
  g_autoptr(LimnerRecipe) recipe = limner_recipe_parse(json, NULL);
  g_autoptr(LimnerRecipe) bare = limner_recipe_parse(plain, NULL);
  if (recipe && (!bare || bare->n_before > 0))
    abort();
  if (!recipe)
    return;
  g_autofree char *told = limner_recipe_dup_json(recipe);
  g_autofree char *told_bare = limner_recipe_dup_json(bare);
  if (strcmp(told, told_bare) != 0)
    abort();
}

static void take_in(GBytes *file) {
  LimnerEntryFacts facts;
  fuzz_write("x.png", g_bytes_get_data(file, NULL), g_bytes_get_size(file));
  if (!library_file_read(fuzz_path("x.png"), &facts, NULL))
    return;
  if (!facts.sha256 || !facts.prompt || !facts.model || facts.width_px < 1 || facts.height_px < 1)
    abort();
  library_facts_clear(&facts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
  guint8 *bytes = g_malloc(HEAD_BYTES + n_bytes);
  memcpy(bytes, head, HEAD_BYTES);
  if (n_bytes)
    memcpy(bytes + HEAD_BYTES, data, n_bytes);
  put_sums_right(bytes, HEAD_BYTES + n_bytes);
  g_autoptr(GBytes) file = g_bytes_new_take(bytes, HEAD_BYTES + n_bytes);
  g_autofree char *json = NULL, *parameters = NULL;
  if (!limner_recipe_find_chunks(file, "fuzz", &json, &parameters, NULL))
    abort();
  if (json)
    parse(json);
  if (json)
    strip(json);
  if (json)
    take_in(file);
  g_autofree char *harmless = limner_recipe_dup_harmless(parameters ? parameters : "", TRUE);
  if (!g_utf8_validate(harmless, -1, NULL) || strpbrk(harmless, "\x1b\r\b\x7f"))
    abort();
  return 0;
}
