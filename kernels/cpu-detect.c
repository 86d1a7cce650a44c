// SPDX-License-Identifier: MIT
// What the processor can do and how many of its cores this process may use.
#include "kernels/cpu-detect.h"

#include <sched.h>
#include <unistd.h>

const char *jk_isa_text(jk_isa isa) {
  switch (isa) {
  case JK_ISA_GENERIC:
    return "generic";
  case JK_ISA_AVX2:
    return "AVX2";
  case JK_ISA_AVX512:
    return "AVX-512";
  }
  return "unknown";
}

jk_isa jk_cpu_best_isa(void) {
#ifdef JK_HAVE_X86
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("f16c");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return JK_ISA_AVX512;
  if (avx2)
    return JK_ISA_AVX2;
#endif
  return JK_ISA_GENERIC;
}

bool jk_cpu_has_avx512_bf16(void) {
#ifdef JK_HAVE_X86
  return jk_cpu_best_isa() == JK_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

bool jk_cpu_has_avx512_vnni(void) {
#ifdef JK_HAVE_X86
  return jk_cpu_best_isa() == JK_ISA_AVX512 && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

int jk_cpu_n_cores(void) {
  cpu_set_t set;
  int n = 0;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    n = CPU_COUNT(&set);
  if (n < 1)
    n = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n;
}
