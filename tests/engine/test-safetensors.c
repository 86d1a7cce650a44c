// SPDX-License-Identifier: MIT
// Reading and writing safetensors: good files of every kind, and bad ones that must be named.
#include "engine/safetensors.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Writes a file with this header (its length stated as given, or true when negative) and n_data
// bytes 0, 1, 2, ...
static void make_file(const TestFolder *folder, const char *name, const char *header,
                      int64_t stated_length, size_t n_data) {
  const size_t n_header = strlen(header);
  const uint64_t length = stated_length < 0 ? n_header : (uint64_t)stated_length;
  unsigned char *bytes = malloc(8 + n_header + n_data);
  for (int i = 0; i < 8; i++)
    bytes[i] = (unsigned char)(length >> (8 * i));
  memcpy(bytes + 8, header, n_header);
  for (size_t i = 0; i < n_data; i++)
    bytes[8 + n_header + i] = (unsigned char)i;
  write_bytes(folder, name, bytes, 8 + n_header + n_data);
  free(bytes);
}

static void test_good(void) {
  TestFolder folder = test_folder_new();
  make_file(&folder, "x.safetensors",
            "{\"__metadata__\":{\"format\":\"pt\"},"
            "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
            "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
            "\"scalar\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[16,24]},"
            "\"none\":{\"dtype\":\"F16\",\"shape\":[0,5],\"data_offsets\":[24,24]},"
            "\"later\":{\"dtype\":\"F4_NEW\",\"shape\":[3],\"data_offsets\":[24,26]}}",
            -1, 30);
  JanusError error = {0};
  TensorSet *set = tensors_open_folder(folder.path, &error);
  check(set != NULL, "a single file of another name opens%s", error.message);
  check(set && tensors_count(set) == 5, "metadata is not a tensor");
  const Tensor *a = tensors_find(set, "a"), *b = tensors_find(set, "b");
  check(a && b && a->is_float && a->dtype == JK_F32 && b->dtype == JK_BF16 && b->n_dims == 2 &&
            b->dims[0] == 2 && b->dims[1] == 3 && b->n_bytes == 12,
        "types and shapes are read");
  check(b && ((const unsigned char *)b->data)[0] == 4, "data lies where the header says");
  const Tensor *scalar = tensors_find(set, "scalar");
  check(scalar && scalar->n_dims == 0 && !scalar->is_float && scalar->n_bytes == 8,
        "a scalar is one value");
  check(tensors_find(set, "later") && !tensors_find(set, "later")->data,
        "an unknown type has no data");
  check(!tensors_find(set, "c") && !tensors_find(set, ""), "what is absent is not found");
  check(strcmp(tensors_get(set, 0)->name, "a") == 0 &&
            strcmp(tensors_get(set, 4)->name, "scalar") == 0,
        "tensors come by name");
  tensors_free(set);
  test_folder_free(&folder);
}

static void test_misaligned(void) {
  TestFolder folder = test_folder_new();
  const char *headers[] = {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                           "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} "};
  for (int i = 0; i < 2; i++) {
    make_file(&folder, "model.safetensors", headers[i], -1, 4);
    TensorSet *set = tensors_open_folder(folder.path, NULL);
    const Tensor *a = set ? tensors_find(set, "a") : NULL;
    check(a && a->is_aligned == ((8 + strlen(headers[i])) % 4 == 0),
          "alignment is told, header %zu", strlen(headers[i]));
    tensors_free(set);
  }
  test_folder_free(&folder);
}

// --- bad files ----------------------------------------------------------------------------------

typedef struct BadFile {
  const char *header;
  int64_t stated_length; // negative: the true one
  size_t n_data;
  const char *words; // in the message
} BadFile;

#define TENSOR(dtype, shape, offsets)                                                              \
  "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const BadFile bad_files[] = {
    {"{}", 3, 0, "complete"},
    {"{}", 1000, 4, "complete"},
    {"{}", INT64_MAX, 4, "complete"},
    {"{}", 100000001, 4, "complete"},
    {"{", -1, 0, "JSON"},
    {"", -1, 0, "JSON"},
    {"[]", -1, 0, "a list"},
    {"{\"a\":7}", -1, 0, "tensor a"},
    {"{\"a\":{\"dtype\":4,\"shape\":[1],\"data_offsets\":[0,4]}}", -1, 4, "dtype"},
    {TENSOR("F32", "[1]", "[0,4]"), -1, 3, "complete"},
    {TENSOR("F32", "[1]", "[0,9000000000000000000]"), -1, 4, "9000000000000000000"},
    {TENSOR("F32", "[1]", "[-4,0]"), -1, 4, "-4"},
    {TENSOR("F32", "[1]", "[4,0]"), -1, 4, "4 to 0"},
    {TENSOR("F32", "[1]", "[0]"), -1, 4, "data_offsets"},
    {TENSOR("F32", "[1]", "[0,4,8]"), -1, 8, "data_offsets"},
    {TENSOR("F32", "[1]", "[0.0,4.0]"), -1, 4, "data_offsets"},
    {TENSOR("F32", "[1]", "{}"), -1, 4, "data_offsets"},
    {TENSOR("F32", "[2]", "[0,4]"), -1, 4, "expected 8 bytes for F32 [2], found 4"},
    {TENSOR("BF16", "[2,3]", "[0,24]"), -1, 24, "expected 12 bytes for BF16 [2, 3], found 24"},
    {TENSOR("F32", "[-1]", "[0,4]"), -1, 4, "shape"},
    {TENSOR("F32", "[1.5]", "[0,4]"), -1, 4, "shape"},
    {TENSOR("F32", "7", "[0,4]"), -1, 4, "shape"},
    {TENSOR("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), -1, 4, "shape"},
    {TENSOR("F32", "[4294967296,4294967296,16]", "[0,4]"), -1, 4, "shape"},
    {TENSOR("F32", "[4611686018427387904]", "[0,0]"), -1, 4, "tensor a"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]}}",
     -1, 8, "overlap"},
};

static void test_bad(void) {
  TestFolder folder = test_folder_new();
  for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
    const BadFile *bad = &bad_files[i];
    make_file(&folder, "model.safetensors", bad->header, bad->stated_length, bad->n_data);
    JanusError error = {0};
    TensorSet *set = tensors_open_folder(folder.path, &error);
    check(!set && error.code == JANUS_ERROR_FORMAT && strstr(error.message, bad->words) &&
              strstr(error.message, "model.safetensors"),
          "refused: %s", error.message);
    tensors_free(set);
  }
  test_folder_free(&folder);
}

// Every beginning of a good file, and every byte of its header changed: refused or read, no crash.
static void test_damage(uint64_t seed) {
  TestFolder folder = test_folder_new();
  const float values[] = {1, 2, 3, 4, 5, 6};
  const SafetensorsItem items[] = {{"first", "F32", values, 2, {2, 2}},
                                   {"second", "F32", values, 1, {2}}};
  unsigned char good[512], bytes[512];
  int n_opened = 0;
  safetensors_write(test_path(&folder, "good"), items, 2, NULL);
  const size_t n = read_bytes(test_path(&folder, "good"), good, sizeof good);
  for (size_t i = 1; i < n; i++) {
    write_bytes(&folder, "model.safetensors", good, i);
    TensorSet *set = tensors_open_folder(folder.path, NULL);
    n_opened += set != NULL;
    tensors_free(set);
  }
  check(n_opened == 0, "no beginning of a file of %zu bytes is taken for the file", n);
  for (int round = 0; round < 1000; round++) {
    memcpy(bytes, good, n);
    for (int i = 0; i < 2; i++)
      bytes[next_random(&seed) % (n - 24)] = (unsigned char)next_random(&seed);
    write_bytes(&folder, "model.safetensors", bytes, n);
    JanusError error = {0};
    TensorSet *set = tensors_open_folder(folder.path, &error);
    n_opened += !set && error.message[0] == '\0';
    tensors_free(set);
  }
  check(n_opened == 0, "1000 damaged headers are refused with a message or read");
  test_folder_free(&folder);
}

// --- folders ------------------------------------------------------------------------------------

static void check_folder_refused(const TestFolder *folder, JanusErrorCode code, const char *words) {
  JanusError error = {0};
  TensorSet *set = tensors_open_folder(folder->path, &error);
  check(!set && error.code == code && strstr(error.message, words), "refused: %s", error.message);
  tensors_free(set);
}

static const char shard_1[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                              "\"extra\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
static const char shard_2[] = "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                              "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}";
static const char index_name[] = "model.safetensors.index.json";

static void test_shards(void) {
  TestFolder folder = test_folder_new();
  make_file(&folder, "1.safetensors", shard_1, -1, 2);
  make_file(&folder, "2.safetensors", shard_2, -1, 2);
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "2 other safetensors files");
  write_text(&folder, index_name,
             "{\"metadata\":{\"total_size\":3},"
             "\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
  JanusError error = {0};
  TensorSet *set = tensors_open_folder(folder.path, &error);
  check(set && tensors_count(set) == 2, "shards give what the index names%s", error.message);
  const Tensor *a = set ? tensors_find(set, "a") : NULL;
  check(a && strstr(a->file, "1.safetensors"), "a tensor comes from the shard of the index");
  tensors_free(set);
  write_text(&folder, index_name,
             "{\"weight_map\":{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}}");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "2.safetensors holds tensor c");
  write_text(&folder, index_name, "{\"weight_map\":{\"a\":\"../1.safetensors\"}}");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "../1.safetensors");
  write_text(&folder, index_name, "{\"weight_map\":{\"a\":7}}");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "weight_map.a");
  write_text(&folder, index_name, "{\"weight_map\":{}}");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "weight_map");
  write_text(&folder, index_name, "{\"weight_map\":{\"a\":\"3.safetensors\"}}");
  check_folder_refused(&folder, JANUS_ERROR_IO, "3.safetensors");
  write_text(&folder, index_name, "{\"weight_map\":");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "JSON");
  write_text(&folder, index_name, "");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "empty");
  test_folder_free(&folder);
}

static void test_folders(void) {
  TestFolder folder = test_folder_new();
  check_folder_refused(&folder, JANUS_ERROR_IO, "model.safetensors");
  write_text(&folder, "pytorch_model-00001-of-00002.bin", "x");
  check_folder_refused(&folder, JANUS_ERROR_IO, "pytorch_model.bin");
  write_text(&folder, "model.safetensors", "");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "empty");
  write_text(&folder, "model.safetensors", "1234567");
  check_folder_refused(&folder, JANUS_ERROR_FORMAT, "8 bytes");
  test_folder_free(&folder);
  check_folder_refused(&folder, JANUS_ERROR_IO, "folder");
  JanusError error = {0};
  check(!tensors_open_file("/", &error) && strstr(error.message, "found a folder"), "refused: %s",
        error.message);
  error = (JanusError){0};
  check(!tensors_open_file("/dev/null", &error) && strstr(error.message, "regular"), "refused: %s",
        error.message);
}

// --- writing ------------------------------------------------------------------------------------

static void test_write(void) {
  TestFolder folder = test_folder_new();
  const float floats[] = {1.5f, -2, 3, 4, 5, 6};
  const int64_t ids[] = {7, -8, 9000000000};
  const SafetensorsItem items[] = {{"x.\"y\"", "F32", floats, 2, {2, 3}},
                                   {"ids", "I64", ids, 1, {3}}};
  JanusError error = {0};
  char path[600];
  snprintf(path, sizeof path, "%s", test_path(&folder, "out.safetensors"));
  check(safetensors_write(path, items, 2, &error), "two tensors are written%s", error.message);
  check(safetensors_write(path, items, 2, &error), "and once more over them%s", error.message);
  TensorSet *set = tensors_open_file(path, &error);
  const Tensor *x = set ? tensors_find(set, "x.\"y\"") : NULL;
  const Tensor *i = set ? tensors_find(set, "ids") : NULL;
  check(x && i && memcmp(x->data, floats, sizeof floats) == 0 &&
            memcmp(i->data, ids, sizeof ids) == 0 && x->dims[1] == 3,
        "what was written is read back%s", error.message);
  check(x && (uintptr_t)x->data % 8 == 0, "data begins at a multiple of 8 bytes");
  tensors_free(set);
  check(count_files(&folder) == 1, "no half-written file is left");
  check(!safetensors_write(test_path(&folder, "no/such.safetensors"), items, 2, &error),
        "refused: %s", error.message);
  error = (JanusError){0};
  check(!safetensors_write(folder.path, items, 2, &error) && strstr(error.message, "folder"),
        "refused: %s", error.message);
  error = (JanusError){0};
  check(!safetensors_write("/dev/full", items, 2, &error) && error.code == JANUS_ERROR_IO,
        "refused: %s", error.message);
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_good();
  test_misaligned();
  test_bad();
  const uint64_t seed = 20260101;
  printf("# seed %llu\n", (unsigned long long)seed);
  test_damage(seed);
  test_shards();
  test_folders();
  test_write();
  return finish();
}
