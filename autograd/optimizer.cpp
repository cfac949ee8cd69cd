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
    Variable& parameter = parameters_[i];
    if (!parameter.has_grad()) continue;
    slices_.push_back({.count = parameter.value().count(),
                       .value = parameter.value().data<float>(),
                       .gradient = parameter.grad().data<float>(),
                       .first = first_.empty() ? nullptr : first_[i].data<float>(),
                       .second = second_.empty() ? nullptr : second_[i].data<float>()});
  }
  return slices_;
}

}  // namespace convoy
