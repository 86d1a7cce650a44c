// SPDX-License-Identifier: MIT
// Files for the engine's tests: temporary folders, JSON, the real tokenizer where it is at hand.
#ifndef LIMNER_TESTS_DATA_H
#define LIMNER_TESTS_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

// A folder of this process's own, gone with test_folder_free().
typedef struct TestFolder {
  char path[256];
} TestFolder;

TestFolder test_folder_new(void);
void test_folder_free(TestFolder *folder);

// FOLDER/NAME; static buffers, four calls deep.
const char *test_path(const TestFolder *folder, const char *name);

void write_bytes(const TestFolder *folder, const char *name, const void *data, size_t n_bytes);
void write_text(const TestFolder *folder, const char *name, const char *text);
void write_json(const TestFolder *folder, const char *name, const json_t *value);
void copy_file(const TestFolder *folder, const char *name, const char *from);
void remove_file(const TestFolder *folder, const char *name);
// At most `capacity` bytes of a file; their number.
size_t read_bytes(const char *path, unsigned char *data, size_t capacity);
int count_files(const TestFolder *folder);

// NULL when absent; release with json_decref().
json_t *load_json(const char *path);

// `text` with the first `old` replaced, malloc'd. Ends the test when there is none.
char *replace_text(const char *text, const char *old, const char *new);

// In $LIMNER_TEST_DATA, else ../shared beside the source tree; static buffer.
const char *real_tokenizer_path(const char *name);

// A passed check that says why it was left out.
void skip(const char *why);

#endif
