// SPDX-License-Identifier: MIT
// Functions of vectors: exp, silu, gelu.
#ifndef JK_SIMD_MATH_H
#define JK_SIMD_MATH_H

#include "kernels/simd-select.h"

// e^x within 1 ulp: x = n ln 2 + f, a polynomial of degree 6 in f, times 2^n. The limits lie where
// the result is 0 or infinite.
static inline vf vf_exp(vf x) {
  x = vf_min(vf_set(89.0f), vf_max(vf_set(-104.0f), x));
  vf n = vf_round(vf_mul(x, vf_set(1.44269504f)));
  vf f = vf_fma(n, vf_set(-6.93145752e-1f), x);
  f = vf_fma(n, vf_set(-1.42860677e-6f), f);
  vf p = vf_fma(vf_set(1.37805939e-3f), f, vf_set(8.37312452e-3f));
  p = vf_fma(p, f, vf_set(4.16695364e-2f));
  p = vf_fma(p, f, vf_set(1.66664720e-1f));
  p = vf_fma(p, f, vf_set(4.99999851e-1f));
  p = vf_fma(p, f, vf_set(1.0f));
  p = vf_fma(p, f, vf_set(1.0f));
  return vf_scale(p, n);
}

static inline vf vf_silu(vf x) {
  vf one = vf_set(1.0f);
  return vf_div(x, vf_add(one, vf_exp(vf_sub(vf_zero(), x))));
}

// erf for small |x|: an odd polynomial. For others 1 - exp of a polynomial. Within 1 ulp.
static inline vf vf_erf(vf x) {
  vf t = vf_abs(x), s = vf_mul(x, x);
  vf r = vf_fma(vf_set(-1.72853470e-5f), t, vf_set(3.83197126e-4f));
  vf u = vf_fma(vf_set(-3.88396438e-3f), t, vf_set(2.42546219e-2f));
  r = vf_fma(r, s, u);
  r = vf_fma(r, t, vf_set(-1.06777877e-1f));
  r = vf_fma(r, t, vf_set(-6.34846687e-1f));
  r = vf_fma(r, t, vf_set(-1.28717512e-1f));
  r = vf_fma(r, t, vf_sub(vf_zero(), t));
  vf large = vf_copy_sign(vf_sub(vf_set(1.0f), vf_exp(r)), x);
  vf q = vf_fma(vf_set(-5.96761703e-4f), s, vf_set(4.99119423e-3f));
  q = vf_fma(q, s, vf_set(-2.67681349e-2f));
  q = vf_fma(q, s, vf_set(1.12819925e-1f));
  q = vf_fma(q, s, vf_set(-3.76125336e-1f));
  q = vf_fma(q, s, vf_set(1.28379166e-1f));
  vf small = vf_fma(q, x, x);
  return vf_select_greater(t, vf_set(0.927734375f), large, small);
}

// Beyond 10 erf is 1 to the last bit; the limit keeps its polynomial finite.
static inline vf vf_gelu(vf x) {
  vf t = vf_mul(x, vf_set(0.70710678118654752f));
  t = vf_min(vf_set(10.0f), vf_max(vf_set(-10.0f), t));
  return vf_mul(vf_mul(vf_set(0.5f), x), vf_add(vf_set(1.0f), vf_erf(t)));
}

#endif
