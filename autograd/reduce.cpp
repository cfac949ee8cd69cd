#include "autograd/autograd.h"

namespace convoy {

Variable sum(const Variable& x) {
  return Variable::record("sum", sum(x.value()), {x}, [x_grad = x.gradient_only()](const Tensor& dy) {
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      const Kernels& k = kernels(dy.device());
      if (!accumulate) k.fill(current_stream(), dx.count(), 0, dx);
      // dy [1] is added to every element as the bias of a one-column matrix, so that the host need not know
      // its value.
      k.bias_forward(current_stream(), dx.count(), 1, dx, dy.data<float>(), dx);
    });
  });
}

Variable mean(const Variable& x) {
  CHECK(x.value().count() > 0, "mean: {} has no elements", x.shape());
  return scale(sum(x), 1.0f / static_cast<float>(x.value().count()));
}

}  // namespace convoy
