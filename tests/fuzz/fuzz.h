// SPDX-License-Identifier: MIT
// What the fuzz targets share: the function that each defines, and files of its own for it.
#ifndef LIMNER_TESTS_FUZZ_H
#define LIMNER_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

// libFuzzer's: takes any bytes, returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

// A folder of this process's own, made on the first call and removed at exit. Static text.
const char *fuzz_folder(void);
// FOLDER/NAME; static buffers, four calls deep.
const char *fuzz_path(const char *name);
// Writes FOLDER/NAME.
void fuzz_write(const char *name, const void *data, size_t n_bytes);

#endif
