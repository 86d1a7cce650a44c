// SPDX-License-Identifier: MIT
// Inside the engine: one table of a folder's tensors, whatever files hold them and whichever of the
// two layouts names them. The files stay mapped read-only.
#ifndef JANUS_TENSORS_H
#define JANUS_TENSORS_H

#include "engine/engine.h"
#include "engine/layout.h"
#include "kernels/kernels.h"

enum { TENSOR_MAX_DIMS = 8 };

// One tensor; everything borrowed from its set.
typedef struct Tensor {
  const char *name;       // as its file has it
  const char *file;       // for messages
  const void *data;       // NULL for a type that is not known
  bool is_aligned;        // `data` is aligned to the element size
  const char *dtype_text; // "BF16", "I64", ...
  bool is_float;          // F32, BF16 or F16: `dtype` holds
  jk_dtype dtype;
  int n_dims;
  int64_t dims[TENSOR_MAX_DIMS];
  size_t n_bytes;
} Tensor;

typedef struct TensorSet TensorSet;

// Opens FOLDER/model.safetensors, or the shards that FOLDER/model.safetensors.index.json names, or
// a single *.safetensors; else the same of pytorch_model.bin. Checks every header against its file.
// NULL and an error on failure.
TensorSet *tensors_open_folder(const char *folder, JanusError *error);
// One file, for tools and tests: *.bin is PyTorch's, all else safetensors.
TensorSet *tensors_open_file(const char *path, JanusError *error);
void tensors_free(TensorSet *set); // NULL is allowed
// Whether the files still are what was opened (file_map_check()). Any thread.
bool tensors_check(const TensorSet *set, JanusError *error);

// A number that other files would not have: their names, sizes and dates, every tensor's place, and
// samples of what is in them. 0 where no file holds the tensors.
uint64_t tensors_identity(const TensorSet *set);

// From now on tensors are asked for by the original's names and found by those of `layout`, which
// the files must have. Newly opened sets have the original's.
void tensors_set_layout(TensorSet *set, JanusLayout layout);
JanusLayout tensors_get_layout(const TensorSet *set);
// What a tensor, or a beginning of names, is called in the files; into `text`, which is returned.
const char *tensors_stored_name(const TensorSet *set, const char *name,
                                char text[LAYOUT_NAME_BYTES]);
bool tensors_are_pytorch(const TensorSet *set); // else safetensors

// NULL when absent. O(log n).
const Tensor *tensors_find(const TensorSet *set, const char *name);
// To be called before a tensor's values are read: makes them where no file holds them.
void tensors_make(const TensorSet *set, const Tensor *tensor);
size_t tensors_count(const TensorSet *set);
const Tensor *tensors_get(const TensorSet *set, size_t index); // by order of the stored names

// "[64, 176]", into `text`, for messages. Returns it.
enum { TENSOR_SHAPE_TEXT = 192 };
const char *tensor_shape_text(const int64_t *dims, int n_dims, char text[TENSOR_SHAPE_TEXT]);

// --- for the readers of file kinds ---------------------------------------------------------------

typedef struct DtypeFact {
  const char *text;
  size_t n_bytes; // of one element
  bool is_float;
  jk_dtype dtype;
} DtypeFact;

// NULL for a type that is not known.
const DtypeFact *dtype_find(const char *text);

// Bytes of a tensor of this shape, every dimension 0 or more; false when they cannot be counted.
bool tensor_count_bytes(const int64_t *dims, int n_dims, size_t element_bytes, size_t *n_bytes);

// A file whose tensors are being added.
typedef struct TensorFile {
  TensorSet *set;
  const char *path;
  const unsigned char *data; // the mapped file
  size_t n_bytes;
} TensorFile;

// Adds a tensor of the file, unless an index places it elsewhere. `name` is copied; name and file
// of `tensor` are not looked at. Fails for want of memory.
bool tensors_add(const TensorFile *file, const char *name, const Tensor *tensor, JanusError *error);

#endif
