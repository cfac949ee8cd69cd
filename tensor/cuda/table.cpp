// The CUDA kernel table. Designated initialisers in the order of kernels.h: a missing row does not compile
// (-Werror=missing-field-initializers).
#include "tensor/cuda/table.h"

#include "tensor/cuda/cuda.h"

namespace convoy::cuda {
namespace {

const Kernels kTable = {
    .name = "cuda",
    .gemm = gemm,
    .conv2d_forward = conv2d_forward,
    .conv2d_backward_input = conv2d_backward_input,
    .conv2d_backward_weight = conv2d_backward_weight,
    .max_pool_forward = max_pool_forward,
    .max_pool_backward = max_pool_backward,
    .average_pool_forward = average_pool_forward,
    .average_pool_backward = average_pool_backward,
    .batch_norm_statistics = batch_norm_statistics,
    .batch_norm_normalize = batch_norm_normalize,
    .batch_norm_backward_reduce = batch_norm_backward_reduce,
    .batch_norm_backward_input = batch_norm_backward_input,
    .batch_norm_update_running = batch_norm_update_running,
    .batch_norm_max_pool = nullptr,  // kernels.h
    .batch_norm_max_pool_backward_input = nullptr,
    .unary_forward = unary_forward,
    .unary_backward = unary_backward,
    .binary_forward = binary_forward,
    .binary_backward = binary_backward,
    .scale = scale,
    .dropout = dropout,
    .fill = fill,
    .convert = convert,
    .bias_forward = bias_forward,
    .column_sum = column_sum,
    .bias_relu_backward = bias_relu_backward,
    .sum = sum,
    .argmax = argmax,
    .count_nonfinite = count_nonfinite,
    .softmax_cross_entropy_forward = softmax_cross_entropy_forward,
    .softmax_cross_entropy_backward = softmax_cross_entropy_backward,
    .sgd_step = sgd_step,
    .adam_step = adam_step,
    .gemm_adam_step = nullptr,  // kernels.h
    .clip_scale = clip_scale,
    .average_step = average_step,
    .image_batch = image_batch,
};

}  // namespace

const Kernels& kernel_table() { return kTable; }

}  // namespace convoy::cuda
