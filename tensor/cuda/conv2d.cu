// Convolution on CUDA: which rung of the ladder a call takes.
#include "tensor/cuda/conv2d_algorithms.h"

namespace convoy::cuda {
namespace {

using Algorithm = ConvolutionAlgorithm;

// Few channels go to the direct kernels, which read the image once; what is left, to tensor cores where the operands are
// bf16 or the precision allows them, and to fp32 multiply-adds otherwise.
Algorithm choose(const Stream& stream, const Conv2dShape& shape, DType operands, bool direct_exists) {
  const bool direct_can = direct_exists && direct::can(shape), tiled_can = operands == DType::f32;
  switch (stream.convolution) {
    case Algorithm::im2col:
    case Algorithm::tensor_core:
      return stream.convolution;
    case Algorithm::tiled:
      if (tiled_can) return Algorithm::tiled;
      break;
    case Algorithm::gemm:
    case Algorithm::winograd:  // the CPU's
    case Algorithm::direct:
    case Algorithm::automatic:
      break;
  }
  if (direct_can) return Algorithm::direct;
  return tiled_can && stream.precision == Precision::fp32 ? Algorithm::tiled : Algorithm::tensor_core;
}

}  // namespace

void conv2d_forward(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray w,
                    const Epilogue& epilogue, Array y) {
  switch (choose(stream, shape, x.dtype, true)) {
    case Algorithm::im2col:
      return im2col::forward(stream, shape, x, w, epilogue, y);
    case Algorithm::tensor_core:
      return tensor_core::forward(stream, shape, x, w, epilogue, y);
    case Algorithm::direct:
      return direct::forward(stream, shape, x, w, epilogue, y);
    default:
      return tiled::forward(stream, shape, x, w, epilogue, y);
  }
}

void conv2d_backward_input(const Stream& stream, const Conv2dShape& shape, ConstArray dy, ConstArray w, bool accumulate,
                           Array dx) {
  switch (choose(stream, shape, dy.dtype, false)) {
    case Algorithm::im2col:
      return im2col::backward_input(stream, shape, dy, w, accumulate, dx);
    case Algorithm::tensor_core:
      return tensor_core::backward_input(stream, shape, dy, w, accumulate, dx);
    default:
      return tiled::backward_input(stream, shape, dy, w, accumulate, dx);
  }
}

void conv2d_backward_weight(const Stream& stream, const Conv2dShape& shape, ConstArray x, ConstArray dy,
                            bool accumulate, float* dw) {
  switch (choose(stream, shape, x.dtype, true)) {
    case Algorithm::im2col:
      return im2col::backward_weight(stream, shape, x, dy, accumulate, dw);
    case Algorithm::tensor_core:
      return tensor_core::backward_weight(stream, shape, x, dy, accumulate, dw);
    case Algorithm::direct:
      return direct::backward_weight(stream, shape, x, dy, accumulate, dw);
    default:
      return tiled::backward_weight(stream, shape, x, dy, accumulate, dw);
  }
}

}  // namespace convoy::cuda
