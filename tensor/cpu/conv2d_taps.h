// A filter's gradient tap by tap: tap (r, t) gets the product of the pixels that it saw and of dy where it saw them,
//
//   dw[:, r, t, :]^T [C, K] = x(r, t)^T [C, pixels] * dy [pixels, K]
//
// where x(r, t) is the image itself, shifted, without the pixels whose window has the tap in the padding. Nothing of the image
// is copied, nothing multiplied that is zero, at any stride.
#pragma once

#include "tensor/cpu/blocked_product.h"
#include "tensor/cpu/conv2d_gradient_cut.h"

namespace convoy::CONVOY_ISA {

// partial [piece, taps, K] = the pieces' share of dw^T.
inline void tap_gradients(const Stream& stream, const Conv2dShape& s, const GradientCut& cut, const float* x,
                          const float* dy, float* partial) {
  // Of a tile's sum between two visits to memory: so many that a panel of dy of small images still fits into the first-level cache.
  constexpr int64_t kSteps = 256;
  const int64_t pixels = s.p() * s.q(), group = larger(1, smaller(cut.images, kSteps / larger(1, pixels))),
                panel_stride = group * pixels * kTileColumns, tile = larger(1, even_part(s.c, kTileRows));
  // Taps are cut into parts, too, where there would be few tasks else: each part packs dy and reads the image anew.
  constexpr int64_t kFewTasks = 8;
  const int64_t all_taps = s.r * s.s, parts = cut.pieces * cut.filter_parts,
                taps = ceil_divide(all_taps, smaller(all_taps, ceil_divide(kFewTasks, larger(1, parts)))),
                tap_parts = ceil_divide(all_taps, taps);
  const int64_t tiles = larger(1, ceil_divide(cut.filters, kTileColumns) * taps * ceil_divide(s.c, tile)),
                slice = ceil_divide(group * s.h * s.w * s.c, tiles);
  parallel_for(stream, parts * tap_parts, 1, [&](int64_t task, int64_t) {
    const GradientCut::Task part(cut, s, task / tap_parts);
    const int64_t tap_begin = task % tap_parts * taps, tap_end = smaller(tap_begin + taps, all_taps);
    float* const sums = partial + part.piece * s.taps() * s.k;
    float* const panels = thread_scratch(Scratch::pack_b, ceil_divide(cut.filters, kTileColumns) * panel_stride);
    int64_t row_offset[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) row_offset[i] = i * s.k;
    if (s.n == 0) {
      for (int64_t i = tap_begin * s.c; i < tap_end * s.c; ++i)
        zero_floats(sums + i * s.k + part.k_begin, part.k_end - part.k_begin);
    }
    for (int64_t n = part.n_begin; n < part.n_end; n += group) {
      const int64_t images = smaller(group, part.n_end - n);
      pack_panels(dy + n * pixels * s.k + part.k_begin, s.k, images * pixels, part.k_end - part.k_begin, panels,
                  panel_stride);
      // Each tile also asks for a slice of the next images, whose lines are read too far apart for the processor to foresee.
      const float* ahead = x + (n + group) * s.h * s.w * s.c;
      for (int64_t k = part.k_begin; k < part.k_end; k += kTileColumns) {
        const int64_t columns = smaller(kTileColumns, part.k_end - k);
        const float* const panel = panels + (k - part.k_begin) / kTileColumns * panel_stride;
        for (int64_t tap = tap_begin; tap < tap_end; ++tap) {
          const int64_t r = tap / s.s, t = tap % s.s;
          const SeenResults p(r, s.pad_h, s.stride_h, s.h, s.p()), q(t, s.pad_w, s.stride_w, s.w, s.q());
          const int64_t line = n * s.h + p.begin * s.stride_h + r - s.pad_h, pixel = q.begin * s.stride_w + t - s.pad_w;
          // Whole lines follow one another without a gap: one long run.
          const bool whole = s.stride_h == 1 && s.stride_w == 1 && q.end - q.begin == s.w && s.q() == s.w;
          const int64_t lines = whole ? 1 : p.end - p.begin, depth = whole ? (p.end - p.begin) * s.w : q.end - q.begin;
          for (int64_t c = 0; c < s.c; c += tile, ahead += slice) {
            tile_function<Layout::columns>(smaller(tile, s.c - c), ceil_divide(columns, kVectorFloats))(
                {.depth = depth,
                 .a = x + (line * s.w + pixel) * s.c + c,
                 .a_stride = s.stride_w * s.c,
                 .b = panel + (p.begin * s.q() + q.begin) * kTileColumns,
                 .runs = lines,
                 .run_stride = s.stride_h * s.w * s.c,
                 .b_run_stride = s.q() * kTileColumns,
                 .groups = images,
                 .group_stride = s.h * s.w * s.c,
                 .b_group_stride = pixels * kTileColumns,
                 .ahead = ahead,
                 .ahead_floats = slice},
                {.c = sums + (tap * s.c + c) * s.k + k,
                 .row_offset = row_offset,
                 .columns = static_cast<int>(columns),
                 .accumulate = n > part.n_begin,
                 .bias = nullptr,
                 .relu = false});
          }
        }
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
