// SPDX-License-Identifier: MIT
// What the CUDA backend decides on the host: every weight has one place in the packed order and the
// packed order is what the matrix instruction reads; launches fit every card, and cover everything
// once; for the shapes of Janus-Pro 1B and 7B, of the demo model and for odd ones.
#include "tests/kernels/check.h"

#include "kernels/cuda/fp8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Outputs and columns: layers, heads, aligners, SigLIP, convolutions as nine taps of channels.
static const int shapes[][2] = {
    {4096, 4096}, {11008, 4096}, {4096, 11008}, {16384, 4096}, {4096, 8},    {102400, 4096},
    {2048, 2048}, {5632, 2048},  {2048, 5632},  {16384, 2048}, {1024, 1024}, {4096, 1024},
    {1024, 4096}, {1024, 768},   {256, 256},    {704, 256},    {256, 704},   {2048, 256},
    {640, 256},   {512, 4608},   {128, 1152},   {3, 1152},     {128, 144},   {256, 8},
    {8, 256},     {1, 1},        {7, 17},       {17, 7},       {100, 1000},  {33, 65}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

typedef enum Kind { PLACE_BF16, PLACE_Q8, PLACE_Q4, PLACE_FP8, PLACE_SCALES } Kind;

static const char *const kind_text[] = {"bf16", "q8", "q4", "fp8", "scales"};

// Place of a weight in the units that `kind` counts, Q4 in halves of bytes.
static size_t place(Kind kind, int n_in, int out, int col) {
  int half = 0;
  switch (kind) {
  case PLACE_BF16:
    return jk_bf16_place(n_in, out, col);
  case PLACE_Q8:
    return jk_q8_place(n_in, out, col);
  case PLACE_Q4:
    return jk_q4_place(n_in, out, col, &half) * 2 + (size_t)half;
  case PLACE_FP8:
    return jk_fp8_place(n_in, out, col);
  case PLACE_SCALES:
    break;
  }
  return jk_quant_scale_place(n_in, out, col * JK_QUANT_GROUP);
}

static size_t room(Kind kind, int n_out, int n_in) {
  switch (kind) {
  case PLACE_BF16:
    return jk_device_packed_bytes(JK_FORMAT_BF16, n_out, n_in) / 2;
  case PLACE_Q8:
    return jk_device_scales_at(JK_FORMAT_Q8, n_out, n_in);
  case PLACE_Q4:
    return jk_device_scales_at(JK_FORMAT_Q4, n_out, n_in) * 2;
  case PLACE_FP8:
    return jk_device_scales_at(JK_FORMAT_FP8, n_out, n_in);
  case PLACE_SCALES:
    break;
  }
  return (jk_device_packed_bytes(JK_FORMAT_Q8, n_out, n_in) -
          jk_device_scales_at(JK_FORMAT_Q8, n_out, n_in)) /
         2;
}

// Whether all weights have places of their own within the packed bytes.
static bool is_one_to_one(Kind kind, int n_out, int n_in) {
  const int n_cols = kind == PLACE_SCALES ? jk_ceil_div(n_in, JK_QUANT_GROUP) : n_in;
  const size_t n_room = room(kind, n_out, n_in);
  unsigned char *taken = calloc(n_room, 1);
  bool ok = taken != NULL;
  for (int out = 0; ok && out < n_out; out++)
    for (int col = 0; ok && col < n_cols; col++) {
      const size_t at = place(kind, n_in, out, col);
      ok = at < n_room && !taken[at];
      if (ok)
        taken[at] = 1;
    }
  free(taken);
  return ok;
}

static void test_places(void) {
  for (Kind kind = PLACE_BF16; kind <= PLACE_SCALES; kind++) {
    bool ok = true;
    for (int i = 0; i < N_SHAPES; i++) { // the widest are the same in every tile of outputs
      const int n_out = shapes[i][0] < 600 ? shapes[i][0] : 48 + shapes[i][0] % 600;
      ok &= is_one_to_one(kind, n_out, shapes[i][1]);
    }
    check(ok, "packed %s: every weight has a place of its own", kind_text[kind]);
  }
}

// A product by the operands' places in the PTX manual, from the packed order alone.
static int tile_product(const uint16_t *packed, const int *x, int out, int n_cols) {
  int sum = 0;
  for (int step = 0; step * JK_TILE_COLS < n_cols; step++)
    for (int word = 0; word < 4; word++)
      for (int t = 0; t < 4; t++)
        for (int i = 0; i < 2; i++) {
          if (word % 2 != out / 8)
            continue;
          const int lane = out % 8 * 4 + t, col = step * JK_TILE_COLS + 2 * t + i + word / 2 * 8;
          sum += packed[step * JK_TILE_VALUES + lane * 8 + word * 2 + i] * x[col];
        }
  return sum;
}

static void test_fragments(void) {
  enum { OUTS = 16, COLS = 48 };
  uint16_t packed[OUTS * COLS];
  int x[COLS];
  bool ok = true;
  for (int col = 0; col < COLS; col++) {
    x[col] = col * 7 % 13;
    for (int out = 0; out < OUTS; out++)
      packed[jk_bf16_place(COLS, out, col)] = (uint16_t)(out * 31 + col * 17 % 29);
  }
  for (int out = 0; out < OUTS; out++) {
    int expected = 0;
    for (int col = 0; col < COLS; col++)
      expected += (out * 31 + col * 17 % 29) * x[col];
    ok &= tile_product(packed, x, out, COLS) == expected;
  }
  check(ok, "packed bf16: a lane's 16 bytes are its operand of m16n8k16");
}

// What a warp makes of a lane's words, by a mask and a shift alone.
static void test_fp8_fragments(void) {
  enum { OUTS = 16, COLS = 64 };
  uint8_t packed[OUTS * COLS];
  uint16_t tiles[OUTS * COLS], expected[OUTS * COLS];
  for (int out = 0; out < OUTS; out++)
    for (int col = 0; col < COLS; col++) {
      const uint8_t code = (uint8_t)(out * 31 + col * 17);
      packed[jk_fp8_place(COLS, out, col)] = code;
      expected[jk_bf16_place(COLS, out, col)] = code;
    }
  for (int i = 0; i < OUTS * COLS; i++) { // lane's word, half of it, and which step and tile
    const int tile = i / 256 % 2, step = i / 512, in_tile = i % 256;
    tiles[i] = packed[step * JK_FP8_STEP_BYTES + in_tile * 2 + 1 - tile];
  }
  check(memcmp(tiles, expected, sizeof tiles) == 0,
        "packed fp8: upper and lower bytes are the operands of two m16n8k16");
}

// The value of a number as the standard writes it.
static double e4m3_value(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude = exponent ? ldexp(8 + mantissa, exponent - 10) : ldexp(mantissa, -9);
  return code & 0x80 ? -magnitude : magnitude;
}

static void test_fp8_numbers(void) {
  bool ok = isnan(jk_e4m3_widen(0x7f)) && isnan(jk_e4m3_widen(0xff)), is_near = true;
  for (int code = 0; code < 256; code++)
    ok &= (code & 0x7f) == 0x7f || ((double)jk_e4m3_widen((uint8_t)code) == e4m3_value(code) &&
                                    jk_e4m3_round((float)e4m3_value(code)) == code);
  check(ok, "fp8: all numbers, there and back");
  for (int code = 0; code < 0x7e; code++) { // between neighbours; in the middle to the even one
    const float low = (float)e4m3_value(code), high = (float)e4m3_value(code + 1);
    const float middle = (low + high) / 2;
    is_near &= jk_e4m3_round(nextafterf(middle, 0)) == code;
    is_near &= jk_e4m3_round(nextafterf(middle, 1000)) == code + 1;
    is_near &= jk_e4m3_round(middle) == code + code % 2;
    is_near &= jk_e4m3_round(-middle) == (0x80 | (code + code % 2));
  }
  check(is_near, "fp8: to the nearest, ties to even");
  check(jk_e4m3_round(1e30f) == 0x7e && jk_e4m3_round(-INFINITY) == 0xfe &&
            jk_e4m3_round(463.9f) == 0x7e && (jk_e4m3_round(NAN) & 0x7f) == 0x7f &&
            jk_e4m3_round(0x1p-11f) == 0,
        "fp8: too large, no number, too small");
  check(jk_fp8_scale(896) == 2 && jk_fp8_scale(0) == 0 && jk_fp8_scale(1e-35f) == 0 &&
            isnan(jk_fp8_scale(INFINITY)) && isnan(jk_fp8_scale(NAN)) && jk_fp8_number(3, 0) == 0 &&
            jk_fp8_number(3, NAN) == 0 && jk_fp8_number(896, 2) == 0x7e,
        "fp8: scales");
}

static void test_splits(void) {
  bool ok = true;
  for (int i = 0; i < N_SHAPES; i++)
    for (jk_format format = JK_FORMAT_BF16; format <= JK_FORMAT_FP8; format++) {
      const jk_split_plan plan = jk_plan_splits(format, shapes[i][1]);
      const int tile = format == JK_FORMAT_BF16  ? JK_TILE_COLS
                       : format == JK_FORMAT_FP8 ? JK_FP8_COLS
                                                 : JK_QUANT_GROUP;
      ok &= plan.n_steps * tile >= shapes[i][1] && (plan.n_steps - 1) * tile < shapes[i][1];
      ok &= plan.per_split * JK_N_SPLITS >= plan.n_steps && plan.per_split >= 1;
    }
  check(ok, "splits: all columns, in eight parts");
}

static bool covers(jk_grid grid, unsigned outs, unsigned rows, int n_out, int n_rows) {
  return jk_grid_fits(grid) && grid.x * outs >= (unsigned)n_out &&
         (grid.x - 1) * outs < (unsigned)n_out && grid.y * rows >= (unsigned)n_rows &&
         (grid.y - 1) * rows < (unsigned)n_rows;
}

static void test_launches(void) {
  static const int rows[] = {1, 2, 8, 48, 49, 64, 65, 576, 1190, 9216, 147456};
  bool ok = true;
  for (int i = 0; i < N_SHAPES; i++)
    for (int j = 0; j < 11; j++) {
      ok &= covers(jk_plan_skinny(shapes[i][0]), JK_TILE_OUTS, 1, shapes[i][0], 1);
      ok &= covers(jk_plan_many(shapes[i][0], jk_plan_many_rows(rows[j])), JK_MANY_OUTS,
                   JK_MANY_ROWS, shapes[i][0], rows[j]);
      ok &= covers(jk_plan_f32(shapes[i][0], rows[j]), JK_BLOCK / JK_WARP, JK_F32_ROWS,
                   shapes[i][0], rows[j]);
    }
  check(ok, "launches: cover every output and row once, and fit every card");
  ok = jk_grid_fits(jk_plan_many(64, jk_plan_many_rows(100000000))) &&
       jk_grid_fits(jk_plan_f32(64, 100000000)) && jk_grid_fits(jk_plan_values((size_t)1 << 40)) &&
       jk_grid_fits(jk_plan_values(1));
  check(ok, "launches: any number of rows and values fits");
  ok = jk_plan_partitions(1) == 1 && jk_plan_partitions(JK_PARTITION_PX + 1) == 2 &&
       jk_plan_head_values(1) == 1 && jk_plan_head_values(64) == 2 &&
       jk_plan_head_values(100) == 4 && jk_plan_head_values(512) == 16 &&
       jk_plan_head_values(513) == 0;
  check(ok, "launches: partitions of pixels, dimensions of a lane");
}

// Pieces that are in use at the same time lie apart, and a ring that wraps says so.
static void test_staging(void) {
  enum { RING = 4096 };
  check_random random = check_seed(61);
  size_t at = 0, last_end = 0;
  bool ok = true;
  int n_wraps = 0;
  for (int i = 0; i < 1000; i++) {
    bool wraps;
    const size_t n = (size_t)check_int(&random, 1, RING);
    const size_t begin = jk_plan_stage(&at, RING, n, &wraps);
    ok &= begin % 256 == 0 && begin + n <= RING && begin >= (wraps ? 0 : last_end);
    last_end = begin + n;
    n_wraps += wraps;
  }
  check(ok && n_wraps > 100, "staging: pieces lie apart until the ring wraps (%d times)", n_wraps);
}

static void test_slices(void) {
  bool ok = true;
  for (size_t n_bytes = 0; n_bytes < 1000; n_bytes++)
    for (int n = 1; n <= 5; n++) {
      ok &= jk_plan_slice(n_bytes, n, 0) == 0 && jk_plan_slice(n_bytes, n, n) == n_bytes;
      for (int i = 1; i <= n; i++) {
        const size_t begin = jk_plan_slice(n_bytes, n, i - 1), end = jk_plan_slice(n_bytes, n, i);
        ok &= begin <= end && (end % 64 == 0 || end == n_bytes) &&
              end - begin <= n_bytes / (size_t)n + 2 * 64;
      }
    }
  check(ok, "slices: whole lines of about the same length, one behind the other");
}

int main(void) {
  test_places();
  test_fragments();
  test_fp8_fragments();
  test_fp8_numbers();
  test_splits();
  test_launches();
  test_staging();
  test_slices();
  return check_done();
}
