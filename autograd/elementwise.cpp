#include "autograd/autograd.h"
#include "autograd/epilogue.h"

namespace convoy {

Variable apply(Unary function, const Variable& x) {
  const Tensor y = apply(function, x.value());
  // ReLU's derivative can be told from its result, which the next layer keeps anyway; the others read x.
  auto backward = [function, x = function == Unary::relu ? y : x.value(),
                   x_grad = x.gradient_only()](const Variable::Gradient& gradient) {
    const Tensor& dy = gradient.dy;
    if (gradient.gated) return x_grad.add_grad(dy);
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      kernels(dy.device()).unary_backward(current_stream(), function, dy.count(), x, dy, accumulate, dx);
    });
  };
  return Variable::record(name_of(function), y, {x}, std::move(backward), {}, function == Unary::relu);
}

Variable apply(Binary function, const Variable& a, const Variable& b) {
  const Tensor y = apply(function, a.value(), b.value());
  if (function == Binary::add) {
    return Variable::record(name_of(function), y, {a, b},
                            [a_grad = a.gradient_only(), b_grad = b.gradient_only()](const Tensor& dy) {
                              a_grad.add_grad(dy);
                              b_grad.add_grad(dy);
                            });
  }
  // One pass per input, since a and b may be the same variable, whose gradient then takes two contributions.
  auto backward = [function, a = a.value(), b = b.value(), a_grad = a.gradient_only(),
                   b_grad = b.gradient_only()](const Tensor& dy) {
    const Kernels& k = kernels(dy.device());
    a_grad.add_grad([&](Tensor& da, bool accumulate) {
      k.binary_backward(current_stream(), function, dy.count(), a, b, dy, accumulate, da, false, nullptr);
    });
    b_grad.add_grad([&](Tensor& db, bool accumulate) {
      k.binary_backward(current_stream(), function, dy.count(), a, b, dy, false, nullptr, accumulate, db);
    });
  };
  return Variable::record(name_of(function), y, {a, b}, std::move(backward));
}

Variable convert(const Variable& x, DType dtype) {
  if (x.value().dtype() == dtype) return x;
  return Variable::record(
      "convert", convert(x.value(), dtype), {x},
      [from = x.value().dtype(), x_grad = x.gradient_only()](const Tensor& dy) { x_grad.add_grad(convert(dy, from)); });
}

Variable scale(const Variable& x, float factor) {
  return Variable::record(
      "scale", scale(x.value(), factor), {x},
      [factor, x_grad = x.gradient_only()](const Tensor& dy) { x_grad.add_grad(scale(dy, factor)); });
}

Variable bias_add(const Variable& x, const Variable& bias) {
  const Tensor y = bias_add(x.value(), bias.value());
  auto backward = [x_grad = x.gradient_only(), bias_grad = bias.gradient_only()](const Tensor& dy) {
    bias_relu_backward(Tensor(), bias_grad, {dy, false});
    x_grad.add_grad(dy);
  };
  return Variable::record("bias_add", y, {x, bias}, std::move(backward));
}

}  // namespace convoy
