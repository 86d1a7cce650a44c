// SPDX-License-Identifier: MIT
// Inside the engine: the directory of a zip archive whose entries are stored, not compressed.
#ifndef JANUS_ZIP_H
#define JANUS_ZIP_H

#include "engine/engine.h"

// One entry; borrowed from the archive's bytes. The name has no NUL.
typedef struct ZipEntry {
  const char *name;
  size_t n_name;
  const unsigned char *header; // its own, before the data
  const unsigned char *data;
  size_t n_bytes;
  uint32_t crc; // of the data, as the directory says
} ZipEntry;

typedef struct ZipDirectory {
  ZipEntry *entries; // by name
  size_t n_entries;
} ZipDirectory;

// Reads the directory of an archive in memory, zip64 included: every entry lies inside the archive,
// is stored as it is, has a name of its own and shares no byte with another. `path` is for
// messages. Release with zip_clear(), also after a failure.
bool zip_read(ZipDirectory *zip, const unsigned char *data, size_t n_bytes, const char *path,
              JanusError *error);
void zip_clear(ZipDirectory *zip);

// NULL when there is none of this name.
const ZipEntry *zip_find(const ZipDirectory *zip, const char *name, size_t n_name);

// The checksum that zip directories hold, of data in memory.
uint32_t zip_crc(const void *data, size_t n_bytes);

#endif
