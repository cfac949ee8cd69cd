// Convolution straight from the image, without packing windows into a matrix: in an image with its padding around it the windows
// of a line of results are rows of A that overlap, stride * channels floats apart, each of R runs of S * channels floats. What
// the windows of a line see above and below the image is left out.
//
// The micro-kernel has to know the distance of A's rows when it is compiled, so there are some for certain distances: those of
// gray and colour images, whose windows are so short that packing them would take longer than multiplying, and 16 to 256, which
// common numbers of channels make at strides 1 and 2.
#pragma once

#include "tensor/cpu/conv2d_gradient_cut.h"

namespace convoy::CONVOY_ISA {

// Lines of an image with their padding around them.
struct PaddedLines {
  const float* pixels;
  int64_t line;  // floats
};

struct WindowShape {
  int64_t n, h, w, channels;                       // images
  int64_t r, s, stride_h, stride_w, pad_h, pad_w;  // negative pads: not by this way
  int64_t p, q;                                    // results

  // Floats of a line with its padding: on the right as much as the last window sees.
  int64_t line() const { return larger(pad_w + w, (q - 1) * stride_w + s) * channels; }
  // Whether images are read where they lie.
  bool unpadded() const { return pad_h == 0 && line() == w * channels; }
};

inline WindowShape windows_of(const Conv2dShape& s) {
  return {s.n, s.h, s.w, s.c, s.r, s.s, s.stride_h, s.stride_w, s.pad_h, s.pad_w, s.p(), s.q()};
}

// Where the results go: floats from one image, line and pixel to the next.
struct WindowResults {
  float* y;
  int64_t image, line, pixel;
};

// The lines [begin - pad_h, begin - pad_h + lines) of an image [h, w, channels], zeros at both ends of each; those above and below
// the image are left unwritten. Written to `to`; without padding they are the image's own.
inline PaddedLines pad_lines(const WindowShape& s, const float* image, int64_t begin, int64_t lines, float* to) {
  if (s.unpadded()) return {image + begin * s.line(), s.line()};
  const int64_t inside = s.w * s.channels, side = s.pad_w * s.channels, line = s.line();
  float* at = to;
  for (int64_t i = begin - s.pad_h; i < begin - s.pad_h + lines; ++i, at += line) {
    if (i < 0 || i >= s.h) continue;  // not read, or zero already
    zero_floats(at, side);
    copy_floats(at + side, image + i * inside, inside);
    zero_floats(at + side + inside, line - side - inside);
  }
  return {to, line};
}

// The rows of a window that lie in an image of `height` lines; `top` is the line of its first row, negative above the image.
struct WindowRows {
  int64_t begin, end;
  WindowRows(int64_t top, int64_t window, int64_t height)
      : begin(smaller(window, larger(0, -top))), end(larger(begin, smaller(window, height - top))) {}
};

// [n, p, q, columns] at `results` = or += the convolution; `filters` are panels of r * s * channels steps. Result lines of one task
// share what they see of the image.
template <int64_t kStride>
void run_windows(const Stream& stream, const WindowShape& s, const float* x, const PackedB& filters, int64_t columns,
                 const Epilogue& epilogue, bool accumulate, const WindowResults& results) {
  constexpr int64_t kLines = 8;
  const int64_t lines = even_part(s.p, kLines), parts = ceil_divide(s.p, lines),
                tile = larger(1, even_part(s.q, kTileRows));
  const int64_t whole_tiles = s.q / tile, rest = s.q % tile;
  // Of short windows the results are much of what memory has to move: a line of them is finished while it is in the
  // first-level cache, and filters come from the second. Of long windows a panel of filters is used for all lines instead.
  constexpr int64_t kFewTaps = 256, kFilterFloats = 64 * 1024;
  const int64_t run = s.s * s.channels, taps = s.r * run;
  const bool by_lines = taps <= kFewTaps && taps * columns <= kFilterFloats;
  parallel_for(stream, s.n * parts, 1, [&](int64_t task, int64_t) {
    const int64_t n = task / parts, p_begin = task % parts * lines, p_end = smaller(p_begin + lines, s.p);
    const PaddedLines seen =
        pad_lines(s, x + n * s.h * s.w * s.channels, p_begin * s.stride_h, (p_end - p_begin - 1) * s.stride_h + s.r,
                  thread_scratch(Scratch::pack_a, ((lines - 1) * s.stride_h + s.r) * s.line()));
    int64_t row_offset[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) row_offset[i] = i * results.pixel;
    // Meanwhile memory brings what is copied next, most likely the lines below these, in equal parts for each tile.
    const float* unseen =
        x + (n * s.h + larger(0, smaller(s.h, (p_end - 1) * s.stride_h + s.r - s.pad_h))) * s.w * s.channels;
    const int64_t tiles_of_task = (p_end - p_begin) * ceil_divide(columns, kTileColumns) * ceil_divide(s.q, tile),
                  slice = ceil_divide(lines * s.stride_h * s.w * s.channels, larger(1, tiles_of_task));
    const auto make_line = [&](int64_t p, int64_t column) {
      const int64_t count = smaller(kTileColumns, columns - column);
      const WindowRows rows(p * s.stride_h - s.pad_h, s.r, s.h);
      const auto make_tiles = [&](int64_t q, int64_t size, int64_t tiles) {
        tile_function<Layout::rows, kStride>(size, ceil_divide(count, kVectorFloats))(
            {.depth = run,
             .a = seen.pixels + ((p - p_begin) * s.stride_h + rows.begin) * seen.line + q * kStride,
             .a_stride = 0,
             .b = filters.at(rows.begin * run, column),
             .runs = rows.end - rows.begin,
             .run_stride = seen.line,
             .b_run_stride = run * kTileColumns,
             .tiles = tiles,
             .tile_stride = size * kStride,
             // The next tile's pixels, unless they are a copy.
             .ahead = s.unpadded()
                          ? seen.pixels + ((p - p_begin) * s.stride_h + rows.end - 1) * seen.line + (q + size) * kStride
                          : unseen,
             .ahead_floats = !kSpreads      ? 0
                             : s.unpadded() ? size * kStride
                                            : slice},
            {.c = results.y + n * results.image + p * results.line + q * results.pixel + column,
             .tile_stride = size * results.pixel,
             .row_offset = row_offset,
             .columns = static_cast<int>(count),
             .accumulate = accumulate,
             .bias = epilogue.bias != nullptr ? epilogue.bias + column : nullptr,
             .relu = epilogue.relu});
        unseen += tiles * slice;
      };
      make_tiles(0, tile, whole_tiles);
      if (rest > 0) make_tiles(s.q - rest, rest, 1);
    };
    if (by_lines) {
      for (int64_t p = p_begin; p < p_end; ++p)
        for (int64_t column = 0; column < columns; column += kTileColumns) make_line(p, column);
    } else {
      for (int64_t column = 0; column < columns; column += kTileColumns)
        for (int64_t p = p_begin; p < p_end; ++p) make_line(p, column);
    }
  });
}

using RunWindows = void (*)(const Stream&, const WindowShape&, const float*, const PackedB&, int64_t, const Epilogue&,
                            bool, const WindowResults&);

// Null for windows that are packed instead: other distances, or lines so short that tiles would be small.
inline RunWindows windows_function(const WindowShape& s) {
  if (s.pad_h < 0 || s.pad_w < 0) return nullptr;
  const int64_t row_stride = s.stride_w * s.channels;
  if (row_stride == 1) return run_windows<1>;
  if (row_stride == 3) return run_windows<3>;
  if (s.q < 7) return nullptr;
  switch (row_stride) {
    case 16:
      return run_windows<16>;
    case 32:
      return run_windows<32>;
    case 64:
      return run_windows<64>;
    case 128:
      return run_windows<128>;
    case 256:
      return run_windows<256>;
    default:
      return nullptr;
  }
}

// --- backward_weight --------------------------------------------------------------------------------------------

// partial [piece, taps, K] = the pieces' share of dw^T. A tile has the taps of a line of the window, of kLineTaps taps: of as many
// lines as fit. Lines of any length, kRowStride, are cut into tiles.
template <int64_t kLineTaps>
void window_gradients(const Stream& stream, const Conv2dShape& shape, const GradientCut& cut, const float* x,
                      const float* dy, float* partial) {
  const WindowShape s = windows_of(shape);
  constexpr int64_t kLines = larger(1, kTileRows / kLineTaps);  // of the window, in a tile
  const int64_t k = shape.k, line_taps = s.s * s.channels, pixels = s.p * s.q, seen_lines = s.p + s.r - 1,
                lines = even_part(s.r, kLines), tile = lines > 1 ? lines * line_taps : even_part(line_taps, kTileRows);
  parallel_for(stream, cut.pieces * cut.filter_parts, 1, [&](int64_t task, int64_t) {
    const GradientCut::Task part(cut, shape, task);
    const int64_t filters = part.k_end - part.k_begin, panel_stride = pixels * kTileColumns;
    float* const sums = partial + part.piece * shape.taps() * k;
    float* const padded = thread_scratch(Scratch::pack_a, seen_lines * s.line());
    float* const scratch = thread_scratch(Scratch::pack_b, ceil_divide(cut.filters, kTileColumns) * panel_stride);
    const int64_t tiles = ceil_divide(filters, kTileColumns) * ceil_divide(s.r, lines) *
                          ceil_divide(lines * line_taps, larger(1, tile)),
                  slice = kSpreads ? ceil_divide(pixels * k, larger(1, tiles)) : 0;
    int64_t row_offset[kTileRows];
    for (int64_t i = 0; i < kTileRows; ++i) row_offset[i] = i * k;
    for (int64_t tap = 0; tap < shape.taps(); ++tap) zero_floats(sums + tap * k + part.k_begin, filters);
    // A tile of several lines of the window sees lines above and below the image, too.
    if (lines > 1 && !s.unpadded()) zero_floats(padded, seen_lines * s.line());
    for (int64_t n = part.n_begin; n < part.n_end; ++n) {
      const PaddedLines seen = pad_lines(s, x + n * s.h * s.w * s.channels, 0, seen_lines, padded);
      const float* const gradient = dy + n * pixels * k + part.k_begin;
      const bool is_panel = k == kTileColumns;  // as it lies
      if (!is_panel) pack_panels(gradient, k, pixels, filters, scratch, panel_stride);
      const float* const panels = is_panel ? gradient : scratch;
      // Each tile asks for a slice of the next image's gradient; at once, not spread, it would be in the way.
      const float* ahead = gradient + pixels * k;
      for (int64_t r = 0; r < s.r; r += lines) {
        const int64_t r_end = smaller(r + lines, s.r), taps = (r_end - r) * line_taps;
        const SeenResults top(r, s.pad_h, 1, s.h, s.p), bottom(r_end - 1, s.pad_h, 1, s.h, s.p);
        const int64_t p_begin = smaller(bottom.begin, s.p), p_end = larger(p_begin, smaller(top.end, s.p));
        for (int64_t column = 0; column < filters; column += kTileColumns) {
          const int64_t count = smaller(kTileColumns, filters - column);
          for (int64_t i = 0; i < taps; i += tile, ahead += slice) {
            tile_function<Layout::columns, kLineTaps>(smaller(tile, taps - i), ceil_divide(count, kVectorFloats))(
                {.depth = s.q,
                 .a = seen.pixels + (p_begin + r) * seen.line + i,
                 .a_stride = s.channels,
                 .a_line = seen.line,
                 .b = panels + column / kTileColumns * panel_stride + p_begin * s.q * kTileColumns,
                 .runs = p_end - p_begin,
                 .run_stride = seen.line,
                 .b_run_stride = s.q * kTileColumns,
                 .ahead = ahead,
                 .ahead_floats = slice},
                {.c = sums + (r * line_taps + i) * k + part.k_begin + column,
                 .row_offset = row_offset,
                 .columns = static_cast<int>(count),
                 .accumulate = true,
                 .bias = nullptr,
                 .relu = false});
          }
        }
      }
    }
  });
}

using GradientsOfPieces = void (*)(const Stream&, const Conv2dShape&, const GradientCut&, const float*, const float*,
                                   float*);

// Null for more channels, whose taps are tiles large enough (conv2d_taps.h), and for strides.
inline GradientsOfPieces window_gradients_function(const Conv2dShape& s) {
  if (s.stride_h != 1 || s.stride_w != 1 || s.c > 3) return nullptr;
  constexpr int64_t kFive = 2 * 5 <= kTileRows ? 5 : kRowStride;  // where no two lines of 5 fit, as any others
  switch (s.s * s.c) {
    case 3:
      return window_gradients<3>;
    case 5:
      return window_gradients<kFive>;
    default:
      return window_gradients<kRowStride>;
  }
}

}  // namespace convoy::CONVOY_ISA
