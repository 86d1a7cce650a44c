// SPDX-License-Identifier: MIT
// Between the program and the CUDA module, a shared library that is opened where there is one.
#ifndef JK_CUDA_MODULE_H
#define JK_CUDA_MODULE_H

#include "kernels/kernels.h"

// Why a card cannot be had: a part of a sentence.
typedef struct jk_cuda_reason {
  char text[160];
} jk_cuda_reason;

#define JK_CUDA_MODULE_OPEN "jk_cuda_module_open"

// The module's functions. `table_bytes` is sizeof(jk_device) of who asks, so that a module of
// another version is refused.
typedef jk_status (*jk_cuda_module_open_fn)(size_t table_bytes, int index, jk_device **out,
                                            jk_cuda_reason *reason);

#define JK_CUDA_MODULE_DESCRIBE "jk_cuda_module_describe"

// As jk_cuda_describe() says.
typedef jk_status (*jk_cuda_module_describe_fn)(size_t table_bytes, int index, jk_card *card,
                                                jk_cuda_reason *reason);

#endif
