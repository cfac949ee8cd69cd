#include "tensor/shape.h"

#include <fmt/ranges.h>

namespace convoy {

Shape::Shape(std::span<const int64_t> extents) {
  CHECK(extents.size() <= kMaxRank, "shape: {} axes, at most {} are supported", extents.size(), kMaxRank);
  for (const int64_t extent : extents) {
    CHECK(extent >= 0, "shape: extent {} is negative in [{}]", extent, fmt::join(extents, ","));
    int64_t product = 0;
    CHECK(!__builtin_mul_overflow(count(), extent, &product) && product <= kMaxCount,
          "shape: [{}] has more elements than 64 bits can count the bytes of", fmt::join(extents, ","));
    extents_[static_cast<size_t>(rank_++)] = extent;
  }
}

int64_t Shape::count() const {
  int64_t product = 1;
  for (const int64_t extent : extents()) product *= extent;
  return product;
}

std::string Shape::text() const { return fmt::format("[{}]", fmt::join(extents(), ",")); }

}  // namespace convoy
