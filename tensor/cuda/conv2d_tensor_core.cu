// The third rung of the ladder: the maps of the second, multiplied by tensor cores: bf16 operands as they are, f32 ones as
// the stream's precision says.
#include "tensor/cuda/bf16_tile.cuh"
#include "tensor/cuda/conv2d_algorithms.h"
#include "tensor/cuda/conv2d_products.cuh"

namespace convoy::cuda::tensor_core {
namespace {

// Calls body.operator()<Tiles>() with the tiles for operands of this type.
template <class Body>
void with_tiles(const Stream& stream, DType operands, Body&& body) {
  if (operands == DType::bf16) return body.template operator()<Bf16Tiles>();
  if (stream.precision == Precision::fp32) return body.template operator()<Tf32ThriceTiles>();
  body.template operator()<Tf32Tiles>();
}

}  // namespace

void forward(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray w, const Epilogue& epilogue,
             Array y) {
  with_tiles(stream, x.dtype, [&]<class Tiles> { forward_product<Tiles>(stream, shape, x, w, epilogue, y); });
}

void backward_input(const Stream& stream, const Conv2dShape& shape, ConstArray dy, ConstArray w, bool accumulate,
                    Array dx) {
  with_tiles(stream, dy.dtype,
             [&]<class Tiles> { backward_input_product<Tiles>(stream, shape, dy, w, accumulate, dx); });
}

void backward_weight(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray dy, bool accumulate,
                     float* dw) {
  with_tiles(stream, x.dtype,
             [&]<class Tiles> { backward_weight_product<Tiles>(stream, shape, x, dy, accumulate, dw); });
}

}  // namespace convoy::cuda::tensor_core
