// The ladder of convolution algorithms on CUDA, one file each; docs/cuda.md climbs it. Contracts stand in
// tensor/kernels.h; conv2d.cu chooses.
#pragma once

#include "tensor/cuda/table.h"

namespace convoy::cuda {

#define ALGORITHM                                                                 \
  std::remove_pointer_t<decltype(Kernels::conv2d_forward)> forward;               \
  std::remove_pointer_t<decltype(Kernels::conv2d_backward_input)> backward_input; \
  std::remove_pointer_t<decltype(Kernels::conv2d_backward_weight)> backward_weight;

// 1. The im2col matrix in memory, and gemm(). Any shape, type and precision.
namespace im2col {
ALGORITHM
}

// 2. The im2col matrix as a map, fp32 multiply-adds. Any shape; f32 operands, in fp32 whatever the stream's precision.
namespace tiled {
ALGORITHM
}

// 3. The same map, tensor cores. Any shape, type and precision; fp32 as three TF32 products.
namespace tensor_core {
ALGORITHM
}

#undef ALGORITHM

// 4. Images of few channels, filters and image tiles in shared memory; arithmetic in fp32.
namespace direct {
bool can(const Conv2dShape& shape);
std::remove_pointer_t<decltype(Kernels::conv2d_forward)> forward;
std::remove_pointer_t<decltype(Kernels::conv2d_backward_weight)> backward_weight;
}  // namespace direct

}  // namespace convoy::cuda
