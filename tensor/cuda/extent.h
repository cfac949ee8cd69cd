// Extents as kernels index them.
#pragma once

#include <cstdint>

namespace convoy::cuda {

// The extent as an int, with room above it for the edge of a tile; throws Error(usage) where there is none.
int extent(int64_t value);

}  // namespace convoy::cuda
