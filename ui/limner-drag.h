// SPDX-License-Identifier: MIT
// Our pictures on their way to the clipboard and out by a drag: as PNG files with their recipe for
// other programs, and as they are for this one.
#ifndef LIMNER_DRAG_H
#define LIMNER_DRAG_H

#include "ui/limner-canvas.h"

// The sample's picture as an input to change, named as a person calls it ("Sample 2, seed 712").
// The sample must have a picture. Owned.
LimnerInput *limner_input_new_from_sample(LimnerSample *sample);

// Offers "image/png" (encoded off the window's thread when asked for), GdkTexture and LimnerInput.
// Owned.
GdkContentProvider *limner_content_provider_new(LimnerInput *input);

// Lets the finished sample of this canvas be dragged out.
void limner_canvas_make_draggable(LimnerCanvas *canvas);

#endif
