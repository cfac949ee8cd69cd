// What a product C [rows, columns] = A [rows, depth] * B [depth, columns] may take its operands from: matrices in
// memory, and matrices that exist only as a map onto an image or onto filters (docs/convolution.md has the drawing).
//
// A source is a set of *lines* of *elements*, floats or Bf16, and elements lie side by side in memory. Which of the product's axes the
// lines are is said by the operand. A thread that copies a tile visits `count` lines, `apart` lines from each other, at
// one element each:
//
//   const typename Source::template Lines<count, apart> lines(source, first_line);
//   const typename Source::Element element = source.element(j);
//   const Place place = lines.place(i, element);     // of element j of line first_line + i * apart
//
// Either is worked out once, divisions and all, by whoever stays on it; place() mostly adds and compares.
#pragma once

#include <algorithm>

#include "tensor/bf16.h"
#include "tensor/conv_shape.h"
#include "tensor/cuda/extent.h"
#include "tensor/cuda/vector_access.cuh"

namespace convoy::cuda {

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

// An element in memory, or one that counts as 0; then the pointer may not be read.
template <class T>
struct Place {
  const T* pointer;
  bool inside;
};

// Elements that are copied at once where they can be: 16 bytes.
template <class T>
constexpr int kChunk = 16 / sizeof(T);

// True when lines of so many elements consist of whole chunks.
template <class T>
bool in_chunks(const T* data, int elements) {
  return elements % kChunk<T> == 0 && reinterpret_cast<uintptr_t>(data) % 16 == 0;
}

// A row-major matrix: `lines` rows of `elements`.
template <class T>
struct MatrixLines {
  using Value = T;
  const T* data;
  int lines, elements;

  using Element = int;  // offset, -1 outside
  __device__ Element element(int i) const { return i < elements ? i : -1; }

  template <int count, int apart>
  class Lines {
   public:
    __device__ Lines(const MatrixLines& matrix, int first) : matrix_(matrix), first_(first) {}
    __device__ Place<T> place(int i, Element element) const {
      const int line = first_ + i * apart;
      const bool inside = line < matrix_.lines && element >= 0;
      return {matrix_.data + (inside ? int64_t{line} * matrix_.elements + element : 0), inside};
    }

   private:
    const MatrixLines& matrix_;
    int first_;
  };

  bool chunks() const { return in_chunks(data, elements); }
};

// The im2col matrix of images [N, height, width, channels]. Line (n, i, j) is the window whose first pixel is
// (i * step_h - pad_h, j * step_w - pad_w) of image n, outside of which there are zeros; element (r, s, c) is its
// value there.
template <class T>
struct WindowLines {
  using Value = T;
  const T* data;
  int height, width, channels;
  int window_w;  // S
  int step_h, step_w, pad_h, pad_w;
  int lines, elements;
  int lines_down, lines_across;  // of one image
  int image_size;                // from image_extent()
  FastDivisor by_down, by_across, by_channels, by_window_w;

  struct Element {
    int offset, h, w;
  };
  __device__ Element element(int i) const {
    if (i >= elements) return {0, kNoElement, kNoElement};
    const int tap = by_channels.quotient(i), r = by_window_w.quotient(tap), s = tap - r * window_w;
    return {(r * width + s) * channels + i - tap * channels, r, s};
  }

  template <int count, int apart>
  class Lines {
   public:
    __device__ Lines(const WindowLines& windows, int first) : windows_(windows) {
      const int first_image = windows.by_down.quotient(windows.by_across.quotient(first));
      images_ = windows.data + int64_t{first_image} * windows.image_size;
#pragma unroll
      for (int i = 0; i < count; ++i) {
        const int line = first + i * apart;
        const int row = windows.by_across.quotient(line), image = windows.by_down.quotient(row);
        h_[i] = (row - image * windows.lines_down) * windows.step_h - windows.pad_h;
        w_[i] = (line - row * windows.lines_across) * windows.step_w - windows.pad_w;
        offset_[i] = (image - first_image) * windows.image_size + (h_[i] * windows.width + w_[i]) * windows.channels;
        if (line >= windows.lines) h_[i] = kNoLine;
      }
    }
    __device__ Place<T> place(int i, const Element& element) const {
      const int h = h_[i] + element.h, w = w_[i] + element.w;
      const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(windows_.height) &&
                          static_cast<unsigned>(w) < static_cast<unsigned>(windows_.width);
      return {images_ + (inside ? offset_[i] + element.offset : 0), inside};
    }

   private:
    const WindowLines& windows_;
    const T* images_;  // from the first line's on
    int offset_[count], h_[count], w_[count];
  };

  bool chunks() const { return in_chunks(data, channels); }

 private:
  // Far enough outside that no element of a window is inside, and the other way round.
  static constexpr int kNoLine = -(1 << 30), kNoElement = 1 << 29;
};

// The elements of an image of which `lines` windows are taken, as an int: the images under a tile's lines are indexed
// from the first of them on, and must be within reach of an int.
inline int image_extent(int64_t elements, int64_t lines) {
  constexpr int64_t kMostLines = 128;
  extent(elements * (kMostLines / std::max<int64_t>(lines, 1) + 2));
  return static_cast<int>(elements);
}

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
template <class T>
struct FilterLines {
  using Value = T;
  const T* data;
  int filters, taps_across;
  int last_r, last_s, stride_h, stride_w;
  int window_w, lines, elements;
  int64_t filter_size;
  FastDivisor by_filters, by_taps_across;

  using Element = int;
  __device__ Element element(int i) const { return i < elements ? i : -1; }

  template <int count, int apart>
  class Lines {
   public:
    __device__ Lines(const FilterLines& filters, int first) : filters_(filters), first_(first) {}
    __device__ Place<T> place(int i, Element element) const {
      const FilterLines& f = filters_;
      const int line = first_ + i * apart, tap = f.by_filters.quotient(line), row = f.by_taps_across.quotient(tap);
      const int r = f.last_r - row * f.stride_h, s = f.last_s - (tap - row * f.taps_across) * f.stride_w;
      const int64_t offset = (line - tap * f.filters) * f.filter_size + (r * f.window_w + s) * f.elements;
      const bool inside = line < f.lines && element >= 0;
      return {f.data + (inside ? offset + element : 0), inside};
    }

   private:
    const FilterLines& filters_;
    int first_;
  };

  bool chunks() const { return in_chunks(data, elements); }
};

// Which axis of the product the lines of an operand are; its elements are the other one.
enum class Lines { rows, depth };  // of A; for B read "columns" for rows

template <class SourceType, Lines lines_are>
struct Operand {
  using Source = SourceType;
  static constexpr Lines kLines = lines_are;
  Source source;
  bool chunks;  // copy whole chunks

  explicit Operand(const Source& from) : source(from), chunks(from.chunks()) {}
};

}  // namespace convoy::cuda
