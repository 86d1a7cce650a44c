// SPDX-License-Identifier: MIT
// What the tests of the kernels share: TAP lines, seeded numbers, guarded buffers, error bounds.
#ifndef CHECK_H
#define CHECK_H

#include "kernels/kernels.h"

// One TAP point; returns `ok`.
bool check(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Prints the plan; returns the exit status for main().
int check_done(void);

// Numbers from a seed, which is printed.
typedef struct check_random {
  uint64_t state;
} check_random;
check_random check_seed(uint64_t seed);
uint32_t check_bits(check_random *random);
int check_int(check_random *random, int low, int high);                 // low .. high
double check_uniform(check_random *random);                             // 0 .. 1
float check_normal(check_random *random);                               // mean 0, deviation 1
void check_fill(check_random *random, float *x, size_t n, float scale); // one in 61 is 30 x larger

// A buffer of floats between sentinels, all of it poisoned with NaN. `shift` floats move its start
// off the alignment.
typedef struct check_buffer {
  float *x;
  size_t n;
  float *base;
  size_t n_base;
} check_buffer;
check_buffer check_buffer_new(size_t n, size_t shift);
void check_buffer_poison(check_buffer *buffer);
bool check_buffer_intact(const check_buffer *buffer); // both sentinels as they were
void check_buffer_free(check_buffer *buffer);

// A random weight of any storage type and its values in f64. Not aligned beyond its element.
typedef struct check_weight {
  jk_weight view;
  double *values;
  void *memory;
} check_weight;
check_weight check_weight_new(check_random *random, jk_dtype dtype, int n_rows, int n_cols,
                              float scale);
void check_weight_free(check_weight *weight);

const char *check_dtype_text(jk_dtype dtype);

// The largest error seen of a series, in units of the scale given with each.
typedef struct check_worst {
  double error;
} check_worst;
void check_note(check_worst *worst, double actual, double expected, double scale);

// A TAP point: the worst error is below the bound. Prints both.
bool check_bound(const check_worst *worst, double bound, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Opens a CPU of exactly this instruction set, or ends the test.
jk_device *check_open(int n_threads, jk_isa isa);

bool check_same(const float *a, const float *b, size_t n); // bitwise

#endif
