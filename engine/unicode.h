// SPDX-License-Identifier: MIT
// Inside the engine: UTF-8 and the two notions of white space that the reference uses.
#ifndef JANUS_UNICODE_H
#define JANUS_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Decodes the character at text[0..n), n > 0. Returns the bytes it takes; for a sequence that is
// not UTF-8, *c is U+FFFD and the bytes are its longest correct beginning (at least one), as
// Unicode recommends and Python and Rust do.
size_t unicode_decode(const char *text, size_t n, uint32_t *c);

// Whether text[0..n), n > 0, is the beginning of a character that is not all there.
bool unicode_is_begun(const char *text, size_t n);

// Writes c (at most U+10FFFF) and returns its 1 to 4 bytes.
size_t unicode_encode(uint32_t c, char out[4]);

// `text` with U+FFFD in place of what is not UTF-8; malloc'd, NULL for want of memory.
char *unicode_dup_valid(const char *text, size_t n, size_t *n_valid);

bool unicode_is_white_space(uint32_t c);  // the property White_Space
bool unicode_is_python_space(uint32_t c); // str.isspace(): those and U+001C to U+001F

// Start of the character that ends before text[end], end > 0. `text` is valid UTF-8.
size_t unicode_previous(const char *text, size_t end);

// str.strip() of Python on valid UTF-8: moves *text and *n.
void unicode_strip(const char **text, size_t *n);

#endif
