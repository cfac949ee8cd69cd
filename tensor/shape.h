// Shape: up to six int64 extents, stored inline. Row-major: the last axis is contiguous.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "tensor/error.h"

namespace convoy {

class Shape {
 public:
  static constexpr int kMaxRank = 6;
  static constexpr int64_t kMaxCount = INT64_MAX / 8;  // so that bytes, at most eight an element, fit 64 bits

  Shape() = default;  // rank 0: a scalar, count() == 1
  Shape(std::initializer_list<int64_t> extents) : Shape(std::span<const int64_t>(extents.begin(), extents.size())) {}
  // Throws for more than kMaxRank axes, a negative extent, or more than kMaxCount elements.
  explicit Shape(std::span<const int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  int64_t count() const;  // number of elements: the product of the extents
  std::span<const int64_t> extents() const { return {extents_.data(), static_cast<size_t>(rank_)}; }
  std::string text() const;  // "[8,32,32,3]"

  bool operator==(const Shape&) const = default;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace convoy

template <>
struct fmt::formatter<convoy::Shape> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const convoy::Shape& shape, Context& context) const {
    return fmt::formatter<std::string>::format(shape.text(), context);
  }
};
