// Random orders that are a function of their key alone.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/philox.h"

namespace convoy {

// 0 ... size-1 in an order drawn from the key; size is below 2^31. Fisher and Yates' shuffle.
std::vector<int32_t> shuffled(int64_t size, const RandomKey& key);

}  // namespace convoy
