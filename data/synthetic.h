// Synthetic digits: 28 x 28 grey images of 0 to 9, drawn by code. Strokes of a few hand-made outlines are
// bent by a random affine map, drawn with random width and brightness over distracting scribbles, and covered
// with noise. Image `index` is a pure function of (seed, index): the same on every machine.
#pragma once

#include "data/dataset.h"

namespace convoy {

constexpr int64_t kSyntheticSide = 28;

// image [28,28] = digit `index` of the endless sequence that `seed` names; returns its label.
int draw_synthetic_digit(uint64_t seed, uint32_t index, uint8_t* image);

// 40,000 training and 8,000 test digits of the request's seed. Those that its holdout and limit cut off are not drawn:
// their pixels and labels are anything.
DatasetSplits draw_synthetic(const DatasetRequest& request);

}  // namespace convoy
