// SPDX-License-Identifier: MIT
// The files of torch.save(): what PyTorch itself wrote (tests/parity/torch), and archives and
// pickles made by hand that must be refused, each in one sentence.
#include "engine/zip.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"
#include "tests/engine/weight-files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- what PyTorch wrote -------------------------------------------------------------------------

static bool is_tensor(const TensorSet *set, const char *name, const char *dtype, int n_dims,
                      const int64_t *dims) {
  const Tensor *tensor = tensors_find(set, name);
  return tensor && strcmp(tensor->dtype_text, dtype) == 0 && tensor->n_dims == n_dims &&
         memcmp(tensor->dims, dims, (size_t)n_dims * sizeof *dims) == 0 && tensor->is_aligned;
}

static float value_of(const TensorSet *set, const char *name, size_t i) {
  const Tensor *tensor = tensors_find(set, name);
  float value = NAN;
  if (tensor && tensor->is_float && (i + 1) * jk_dtype_size(tensor->dtype) <= tensor->n_bytes)
    jk_widen(&value, (const char *)tensor->data + i * jk_dtype_size(tensor->dtype), tensor->dtype,
             1);
  return value;
}

#define DIMS(...)                                                                                  \
  (sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]) {                              \
    __VA_ARGS__                                                                                    \
  }

// An OrderedDict and a plain dict of the same tensors.
static void test_kinds(const char *name) {
  JanusError error = {0};
  TensorSet *set = tensors_open_file(parity_path("torch/%s", name), &error);
  if (!check(set && tensors_count(set) == 10 && tensors_are_pytorch(set), "%s opens%s", name,
             error.message))
    return;
  check(is_tensor(set, "f32", "F32", DIMS(3, 4)) && is_tensor(set, "bf16", "BF16", DIMS(2, 3)) &&
            is_tensor(set, "f16.middle", "F16", DIMS(2, 2)) &&
            is_tensor(set, "bool", "BOOL", DIMS(2)) && is_tensor(set, "empty", "F32", DIMS(0, 4)) &&
            is_tensor(set, "five", "F32", DIMS(1, 3, 1, 2, 2)) &&
            is_tensor(set, "one.by.n", "F32", DIMS(1, 3)),
        "%s: types and shapes are read", name);
  const Tensor *number = tensors_find(set, "i64");
  check(number && number->n_dims == 0 && number->n_bytes == 8 && *(const char *)number->data == 7,
        "%s: a scalar is one value", name);
  check(value_of(set, "f32", 11) == 11 && value_of(set, "bf16", 5) == 5 &&
            value_of(set, "one.by.n", 2) == 1 && value_of(set, "five", 7) == 7,
        "%s: values are read", name);
  check(value_of(set, "f16.middle", 0) == 2 && value_of(set, "f16.middle", 3) == 5,
        "%s: a part of a storage begins where it says", name);
  const Tensor *a = tensors_find(set, "tied.a"), *b = tensors_find(set, "tied.b");
  check(a && b && a->data == b->data, "%s: two names may share one storage", name);
  tensors_free(set);
}

static void test_module(void) {
  JanusError error = {0};
  TensorSet *set = tensors_open_file(parity_path("torch/module.bin"), &error);
  check(set && tensors_count(set) == 2 && value_of(set, "weight", 5) == 5,
        "a module's state dict opens, with what is attached to it%s", error.message);
  tensors_free(set);
}

static void check_file_refused(const char *path, JanusErrorCode code, const char *words) {
  JanusError error = {0};
  TensorSet *set = tensors_open_file(path, &error);
  check(!set && error.code == code && strstr(error.message, words) &&
            strstr(error.message, ".bin: ") && !strchr(error.message, '\n'),
        "refused: %s", error.message);
  tensors_free(set);
}

static void test_refused(void) {
  static const struct {
    const char *name;
    JanusErrorCode code;
    const char *words;
  } cases[] = {
      {"object.bin", JANUS_ERROR_FORMAT, "torch.nn.modules.linear.Linear"},
      {"parameters.bin", JANUS_ERROR_FORMAT, "torch._utils._rebuild_parameter"},
      {"nested.bin", JANUS_ERROR_FORMAT, "found something else under model"},
      {"transposed.bin", JANUS_ERROR_UNSUPPORTED,
       "tensor t: expected values of shape [2, 3] one "
       "after the other, found strides [1, 2]"},
      {"old.bin", JANUS_ERROR_UNSUPPORTED, "since PyTorch 1.6"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_file_refused(parity_path("torch/%s", cases[i].name), cases[i].code, cases[i].words);
}

// --- archives -----------------------------------------------------------------------------------

enum { MOST = 1 << 13 };

// A good archive of two tensors; its length.
static size_t make_good(const TestFolder *folder, unsigned char bytes[MOST]) {
  static const float values[] = {1, 2, 3, 4, 5, 6};
  const Tensor tensors[] = {
      {.name = "a",
       .dtype_text = "F32",
       .n_dims = 2,
       .dims = {2, 3},
       .data = values,
       .n_bytes = 24},
      {.name = "b", .dtype_text = "F16", .n_dims = 1, .dims = {4}, .data = values, .n_bytes = 8}};
  write_torch(folder, "good.bin", tensors, 2);
  return read_bytes(test_path(folder, "good.bin"), bytes, MOST);
}

// Where these bytes stand first; they must.
static unsigned char *find(unsigned char *bytes, size_t n_bytes, const char *text, size_t n) {
  for (size_t i = 0; i + n <= n_bytes; i++)
    if (memcmp(bytes + i, text, n) == 0)
      return bytes + i;
  exit(99);
}

static void test_truncated(void) {
  TestFolder folder = test_folder_new();
  unsigned char good[MOST];
  const size_t n = make_good(&folder, good);
  int n_opened = 0, n_silent = 0;
  for (size_t i = 1; i < n; i++) {
    JanusError error = {0};
    write_bytes(&folder, "x.bin", good, i);
    TensorSet *set = tensors_open_file(test_path(&folder, "x.bin"), &error);
    n_opened += set != NULL;
    n_silent += !set && error.message[0] == '\0';
    tensors_free(set);
  }
  check(n_opened == 0 && n_silent == 0, "no beginning of an archive of %zu bytes is taken for it",
        n);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "is the file complete?");
  write_text(&folder, "x.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "git lfs pull");
  test_folder_free(&folder);
}

// One place of the good archive changed.
static void test_directory(void) {
  static const struct {
    const char *at; // the first of these bytes
    size_t n_at, offset;
    unsigned char value;
    const char *words;
  } cases[] = {
      {"PK\1\2", 4, 16, 1, "data.pkl: expected checksum"},
      {"PK\1\2", 4, 10, 8, "expected it uncompressed"},
      {"PK\1\2", 4, 8, 9, "found it encrypted"},
      {"PK\1\2", 4, 24, 255, "expected it uncompressed"},
      {"PK\1\2", 4, 44, 255, "lies outside of the file"},
      {"PK\1\2", 4, 42, 1, "expected its own header"},
      {"PK\1\2", 4, 28, 255, "entry"},
      {"PK\1\2", 4, 46, 0, "proper name"},
      {"PK\1\2", 4, 3, 9, "something that is not an entry"},
      {"PK\6\6", 4, 33, 255, "more entries than fit"},
      {"PK\6\6", 4, 54, 255, "lies outside of the file"},
      {"PK\6\7", 4, 12, 255, "zip64 record that is not there"},
      {"archive/data.pklFB", 18, 8, 'D', "expected its own header"},
  };
  TestFolder folder = test_folder_new();
  unsigned char good[MOST], bytes[MOST];
  const size_t n = make_good(&folder, good);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    memcpy(bytes, good, n);
    find(bytes, n, cases[i].at, cases[i].n_at)[cases[i].offset] = cases[i].value;
    write_bytes(&folder, "x.bin", bytes, n);
    check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, cases[i].words);
  }
  test_folder_free(&folder);
}

static void test_entries(void) {
  static const char pickle[] = "\x80\x02}.";
  const ZipItem twice[] = {
      {"a/data.pkl", pickle, 4}, {"a/data/0", "1234", 4}, {"a/data/0", "1234", 4}};
  const ZipItem packed[] = {{"a/data.pkl", pickle, 4}, {"a/data/0", "1234", 4, .method = 8}};
  const ZipItem big[] = {{"a/byteorder", "big", 3}, {"a/data.pkl", pickle, 4}};
  const ZipItem none[] = {{"a/data/0", "1234", 4}};
  TestFolder folder = test_folder_new();
  write_zip(&folder, "x.bin", twice, 3);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "a/data/0: is there twice");
  write_zip(&folder, "x.bin", packed, 2);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "a/data/0: expected it unc");
  write_zip(&folder, "x.bin", big, 2);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_UNSUPPORTED, "little-endian");
  write_zip(&folder, "x.bin", none, 1);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "an entry data.pkl");
  write_zip(&folder, "x.bin", none, 0);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "an entry data.pkl");
  test_folder_free(&folder);
}

// The storage of b moved onto that of a: both headers of the directory name one place.
static void test_overlap(void) {
  TestFolder folder = test_folder_new();
  unsigned char bytes[MOST];
  const size_t n = make_good(&folder, bytes);
  unsigned char *directory = find(bytes, n, "PK\1\2", 4);
  const size_t n_left = n - (size_t)(directory - bytes);
  unsigned char *a = find(directory, n_left, "archive/data/0", 14) - 46;
  unsigned char *b = find(directory, n_left, "archive/data/1", 14) - 46;
  memcpy(b + 42, a + 42, 4);
  b[46 + 13] = '0';
  write_bytes(&folder, "x.bin", bytes, n);
  check_file_refused(test_path(&folder, "x.bin"), JANUS_ERROR_FORMAT, "overlaps with another");
  test_folder_free(&folder);
}

// --- pickles ------------------------------------------------------------------------------------

// A tensor "t" of a storage of n_stored floats in an entry of 16 bytes.
#define STORAGE(type, n_stored)                                                                    \
  "((X\7\0\0\0storagectorch\n" type "\nX\1\0\0\0"                                                  \
  "0X\3\0\0\0cpu" n_stored "tQ"
#define TENSOR(storage, rest)                                                                      \
  "\x80\2}X\1\0\0\0tctorch._utils\n_rebuild_tensor_v2\n" storage rest "\x89"                       \
  "ccollections\nOrderedDict\n)RtRs."
#define PICKLE(text) text, sizeof text - 1

static void check_pickle(const TestFolder *folder, const char *pickle, size_t n_bytes,
                         const char *words) {
  const ZipItem items[] = {{"x/data.pkl", pickle, n_bytes}, {"x/data/0", "0123456789abcdef", 16}};
  write_zip(folder, "x.bin", items, 2);
  JanusError error = {0};
  TensorSet *set = tensors_open_file(test_path(folder, "x.bin"), &error);
  if (words)
    check(!set && strstr(error.message, words) && strstr(error.message, "x.bin: ") &&
              !strchr(error.message, '\n'),
          "refused: %s", error.message);
  else
    check(set && tensors_count(set) == 1, "opens%s", error.message);
  tensors_free(set);
}

static void test_tensors(const TestFolder *folder) {
  static const struct {
    const char *pickle;
    size_t n_bytes;
    const char *words;
  } cases[] = {
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\2K\2\x86K\2K\1\x86")), NULL},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\5"), "K\0K\4\x85K\1\x85")),
       "expected 5 values of F32 in data/0, found 16 bytes"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "\x8a\x08\0\0\0\0\0\0\0\x40"), "K\0K\4\x85K\1\x85")),
       "found 16 bytes"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "J\xff\xff\xff\xff"), "K\0K\4\x85K\1\x85")),
       "a storage that is not one of tensors"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\5\x85K\1\x85")),
       "expected shape [5] from value 0 on inside its 4 values"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\1K\4\x85K\1\x85")), "from value 1 on"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "J\xff\xff\xff\x7fK\1\x85K\1\x85")),
       "from value 2147483647 on"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "J\xff\xff\xff\xffK\1\x85K\1\x85")),
       "a tensor without values"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\2K\2\x86K\1K\2\x86")),
       "found strides [1, 2]"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\2K\2\x86K\0K\1\x86")),
       "found strides [0, 1]"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"),
                     "K\0\x8a\x08\0\0\0\0\0\0\0\x40\x8a\x08\0\0\0\0\0\0\0\x40\x86K\1K\1\x86")),
       "more elements than memory has bytes"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\2K\2\x86K\1\x85")),
       "a shape and strides"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0K\2K\2\x86NN")), "a shape and strides"},
      {PICKLE(TENSOR(STORAGE("FloatStorage", "K\4"), "K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t(t")),
       "at most 8 sizes"},
      {PICKLE(TENSOR(STORAGE("ComplexFloatStorage", "K\2"), "K\0K\4\x85K\1\x85")),
       "torch.ComplexFloatStorage"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_pickle(folder, cases[i].pickle, cases[i].n_bytes, cases[i].words);
}

static void test_programs(const TestFolder *folder) {
  static const struct {
    const char *pickle;
    size_t n_bytes;
    const char *words;
  } cases[] = {
      {PICKLE("\x80\2cposix\nsystem\nX\2\0\0\0ls\x85R."),
       "found posix.system, which is refused: nothing in a checkpoint is run"},
      {PICKLE("\x80\2c__builtin__\neval\nX\1\0\0\0"
              "1\x85R."),
       "__builtin__.eval"},
      {PICKLE("\x80\2ctorch._utils._rebuild_tensor_v2\n\n)R."), "is refused"},
      {PICKLE("\x80\2ccollections\nOrderedDict\nK\1\x85R."), "a call that makes no tensor"},
      {PICKLE("\x80\2ctorch\nFloatStorage\n)R."), "a call that makes no tensor"},
      {PICKLE("\x80\2ctorch._utils\n_rebuild_tensor_v2\n)R."), "a tensor without values"},
      {PICKLE("\x80\2cno newline"), "a name of code that does not end"},
      {PICKLE("\x80\2)Q."), "a storage that is not one of tensors"},
      {PICKLE("\x80\2K\1Q."), "another value than it needs"},
      {PICKLE("\x80\4}."), "a pickle that is not of protocol 2"},
      {PICKLE("\x80\2\x8c\1a."), "found operation 0x8c"},
      {PICKLE("\x80\2iposix\nsystem\n."), "found operation 0x69"},
      {PICKLE("\x80\2oposix."), "found operation 0x6f"},
      {PICKLE("\x80\2\x81."), "found operation 0x81"},
      {PICKLE("\x80\2\x93."), "found operation 0x93"},
      {PICKLE("\x80\2K\1."), "something that is not one dictionary"},
      {PICKLE("\x80\2}}."), "something that is not one dictionary"},
      {PICKLE("\x80\2."), "something that is not one dictionary"},
      {PICKLE("\x80\2}"), "it broken off"},
      {PICKLE("\x80\2}X\xff\xff\xff\xff"
              "a."),
       "it broken off"},
      {PICKLE("\x80\2}X\1\0\0\0aK\1s."), "found something else under a"},
      {PICKLE("\x80\2}K\1K\1s."), "whose name is not a text"},
      {PICKLE("\x80\2K\1K\1s."), "items without a dictionary"},
      {PICKLE("\x80\2}(K\1u."), "items without a dictionary"},
      {PICKLE("\x80\2u."), "items without a dictionary"},
      {PICKLE("\x80\2t."), "a tuple without a beginning"},
      {PICKLE("\x80\2K\1\x86."), "a tuple without a beginning"},
      {PICKLE("\x80\2((\x86."), "a tuple without a beginning"},
      {PICKLE("\x80\2h\1."), "was not kept"},
      {PICKLE("\x80\2}q\1."), "a number that is not the next"},
      {PICKLE("\x80\2q\0."), "a number that is not the next"},
      {PICKLE("\x80\2\x8a\x09"
              "123456789."),
       "more than 8 bytes"},
      {PICKLE("\x80\2K\1}b."), "attached to what is not a dictionary"},
      {PICKLE(""), "it broken off"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    check_pickle(folder, cases[i].pickle, cases[i].n_bytes, cases[i].words);
}

// A hundred thousand marks; tuples in tuples, which is no depth here; a list of many numbers.
static void test_deep(const TestFolder *folder) {
  enum { N = 100000 };
  static char pickle[N + 8];
  memcpy(pickle, "\x80\2", 2);
  memset(pickle + 2, '(', N);
  check_pickle(folder, pickle, N + 2, "deeper nesting, than one needs");
  pickle[2] = ')';
  memset(pickle + 3, '\x85', N);
  pickle[N + 3] = '.';
  check_pickle(folder, pickle, N + 4, "something that is not one dictionary");
  memset(pickle + 2, ')', N);
  check_pickle(folder, pickle, N + 2, "deeper nesting, than one needs");
}

// Bytes of a good archive changed by chance: refused with a message, or read; no crash.
static void test_damage(uint64_t seed) {
  TestFolder folder = test_folder_new();
  unsigned char good[MOST], bytes[MOST];
  const size_t n = make_good(&folder, good);
  int n_silent = 0;
  printf("# seed %llu\n", (unsigned long long)seed);
  for (int round = 0; round < 2000; round++) {
    memcpy(bytes, good, n);
    for (int i = 0; i < 2; i++)
      bytes[next_random(&seed) % n] = (unsigned char)next_random(&seed);
    write_bytes(&folder, "x.bin", bytes, n);
    JanusError error = {0};
    TensorSet *set = tensors_open_file(test_path(&folder, "x.bin"), &error);
    n_silent += !set && error.message[0] == '\0';
    tensors_free(set);
  }
  check(n_silent == 0, "2000 damaged archives are refused with a message or read");
  test_folder_free(&folder);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_kinds("kinds.bin");
  test_kinds("plain.bin");
  test_module();
  test_refused();
  test_truncated();
  test_directory();
  test_entries();
  test_overlap();
  TestFolder folder = test_folder_new();
  test_tensors(&folder);
  test_programs(&folder);
  test_deep(&folder);
  test_folder_free(&folder);
  test_damage(20261123);
  return finish();
}
