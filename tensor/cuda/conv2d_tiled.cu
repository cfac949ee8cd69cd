// The second rung of the ladder: the im2col matrix is never built; each block copies the windows it needs straight
// from the image to shared memory. Multiply-adds in fp32, whatever the stream's precision.
#include "tensor/cuda/conv2d_algorithms.h"
#include "tensor/cuda/conv2d_products.cuh"
#include "tensor/cuda/fma_tile.cuh"

namespace convoy::cuda::tiled {

void forward(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray w, const Epilogue& epilogue,
             Array y) {
  forward_product<FmaTiles>(stream, shape, x, w, epilogue, y);
}

void backward_input(const Stream& stream, const Conv2dShape& shape, ConstArray dy, ConstArray w, bool accumulate,
                    Array dx) {
  backward_input_product<FmaTiles>(stream, shape, dy, w, accumulate, dx);
}

void backward_weight(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray dy, bool accumulate,
                     float* dw) {
  backward_weight_product<FmaTiles>(stream, shape, x, dy, accumulate, dw);
}

}  // namespace convoy::cuda::tiled
