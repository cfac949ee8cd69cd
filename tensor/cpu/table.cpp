// The kernel table of one instruction set. Designated initialisers in the order of kernels.h: a missing row does
// not compile (-Werror=missing-field-initializers).
#include "tensor/cpu/table.h"

namespace convoy::CONVOY_ISA {

extern const Kernels kTable;
const Kernels kTable = {
    .name = kIsaName,
    .gemm = of_floats<gemm>,
    .conv2d_forward = of_floats<conv2d_forward>,
    .conv2d_backward_input = of_floats<conv2d_backward_input>,
    .conv2d_backward_weight = of_floats<conv2d_backward_weight>,
    .max_pool_forward = of_floats<max_pool_forward>,
    .max_pool_backward = of_floats<max_pool_backward>,
    .average_pool_forward = of_floats<average_pool_forward>,
    .average_pool_backward = of_floats<average_pool_backward>,
    .batch_norm_statistics = of_floats<batch_norm_statistics>,
    .batch_norm_normalize = of_floats<batch_norm_normalize>,
    .batch_norm_backward_reduce = of_floats<batch_norm_backward_reduce>,
    .batch_norm_backward_input = of_floats<batch_norm_backward_input>,
    .batch_norm_update_running = of_floats<batch_norm_update_running>,
    .batch_norm_max_pool = of_floats<batch_norm_max_pool>,
    .batch_norm_max_pool_backward_input = of_floats<batch_norm_max_pool_backward_input>,
    .unary_forward = of_floats<unary_forward>,
    .unary_backward = of_floats<unary_backward>,
    .binary_forward = of_floats<binary_forward>,
    .binary_backward = of_floats<binary_backward>,
    .scale = of_floats<scale>,
    .dropout = of_floats<dropout>,
    .fill = of_floats<fill>,
    .convert = convert,
    .bias_forward = of_floats<bias_forward>,
    .column_sum = of_floats<column_sum>,
    .bias_relu_backward = of_floats<bias_relu_backward>,
    .sum = of_floats<sum>,
    .argmax = of_floats<argmax>,
    .count_nonfinite = of_floats<count_nonfinite>,
    .softmax_cross_entropy_forward = of_floats<softmax_cross_entropy_forward>,
    .softmax_cross_entropy_backward = of_floats<softmax_cross_entropy_backward>,
    .sgd_step = of_floats<sgd_step>,
    .adam_step = of_floats<adam_step>,
    .gemm_adam_step = of_floats<gemm_adam_step>,
    .clip_scale = of_floats<clip_scale>,
    .average_step = of_floats<average_step>,
    .image_batch = of_floats<image_batch>,
};

}  // namespace convoy::CONVOY_ISA
