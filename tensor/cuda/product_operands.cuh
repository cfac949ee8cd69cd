// What a product C [rows, columns] = A [rows, depth] * B [depth, columns] may take its operands from: matrices in memory,
// and matrices that exist only as a map onto an image or onto filters (docs/convolution.md has the drawing).
//
// A source is a set of *lines* of *elements*, and elements lie side by side in memory. Each axis has an index of its
// own, worked out ahead of use: line(i) and element(j) do the divisions, at(line, element) only adds and compares, so
// that whoever walks along one axis works out the other one once. An operand says which of the product's axes the
// lines are.
#pragma once

#include <algorithm>
#include <string>

#include "tensor/conv_shape.h"
#include "tensor/cuda/vector_access.cuh"
#include "tensor/error.h"

namespace convoy::cuda {

// An extent as the index type of the kernels, which leaves room for the edge of a tile; throws Error(usage) beyond.
inline int extent(int64_t value) {
  if (value >= INT32_MAX - 1024) {
    throw Error(ErrorKind::usage, "cuda: a product with an extent of " + std::to_string(value) + ", more than 2^31");
  }
  return static_cast<int>(value);
}

// Division of 0 <= n < 2^31 by a divisor below 2^31, by one multiplication: Granlund, Montgomery, "Division by
// invariant integers using multiplication", 1994, figure 4.1.
class FastDivisor {
 public:
  FastDivisor() = default;
  explicit FastDivisor(int64_t divisor) {
    while ((int64_t{1} << shift_) < divisor) ++shift_;
    const uint64_t excess = (uint64_t{1} << shift_) - static_cast<uint64_t>(divisor);
    multiplier_ = divisor > 0 ? static_cast<uint32_t>((excess << 32) / static_cast<uint64_t>(divisor) + 1) : 0;
  }
  __device__ int quotient(int n) const {
    const uint64_t product = uint64_t{multiplier_} * static_cast<uint32_t>(n);
    return static_cast<int>((static_cast<uint32_t>(product >> 32) + static_cast<uint32_t>(n)) >> shift_);
  }

 private:
  uint32_t multiplier_ = 1, shift_ = 0;
};

// A float in memory, or one that counts as 0; then the pointer may not be read.
struct Place {
  const float* pointer;
  bool inside;
};

// A row-major matrix: `lines` rows of `elements` floats.
struct MatrixLines {
  const float* data;
  int lines, elements;

  using Line = int64_t;  // offset, -1 outside
  using Element = int;   // the same
  __device__ Line line(int i) const { return i < lines ? int64_t{i} * elements : -1; }
  __device__ Element element(int i) const { return i < elements ? i : -1; }
  __device__ Place at(Line line, Element element) const {
    const bool inside = line >= 0 && element >= 0;
    return {inside ? data + line + element : data, inside};
  }
  // True when four elements from every fourth on can be copied at once.
  bool fours() const { return elements % 4 == 0 && aligned(data); }
};

// The im2col matrix of images [N, height, width, channels]. Line (n, i, j) is the window whose first pixel is
// (i * step_h - pad_h, j * step_w - pad_w) of image n, outside of which there are zeros; element (r, s, c) is its
// value there.
struct WindowLines {
  const float* data;
  int height, width, channels;
  int window_w;  // S
  int step_h, step_w, pad_h, pad_w;
  int lines, elements;
  int lines_down, lines_across;  // of one image
  int64_t image_size;            // floats, below 2^31
  FastDivisor by_down, by_across, by_channels, by_window_w;

  struct Line {
    int64_t offset;
    int h, w;
  };
  struct Element {
    int offset, h, w;
  };
  // Far enough outside that no element of a window is inside, and the other way round.
  static constexpr int kNoLine = -(1 << 30), kNoElement = 1 << 29;

  __device__ Line line(int i) const {
    if (i >= lines) return {0, kNoLine, kNoLine};
    const int row = by_across.quotient(i), image = by_down.quotient(row);
    const int h = (row - image * lines_down) * step_h - pad_h, w = (i - row * lines_across) * step_w - pad_w;
    return {image * image_size + (h * width + w) * channels, h, w};
  }
  __device__ Element element(int i) const {
    if (i >= elements) return {0, kNoElement, kNoElement};
    const int tap = by_channels.quotient(i), r = by_window_w.quotient(tap), s = tap - r * window_w;
    return {(r * width + s) * channels + i - tap * channels, r, s};
  }
  __device__ Place at(const Line& line, const Element& element) const {
    const int h = line.h + element.h, w = line.w + element.w;
    const bool inside = h >= 0 && h < height && w >= 0 && w < width;
    return {inside ? data + line.offset + element.offset : data, inside};
  }
  bool fours() const { return channels % 4 == 0 && aligned(data); }
};

// One axis of the taps that reach the input positions start, start + stride, …: r = last, last - stride, … >= 0,
// `count` of them. In that order they form a window over dy with stride 1 and padding `pad`.
struct ReachingTaps {
  int64_t last, count, pad;
  int64_t positions;  // start, start + stride, … below the input's extent

  static ReachingTaps of(int64_t start, int64_t stride, int64_t pad, int64_t window, int64_t extent) {
    const int64_t first = (start + pad) % stride;
    const int64_t count = first < window ? (window - first + stride - 1) / stride : 0;
    return {.last = first + (count - 1) * stride,
            .count = count,
            .pad = count - 1 - (start + pad - first) / stride,
            .positions = start < extent ? (extent - start + stride - 1) / stride : 0};
  }
};

// Filters w [K, R, S, C] as lines (i, j, k) of elements c, where (i, j) counts the taps that reach one class of input
// pixels: r = last_r - i * stride_h, s = last_s - j * stride_w.
struct FilterLines {
  const float* data;
  int filters, taps_across;
  int last_r, last_s, stride_h, stride_w;
  int window_w, lines, elements;
  int64_t filter_size;
  FastDivisor by_filters, by_taps_across;

  using Line = int64_t;
  using Element = int;
  __device__ Line line(int i) const {
    if (i >= lines) return -1;
    const int tap = by_filters.quotient(i), row = by_taps_across.quotient(tap);
    const int r = last_r - row * stride_h, s = last_s - (tap - row * taps_across) * stride_w;
    return (i - tap * filters) * filter_size + (r * window_w + s) * elements;
  }
  __device__ Element element(int i) const { return i < elements ? i : -1; }
  __device__ Place at(Line line, Element element) const {
    const bool inside = line >= 0 && element >= 0;
    return {inside ? data + line + element : data, inside};
  }
  bool fours() const { return elements % 4 == 0 && aligned(data); }
};

// Which axis of the product the lines of an operand are; its elements are the other one.
enum class Lines { rows, depth };  // of A; for B read "columns" for rows

template <class SourceType, Lines lines_are>
struct Operand {
  using Source = SourceType;
  static constexpr Lines kLines = lines_are;
  Source source;
  bool fours;  // copy four elements at a time

  explicit Operand(const Source& from) : source(from), fours(from.fours()) {}
};

}  // namespace convoy::cuda
