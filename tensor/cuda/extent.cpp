#include "tensor/cuda/extent.h"

#include "tensor/error.h"

namespace convoy::cuda {

int extent(int64_t value) {
  constexpr int64_t kMost = INT32_MAX - 1024;
  CHECK(value <= kMost, "cuda: an extent of {} in a product or convolution; its kernels index at most {}", value,
        kMost);
  return static_cast<int>(value);
}

}  // namespace convoy::cuda
