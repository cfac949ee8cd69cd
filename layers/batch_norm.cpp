// Batch normalisation as a layer: it owns the scale, the shift and the running statistics.
#include "layers/initialise.h"
#include "layers/layers.h"
#include "tensor/work.h"

namespace convoy {

BatchNorm2d::BatchNorm2d(int64_t channels) : channels_(channels) {
  CHECK(channels > 0, "BatchNorm2d: {} channels; must be positive", channels);
  weight_ = add_parameter("weight", {channels});
  bias_ = add_parameter("bias", {channels});
  fill_constant(weight_.value(), 1.0f);
  state_.running_mean = add_buffer("running_mean", Tensor::zeros({channels}));
  state_.running_variance = add_buffer("running_var", Tensor::zeros({channels}));
  fill_constant(state_.running_variance, 1.0f);
}

std::string BatchNorm2d::describe() const { return fmt::format("BatchNorm2d({})", channels_); }

void BatchNorm2d::reset_parameters(const RandomKey&) {
  fill_constant(weight_.value(), 1.0f);
  fill_constant(bias_.value(), 0.0f);
  fill_constant(state_.running_mean, 0.0f);
  fill_constant(state_.running_variance, 1.0f);
}

Variable BatchNorm2d::forward_then(const Variable& x, Activation then) {
  return batch_norm(x, weight_, bias_, state_, training(), then == Activation::relu);
}

Variable BatchNorm2d::after(Conv2d& conv, const Variable& x, Activation then) {
  if (!training()) return (*this)(conv(x), then);
  BatchStatistics statistics;
  const Variable y = conv.with_statistics(x, statistics);
  const WorkScope work(this);
  const Variable z = batch_norm(y, weight_, bias_, state_, true, then == Activation::relu, &statistics);
  ForwardObserver::notify(*this, z);
  return z;
}

Variable BatchNorm2d::pooled_after(Conv2d& conv, const Variable& x, Activation then, Window size) {
  if (ForwardObserver::watching()) return max_pool2d(after(conv, x, then), size, size, {0, 0});
  BatchStatistics statistics;
  const Variable y = training() ? conv.with_statistics(x, statistics) : conv(x);
  const WorkScope work(this);
  return batch_norm_max_pool2d(y, weight_, bias_, state_, training(), then == Activation::relu, size,
                               training() ? &statistics : nullptr);
}

}  // namespace convoy
