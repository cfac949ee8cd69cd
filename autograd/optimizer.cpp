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
