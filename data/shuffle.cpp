#include "data/shuffle.h"

#include <cstddef>
#include <numeric>
#include <utility>

namespace convoy {

std::vector<int32_t> shuffled(int64_t size, const RandomKey& key) {
  std::vector<int32_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  Random4 words{};
  for (int64_t i = 0; i + 1 < size; ++i) {
    if (i % 4 == 0) words = philox(key, static_cast<uint64_t>(i / 4));
    const int64_t other = i + random_below(words.v[i % 4], static_cast<uint32_t>(size - i));
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(other)]);
  }
  return order;
}

}  // namespace convoy
