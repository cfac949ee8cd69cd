// The third rung of the ladder: the maps of the second, multiplied by tensor cores in the stream's precision.
#include "tensor/cuda/conv2d_algorithms.h"
#include "tensor/cuda/conv2d_products.cuh"
#include "tensor/cuda/tensor_core_tile.cuh"

namespace convoy::cuda::tensor_core {
namespace {

// Calls body.operator()<Tiles>() with the tiles of the precision.
template <class Body>
void with_tiles(Precision precision, Body&& body) {
  switch (precision) {
    case Precision::fp32:
      return body.template operator()<TensorCoreTiles<Rounding::tf32_thrice>>();
    case Precision::tf32:
      return body.template operator()<TensorCoreTiles<Rounding::tf32>>();
    case Precision::bf16:
      return body.template operator()<TensorCoreTiles<Rounding::bf16>>();
  }
}

}  // namespace

void forward(const Stream& stream, const Conv2dShape& shape, const float* x, const float* w, const Epilogue& epilogue,
             float* y) {
  with_tiles(stream.precision, [&]<class Tiles> { forward_product<Tiles>(stream, shape, x, w, epilogue, y); });
}

void backward_input(const Stream& stream, const Conv2dShape& shape, const float* dy, const float* w, bool accumulate,
                    float* dx) {
  with_tiles(stream.precision,
             [&]<class Tiles> { backward_input_product<Tiles>(stream, shape, dy, w, accumulate, dx); });
}

void backward_weight(const Stream& stream, const Conv2dShape& shape, const float* x, const float* dy, bool accumulate,
                     float* dw) {
  with_tiles(stream.precision,
             [&]<class Tiles> { backward_weight_product<Tiles>(stream, shape, x, dy, accumulate, dw); });
}

}  // namespace convoy::cuda::tensor_core
