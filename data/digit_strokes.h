// The outlines of the synthetic digits: for each digit a few ways to write it, as strokes through hand-placed
// points.
#pragma once

#include <span>

namespace convoy {

struct StrokePoint {
  float x, y;  // x to the right, about [-0.6, 0.6]; y downwards, [-1, 1]
};

struct Stroke {
  bool curved;                          // a smooth curve through the points; else straight lines between them
  std::span<const StrokePoint> points;  // 2 to kMaxStrokePoints
};
constexpr int kMaxStrokePoints = 12;

// The strokes of one way to write a digit.
using Glyph = std::span<const Stroke>;

// The ways to write `digit`, in [0, 9]; at least one.
std::span<const Glyph> digit_glyphs(int digit);

}  // namespace convoy
