#include "autograd/autograd.h"

namespace convoy {

Variable reshape(const Variable& x, const Shape& shape) {
  auto backward = [from = x.shape(), x_grad = x.gradient_only()](const Variable::Gradient& gradient) {
    x_grad.add_grad(gradient.dy.reshape(from), gradient.gated);
  };
  return Variable::record("reshape", x.value().reshape(shape), {x}, std::move(backward), {}, x.relu_result());
}

Variable flatten(const Variable& x) {
  CHECK(x.shape().rank() >= 1, "flatten: a scalar has no axis of samples");
  int64_t features = 1;
  for (const int64_t extent : x.shape().extents().subspan(1)) features *= extent;
  return reshape(x, {x.shape()[0], features});
}

}  // namespace convoy
