// SPDX-License-Identifier: MIT
// Weight files for the engine's tests.
#include "tests/engine/weight-files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- bytes --------------------------------------------------------------------------------------

// Bytes that grow.
typedef struct Bytes {
  unsigned char *data;
  size_t n;
} Bytes;

static void put(Bytes *b, const void *data, size_t n) {
  b->data = realloc(b->data, b->n + n + 1);
  memcpy(b->data + b->n, data, n);
  b->n += n;
}

static void put_number(Bytes *b, uint64_t value, int n_bytes) {
  for (int i = 0; i < n_bytes; i++) // more than 8: zeros at the end
    put(b, &(unsigned char){i < 8 ? (unsigned char)(value >> (8 * i)) : 0}, 1);
}

static void put_text(Bytes *b, const char *text) {
  put(b, text, strlen(text));
}

static FILE *open_to_write(const TestFolder *folder, const char *name) {
  FILE *file = fopen(test_path(folder, name), "wb");
  if (!file) {
    perror(name);
    exit(99);
  }
  return file;
}

// Data, or a hole of its size, at the file's position.
static void write_data(FILE *file, const void *data, uint64_t n_bytes) {
  if (data)
    fwrite(data, 1, (size_t)n_bytes, file);
  else
    fseeko(file, (off_t)n_bytes, SEEK_CUR);
}

// --- archives -----------------------------------------------------------------------------------

static uint32_t crc_of(const unsigned char *data, uint64_t n_bytes) {
  uint32_t crc = UINT32_MAX;
  for (uint64_t i = 0; data && i < n_bytes * 8; i++) {
    crc ^= i % 8 ? 0 : data[i / 8];
    crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}

// The fields that an entry's own header and the directory's share.
static void put_header(Bytes *b, const ZipItem *item, uint64_t n_extra) {
  put_number(b, 0x0808, 4);
  b->data[b->n - 2] = (unsigned char)item->method;
  b->data[b->n - 1] = 0;
  put_number(b, 0, 4);
  put_number(b, crc_of(item->data, item->n_bytes), 4);
  put_number(b, item->n_bytes, 4);
  put_number(b, item->n_bytes, 4);
  put_number(b, strlen(item->name), 2);
  put_number(b, n_extra, 2);
}

static void write_entry(FILE *file, const ZipItem *item) {
  const uint64_t at = (uint64_t)ftello(file) + 30 + strlen(item->name) + 4;
  const uint64_t n_padding = (64 - at % 64) % 64;
  Bytes b = {0};
  put_text(&b, "PK\3\4");
  put_number(&b, 0, 2);
  put_header(&b, item, 4 + n_padding);
  put_text(&b, item->name);
  put_text(&b, "FB");
  put_number(&b, n_padding, 2);
  for (uint64_t i = 0; i < n_padding; i++)
    put_text(&b, "Z");
  fwrite(b.data, 1, b.n, file);
  write_data(file, item->data, item->n_bytes);
  free(b.data);
}

static void put_directory_entry(Bytes *b, const ZipItem *item, uint64_t at) {
  const bool is_far = at >= UINT32_MAX;
  put_text(b, "PK\1\2");
  put_number(b, 0, 4);
  put_header(b, item, is_far ? 12 : 0);
  put_number(b, 0, 10);
  put_number(b, is_far ? UINT32_MAX : at, 4);
  put_text(b, item->name);
  if (!is_far)
    return;
  put_number(b, 1, 2);
  put_number(b, 8, 2);
  put_number(b, at, 8);
}

static void put_end(Bytes *b, uint64_t n_items, uint64_t n_bytes, uint64_t at) {
  put_text(b, "PK\6\6");
  put_number(b, 44, 8);
  put_number(b, 45 << 16 | 45, 4);
  put_number(b, 0, 8);
  put_number(b, n_items, 8);
  put_number(b, n_items, 8);
  put_number(b, n_bytes, 8);
  put_number(b, at, 8);
  put_text(b, "PK\6\7");
  put_number(b, 0, 4);
  put_number(b, at + n_bytes, 8);
  put_number(b, 1, 4);
  put_text(b, "PK\5\6");
  put_number(b, 0, 4);
  put_number(b, n_items, 2);
  put_number(b, n_items, 2);
  put_number(b, n_bytes, 4);
  put_number(b, at < UINT32_MAX ? at : UINT32_MAX, 4);
  put_number(b, 0, 2);
}

void write_zip(const TestFolder *folder, const char *name, const ZipItem *items, size_t n_items) {
  FILE *file = open_to_write(folder, name);
  Bytes directory = {0};
  for (size_t i = 0; i < n_items; i++) {
    put_directory_entry(&directory, &items[i], (uint64_t)ftello(file));
    write_entry(file, &items[i]);
  }
  put_end(&directory, n_items, directory.n, (uint64_t)ftello(file));
  fwrite(directory.data, 1, directory.n, file);
  fclose(file);
  free(directory.data);
}

// --- pickles ------------------------------------------------------------------------------------

static void pickle_text(Bytes *b, const char *text) {
  put_text(b, "X");
  put_number(b, strlen(text), 4);
  put_text(b, text);
}

static void pickle_number(Bytes *b, int64_t value) {
  put_text(b, "\x8a\x08");
  put_number(b, (uint64_t)value, 8);
}

static const char *storage_of(const char *dtype_text) {
  static const char *const names[][2] = {
      {"F32", "FloatStorage"}, {"BF16", "BFloat16Storage"}, {"F16", "HalfStorage"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(names[i][0], dtype_text) == 0)
      return names[i][1];
  return "LongStorage";
}

static void pickle_sizes(Bytes *b, const int64_t *sizes, int n) {
  put_text(b, "(");
  for (int i = 0; i < n; i++)
    pickle_number(b, sizes[i]);
  put_text(b, "t");
}

static void pickle_tensor(Bytes *b, const Tensor *tensor, const char *key) {
  int64_t strides[TENSOR_MAX_DIMS] = {0}, n = 1;
  for (int i = tensor->n_dims; i-- > 0; n *= tensor->dims[i])
    strides[i] = n;
  put_text(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
  pickle_text(b, "storage");
  put_text(b, "ctorch\n");
  put_text(b, storage_of(tensor->dtype_text));
  put_text(b, "\n");
  pickle_text(b, key);
  pickle_text(b, "cpu");
  pickle_number(b, n);
  put_text(b, "tQ");
  pickle_number(b, 0);
  pickle_sizes(b, tensor->dims, tensor->n_dims);
  pickle_sizes(b, strides, tensor->n_dims);
  put_text(b, "\x89"
              "ccollections\nOrderedDict\n)RtR");
}

void write_torch(const TestFolder *folder, const char *name, const Tensor *tensors,
                 size_t n_tensors) {
  ZipItem *items = calloc(n_tensors + 3, sizeof *items);
  char(*names)[40] = calloc(n_tensors, sizeof *names);
  Bytes pickle = {0};
  put_text(&pickle, "\x80\x02}q");
  put_number(&pickle, 0, 1);
  for (size_t i = 0; i < n_tensors; i++) {
    snprintf(names[i], sizeof names[i], "archive/data/%zu", i);
    pickle_text(&pickle, tensors[i].name);
    pickle_tensor(&pickle, &tensors[i], names[i] + strlen("archive/data/"));
    put_text(&pickle, "s");
    items[i + 2] = (ZipItem){names[i], tensors[i].data, tensors[i].n_bytes};
  }
  put_text(&pickle, ".");
  items[0] = (ZipItem){"archive/data.pkl", pickle.data, pickle.n};
  items[1] = (ZipItem){"archive/byteorder", "little", 6};
  items[n_tensors + 2] = (ZipItem){"archive/version", "3\n", 2};
  write_zip(folder, name, items, n_tensors + 3);
  free(pickle.data);
  free(names);
  free(items);
}

// --- safetensors --------------------------------------------------------------------------------

void write_safetensors(const TestFolder *folder, const char *name, const Tensor *tensors,
                       size_t n_tensors) {
  FILE *file = open_to_write(folder, name);
  json_t *header = json_object();
  uint64_t at = 0;
  for (size_t i = 0; i < n_tensors; i++) {
    json_t *shape = json_array();
    for (int d = 0; d < tensors[i].n_dims; d++)
      json_array_append_new(shape, json_integer(tensors[i].dims[d]));
    json_object_set_new(header, tensors[i].name,
                        json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensors[i].dtype_text, "shape",
                                  shape, "data_offsets", (json_int_t)at,
                                  (json_int_t)(at + tensors[i].n_bytes)));
    at += tensors[i].n_bytes;
  }
  char *text = json_dumps(header, JSON_COMPACT);
  const size_t n_text = strlen(text), n_padded = (n_text + 7) / 8 * 8;
  Bytes length = {0};
  put_number(&length, n_padded, 8);
  fwrite(length.data, 1, 8, file);
  fprintf(file, "%s%*s", text, (int)(n_padded - n_text), "");
  for (size_t i = 0; i < n_tensors; i++)
    write_data(file, tensors[i].data, tensors[i].n_bytes);
  fflush(file);
  if (ftruncate(fileno(file), (off_t)(8 + n_padded + at)) != 0)
    perror(name);
  fclose(file);
  free(length.data);
  free(text);
  json_decref(header);
}

// --- lists --------------------------------------------------------------------------------------

void add_to_list(TensorList *list, const char *name, const Tensor *tensor) {
  list->tensors = realloc(list->tensors, (list->n + 1) * sizeof *list->tensors);
  Tensor *added = &list->tensors[list->n++];
  *added = *tensor;
  added->name = strdup(name);
  if (!tensor_count_bytes(added->dims, added->n_dims, dtype_find(added->dtype_text)->n_bytes,
                          &added->n_bytes))
    exit(99);
}

void free_list(TensorList *list) {
  for (size_t i = 0; i < list->n; i++)
    free((char *)list->tensors[i].name);
  free(list->tensors);
  *list = (TensorList){0};
}

Tensor third_of(const Tensor *tensor, int part) {
  Tensor third = *tensor;
  third.dims[0] /= 3;
  third.n_bytes /= 3;
  if (tensor->data)
    third.data = (const char *)tensor->data + (size_t)part * third.n_bytes;
  return third;
}
