// What a call of a kernel has to do at least, told by its arguments alone: the measure of how good its time is.
//
//   flops   two for every multiply-add of a product or convolution as it is defined, those with padding included; what
//           other kernels compute is little beside the memory they move, and counted as 0
//   bytes   every input read once, every output written once, and read before when it is accumulated into
//
// One function for each row of Kernels, of the same name and with the row's parameters but the stream.
#pragma once

#include "tensor/kernels.h"

namespace convoy {

struct KernelCost {
  double flops = 0, bytes = 0;
  KernelCost& operator+=(const KernelCost& other) {
    flops += other.flops;
    bytes += other.bytes;
    return *this;
  }
};

namespace cost_of {

// The type of a row's function without its stream, with another result.
template <class Row>
struct CostOfRow;
template <class... Parameters>
struct CostOfRow<void (*)(const Stream&, Parameters...)> {
  using Type = KernelCost(Parameters...);
};

#define ROW(name) CostOfRow<decltype(Kernels::name)>::Type name
ROW(gemm);
ROW(conv2d_forward);
ROW(conv2d_backward_input);
ROW(conv2d_backward_weight);
ROW(max_pool_forward);
ROW(max_pool_backward);
ROW(average_pool_forward);
ROW(average_pool_backward);
ROW(batch_norm_statistics);
ROW(batch_norm_normalize);
ROW(batch_norm_backward_reduce);
ROW(batch_norm_backward_input);
ROW(batch_norm_update_running);
ROW(batch_norm_max_pool);
ROW(batch_norm_max_pool_backward_input);
ROW(unary_forward);
ROW(unary_backward);
ROW(binary_forward);
ROW(binary_backward);
ROW(scale);
ROW(dropout);
ROW(fill);
ROW(convert);
ROW(bias_forward);
ROW(column_sum);
ROW(bias_relu_backward);
ROW(sum);
ROW(argmax);
ROW(count_nonfinite);
ROW(softmax_cross_entropy_forward);
ROW(softmax_cross_entropy_backward);
ROW(sgd_step);
ROW(adam_step);
ROW(gemm_adam_step);
ROW(clip_scale);
ROW(average_step);
ROW(image_batch);
#undef ROW

}  // namespace cost_of
}  // namespace convoy
