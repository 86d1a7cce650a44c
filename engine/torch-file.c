// SPDX-License-Identifier: MIT
// The files that torch.save() writes of a state dict since PyTorch 1.6: which entry is what, and
// whether the tensors that the pickle describes lie inside their storages.
#include "engine/torch-file.h"

#include "engine/error.h"
#include "engine/pickle.h"
#include "engine/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PICKLE_BYTES = 1 << 24, MAX_NAME_BYTES = 512 };

static const char pickle_name[] = "/data.pkl";

// An archive while its tensors are being added.
typedef struct TorchFile {
  const TensorFile *file;
  ZipDirectory zip;
  const char *folder; // that all entries are in; n_folder bytes
  size_t n_folder;
  JanusError *error;
} TorchFile;

// --- entries ------------------------------------------------------------------------------------

// FOLDER/NAME; NULL when there is none.
static const ZipEntry *find_entry(const TorchFile *t, const char *prefix, PickleText name) {
  char path[MAX_NAME_BYTES];
  const size_t n_prefix = strlen(prefix), n = t->n_folder + n_prefix + name.n_bytes;
  if (name.n_bytes >= sizeof path || n >= sizeof path)
    return NULL;
  memcpy(path, t->folder, t->n_folder);
  memcpy(path + t->n_folder, prefix, n_prefix);
  memcpy(path + t->n_folder + n_prefix, name.text, name.n_bytes);
  return zip_find(&t->zip, path, n);
}

// The entry FOLDER/data.pkl names the folder.
static const ZipEntry *find_pickle(TorchFile *t) {
  const size_t n_end = strlen(pickle_name);
  for (size_t i = 0; i < t->zip.n_entries; i++) {
    const ZipEntry *entry = &t->zip.entries[i];
    if (entry->n_name <= n_end || entry->n_name >= MAX_NAME_BYTES ||
        memcmp(entry->name + entry->n_name - n_end, pickle_name, n_end) != 0)
      continue;
    t->folder = entry->name;
    t->n_folder = entry->n_name - n_end;
    return entry;
  }
  janus_fail(t->error, JANUS_ERROR_FORMAT,
             "%s: expected an archive of torch.save() with an entry data.pkl, found none",
             t->file->path);
  return NULL;
}

static bool check_byte_order(const TorchFile *t) {
  const ZipEntry *entry = find_entry(t, "/byteorder", (PickleText){"", 0});
  return !entry || (entry->n_bytes == 6 && memcmp(entry->data, "little", 6) == 0) ||
         janus_fail(t->error, JANUS_ERROR_UNSUPPORTED,
                    "%s: byteorder: expected little-endian values, found others", t->file->path);
}

// A copy, so that what was checked is what is read; malloc'd.
static unsigned char *copy_pickle(const TorchFile *t, const ZipEntry *entry) {
  const char *path = t->file->path;
  if (entry->n_bytes > MAX_PICKLE_BYTES) {
    janus_fail(t->error, JANUS_ERROR_FORMAT,
               "%s: data.pkl: expected a list of tensors of at most %d bytes, found %zu", path,
               MAX_PICKLE_BYTES, entry->n_bytes);
    return NULL;
  }
  unsigned char *copy = malloc(entry->n_bytes ? entry->n_bytes : 1);
  if (!copy) {
    janus_fail(t->error, JANUS_ERROR_MEMORY, "%s: not enough memory", path);
    return NULL;
  }
  memcpy(copy, entry->data, entry->n_bytes);
  const uint32_t crc = zip_crc(copy, entry->n_bytes);
  if (crc == entry->crc)
    return copy;
  janus_fail(t->error, JANUS_ERROR_FORMAT,
             "%s: data.pkl: expected checksum %08x as the directory says, found %08x: the file is "
             "damaged",
             path, (unsigned)entry->crc, (unsigned)crc);
  free(copy);
  return NULL;
}

// --- tensors ------------------------------------------------------------------------------------

static bool fail_tensor(const TorchFile *t, const char *name, const char *what) {
  return janus_fail(t->error, JANUS_ERROR_FORMAT, "%s: tensor %s: %s", t->file->path, name, what);
}

// Whether rows follow each other without gaps; a stride over one value or none says nothing.
static bool is_contiguous(const PickleTensor *described) {
  int64_t step = 1;
  for (int i = described->n_dims; i-- > 0;) {
    if (described->dims[i] == 0)
      return true;
    if (described->dims[i] != 1 && described->strides[i] != step)
      return false;
    step *= described->dims[i];
  }
  return true;
}

static const ZipEntry *find_storage(const TorchFile *t, const PickleTensor *described,
                                    const char *name) {
  char key[QUOTED_TEXT];
  const int64_t stored[] = {described->n_stored};
  size_t n_bytes = 0;
  janus_quoted_text(described->storage.text, described->storage.n_bytes, key);
  const ZipEntry *entry = find_entry(t, "/data/", described->storage);
  if (!entry)
    janus_fail(t->error, JANUS_ERROR_FORMAT,
               "%s: tensor %s: expected its values in an entry data/%s, found none", t->file->path,
               name, key);
  else if (!tensor_count_bytes(stored, 1, described->dtype->n_bytes, &n_bytes) ||
           n_bytes != entry->n_bytes)
    janus_fail(t->error, JANUS_ERROR_FORMAT,
               "%s: tensor %s: expected %lld values of %s in data/%s, found %zu bytes",
               t->file->path, name, (long long)described->n_stored, described->dtype->text, key,
               entry->n_bytes);
  else
    return entry;
  return NULL;
}

// The part of its storage that a tensor takes.
static bool place_tensor(const TorchFile *t, const PickleTensor *described, const char *name,
                         Tensor *tensor) {
  const ZipEntry *entry = find_storage(t, described, name);
  char shape[TENSOR_SHAPE_TEXT], strides[TENSOR_SHAPE_TEXT];
  const size_t element_bytes = described->dtype->n_bytes;
  if (!entry)
    return false;
  if (!tensor_count_bytes(described->dims, described->n_dims, element_bytes, &tensor->n_bytes))
    return fail_tensor(t, name, "the shape has more elements than memory has bytes");
  tensor_shape_text(described->dims, described->n_dims, shape);
  if (described->offset > described->n_stored ||
      tensor->n_bytes > entry->n_bytes - (size_t)described->offset * element_bytes)
    return janus_fail(t->error, JANUS_ERROR_FORMAT,
                      "%s: tensor %s: expected shape %s from value %lld on inside its %lld values",
                      t->file->path, name, shape, (long long)described->offset,
                      (long long)described->n_stored);
  if (!is_contiguous(described))
    return janus_fail(t->error, JANUS_ERROR_UNSUPPORTED,
                      "%s: tensor %s: expected values of shape %s one after the other, found "
                      "strides %s",
                      t->file->path, name, shape,
                      tensor_shape_text(described->strides, described->n_dims, strides));
  tensor->data = entry->data + (size_t)described->offset * element_bytes;
  return true;
}

static bool add_tensor(const TorchFile *t, const PickleTensor *described) {
  char name[MAX_NAME_BYTES], quoted[QUOTED_TEXT];
  const PickleText text = described->name;
  if (text.n_bytes >= sizeof name || memchr(text.text, 0, text.n_bytes))
    return fail_tensor(t, janus_quoted_text(text.text, text.n_bytes, quoted),
                       "expected a name of at most 511 characters");
  memcpy(name, text.text, text.n_bytes);
  name[text.n_bytes] = '\0';
  janus_quoted_text(name, text.n_bytes, quoted);
  const DtypeFact *fact = described->dtype;
  Tensor tensor = {.dtype_text = fact->text,
                   .is_float = fact->is_float,
                   .dtype = fact->dtype,
                   .n_dims = described->n_dims};
  memcpy(tensor.dims, described->dims, sizeof tensor.dims);
  if (!place_tensor(t, described, quoted, &tensor))
    return false;
  tensor.is_aligned = (uintptr_t)tensor.data % fact->n_bytes == 0;
  return tensors_add(t->file, name, &tensor, t->error);
}

static bool add_tensors(const TorchFile *t, const unsigned char *pickle, size_t n_bytes) {
  PickleTensor *tensors = NULL;
  size_t n_tensors = 0;
  bool ok = pickle_read_tensors(pickle, n_bytes, t->file->path, &tensors, &n_tensors, t->error);
  for (size_t i = 0; ok && i < n_tensors; i++)
    ok = add_tensor(t, &tensors[i]);
  free(tensors);
  return ok;
}

bool torch_file_read(const TensorFile *file, JanusError *error) {
  TorchFile t = {.file = file, .error = error};
  if (file->n_bytes >= 2 && file->data[0] == 0x80 && file->data[1] == 2)
    return janus_fail(error, JANUS_ERROR_UNSUPPORTED,
                      "%s: expected a zip archive as torch.save() writes since PyTorch 1.6, found "
                      "the older format: load and save it again with a newer PyTorch",
                      file->path);
  unsigned char *pickle = NULL;
  const ZipEntry *entry =
      zip_read(&t.zip, file->data, file->n_bytes, file->path, error) ? find_pickle(&t) : NULL;
  if (entry && check_byte_order(&t))
    pickle = copy_pickle(&t, entry);
  const bool ok = pickle && add_tensors(&t, pickle, entry->n_bytes);
  free(pickle);
  zip_clear(&t.zip);
  return ok;
}
