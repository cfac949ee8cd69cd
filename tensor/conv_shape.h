// The letters of convolution and pooling, used in every kernel and shape comment:
//
//   N images, H x W input pixels, C input channels        x  [N,H,W,C]
//   K filters of R x S taps over C channels               w  [K,R,S,C]
//   P x Q output pixels                                   y  [N,P,Q,K]
//
//   y[n,p,q,k] = sum over r,s,c of  x[n, p*stride_h + r - pad_h, q*stride_w + s - pad_w, c] * w[k,r,s,c]
//
// where x is 0 outside the image. P = (H + 2 pad_h - R) / stride_h + 1, rounded down; likewise Q.
#pragma once

#include <cstdint>

namespace convoy {

struct Conv2dShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t k = 0, r = 1, s = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;

  constexpr int64_t p() const { return (h + 2 * pad_h - r) / stride_h + 1; }
  constexpr int64_t q() const { return (w + 2 * pad_w - s) / stride_w + 1; }
  constexpr int64_t taps() const { return r * s * c; }  // length of one filter
  constexpr int64_t output_pixels() const { return n * p() * q(); }
  constexpr int64_t multiply_adds() const { return output_pixels() * k * taps(); }
  bool operator==(const Conv2dShape&) const = default;
};

// A pooling window of R x S pixels, each channel on its own. x [N,H,W,C], y [N,P,Q,C].
struct Pool2dShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t r = 1, s = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_h = 0, pad_w = 0;  // at most half the window, as in PyTorch

  constexpr int64_t p() const { return (h + 2 * pad_h - r) / stride_h + 1; }
  constexpr int64_t q() const { return (w + 2 * pad_w - s) / stride_w + 1; }
  bool operator==(const Pool2dShape&) const = default;
};

}  // namespace convoy
