// Convolution on the CPU as implicit-im2col products: three views of the same sum (docs/convolution.md).
//
//   forward          y  [NPQ, K]   = im2col(x) [NPQ, RSC]    * w^T [RSC, K]
//   backward_input   dx [NHW, C]   = im2col(dy) [NHW, RSK]   * w   [RSK, C]     taps reversed; one product per residue of the stride
//   backward_weight  dw^T [RSC, K] = im2col(x)^T [RSC, NPQ]  * dy  [NPQ, K]
//
// There are four ways, and each direction takes the first that it can:
//
//   Winograd's   3x3 filters at stride 1 and enough channels                   winograd_wanted.h, conv2d_winograd.h
//   windows      certain distances of windows, stride * channels: no matrix    conv2d_windows.h
//                is packed; backward_weight of gray and colour images
//   taps         backward_weight at any stride: no matrix is packed            conv2d_taps.h
//   im2col       forward, backward_input: blocks of the matrix are packed      this file
#include "tensor/cpu/conv2d_taps.h"
#include "tensor/cpu/conv2d_windows.h"
#include "tensor/cpu/conv2d_winograd.h"
#include "tensor/cpu/im2col.h"
#include "tensor/cpu/split_sums.h"
#include "tensor/cpu/table.h"
#include "tensor/cpu/winograd_wanted.h"

namespace convoy::CONVOY_ISA {
namespace {

// C rows from im2col rows, B from packed filters: forward and backward_input.
struct ImageProduct {
  static constexpr Layout kLayout = Layout::rows;
  int64_t m, n, k;
  Im2col rows;
  PackedB filters;
  float* c;
  // Row (image, i, j) of C is pixel (i * step_h, j * step_w) of the output image, [image, height, width, n] from c.
  int64_t height, width, step_h, step_w;
  Epilogue epilogue;
  bool accumulate;

  BlockA block_a(int64_t row, int64_t count, int64_t step, int64_t depth, float* scratch) const {
    rows.copy_rows(row, count, step, step + depth, scratch);
    return {scratch, 0};
  }
  BlockB block_b(int64_t step, int64_t, int64_t column, int64_t, float*) const {
    return {filters.at(step, column), filters.panel_stride};
  }
  void row_offsets(int64_t row, int64_t count, int64_t* out) const {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t index = row + i, x = index % rows.out_w, y = index / rows.out_w % rows.out_h,
                    image = index / rows.out_w / rows.out_h;
      out[i] = ((image * height + y * step_h) * width + x * step_w) * n;
    }
  }
  float* destination(int64_t) const { return c; }

  // The part of result lines [begin, end), whose windows see no more than their rows [first, last) of the image.
  ImageProduct part(int64_t begin, int64_t end, int64_t first, int64_t last) const {
    ImageProduct part = *this;
    const int64_t line = rows.s * rows.c, images = m / (rows.out_h * rows.out_w);
    part.rows.r = last - first;
    part.rows.pad_h = rows.pad_h - first - begin * rows.stride_h;
    part.rows.out_h = end - begin;
    part.m = images * part.rows.out_h * rows.out_w;
    part.k = part.rows.r * line;
    part.filters.panels += first * line * kTileColumns;
    part.c += begin * step_h * width * n;
    return part;
  }
};

// Lines of windows above and below the image count as zeros. Where they are an eighth of all or more, as in small images, lines that
// see the same rows of it are products of their own, of these rows alone.
void run_image_product(const Stream& stream, const ImageProduct& product) {
  const Im2col& rows = product.rows;
  const auto run = [&](const ImageProduct& part) {
    run_product(stream, part, choose_blocking(part.m, part.n, part.k, false));
  };
  const auto seen_by = [&](int64_t line) { return WindowRows(line * rows.stride_h - rows.pad_h, rows.r, rows.h); };
  int64_t seen = 0;
  for (int64_t line = 0; line < rows.out_h; ++line) seen += seen_by(line).end - seen_by(line).begin;
  if (product.m == 0 || 8 * seen > 7 * rows.out_h * rows.r) return run(product);
  for (int64_t begin = 0, end = 0; begin < rows.out_h; begin = end) {
    const WindowRows part = seen_by(begin);
    while (end < rows.out_h && seen_by(end).begin == part.begin && seen_by(end).end == part.end) ++end;
    run(product.part(begin, end, part.begin, part.end));
  }
}

Im2col im2col_of(const WindowShape& s, const float* x) {
  return {x, s.h, s.w, s.channels, s.r, s.s, s.stride_h, s.stride_w, s.pad_h, s.pad_w, s.p, s.q};
}

// The taps along one axis that reach the input positions start, start + stride, start + 2 stride, …
struct ResidueTaps {
  int64_t first;   // smallest such tap
  int64_t count;   // first, first + stride, …
  int64_t pad;     // of the stride-1 window over dy that they form, reversed
  int64_t extent;  // number of input positions of the residue
};

ResidueTaps residue_taps(int64_t start, int64_t stride, int64_t pad, int64_t window, int64_t size) {
  const int64_t first = (start + pad) % stride;
  const int64_t count = first < window ? ceil_divide(window - first, stride) : 0;
  return {first, count, count - 1 - (start + pad - first) / stride, ceil_divide(size - start, stride)};
}

// dx at the pixels (h0 + i stride_h, w0 + j stride_w): a stride-1 convolution of dy with the reversed taps that
// reach them.
void backward_input_residue(const Stream& stream, const Conv2dShape& s, int64_t h0, int64_t w0, const float* dy,
                            const float* w, bool accumulate, float* dx) {
  const ResidueTaps rows = residue_taps(h0, s.stride_h, s.pad_h, s.r, s.h),
                    columns = residue_taps(w0, s.stride_w, s.pad_w, s.s, s.w);
  const int64_t m = s.n * rows.extent * columns.extent, k = rows.count * columns.count * s.k;
  const int64_t panel_stride = k * kTileColumns;
  float* panels = thread_scratch(Scratch::filters, ceil_divide(s.c, kTileColumns) * panel_stride);
  parallel_for(stream, rows.count * columns.count, 1, [&](int64_t tap, int64_t) {
    const int64_t r = rows.first + (rows.count - 1 - tap / columns.count) * s.stride_h;
    const int64_t t = columns.first + (columns.count - 1 - tap % columns.count) * s.stride_w;
    pack_panels(w + (r * s.s + t) * s.c, s.taps(), s.k, s.c, panels + tap * s.k * kTileColumns, panel_stride);
  });
  const WindowShape windows{.n = s.n,
                            .h = s.p(),
                            .w = s.q(),
                            .channels = s.k,
                            .r = rows.count,
                            .s = columns.count,
                            .stride_h = 1,
                            .stride_w = 1,
                            .pad_h = rows.pad,
                            .pad_w = columns.pad,
                            .p = rows.extent,
                            .q = columns.extent};
  float* const first_pixel = dx + (h0 * s.w + w0) * s.c;
  if (const RunWindows run_windows = windows_function(windows))
    return run_windows(stream, windows, dy, {panels, panel_stride}, s.c, {}, accumulate,
                       {first_pixel, s.h * s.w * s.c, s.stride_h * s.w * s.c, s.stride_w * s.c});
  const ImageProduct product{.m = m,
                             .n = s.c,
                             .k = k,
                             .rows = im2col_of(windows, dy),
                             .filters = {panels, panel_stride},
                             .c = first_pixel,
                             .height = s.h,
                             .width = s.w,
                             .step_h = s.stride_h,
                             .step_w = s.stride_w,
                             .epilogue = {},
                             .accumulate = accumulate};
  run_image_product(stream, product);
}

void gemm_forward(const Stream& stream, const Conv2dShape& s, const float* x, const float* w, const Epilogue& epilogue,
                  float* y) {
  const int64_t panel_stride = s.taps() * kTileColumns;
  float* panels = thread_scratch(Scratch::filters, ceil_divide(s.k, kTileColumns) * panel_stride);
  parallel_for(stream, s.k, kTileColumns, [&](int64_t begin, int64_t end) {
    pack_panels_transposed(w + begin * s.taps(), s.taps(), s.taps(), end - begin,
                           panels + begin / kTileColumns * panel_stride, panel_stride);
  });
  const WindowShape windows = windows_of(s);
  if (const RunWindows run_windows = windows_function(windows))
    return run_windows(stream, windows, x, {panels, panel_stride}, s.k, epilogue, false,
                       {y, s.p() * s.q() * s.k, s.q() * s.k, s.k});
  const ImageProduct product{.m = s.output_pixels(),
                             .n = s.k,
                             .k = s.taps(),
                             .rows = im2col_of(windows, x),
                             .filters = {panels, panel_stride},
                             .c = y,
                             .height = s.p(),
                             .width = s.q(),
                             .step_h = 1,
                             .step_w = 1,
                             .epilogue = epilogue,
                             .accumulate = false};
  run_image_product(stream, product);
}

}  // namespace

void conv2d_forward(const Stream& stream, const Conv2dShape& s, const float* x, const float* w,
                    const Epilogue& epilogue, float* y) {
  (winograd_wanted(stream, s) ? winograd_forward : gemm_forward)(stream, s, x, w, epilogue, y);
  if (epilogue.mean != nullptr)
    batch_norm_statistics(stream, s.output_pixels(), s.k, y, epilogue.mean, epilogue.variance);
}

void conv2d_backward_input(const Stream& stream, const Conv2dShape& s, const float* dy, const float* w, bool accumulate,
                           float* dx) {
  if (winograd_wanted(stream, s)) return winograd_backward_input(stream, s, dy, w, accumulate, dx);
  for (int64_t h0 = 0; h0 < smaller(s.stride_h, s.h); ++h0) {
    for (int64_t w0 = 0; w0 < smaller(s.stride_w, s.w); ++w0) {
      backward_input_residue(stream, s, h0, w0, dy, w, accumulate, dx);
    }
  }
}

void conv2d_backward_weight(const Stream& stream, const Conv2dShape& s, const float* x, const float* dy,
                            bool accumulate, float* dw) {
  if (winograd_wanted(stream, s)) return winograd_backward_weight(stream, s, x, dy, accumulate, dw);
  const GradientCut cut(s);
  float* const partial = thread_scratch(Scratch::partial, cut.pieces * s.taps() * s.k);
  const GradientsOfPieces by_windows = window_gradients_function(s);
  (by_windows != nullptr ? by_windows : tap_gradients)(stream, s, cut, x, dy, partial);
  add_splits_transposed(stream, s.k, s.taps(), cut.pieces, partial, {}, accumulate, dw);
}

}  // namespace convoy::CONVOY_ISA
