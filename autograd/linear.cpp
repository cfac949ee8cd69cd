#include "autograd/autograd.h"
#include "autograd/epilogue.h"

namespace convoy {

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, bool relu) {
  const Tensor matrix = weight_for(x.value(), weight);
  const Tensor y = linear(x.value(), matrix, value_or_none(bias), relu);
  auto backward =
      [n = x.value().size(0), in = weight.value().size(1), out = weight.value().size(0), y = relu ? y : Tensor(),
       x = weight.requires_grad() ? x.value() : Tensor(),  // only dw reads x
       w = x.requires_grad() ? matrix : Tensor(),          // only dx reads w
       gate = x.relu_result() && gemm_takes_gate(x.value().device()) ? x.value() : Tensor(), x_grad = x.gradient_only(),
       w_grad = weight.gradient_only(), bias_grad = bias.gradient_only()](const Variable::Gradient& dy) {
        const Tensor dz = bias_relu_backward(y, bias_grad, dy);
        const Kernels& k = kernels(dz.device());
        // dw [out,in] = dz^T [out,N] * x [N,in]. First, so that it can travel to other ranks while dx is
        // computed.
        w_grad.add_product_grad(dz, x);
        // dx [N,in] = dz [N,out] * w [out,in], and what a ReLU before takes no notice of is 0: it need not go through it again.
        const Epilogue then{.gate = gate.defined() ? gate.data<float>() : nullptr};
        x_grad.add_grad(
            [&](Tensor& dx, bool accumulate) {
              k.gemm(current_stream(), {.m = n, .n = in, .k = out}, dz, w, then, accumulate, dx);
            },
            gate.defined());
      };
  return Variable::record("linear", y, {x, weight, bias}, std::move(backward), {.relu = relu}, relu);
}

}  // namespace convoy
