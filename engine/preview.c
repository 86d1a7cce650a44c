// SPDX-License-Identifier: MIT
// The mean colour of each picture token, and a cheap picture made of them.
#include "engine/preview.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  MAX_FEATURES = 128,
  FIT_BLOCK = 2,       // cells per side that a code fills in the picture of the fit
  FIXED_ONE = 1 << 16, // colours are painted in 16.16 fixed point
};

// What the fit counts for against one cell seen in a real picture.
static const float FIT_WEIGHT = 0.25f;

struct PreviewTable {
  pthread_mutex_t lock;
  int grid, patch_px, n_codes;
  bool is_ready;
  float (*colours)[3]; // [n_codes], 0..255
  float *n_seen;       // [n_codes] cells behind each colour
  int32_t (*cells)[3]; // [grid] one row of cells while painting, fixed point
};

PreviewTable *preview_table_new(const JanusModel *model) {
  const JanusConfig *config = &model->config;
  PreviewTable *table = calloc(1, sizeof *table);
  if (!table)
    return NULL;
  table->grid = config->grid;
  table->patch_px = config->image_size_px / config->grid;
  table->n_codes = config->n_codes;
  table->colours = calloc((size_t)config->n_codes, sizeof *table->colours);
  table->n_seen = calloc((size_t)config->n_codes, sizeof *table->n_seen);
  table->cells = calloc((size_t)config->grid, sizeof *table->cells);
  pthread_mutex_init(&table->lock, NULL);
  if (table->colours && table->n_seen && table->cells)
    return table;
  preview_table_free(table);
  return NULL;
}

void preview_table_free(PreviewTable *table) {
  if (!table)
    return;
  pthread_mutex_destroy(&table->lock);
  free(table->colours);
  free(table->n_seen);
  free(table->cells);
  free(table);
}

// --- the fit ------------------------------------------------------------------------------------

// Mean colour of the cell of token `index`, 0..255.
static void cell_mean(const PreviewTable *table, const float *pixels, int index, float mean[3]) {
  const int patch = table->patch_px, row_px = table->grid * patch;
  const int top = index / table->grid * patch, left = index % table->grid * patch;
  float sum[3] = {0};
  for (int y = top; y < top + patch; y++) {
    const float *p = pixels + ((size_t)y * (size_t)row_px + (size_t)left) * 3;
    for (int i = 0; i < patch * 3; i++)
      sum[i % 3] += fminf(fmaxf(p[i], -1.0f), 1.0f);
  }
  for (int c = 0; c < 3; c++)
    mean[c] = (sum[c] / (float)(patch * patch) + 1.0f) * 127.5f;
}

// 1, z, z^2: what a colour is fitted with. Returns their number.
static int features(double *f, const float *code, int code_dim) {
  const int used = code_dim < (MAX_FEATURES - 1) / 2 ? code_dim : (MAX_FEATURES - 1) / 2;
  f[0] = 1;
  for (int i = 0; i < used; i++) {
    f[1 + i] = (double)code[i];
    f[1 + used + i] = (double)code[i] * (double)code[i];
  }
  return 1 + 2 * used;
}

typedef struct Fit {
  int n;
  double a[MAX_FEATURES][MAX_FEATURES]; // normal equations, then their Cholesky factor
  double b[MAX_FEATURES][3];            // right sides, then the coefficients
} Fit;

static void fit_add(Fit *fit, const double *f, const float colour[3]) {
  for (int i = 0; i < fit->n; i++) {
    for (int j = 0; j <= i; j++)
      fit->a[i][j] += f[i] * f[j];
    for (int c = 0; c < 3; c++)
      fit->b[i][c] += f[i] * (double)colour[c];
  }
}

// Cholesky with a small ridge: unit codes make 1 and the sum of squares the same.
static void fit_factor(Fit *fit) {
  for (int i = 0; i < fit->n; i++)
    fit->a[i][i] += 1e-3;
  for (int i = 0; i < fit->n; i++) {
    for (int j = 0; j <= i; j++) {
      double sum = fit->a[i][j];
      for (int k = 0; k < j; k++)
        sum -= fit->a[i][k] * fit->a[j][k];
      fit->a[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / fit->a[j][j];
    }
  }
}

static void fit_solve(Fit *fit) {
  fit_factor(fit);
  for (int c = 0; c < 3; c++) {
    for (int i = 0; i < fit->n; i++) {
      for (int k = 0; k < i; k++)
        fit->b[i][c] -= fit->a[i][k] * fit->b[k][c];
      fit->b[i][c] /= fit->a[i][i];
    }
    for (int i = fit->n - 1; i >= 0; i--) {
      for (int k = i + 1; k < fit->n; k++)
        fit->b[i][c] -= fit->a[k][i] * fit->b[k][c];
      fit->b[i][c] /= fit->a[i][i];
    }
  }
}

static void fit_apply(const Fit *fit, PreviewTable *table, const JanusModel *model) {
  const int code_dim = model->config.code_dim;
  double f[MAX_FEATURES];
  for (int code = 0; code < table->n_codes; code++) {
    features(f, model->vq.codebook + (size_t)code * (size_t)code_dim, code_dim);
    for (int c = 0; c < 3; c++) {
      double value = 0;
      for (int i = 0; i < fit->n; i++)
        value += f[i] * fit->b[i][c];
      table->colours[code][c] = (float)fmin(fmax(value, 0), 255);
    }
    table->n_seen[code] = FIT_WEIGHT;
  }
}

static bool fit_table(PreviewTable *table, const JanusModel *model, const int32_t *tokens,
                      const float *pixels) {
  Fit *fit = calloc(1, sizeof *fit);
  double f[MAX_FEATURES];
  float mean[3];
  if (!fit)
    return false;
  for (int i = 0; i < table->grid * table->grid; i++) {
    const int code_dim = model->config.code_dim;
    fit->n = features(f, model->vq.codebook + (size_t)tokens[i] * (size_t)code_dim, code_dim);
    cell_mean(table, pixels, i, mean);
    fit_add(fit, f, mean);
  }
  fit_solve(fit);
  fit_apply(fit, table, model);
  free(fit);
  return true;
}

static void learn(PreviewTable *table, const int32_t *tokens, const float *pixels) {
  float mean[3];
  for (int i = 0; i < table->grid * table->grid; i++) {
    const float n = ++table->n_seen[tokens[i]];
    cell_mean(table, pixels, i, mean);
    for (int c = 0; c < 3; c++)
      table->colours[tokens[i]][c] += (mean[c] - table->colours[tokens[i]][c]) / n;
  }
}

// Decodes a picture of codes from all over the codebook, in blocks: what lies beside a code in real
// pictures is like it, and random neighbours would colour it.
static bool decode_and_fit(PreviewTable *table, JanusModel *model, VqWorkspace *ws,
                           const atomic_bool *cancel) {
  const int grid = table->grid, n_side = (grid + FIT_BLOCK - 1) / FIT_BLOCK;
  int32_t *tokens = malloc((size_t)(grid * grid) * sizeof *tokens);
  for (int i = 0; tokens && i < grid * grid; i++) {
    const int64_t block = i / grid / FIT_BLOCK * n_side + i % grid / FIT_BLOCK;
    tokens[i] = (int32_t)(block * table->n_codes / (n_side * n_side));
  }
  const bool ok = tokens && vq_decode(ws, model, tokens, cancel, NULL) &&
                  fit_table(table, model, tokens, ws->pixels);
  free(tokens);
  return ok;
}

bool preview_table_prepare(PreviewTable *table, JanusModel *model, VqWorkspace *ws,
                           const atomic_bool *cancel) {
  pthread_mutex_lock(&table->lock);
  if (!table->is_ready)
    table->is_ready = decode_and_fit(table, model, ws, cancel);
  const bool is_ready = table->is_ready;
  pthread_mutex_unlock(&table->lock);
  return is_ready;
}

void preview_table_learn(PreviewTable *table, const int32_t *tokens, const float *pixels) {
  pthread_mutex_lock(&table->lock);
  if (table->is_ready)
    learn(table, tokens, pixels);
  pthread_mutex_unlock(&table->lock);
}

// --- painting -----------------------------------------------------------------------------------

// The cells' colours at pixel row y: between the two nearest of n_rows rows of cells.
static void blend_cells(PreviewTable *table, const int32_t *tokens, int n_rows, int y) {
  const int patch = table->patch_px;
  const float at = fmaxf(((float)y + 0.5f) / (float)patch - 0.5f, 0.0f);
  const int upper = (int)at < n_rows - 1 ? (int)at : n_rows - 1;
  const int lower = upper < n_rows - 1 ? upper + 1 : upper;
  const float weight = at - (float)upper;
  for (int x = 0; x < table->grid; x++) {
    const float *a = table->colours[tokens[upper * table->grid + x]];
    const float *b = table->colours[tokens[lower * table->grid + x]];
    for (int c = 0; c < 3; c++)
      table->cells[x][c] = (int32_t)((a[c] + weight * (b[c] - a[c])) * (float)FIXED_ONE);
  }
}

// n pixels from `left` at offset `first` (in half pixels from its centre) on the way to `right`.
static uint8_t *paint_span(const PreviewTable *table, uint8_t *rgb, const int32_t left[3],
                           const int32_t right[3], int first, int n) {
  int32_t value[3], step[3];
  for (int c = 0; c < 3; c++) {
    step[c] = (right[c] - left[c]) / table->patch_px;
    value[c] = left[c] + step[c] / 2 * first;
  }
  for (int i = 0; i < n; i++, rgb += 3)
    for (int c = 0; c < 3; c++) {
      rgb[c] = (uint8_t)(value[c] >> 16);
      value[c] += step[c];
    }
  return rgb;
}

int preview_table_paint(PreviewTable *table, const int32_t *tokens, int n_tokens, uint8_t *rgb) {
  const int n_rows = n_tokens / table->grid, last = table->grid - 1;
  const int patch = table->patch_px, half = patch / 2;
  pthread_mutex_lock(&table->lock);
  for (int y = 0; y < n_rows * patch; y++) {
    blend_cells(table, tokens, n_rows, y);
    rgb = paint_span(table, rgb, table->cells[0], table->cells[0], 0, half);
    for (int x = 0; x < last; x++)
      rgb = paint_span(table, rgb, table->cells[x], table->cells[x + 1], 1 - patch % 2, patch);
    rgb = paint_span(table, rgb, table->cells[last], table->cells[last], 0, patch - half);
  }
  pthread_mutex_unlock(&table->lock);
  return n_rows;
}
