#include "autograd/autograd.h"

namespace convoy {

Variable max_pool2d(const Variable& x, Window size, Window stride, Window pad) {
  const MaxPool2dResult pooled = max_pool2d(x.value(), size, stride, pad);
  auto backward = [shape = pool2d_shape("max_pool2d", x.value(), size, stride, pad), index = pooled.index,
                   x_grad = x.gradient_only()](const Tensor& dy) {
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      kernels(dy.device()).max_pool_backward(current_stream(), shape, dy, index.data<uint8_t>(), accumulate, dx);
    });
  };
  return Variable::record("max_pool2d", pooled.y, {x}, std::move(backward),
                          {.size = size, .stride = stride, .pad = pad});
}

Variable average_pool2d(const Variable& x, Window size, Window stride, Window pad) {
  const Tensor y = average_pool2d(x.value(), size, stride, pad);
  auto backward = [shape = pool2d_shape("average_pool2d", x.value(), size, stride, pad),
                   x_grad = x.gradient_only()](const Tensor& dy) {
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      kernels(dy.device()).average_pool_backward(current_stream(), shape, dy, accumulate, dx);
    });
  };
  return Variable::record("average_pool2d", y, {x}, std::move(backward), {.size = size, .stride = stride, .pad = pad});
}

Variable global_average_pool2d(const Variable& x) {
  CHECK(x.shape().rank() == 4, "global_average_pool2d: input {} is not [N,H,W,C]", x.shape());
  const Window image{x.shape()[1], x.shape()[2]};
  return average_pool2d(x, image, {1, 1}, {0, 0});
}

}  // namespace convoy
