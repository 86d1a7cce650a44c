// SPDX-License-Identifier: MIT
// The CUDA module for the emulated card: the very sources, behind the emulation.
#include "tests/gpu/emulated.hh"

#include "kernels/cuda/attention.cu"
#include "kernels/cuda/conv.cu"
#include "kernels/cuda/device.cu"
#include "kernels/cuda/fp8.cu"
#include "kernels/cuda/limits.cu"
#include "kernels/cuda/linear.cu"
#include "kernels/cuda/norms.cu"
#include "kernels/cuda/quant.cu"
#include "kernels/cuda/rows.cu"
#include "kernels/cuda/upload.cu"
