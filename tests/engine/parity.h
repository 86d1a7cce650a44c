// SPDX-License-Identifier: MIT
// What the engine's tests on the parity checkpoints share: TAP lines, paths, opening a checkpoint.
#ifndef LIMNER_TESTS_PARITY_H
#define LIMNER_TESTS_PARITY_H

#include "engine/engine.h"
#include "kernels/kernels.h"

// Numbers and prints "ok N - ..." or "not ok N - ...". Returns `is_ok`.
bool check(bool is_ok, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Prints the plan; the process's exit status.
int finish(void);

// tests/parity of the source tree: argv[1] of the test, else tests/parity here.
void set_parity_folder(int argc, char **argv);
// FOLDER/tests/parity/... ; static buffers, four calls deep.
const char *parity_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Opens a checkpoint of the parity folder in f32. Ends the test when it cannot.
JanusModel *open_checkpoint(const char *name, jk_isa isa, int n_threads);

// A request with the usual values.
JanusRequest text_request(const char *prompt, int n_samples, uint64_t seed);

// inputs/NAME.ppm for "NAME.png", padded, with memory of its own; ends the test when it cannot.
JanusImage load_picture(const char *name);

// A session that must be granted; ends the test when it is not.
JanusSession *new_session(JanusModel *model, const JanusRequest *request);

// Tokens [n_samples][n_image_tokens] of a run to the end, malloc'd; NULL when it fails.
int32_t *paint(JanusModel *model, const JanusRequest *request);

// Whether the pictures of n_samples are the same; false where either is NULL.
bool same_tokens(const JanusModel *model, const int32_t *a, const int32_t *b, int n_samples);

// A request's tokens with 1, 2 and 3 threads are the same.
void check_threads(const char *checkpoint, const JanusRequest *request);

// Pseudo-random numbers for choosing what to do (never for data that matters).
uint32_t next_random(uint64_t *state);

double now_ms(void);
// Time that this process has computed, all threads together: bounds on it hold on a busy machine.
double cpu_ms(void);

#endif
