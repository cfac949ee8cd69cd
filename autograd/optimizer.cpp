#include "autograd/optimizer.h"

namespace convoy {

Optimizer::Optimizer(std::vector<Variable> parameters) : parameters_(std::move(parameters)) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    CHECK(parameters_[i].requires_grad(), "optimizer: parameter {} requires no gradient", i);
  }
}

void Optimizer::clear_grad() {
  for (Variable& parameter : parameters_) parameter.clear_grad();
}

void Optimizer::minimize(const Variable& loss, float lr) {
  {
    struct Offers {
      std::vector<Variable>& parameters;
      ~Offers() {
        for (Variable& parameter : parameters) parameter.update_by_product({});
      }
    } offers{parameters_};
    for (size_t i = 0; i < parameters_.size() && !gradient_scale_.defined(); ++i)
      if (parameters_[i].shape().rank() == 2) parameters_[i].update_by_product(product_update(i, lr));
    loss.backward();
  }
  step(lr);
}

Variable::ProductUpdate Optimizer::product_update(size_t, float) { return {}; }

void Optimizer::clip_norm(float max_norm) {
  CHECK(max_norm > 0, "optimizer: gradients clipped to a norm of {}, expected above 0", max_norm);
  max_norm_ = max_norm;
  gradient_scale_ = Tensor::zeros({1});
}

const float* Optimizer::gradient_scale() {
  if (!gradient_scale_.defined()) return nullptr;
  float* const scale = gradient_scale_.data<float>();
  kernels(gradient_scale_.device()).clip_scale(current_stream(), max_norm_, slices(0, parameters_.size()), scale);
  return scale;
}

std::span<const ParameterSlice> Optimizer::slices(size_t begin, size_t end) {
  slices_.clear();
  for (size_t i = begin; i < end; ++i) {
    if (parameters_[i].has_grad()) slices_.push_back(slice_of(i));
  }
  return slices_;
}

ParameterSlice Optimizer::slice_of(size_t index) {
  Variable& parameter = parameters_[index];
  return {.count = parameter.value().count(),
          .value = parameter.value().data<float>(),
          .gradient = parameter.has_grad() ? parameter.grad().data<float>() : nullptr,
          .first = first_.empty() ? nullptr : first_[index].data<float>(),
          .second = second_.empty() ? nullptr : second_[index].data<float>()};
}

}  // namespace convoy
