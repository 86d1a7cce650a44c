// SPDX-License-Identifier: MIT
// What a compiler of the module must be able to do: kernels/cuda/meson.build tries it.
__global__ void probe_kernel(float *values) {
  values[threadIdx.x] = 1;
}
