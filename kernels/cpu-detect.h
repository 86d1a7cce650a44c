// SPDX-License-Identifier: MIT
// Inside the CPU backend: facts of the machine beside those in kernels.h.
#ifndef JK_CPU_DETECT_H
#define JK_CPU_DETECT_H

#include "kernels/kernels.h"

// Cores this process may run on, at least 1.
int jk_cpu_n_cores(void);

// Products of bf16 pairs and of bytes, beside AVX-512.
bool jk_cpu_has_avx512_bf16(void);
bool jk_cpu_has_avx512_vnni(void);

#endif
