// Convolution with 3x3 filters at stride 1 by Winograd's F(4x4, 3x3): 4 x 4 results from 36 products instead of 144.
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A      d a 6 x 6 patch of the image, g a filter, * element by element
//
// Lavin, Gray, "Fast algorithms for convolutional neural networks", 2016. This page has the three transforms; what
// surrounds them is in conv2d_winograd.cpp, when they are taken in winograd_wanted.h, what they cost in digits in docs/convolution.md.
#pragma once

#include <cstdint>

#include "tensor/conv_shape.h"
#include "tensor/cpu/isa.h"
#include "tensor/kernels.h"

namespace convoy::CONVOY_ISA {

// As the rows of the same names in tensor/kernels.h, for 3 x 3 filters at stride 1; of the epilogue without statistics.
void winograd_forward(const Stream& stream, const Conv2dShape& shape, const float* x, const float* w,
                      const Epilogue& epilogue, float* y);
void winograd_backward_input(const Stream& stream, const Conv2dShape& shape, const float* dy, const float* w,
                             bool accumulate, float* dx);
void winograd_backward_weight(const Stream& stream, const Conv2dShape& shape, const float* x, const float* dy,
                              bool accumulate, float* dw);

namespace winograd {

inline constexpr int kTile = 4;   // results of a tile, along each axis
inline constexpr int kPatch = 6;  // what they see of the image
inline constexpr int kPositions = kPatch * kPatch;

// The polynomials behind the transforms are evaluated at 0, a, -a, b, -b and infinity. The textbook's points 1 and 2
// are exact in binary, too, but make the error 2 to 4 times as large; these are oneDNN's.
inline constexpr float a = 0.625f, b = 1.5f, aa = a * a, bb = b * b;

// Each one-dimensional transform takes its input from `in(i)` and gives its result to `out(i, value)`, i from 0.

// At the points a, -a, b and -b: the terms of even powers plus and minus those of odd ones.
template <class Value, class Out>
[[gnu::always_inline]] inline void give_pairs(const Value& even_a, const Value& odd_a, const Value& even_b,
                                              const Value& odd_b, Out&& out) {
  out(1, even_a + odd_a);
  out(2, even_a - odd_a);
  out(3, even_b + odd_b);
  out(4, even_b - odd_b);
}

// B^T, 6 from 6: of the image.
template <class Value, class In, class Out>
[[gnu::always_inline]] inline void transform_image(In&& in, Out&& out) {
  const Value d1 = in(1), d2 = in(2), d3 = in(3), d4 = in(4);
  const Value even_a = d4 - bb * d2, odd_a = a * (d3 - bb * d1);
  const Value even_b = d4 - aa * d2, odd_b = b * (d3 - aa * d1);
  out(0, aa * bb * in(0) - (aa + bb) * d2 + d4);
  give_pairs(even_a, odd_a, even_b, odd_b, out);
  out(5, aa * bb * d1 - (aa + bb) * d3 + in(5));
}

// Lagrange's denominators at the points: G's rows are divided by them.
inline constexpr float of_0 = 1 / (aa * bb), of_a = 1 / (2 * aa * (aa - bb)), of_b = 1 / (2 * bb * (bb - aa));

// G, 6 from 3: of filters.
template <class Value, class In, class Out>
[[gnu::always_inline]] inline void transform_filter(In&& in, Out&& out) {
  const Value g0 = in(0), g1 = in(1), g2 = in(2);
  const Value even_a = of_a * g0 + of_a * aa * g2, odd_a = of_a * a * g1;
  const Value even_b = of_b * g0 + of_b * bb * g2, odd_b = of_b * b * g1;
  out(0, of_0 * g0);
  give_pairs(even_a, odd_a, even_b, odd_b, out);
  out(5, g2);
}

// G for filters of 4 taps, 6 from 4: of the results' gradient, which is the filter where dw is the result.
template <class Value, class In, class Out>
[[gnu::always_inline]] inline void transform_gradient(In&& in, Out&& out) {
  const Value g0 = in(0), g1 = in(1), g2 = in(2), g3 = in(3);
  const Value even_a = of_a * g0 + of_a * aa * g2, odd_a = of_a * a * g1 + of_a * a * aa * g3;
  const Value even_b = of_b * g0 + of_b * bb * g2, odd_b = of_b * b * g1 + of_b * b * bb * g3;
  out(0, of_0 * g0);
  give_pairs(even_a, odd_a, even_b, odd_b, out);
  out(5, g3);
}

// A^T, `kResults` from 6: to 4 results, or to the 3 taps of a filter's gradient.
template <int kResults, class Value, class In, class Out>
[[gnu::always_inline]] inline void transform_back(In&& in, Out&& out) {
  const Value m1 = in(1), m2 = in(2), m3 = in(3), m4 = in(4);
  const Value even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
  out(0, in(0) + even_a + even_b);
  out(1, a * odd_a + b * odd_b);
  if constexpr (kResults == 3) {
    out(2, aa * even_a + bb * even_b + in(5));
  } else {
    out(2, aa * even_a + bb * even_b);
    out(3, a * aa * odd_a + b * bb * odd_b + in(5));
  }
}

// The same transform along both axes, kRows x kColumns from kFrom x kFrom: first of columns, then of rows.
// `transform(in, out)` is one of the above, in(i, j) and out(i, j, value) are the caller's.
template <int kFrom, int kTo, class Value, class Transform, class In, class Out>
[[gnu::always_inline]] inline void transform_both(Transform&& transform, In&& in, Out&& out) {
  Value half[kTo][kFrom];
#pragma GCC unroll 6
  for (int j = 0; j < kFrom; ++j)
    transform([&](int i) { return in(i, j); }, [&](int i, const Value& value) { half[i][j] = value; });
#pragma GCC unroll 6
  for (int i = 0; i < kTo; ++i)
    transform([&](int j) { return half[i][j]; }, [&](int j, const Value& value) { out(i, j, value); });
}

}  // namespace winograd
}  // namespace convoy::CONVOY_ISA
