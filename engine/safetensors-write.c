// SPDX-License-Identifier: MIT
// Writing a small safetensors file: header padded to 8 bytes, tensors in the order given.
#include "engine/error.h"
#include "engine/file.h"
#include "engine/json.h"
#include "engine/safetensors.h"

#include <stdlib.h>
#include <string.h>

static size_t item_bytes(const SafetensorsItem *item) {
  size_t n_bytes = strcmp(item->dtype_text, "I64") == 0 ? 8 : 4;
  for (int i = 0; i < item->n_dims; i++)
    n_bytes *= (size_t)item->dims[i];
  return n_bytes;
}

static json_t *describe(const SafetensorsItem *item, size_t begin) {
  json_t *shape = json_array();
  for (int i = 0; i < item->n_dims; i++)
    json_array_append_new(shape, json_integer(item->dims[i]));
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", item->dtype_text, "shape", shape,
                   "data_offsets", (json_int_t)begin, (json_int_t)(begin + item_bytes(item)));
}

// The header without its padding, malloc'd; NULL for want of memory or a name that is not UTF-8.
static char *make_header(const SafetensorsItem *items, int n_items) {
  json_t *root = json_object();
  size_t begin = 0;
  bool ok = root != NULL;
  for (int i = 0; i < n_items && ok; i++) {
    ok = json_object_set_new(root, items[i].name, describe(&items[i], begin)) == 0;
    begin += item_bytes(&items[i]);
  }
  char *text = ok ? json_dumps(root, JSON_COMPACT) : NULL;
  json_decref(root);
  return text;
}

bool safetensors_write(const char *path, const SafetensorsItem *items, int n_items,
                       JanusError *error) {
  char *header = make_header(items, n_items);
  FileWriter writer;
  if (!header)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory for the header", path);
  if (!file_writer_open(&writer, path, error)) {
    free(header);
    return false;
  }
  const size_t n_text = strlen(header), n_padded = (n_text + 7) / 8 * 8;
  for (int i = 0; i < 8; i++)
    fputc((int)(((uint64_t)n_padded >> (8 * i)) & 255), writer.stream);
  fprintf(writer.stream, "%s%*s", header, (int)(n_padded - n_text), "");
  for (int i = 0; i < n_items; i++)
    fwrite(items[i].data, 1, item_bytes(&items[i]), writer.stream);
  free(header);
  return file_writer_close(&writer, error);
}
