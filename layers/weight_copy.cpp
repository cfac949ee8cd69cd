#include "layers/weight_copy.h"

#include <algorithm>

#include "layers/weights.h"
#include "tensor/work.h"

namespace convoy {

WeightCopy::WeightCopy(const Module& module) : network_(weights_of(module)) {
  for (const NamedVariable& entry : network_)
    copy_.push_back({entry.name, Variable(entry.variable.value().clone()), entry.layout});
}

void WeightCopy::take() {
  for (size_t i = 0; i < copy_.size(); ++i) copy_[i].variable.value().copy_from(network_[i].variable.value());
}

void WeightCopy::give() {
  for (size_t i = 0; i < copy_.size(); ++i) network_[i].variable.value().copy_from(copy_[i].variable.value());
}

void WeightCopy::exchange() {
  for (size_t i = 0; i < copy_.size(); ++i) {
    Tensor &mine = copy_[i].variable.value(), &other = network_[i].variable.value();
    const Tensor before = mine.clone();
    mine.copy_from(other);
    other.copy_from(before);
  }
}

void WeightCopy::approach(float rate) {
  if (copy_.empty()) return;
  const WorkScope work("average of weights", Work::Pass::update);
  slices_.clear();
  for (size_t i = 0; i < copy_.size(); ++i) {
    Tensor &mine = copy_[i].variable.value(), &other = network_[i].variable.value();
    slices_.push_back({.count = mine.count(), .value = other.data<float>(), .first = mine.data<float>()});
  }
  kernels(copy_[0].variable.value().device()).average_step(current_stream(), rate, slices_);
}

void WeightCopy::add_to(TensorFile& file, const std::string& prefix) const { add_weights(copy_, file, prefix); }

void WeightCopy::load(const TensorFile& file, const std::string& where, const std::string& prefix) {
  load_weights(copy_, file, where, prefix);
}

float average_decay(float decay, int64_t step) {
  const double steps = static_cast<double>(step);
  return std::min(decay, static_cast<float>((1 + steps) / (10 + steps)));
}

}  // namespace convoy
