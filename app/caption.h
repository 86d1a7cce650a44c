// SPDX-License-Identifier: MIT
// Inside the app: words as pixels, for what stands under a picture of a strip.
#ifndef LIMNER_CAPTION_H
#define LIMNER_CAPTION_H

#include "app/picture.h"

// A caption has as many lines as its words need at this width, and three at most.
int limner_caption_count_lines(const char *words, int width_px);
// The height of a caption of so many lines.
int limner_caption_get_height(int width_px, int n_lines);
// The words, dark on white, in the middle; the last line ends in an ellipsis when there are more.
// Owned. Any thread; reads fonts.
LimnerPicture *limner_caption_new(const char *words, int width_px, int n_lines);

#endif
