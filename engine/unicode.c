// SPDX-License-Identifier: MIT
// UTF-8 and white space.
#include "engine/unicode.h"

#include <stdlib.h>
#include <string.h>

// Length of a sequence by its first byte, and the range of its second (Unicode, table 3-7).
static size_t sequence_length(unsigned char first, unsigned char *low, unsigned char *high) {
  *low = 0x80;
  *high = 0xbf;
  if (first < 0x80)
    return 1;
  if (first >= 0xc2 && first <= 0xdf)
    return 2;
  if (first >= 0xe0 && first <= 0xef) {
    *low = first == 0xe0 ? 0xa0 : 0x80;
    *high = first == 0xed ? 0x9f : 0xbf;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    *low = first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xf4 ? 0x8f : 0xbf;
    return 4;
  }
  return 0;
}

size_t unicode_decode(const char *text, size_t n, uint32_t *c) {
  const unsigned char *bytes = (const unsigned char *)text;
  unsigned char low, high;
  const size_t length = sequence_length(bytes[0], &low, &high);
  static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  uint32_t value = bytes[0] & masks[length];
  *c = 0xfffd;
  if (length == 0)
    return 1;
  for (size_t i = 1; i < length; i++) {
    if (i >= n || bytes[i] < low || bytes[i] > high)
      return i;
    value = value << 6 | (bytes[i] & 0x3f);
    low = 0x80;
    high = 0xbf;
  }
  *c = value;
  return length;
}

bool unicode_is_begun(const char *text, size_t n) {
  unsigned char low, high;
  uint32_t c;
  return unicode_decode(text, n, &c) == n && c == 0xfffd &&
         sequence_length((unsigned char)text[0], &low, &high) > n;
}

size_t unicode_encode(uint32_t c, char out[4]) {
  if (c < 0x80) {
    out[0] = (char)c;
    return 1;
  }
  const size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char firsts[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = length - 1; i > 0; i--, c >>= 6)
    out[i] = (char)(0x80 | (c & 0x3f));
  out[0] = (char)(firsts[length] | c);
  return length;
}

char *unicode_dup_valid(const char *text, size_t n, size_t *n_valid) {
  // One bad byte becomes three.
  char *valid = n < SIZE_MAX / 3 ? malloc(3 * n + 1) : NULL;
  size_t out = 0;
  if (!valid)
    return NULL;
  for (size_t i = 0; i < n;) {
    uint32_t c;
    i += unicode_decode(text + i, n - i, &c);
    out += unicode_encode(c, valid + out);
  }
  valid[out] = '\0';
  *n_valid = out;
  return valid;
}

bool unicode_is_white_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

bool unicode_is_python_space(uint32_t c) {
  return unicode_is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

size_t unicode_previous(const char *text, size_t end) {
  size_t start = end - 1;
  while (start > 0 && ((unsigned char)text[start] & 0xc0) == 0x80)
    start--;
  return start;
}

void unicode_strip(const char **text, size_t *n) {
  uint32_t c;
  while (*n > 0) {
    const size_t length = unicode_decode(*text, *n, &c);
    if (!unicode_is_python_space(c))
      break;
    *text += length;
    *n -= length;
  }
  while (*n > 0) {
    const size_t start = unicode_previous(*text, *n);
    unicode_decode(*text + start, *n - start, &c);
    if (!unicode_is_python_space(c))
      break;
    *n = start;
  }
}
