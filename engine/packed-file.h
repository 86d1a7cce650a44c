// SPDX-License-Identifier: MIT
// Inside packed copies: what packed-cache.c shares with packed-write.c.
#ifndef JANUS_PACKED_FILE_H
#define JANUS_PACKED_FILE_H

#include "engine/packed-cache.h"

struct PackedCache {
  char *folder, *path;
  size_t n_shared_name;   // characters of the name that copies of one source and format share
  unsigned char *head;    // [n_head] header and list of sections, as they must be
  size_t n_head, n_bytes; // of the file
  size_t n_sections;
  FileMap map;
};

size_t packed_section_offset(const PackedCache *cache, size_t index);
size_t packed_section_bytes(const PackedCache *cache, size_t index);

#endif
