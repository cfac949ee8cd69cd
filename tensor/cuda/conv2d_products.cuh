// The three directions of a convolution as products of maps (docs/convolution.md), for any arithmetic.
//
//   forward          y  [NPQ, K]   = windows of x [NPQ, RSC]    * w^T [RSC, K]
//   backward_input   dx [NHW, C]   = windows of dy [NHW, RSK]   * w   [RSK, C]    one product per residue of the stride
//   backward_weight  dw^T [RSC, K] = windows of x ^T [RSC, NPQ] * dy  [NPQ, K]
#pragma once

#include "tensor/cuda/product.cuh"

namespace convoy::cuda {

template <class T>
WindowLines<T> windows_of_input(const Conv2dShape& s, const T* x) {
  return {.data = x,
          .height = extent(s.h),
          .width = extent(s.w),
          .channels = extent(s.c),
          .window_w = extent(s.s),
          .step_h = extent(s.stride_h),
          .step_w = extent(s.stride_w),
          .pad_h = extent(s.pad_h),
          .pad_w = extent(s.pad_w),
          .lines = extent(s.output_pixels()),
          .elements = extent(s.taps()),
          .lines_down = extent(s.p()),
          .lines_across = extent(s.q()),
          .image_size = image_extent(s.h * s.w * s.c, s.p() * s.q()),
          .by_down = FastDivisor(s.p()),
          .by_across = FastDivisor(s.q()),
          .by_channels = FastDivisor(s.c),
          .by_window_w = FastDivisor(s.s)};
}

template <class Tiles>
void forward_product(const Stream& stream, const Conv2dShape& s, ConstArray x, ConstArray w, const Epilogue& epilogue,
                     Array y) {
  using T = typename Tiles::Element;
  const Operand<WindowLines<T>, Lines::rows> windows(windows_of_input(s, x.as<T>()));
  const Operand<MatrixLines<T>, Lines::rows> filters({w.as<T>(), extent(s.k), extent(s.taps())});
  run_product<Tiles>("conv2d_forward", stream, windows, filters, s.taps(),
                     {.c = y,
                      .rows = extent(s.output_pixels()),
                      .columns = extent(s.k),
                      .row_stride = s.k,
                      .epilogue = epilogue,
                      .vectors = s.k % 4 == 0 && aligned_for_vectors(y)});
}

// dx at the pixels (h0 + i * stride_h, w0 + j * stride_w).
template <class Tiles>
void backward_input_residue(const Stream& stream, const Conv2dShape& s, int64_t h0, int64_t w0, ConstArray dy,
                            ConstArray w, bool accumulate, Array dx) {
  using T = typename Tiles::Element;
  const ReachingTaps down = ReachingTaps::of(h0, s.stride_h, s.pad_h, s.r, s.h);
  const ReachingTaps across = ReachingTaps::of(w0, s.stride_w, s.pad_w, s.s, s.w);
  const int64_t depth = down.count * across.count * s.k;
  const Operand<WindowLines<T>, Lines::rows> windows(
      {.data = dy.as<T>(),
       .height = extent(s.p()),
       .width = extent(s.q()),
       .channels = extent(s.k),
       .window_w = extent(across.count),
       .step_h = 1,
       .step_w = 1,
       .pad_h = extent(down.pad),
       .pad_w = extent(across.pad),
       .lines = extent(s.n * down.positions * across.positions),
       .elements = extent(depth),
       .lines_down = extent(down.positions),
       .lines_across = extent(across.positions),
       .image_size = image_extent(s.p() * s.q() * s.k, down.positions * across.positions),
       .by_down = FastDivisor(down.positions),
       .by_across = FastDivisor(across.positions),
       .by_channels = FastDivisor(s.k),
       .by_window_w = FastDivisor(across.count)});
  const Operand<FilterLines<T>, Lines::depth> filters({.data = w.as<T>(),
                                                       .filters = extent(s.k),
                                                       .taps_across = extent(across.count),
                                                       .last_r = extent(down.last),
                                                       .last_s = extent(across.last),
                                                       .stride_h = extent(s.stride_h),
                                                       .stride_w = extent(s.stride_w),
                                                       .window_w = extent(s.s),
                                                       .lines = extent(depth),
                                                       .elements = extent(s.c),
                                                       .filter_size = s.taps(),
                                                       .by_filters = FastDivisor(s.k),
                                                       .by_taps_across = FastDivisor(across.count)});
  run_product<Tiles>("conv2d_backward_input", stream, windows, filters, depth,
                     {.c = dx.from((h0 * s.w + w0) * s.c),
                      .rows = windows.source.lines,
                      .columns = extent(s.c),
                      .scattered = true,
                      .pixels = {.by_down = windows.source.by_down,
                                 .by_across = windows.source.by_across,
                                 .down = windows.source.lines_down,
                                 .across = windows.source.lines_across,
                                 .image_size = s.h * s.w * s.c,
                                 .step_down = s.stride_h * s.w * s.c,
                                 .step_across = s.stride_w * s.c},
                      .accumulate = accumulate,
                      .vectors = s.c % 4 == 0 && aligned_for_vectors(dx)});
}

template <class Tiles>
void backward_input_product(const Stream& stream, const Conv2dShape& s, ConstArray dy, ConstArray w, bool accumulate,
                            Array dx) {
  for (int64_t h0 = 0; h0 < s.stride_h && h0 < s.h; ++h0) {
    for (int64_t w0 = 0; w0 < s.stride_w && w0 < s.w; ++w0) {
      backward_input_residue<Tiles>(stream, s, h0, w0, dy, w, accumulate, dx);
    }
  }
}

// Yields dw transposed, because K is a multiple of a tile's columns far more often than RSC is.
template <class Tiles>
void backward_weight_product(const Stream& stream, const Conv2dShape& s, ConstArray x, ConstArray dy, bool accumulate,
                             float* dw) {
  using T = typename Tiles::Element;
  const Operand<WindowLines<T>, Lines::depth> windows(windows_of_input(s, x.as<T>()));
  const Operand<MatrixLines<T>, Lines::depth> gradients({dy.as<T>(), extent(s.output_pixels()), extent(s.k)});
  run_product<Tiles>("conv2d_backward_weight", stream, windows, gradients, s.output_pixels(),
                     {.c = dw,
                      .rows = extent(s.taps()),
                      .columns = extent(s.k),
                      .row_stride = 1,
                      .column_stride = s.taps(),
                      .accumulate = accumulate});
}

}  // namespace convoy::cuda
