// SPDX-License-Identifier: MIT
// The directory of a zip archive (PKWARE's APPNOTE 6.3, zip64 included) whose entries are stored.
// It is read from its end: the end record, the zip64 record that may stand before it, the
// directory's headers, and behind each of them the entry's own header and data.
#include "engine/zip.h"

#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

enum {
  END_BYTES = 22,
  LOCATOR_BYTES = 20,
  END64_BYTES = 56,
  HEADER_BYTES = 46,
  LOCAL_BYTES = 30,
  MAX_COMMENT_BYTES = 65535,
  MAX_ENTRIES = 1 << 18,
  MAX_NAME_BYTES = 1024,
};

typedef struct Archive {
  const unsigned char *data;
  size_t n_bytes;
  const char *path;
  size_t directory_at, directory_bytes;
  size_t n_stated; // entries that the directory is said to have
  JanusError *error;
} Archive;

static bool fail(const Archive *a, const char *what) {
  return janus_fail(a->error, JANUS_ERROR_FORMAT, "%s: the zip directory %s", a->path, what);
}

static bool fail_entry(const Archive *a, const ZipEntry *entry, const char *what) {
  char name[QUOTED_TEXT];
  return janus_fail(a->error, JANUS_ERROR_FORMAT, "%s: entry %s: %s", a->path,
                    janus_quoted_text(entry->name, entry->n_name, name), what);
}

static uint64_t number(const unsigned char *at, int n_bytes) {
  uint64_t value = 0;
  for (int i = 0; i < n_bytes; i++)
    value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static bool has_mark(const unsigned char *at, unsigned third, unsigned fourth) {
  return at[0] == 'P' && at[1] == 'K' && at[2] == third && at[3] == fourth;
}

// --- the end ------------------------------------------------------------------------------------

// Where the end record begins; n_bytes when there is none.
static size_t find_end(const Archive *a) {
  if (a->n_bytes < END_BYTES)
    return a->n_bytes;
  const size_t last = a->n_bytes - END_BYTES;
  const size_t first = last > MAX_COMMENT_BYTES ? last - MAX_COMMENT_BYTES : 0;
  for (size_t at = last + 1; at-- > first;)
    if (has_mark(a->data + at, 5, 6) && number(a->data + at + 20, 2) == last - at)
      return at;
  return a->n_bytes;
}

// The zip64 record that the locator before `end` names, or NULL when there is none.
static bool find_end64(const Archive *a, size_t end, const unsigned char **record) {
  *record = NULL;
  if (end < LOCATOR_BYTES || !has_mark(a->data + end - LOCATOR_BYTES, 6, 7))
    return true;
  const uint64_t at = number(a->data + end - LOCATOR_BYTES + 8, 8);
  if (end < END64_BYTES || at > end - END64_BYTES || !has_mark(a->data + at, 6, 6))
    return fail(a, "names a zip64 record that is not there");
  *record = a->data + at;
  return true;
}

static bool find_directory(Archive *a) {
  const size_t end = find_end(a);
  const unsigned char *record = NULL;
  if (end == a->n_bytes)
    return janus_fail(
        a->error, JANUS_ERROR_FORMAT,
        "%s: expected a zip archive as torch.save() writes, found no directory at the "
        "end of its %zu bytes (is the file complete?)",
        a->path, a->n_bytes);
  if (!find_end64(a, end, &record))
    return false;
  const unsigned char *e = a->data + end;
  const uint64_t n_entries = record ? number(record + 32, 8) : number(e + 10, 2);
  const uint64_t n_bytes = record ? number(record + 40, 8) : number(e + 12, 4);
  const uint64_t at = record ? number(record + 48, 8) : number(e + 16, 4);
  if (at > end || n_bytes > end - at)
    return fail(a, "lies outside of the file (is it complete?)");
  if (n_entries > n_bytes / HEADER_BYTES || n_entries > MAX_ENTRIES)
    return fail(a, "is said to have more entries than fit into it");
  a->n_stated = (size_t)n_entries;
  a->directory_at = (size_t)at;
  a->directory_bytes = (size_t)n_bytes;
  return true;
}

// --- one entry ----------------------------------------------------------------------------------

// A header of the directory.
typedef struct Header {
  const unsigned char *at;
  size_t n_name, n_extra, n_comment;
  uint64_t n_packed, n_bytes, local_at;
} Header;

// The field of zip64 numbers, and its length; NULL when there is none.
static const unsigned char *find_zip64(const Header *h, size_t *n) {
  const unsigned char *at = h->at + HEADER_BYTES + h->n_name, *end = at + h->n_extra;
  while (end - at >= 4) {
    *n = (size_t)number(at + 2, 2);
    if (*n > (size_t)(end - at) - 4)
      return NULL;
    if (number(at, 2) == 1)
      return at + 4;
    at += 4 + *n;
  }
  return NULL;
}

// Numbers that do not fit into 32 bits stand in a field of their own, in this order.
static bool read_zip64(Header *h) {
  uint64_t *const values[] = {&h->n_bytes, &h->n_packed, &h->local_at};
  size_t n = 0, used = 0;
  const unsigned char *field = find_zip64(h, &n);
  for (int i = 0; i < 3; i++) {
    if (*values[i] != UINT32_MAX)
      continue;
    if (!field || n - used < 8)
      return false;
    *values[i] = number(field + used, 8);
    used += 8;
  }
  return true;
}

// The header at `at` of the directory, of which so many bytes are left.
static bool read_header(const Archive *a, size_t at, size_t n_left, Header *h) {
  const unsigned char *p = a->data + at;
  if (n_left < HEADER_BYTES || !has_mark(p, 1, 2))
    return fail(a, "holds something that is not an entry");
  *h = (Header){.at = p,
                .n_name = (size_t)number(p + 28, 2),
                .n_extra = (size_t)number(p + 30, 2),
                .n_comment = (size_t)number(p + 32, 2),
                .n_packed = number(p + 20, 4),
                .n_bytes = number(p + 24, 4),
                .local_at = number(p + 42, 4)};
  if (h->n_name + h->n_extra + h->n_comment > n_left - HEADER_BYTES)
    return fail(a, "breaks off inside an entry");
  if (h->n_name == 0 || h->n_name > MAX_NAME_BYTES || memchr(p + HEADER_BYTES, 0, h->n_name))
    return fail(a, "has an entry without a proper name");
  return true;
}

// The entry's data, behind its own header.
static bool find_data(const Archive *a, const Header *h, ZipEntry *entry) {
  if (a->directory_at < LOCAL_BYTES || h->local_at > a->directory_at - LOCAL_BYTES)
    return fail_entry(a, entry, "lies outside of the file");
  const unsigned char *local = a->data + h->local_at;
  const size_t n_name = (size_t)number(local + 26, 2), n_extra = (size_t)number(local + 28, 2);
  const size_t n_left = a->directory_at - LOCAL_BYTES - (size_t)h->local_at;
  if (!has_mark(local, 3, 4) || n_name != h->n_name || n_name > n_left ||
      memcmp(local + LOCAL_BYTES, entry->name, n_name) != 0)
    return fail_entry(a, entry, "expected its own header where the directory says, found another");
  if (n_extra > n_left - n_name || h->n_bytes > n_left - n_name - n_extra)
    return fail_entry(a, entry, "expected its data inside the file (is it complete?)");
  entry->header = local;
  entry->data = local + LOCAL_BYTES + n_name + n_extra;
  entry->n_bytes = (size_t)h->n_bytes;
  return true;
}

static bool read_entry(const Archive *a, Header *h, ZipEntry *entry) {
  *entry = (ZipEntry){.name = (const char *)h->at + HEADER_BYTES,
                      .n_name = h->n_name,
                      .crc = (uint32_t)number(h->at + 16, 4)};
  if (!read_zip64(h))
    return fail_entry(a, entry, "expected its size and place in a zip64 field, found none");
  if (number(h->at + 10, 2) != 0 || h->n_packed != h->n_bytes)
    return fail_entry(a, entry, "expected it uncompressed as torch.save() writes, found it packed");
  if (number(h->at + 8, 2) & 1)
    return fail_entry(a, entry, "expected it as it is, found it encrypted");
  return find_data(a, h, entry);
}

// --- the directory ------------------------------------------------------------------------------

static int compare_places(const void *a, const void *b) {
  const ZipEntry *x = a, *y = b;
  return x->header < y->header ? -1 : x->header > y->header;
}

static int compare_names(const void *a, const void *b) {
  const ZipEntry *x = a, *y = b;
  const int order = memcmp(x->name, y->name, x->n_name < y->n_name ? x->n_name : y->n_name);
  return order ? order : (x->n_name > y->n_name) - (x->n_name < y->n_name);
}

// Leaves the entries sorted by name.
static bool check_entries(const Archive *a, ZipDirectory *zip) {
  ZipEntry *e = zip->entries;
  if (zip->n_entries > 1)
    qsort(e, zip->n_entries, sizeof *e, compare_places);
  for (size_t i = 1; i < zip->n_entries; i++)
    if (e[i - 1].data + e[i - 1].n_bytes > e[i].header)
      return fail_entry(a, &e[i], "overlaps with another");
  if (zip->n_entries > 1)
    qsort(e, zip->n_entries, sizeof *e, compare_names);
  for (size_t i = 1; i < zip->n_entries; i++)
    if (compare_names(&e[i - 1], &e[i]) == 0)
      return fail_entry(a, &e[i], "is there twice");
  return true;
}

static bool read_entries(const Archive *a, ZipDirectory *zip) {
  size_t at = a->directory_at;
  const size_t end = at + a->directory_bytes;
  Header h;
  for (size_t i = 0; i < a->n_stated; i++) {
    if (!read_header(a, at, end - at, &h) || !read_entry(a, &h, &zip->entries[i]))
      return false;
    at += HEADER_BYTES + h.n_name + h.n_extra + h.n_comment;
    zip->n_entries++;
  }
  return true;
}

bool zip_read(ZipDirectory *zip, const unsigned char *data, size_t n_bytes, const char *path,
              JanusError *error) {
  *zip = (ZipDirectory){0};
  Archive a = {.data = data, .n_bytes = n_bytes, .path = path, .error = error};
  if (!find_directory(&a))
    return false;
  zip->entries = calloc(a.n_stated ? a.n_stated : 1, sizeof *zip->entries);
  if (!zip->entries)
    return janus_fail(error, JANUS_ERROR_MEMORY, "%s: not enough memory", path);
  return read_entries(&a, zip) && check_entries(&a, zip);
}

void zip_clear(ZipDirectory *zip) {
  free(zip->entries);
  *zip = (ZipDirectory){0};
}

const ZipEntry *zip_find(const ZipDirectory *zip, const char *name, size_t n_name) {
  const ZipEntry key = {.name = name, .n_name = n_name};
  if (zip->n_entries == 0)
    return NULL;
  return bsearch(&key, zip->entries, zip->n_entries, sizeof key, compare_names);
}

uint32_t zip_crc(const void *data, size_t n_bytes) {
  const unsigned char *bytes = data;
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < n_bytes; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}
