// SPDX-License-Identifier: MIT
// Inside the engine: the mean colour of each picture token, learned from the checkpoint's own
// decoder, and a cheap picture made of them. Never part of a result.
#ifndef JANUS_PREVIEW_H
#define JANUS_PREVIEW_H

#include "engine/vq-decoder.h"

// Colours of a model's codes. Has its own lock; may be shared by sessions on several threads.
typedef struct PreviewTable PreviewTable;

// NULL for want of memory.
PreviewTable *preview_table_new(const JanusModel *model);
void preview_table_free(PreviewTable *table); // NULL is allowed

// Makes the table ready: the first time, decodes one picture of many codes in `ws` (as long as any
// decode) and fits a polynomial of the code vector to the cells' mean colours. False when
// cancelled or failed; then it can be tried again. Takes model->lock; the caller must not hold it.
bool preview_table_prepare(PreviewTable *table, JanusModel *model, VqWorkspace *ws,
                           const atomic_bool *cancel);

// Learns from a whole decoded picture: `pixels` [size][size][3] before clipping.
void preview_table_learn(PreviewTable *table, const int32_t *tokens, const float *pixels);

// Paints the complete rows of the first n_tokens tokens into rgb [size][size][3], colours running
// smoothly from cell centre to cell centre. Returns the number of those rows.
int preview_table_paint(PreviewTable *table, const int32_t *tokens, int n_tokens, uint8_t *rgb);

#endif
