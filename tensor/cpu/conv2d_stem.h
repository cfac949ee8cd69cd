// Convolution of images of few channels, the first layer of a network: gray or colour.
//
// Packing the im2col matrix would take longer than multiplying it, and is not needed: in an image with its padding
// around it, the windows of neighbouring pixels are rows of A that overlap, `channels` floats apart, each of R runs.
#pragma once

#include "tensor/cpu/blocked_product.h"

namespace convoy::CONVOY_ISA {

// Whether an image is read that way. By the filter's shape alone, so that each image has the same result in any batch.
inline bool is_stem(const Conv2dShape& s) { return (s.c == 1 || s.c == 3) && s.stride_h == 1 && s.stride_w == 1; }

// An image [h + 2 pad_h, w + 2 pad_w, c] with its padding.
struct PaddedImage {
  const float* pixels;
  int64_t line;  // floats
};

inline int64_t padded_floats(const Conv2dShape& s) { return (s.h + 2 * s.pad_h) * (s.w + 2 * s.pad_w) * s.c; }

inline PaddedImage pad_image(const Conv2dShape& s, const float* x, float* to) {
  const int64_t line = (s.w + 2 * s.pad_w) * s.c, inside = s.w * s.c, side = s.pad_w * s.c;
  float* at = to;
  zero_floats(at, s.pad_h * line);
  at += s.pad_h * line;
  for (int64_t i = 0; i < s.h; ++i, at += line, x += inside) {
    zero_floats(at, side);
    copy_floats(at + side, x, inside);
    zero_floats(at + side + inside, side);
  }
  zero_floats(at, s.pad_h * line);
  return {to, line};
}

// As conv2d_forward(), without statistics.
template <int64_t kChannels>
void stem_forward(const Stream& stream, const Conv2dShape& s, const float* x, const float* w, const Epilogue& epilogue,
                  float* y) {
  const int64_t panel_stride = s.taps() * kTileColumns, P = s.p(), Q = s.q();
  float* const panels = thread_scratch(Scratch::filters, ceil_divide(s.k, kTileColumns) * panel_stride);
  pack_panels_transposed(w, s.taps(), s.taps(), s.k, panels, panel_stride);
  const int64_t tile = even_part(Q, kTileRows);  // pixels
  parallel_for(stream, s.n, 1, [&](int64_t n, int64_t) {
    const PaddedImage image = pad_image(s, x + n * s.h * s.w * s.c, thread_scratch(Scratch::pack_a, padded_floats(s)));
    int64_t row_offset[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) row_offset[i] = i * s.k;
    for (int64_t p = 0; p < P; ++p) {
      for (int64_t q = 0; q < Q; q += tile) {
        for (int64_t k = 0; k < s.k; k += kTileColumns) {
          const int64_t columns = smaller(kTileColumns, s.k - k);
          tile_function<Layout::rows, kChannels>(smaller(tile, Q - q), ceil_divide(columns, kVectorFloats))(
              {.depth = s.s * kChannels,
               .a = image.pixels + p * image.line + q * kChannels,
               .a_stride = 0,
               .b = panels + k / kTileColumns * panel_stride,
               .runs = s.r,
               .run_stride = image.line},
              {.c = y + ((n * P + p) * Q + q) * s.k + k,
               .row_offset = row_offset,
               .columns = static_cast<int>(columns),
               .accumulate = false,
               .bias = epilogue.bias != nullptr ? epilogue.bias + k : nullptr,
               .relu = epilogue.relu});
        }
      }
    }
  });
}

// Images are cut into so many pieces, each with a gradient of its own.
inline int64_t stem_pieces(const Conv2dShape& s) { return larger(1, smaller(s.n, kEnoughTasks)); }

// partial [piece, taps, K] = the pieces' share of dw^T.
inline void stem_backward_weight(const Stream& stream, const Conv2dShape& s, const float* x, const float* dy,
                                 float* partial) {
  const int64_t P = s.p(), Q = s.q(), run = s.s * s.c, pieces = stem_pieces(s), images = ceil_divide(s.n, pieces),
                tile = even_part(run, kTileRows);
  parallel_for(stream, pieces, 1, [&](int64_t piece, int64_t) {
    float* const to = partial + piece * s.taps() * s.k;
    zero_floats(to, s.taps() * s.k);
    float* const padded = thread_scratch(Scratch::pack_a, padded_floats(s));
    float* const panel = thread_scratch(Scratch::pack_b, Q * kTileColumns);
    int64_t row_offset[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) row_offset[i] = i * s.k;
    for (int64_t n = piece * images; n < smaller(s.n, (piece + 1) * images); ++n) {
      const PaddedImage image = pad_image(s, x + n * s.h * s.w * s.c, padded);
      for (int64_t p = 0; p < P; ++p) {
        const float* const line = dy + (n * P + p) * Q * s.k;
        for (int64_t k = 0; k < s.k; k += kTileColumns) {
          const int64_t columns = smaller(kTileColumns, s.k - k);
          if (s.k != kTileColumns) pack_panels(line + k, s.k, Q, columns, panel, 0);
          for (int64_t r = 0; r < s.r; ++r) {
            for (int64_t i = 0; i < run; i += tile) {
              tile_function<Layout::columns>(smaller(tile, run - i), ceil_divide(columns, kVectorFloats))(
                  {.depth = Q,
                   .a = image.pixels + (p + r) * image.line + i,
                   .a_stride = s.c,
                   .b = s.k != kTileColumns ? panel : line},
                  {.c = to + (r * run + i) * s.k + k,
                   .row_offset = row_offset,
                   .columns = static_cast<int>(columns),
                   .accumulate = true,
                   .bias = nullptr,
                   .relu = false});
            }
          }
        }
      }
    }
  });
}

}  // namespace convoy::CONVOY_ISA
