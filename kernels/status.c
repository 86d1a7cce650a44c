// SPDX-License-Identifier: MIT
// Names and small facts of the kernels layer's types.
#include "kernels/kernels.h"

const char *jk_status_text(jk_status status) {
  switch (status) {
  case JK_OK:
    return "done";
  case JK_NO_MEMORY:
    return "out of memory";
  case JK_NO_DEVICE:
    return "no such device";
  case JK_BAD_REQUEST:
    return "unsupported shape or type";
  case JK_FAULT:
    return "device fault";
  }
  return "unknown status";
}

size_t jk_dtype_size(jk_dtype dtype) {
  return dtype == JK_F32 ? 4 : 2;
}
