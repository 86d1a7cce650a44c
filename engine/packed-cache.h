// SPDX-License-Identifier: MIT
// Inside the engine: a packed copy of a model's weights in a file, which later starts map instead
// of packing again. Anybody may delete it at any time; what is not exactly the file that this
// model, format and device would write is never used.
#ifndef JANUS_PACKED_CACHE_H
#define JANUS_PACKED_CACHE_H

#include "engine/file.h"
#include "engine/tensors.h"

// A section's contents.
typedef struct PackedShape {
  jk_format format;
  int n_out, n_in;
} PackedShape;

typedef struct PackedCache PackedCache;

// Where the copy of `files` (opened from `source`) in these shapes lies or would lie in `folder`,
// which need not be there. `label` is for people who look into it. NULL for want of memory, and
// when the device packs nothing. Reads samples of the files. Neither writes nor maps.
PackedCache *packed_cache_new(const char *folder, const char *source, const char *label,
                              const TensorSet *files, jk_device *device, const PackedShape *shapes,
                              size_t n_shapes);
void packed_cache_free(PackedCache *cache); // NULL is allowed; its sections are no longer in use
const char *packed_cache_get_path(const PackedCache *cache);
size_t packed_cache_get_bytes(const PackedCache *cache); // of the whole file

// Maps the file if it is there and is the one expected: size, header and list of sections byte for
// byte. Quiet when not.
bool packed_cache_open(PackedCache *cache);
bool packed_cache_is_open(const PackedCache *cache);
// Section `index` of an open one, as linear_open() takes it. Borrowed.
const void *packed_cache_section(const PackedCache *cache, size_t index);
// See file_map_check(); true for one that is not open.
bool packed_cache_check(const PackedCache *cache, JanusError *error);

// Writes a copy. The file has no name until it is complete and on the disk, so that nothing is left
// of one that was interrupted.
typedef struct PackedWriter {
  PackedCache *cache; // borrowed
  int fd;             // -1 = cannot be written
  size_t n_written;   // sections
} PackedWriter;

// False where nothing can be written, or where the disk would be left with less than the file's own
// size. packed_writer_end() must follow all the same.
bool packed_writer_begin(PackedWriter *writer, PackedCache *cache);
bool packed_writer_add(PackedWriter *writer, const void *data);
// Puts the file in place of older ones of the same source and format, unless `keep` is false or a
// section is missing.
void packed_writer_end(PackedWriter *writer, bool keep);

#endif
