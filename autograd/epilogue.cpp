#include "autograd/epilogue.h"

#include "tensor/kernels.h"
#include "tensor/ops.h"

namespace convoy {

Tensor value_or_none(const Variable& variable) { return variable.defined() ? variable.value() : Tensor(); }

Tensor weight_for(const Tensor& x, const Variable& weight) {
  return is_array_type(x.dtype()) ? convert(weight.value(), x.dtype()) : weight.value();
}

Tensor bias_relu_backward(const Tensor& y, const Variable& bias, const Variable::Gradient& gradient) {
  const Tensor& dy = gradient.dy;
  const Kernels& k = kernels(dy.device());
  const int64_t columns = dy.size(dy.rank() - 1), rows = columns == 0 ? 0 : dy.count() / columns;
  if (!y.defined() || gradient.gated) {
    bias.add_grad([&](Tensor& dbias, bool accumulate) {
      k.column_sum(current_stream(), rows, columns, dy, accumulate, dbias.data<float>());
    });
    return dy;
  }
  Tensor dz = Tensor::empty(dy.shape(), dy.dtype(), dy.device());
  const auto run = [&](bool accumulate, float* dbias) {
    k.bias_relu_backward(current_stream(), rows, columns, y, dy, dz, accumulate, dbias);
  };
  if (bias.requires_grad()) {
    bias.add_grad([&](Tensor& dbias, bool accumulate) { run(accumulate, dbias.data<float>()); });
  } else {
    run(false, nullptr);
  }
  return dz;
}

}  // namespace convoy
