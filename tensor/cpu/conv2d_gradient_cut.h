// How the gradient of filters is cut into tasks: the images into pieces, each with a gradient of its own, and the filters into parts;
// and what of an image's results a tap has part in.
#pragma once

#include "tensor/cpu/blocked_product.h"

namespace convoy::CONVOY_ISA {

struct GradientCut {
  int64_t filters, filter_parts, images, pieces;

  explicit GradientCut(const Conv2dShape& s) {
    constexpr int64_t kFilterBlock = 64;
    constexpr int64_t kMostPieces = 16;         // adding up twice as many took 2 to 3 % of a small layer's time
    constexpr int64_t kSumFloats = 768 * 1024;  // of all pieces: 3 MiB, or two pieces
    filters = larger(kTileColumns, round_up(even_part(s.k, kFilterBlock), kTileColumns));
    filter_parts = ceil_divide(s.k, filters);
    const int64_t bearable = larger(2, kSumFloats / larger(1, s.taps() * s.k));
    images = larger(1, ceil_divide(s.n, smaller(kMostPieces, bearable)));
    pieces = larger(1, ceil_divide(s.n, images));
  }

  // What a task does: images [n_begin, n_end) of a piece, filters [k_begin, k_end).
  struct Task {
    int64_t piece, n_begin, n_end, k_begin, k_end;
    Task(const GradientCut& cut, const Conv2dShape& s, int64_t task)
        : piece(task / cut.filter_parts),
          n_begin(piece * cut.images),
          n_end(smaller(s.n, n_begin + cut.images)),
          k_begin(task % cut.filter_parts * cut.filters),
          k_end(smaller(s.k, k_begin + cut.filters)) {}
  };
};

// The results along one axis whose windows have a tap in the image; where there are none, both may lie behind the last.
struct SeenResults {
  int64_t begin, end;
  SeenResults(int64_t tap, int64_t pad, int64_t stride, int64_t size, int64_t results)
      : begin(ceil_divide(larger(0, pad - tap), stride)),
        end(larger(begin, smaller(results, ceil_divide(larger(0, size + pad - tap), stride)))) {}
};

}  // namespace convoy::CONVOY_ISA
