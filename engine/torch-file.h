// SPDX-License-Identifier: MIT
// Inside the engine: the files that PyTorch's torch.save() writes of a state dict.
#ifndef JANUS_TORCH_FILE_H
#define JANUS_TORCH_FILE_H

#include "engine/tensors.h"

// Adds the tensors of a mapped file: a zip archive whose entry data.pkl is a list of tensors
// (pickle.h) over the entries data/KEY, uncompressed and used where they lie. Nothing in it is
// executed; whatever a state dict of plain tensors does not need is refused.
bool torch_file_read(const TensorFile *file, JanusError *error);

#endif
