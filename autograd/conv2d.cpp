#include "autograd/autograd.h"
#include "autograd/epilogue.h"

namespace convoy {

Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias, Window stride, Window pad, bool relu,
                BatchStatistics* statistics) {
  const Tensor filters = weight_for(x.value(), weight);
  const Tensor y = conv2d(x.value(), filters, value_or_none(bias), stride, pad, relu, statistics);
  auto backward = [shape = conv2d_shape(x.value(), filters, stride, pad), y = relu ? y : Tensor(),
                   x = weight.requires_grad() ? x.value() : Tensor(),  // only dw reads x
                   w = x.requires_grad() ? filters : Tensor(),         // only dx reads w
                   x_grad = x.gradient_only(), w_grad = weight.gradient_only(),
                   bias_grad = bias.gradient_only()](const Variable::Gradient& dy) {
    const Tensor dz = bias_relu_backward(y, bias_grad, dy);
    const Kernels& k = kernels(dz.device());
    // The weight first: its gradient can travel to other ranks while the input's is computed.
    w_grad.add_grad([&](Tensor& dw, bool accumulate) {
      k.conv2d_backward_weight(current_stream(), shape, x, dz, accumulate, dw.data<float>());
    });
    x_grad.add_grad(
        [&](Tensor& dx, bool accumulate) { k.conv2d_backward_input(current_stream(), shape, dz, w, accumulate, dx); });
  };
  return Variable::record("conv2d", y, {x, weight, bias}, std::move(backward),
                          {.stride = stride, .pad = pad, .relu = relu}, relu);
}

}  // namespace convoy
