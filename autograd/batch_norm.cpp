// Ioffe, Szegedy, "Batch normalization", 2015. Written out for rows = N*H*W samples of each channel.
#include "autograd/autograd.h"
#include "autograd/batch_exchange.h"

namespace convoy {

Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormState& state,
                    bool training, bool relu, const BatchStatistics* known) {
  CHECK(x.shape().rank() >= 2, "batch_norm: input {} has no channel axis, expected [..., C]", x.shape());
  const int64_t channels = x.shape()[x.shape().rank() - 1], rows = channels == 0 ? 0 : x.value().count() / channels;
  const Shape vector{channels};
  CHECK(state.running_mean.defined() && state.running_variance.defined() && state.running_mean.shape() == vector &&
            state.running_variance.shape() == vector,
        "batch_norm: running statistics are {} and {}, expected {} (input {})", state.running_mean.shape(),
        state.running_variance.shape(), vector, x.shape());
  BatchExchange* const exchange = training ? BatchExchange::current() : nullptr;  // null: these are all rows
  int64_t total_rows = rows;
  BatchStatistics statistics;
  if (training) {
    statistics = known != nullptr ? *known : batch_norm_statistics(x.value());
    if (exchange != nullptr) total_rows = exchange->merge(rows, statistics);
    CHECK(total_rows != 1, "batch_norm: one value per channel has no variance to train with (input {})", x.shape());
  } else {
    // Copies: the running ones may have moved on by the time of the backward.
    statistics = {state.running_mean.clone(), state.running_variance.clone()};
  }
  const Tensor y = batch_norm(x.value(), statistics, state.epsilon, gamma.value(), beta.value(), relu);
  if (training && total_rows > 0) {
    kernels(y.device())
        .batch_norm_update_running(current_stream(), total_rows, channels, state.momentum,
                                   statistics.mean.data<float>(), statistics.variance.data<float>(),
                                   state.running_mean.data<float>(), state.running_variance.data<float>());
  }
  auto backward = [rows, total_rows, exchange, channels, training, relu, epsilon = state.epsilon, x = x.value(),
                   mean = statistics.mean, variance = statistics.variance, gamma = gamma.value(), beta = beta.value(),
                   x_grad = x.gradient_only(), gamma_grad = gamma.gradient_only(),
                   beta_grad = beta.gradient_only()](const Tensor& dy) {
    const Kernels& k = kernels(dy.device());
    // Into memory of their own: dx needs the sums of this batch alone, the parameters' gradients may hold
    // more already.
    Tensor dgamma = Tensor::empty({channels}, DType::f32, dy.device());
    Tensor dbeta = Tensor::empty({channels}, DType::f32, dy.device());
    k.batch_norm_backward_reduce(current_stream(), rows, channels, x, dy, mean.data<float>(), variance.data<float>(),
                                 epsilon, gamma.data<float>(), beta.data<float>(), relu, dgamma.data<float>(),
                                 dbeta.data<float>());
    gamma_grad.add_grad(dgamma);
    beta_grad.add_grad(dbeta);
    // Running statistics do not depend on x: the terms that correct for the batch's own are 0.
    if (!training) {
      dgamma = dbeta = Tensor::empty({channels}, DType::f32, dy.device());
      k.fill(current_stream(), channels, 0, dgamma.data<float>());
    } else if (exchange != nullptr) {
      exchange->sum(dgamma, dbeta);
    }
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      k.batch_norm_backward_input(current_stream(), rows, channels, total_rows, x, dy, mean.data<float>(),
                                  variance.data<float>(), epsilon, gamma.data<float>(), beta.data<float>(), relu,
                                  dgamma.data<float>(), dbeta.data<float>(), accumulate, dx);
    });
  };
  return Variable::record("batch_norm", y, {x, gamma, beta}, std::move(backward),
                          {.relu = relu, .running = training ? nullptr : &state});
}

}  // namespace convoy
