#include "parallel/segments.h"

#include <algorithm>

#include "tensor/kernels.h"

namespace convoy {

std::vector<Range> segments(Range range) {
  std::vector<Range> cuts;
  for (int64_t begin = range.begin; begin < range.end; begin += kSegmentFloats)
    cuts.push_back({begin, std::min(begin + kSegmentFloats, range.end)});
  return cuts;
}

void add(std::span<float> into, std::span<const float> from) {
  kernels(Device{}).binary_forward(Stream{}, Binary::add, static_cast<int64_t>(into.size()), into.data(), from.data(),
                                   into.data());
}

}  // namespace convoy
