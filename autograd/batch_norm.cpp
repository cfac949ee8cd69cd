// Ioffe, Szegedy, "Batch normalization", 2015. Written out for rows = N*H*W samples of each channel.
#include "autograd/autograd.h"
#include "autograd/batch_exchange.h"
#include "autograd/function_observer.h"

namespace convoy {
namespace {

// One normalisation, as its backward needs it.
struct Normalisation {
  int64_t rows, channels;  // of x
  int64_t total_rows;      // of the batch, of which x may be a part
  bool training, relu;
  float epsilon;
  Tensor gamma, beta;
  BatchStatistics statistics;
  BatchExchange* exchange;  // null: x is the batch
};

Normalisation normalisation_of(const Variable& x, const Variable& gamma, const Variable& beta,
                               const BatchNormState& state, bool training, bool relu, const BatchStatistics* known) {
  CHECK(x.shape().rank() >= 2, "batch_norm: input {} has no channel axis, expected [..., C]", x.shape());
  const int64_t channels = x.shape()[x.shape().rank() - 1], rows = channels == 0 ? 0 : x.value().count() / channels;
  const Shape vector{channels};
  CHECK(state.running_mean.defined() && state.running_variance.defined() && state.running_mean.shape() == vector &&
            state.running_variance.shape() == vector,
        "batch_norm: running statistics are {} and {}, expected {} (input {})", state.running_mean.shape(),
        state.running_variance.shape(), vector, x.shape());
  Normalisation norm{.rows = rows,
                     .channels = channels,
                     .total_rows = rows,
                     .training = training,
                     .relu = relu,
                     .epsilon = state.epsilon,
                     .gamma = gamma.value(),
                     .beta = beta.value(),
                     .statistics = {},
                     .exchange = training ? BatchExchange::current() : nullptr};
  if (training) {
    norm.statistics = known != nullptr ? *known : batch_norm_statistics(x.value());
    if (norm.exchange != nullptr) norm.total_rows = norm.exchange->merge(rows, norm.statistics);
    CHECK(norm.total_rows != 1, "batch_norm: one value per channel has no variance to train with (input {})",
          x.shape());
  } else {
    // Copies: the running ones may have moved on by the time of the backward.
    norm.statistics = {state.running_mean.clone(), state.running_variance.clone()};
  }
  return norm;
}

void update_running(const Normalisation& norm, BatchNormState& state) {
  if (!norm.training || norm.total_rows == 0) return;
  kernels(norm.gamma.device())
      .batch_norm_update_running(current_stream(), norm.total_rows, norm.channels, state.momentum,
                                 norm.statistics.mean.data<float>(), norm.statistics.variance.data<float>(),
                                 state.running_mean.data<float>(), state.running_variance.data<float>());
}

// What the gradient of x depends on besides its own row.
struct BatchSums {
  Tensor dgamma, dbeta;  // [C], of the whole batch
};

// Of `rows` rows of x and dy; adds the gradients of gamma and beta to theirs.
BatchSums sums_of(const Normalisation& norm, int64_t rows, const Tensor& x, const Tensor& dy,
                  const Variable& gamma_grad, const Variable& beta_grad) {
  const Kernels& k = kernels(dy.device());
  // Into memory of their own: dx needs the sums of this batch alone, the parameters' gradients may hold
  // more already.
  BatchSums sums{Tensor::empty({norm.channels}, DType::f32, dy.device()),
                 Tensor::empty({norm.channels}, DType::f32, dy.device())};
  k.batch_norm_backward_reduce(current_stream(), rows, norm.channels, x, dy, norm.statistics.mean.data<float>(),
                               norm.statistics.variance.data<float>(), norm.epsilon, norm.gamma.data<float>(),
                               norm.beta.data<float>(), norm.relu, sums.dgamma.data<float>(), sums.dbeta.data<float>());
  gamma_grad.add_grad(sums.dgamma);
  beta_grad.add_grad(sums.dbeta);
  // Running statistics do not depend on x: the terms that correct for the batch's own are 0.
  if (!norm.training) {
    sums.dgamma = sums.dbeta = Tensor::empty({norm.channels}, DType::f32, dy.device());
    k.fill(current_stream(), norm.channels, 0, sums.dgamma.data<float>());
  } else if (norm.exchange != nullptr) {
    norm.exchange->sum(sums.dgamma, sums.dbeta);
  }
  return sums;
}

}  // namespace

Variable batch_norm(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormState& state,
                    bool training, bool relu, const BatchStatistics* known) {
  const Normalisation norm = normalisation_of(x, gamma, beta, state, training, relu, known);
  const Tensor y = batch_norm(x.value(), norm.statistics, norm.epsilon, norm.gamma, norm.beta, relu);
  update_running(norm, state);
  auto backward = [norm, x = x.value(), x_grad = x.gradient_only(), gamma_grad = gamma.gradient_only(),
                   beta_grad = beta.gradient_only()](const Tensor& dy) {
    const BatchSums sums = sums_of(norm, norm.rows, x, dy, gamma_grad, beta_grad);
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      kernels(dy.device())
          .batch_norm_backward_input(current_stream(), norm.rows, norm.channels, norm.total_rows, x, dy,
                                     norm.statistics.mean.data<float>(), norm.statistics.variance.data<float>(),
                                     norm.epsilon, norm.gamma.data<float>(), norm.beta.data<float>(), norm.relu,
                                     sums.dgamma.data<float>(), sums.dbeta.data<float>(), accumulate, dx);
    });
  };
  return Variable::record("batch_norm", y, {x, gamma, beta}, std::move(backward),
                          {.relu = relu, .running = training ? nullptr : &state});
}

Variable batch_norm_max_pool2d(const Variable& x, const Variable& gamma, const Variable& beta, BatchNormState& state,
                               bool training, bool relu, Window size, const BatchStatistics* known) {
  // An observer knows the two functions, not this one.
  if (!has_batch_norm_max_pool(x.value()) || FunctionObserver::watching())
    return max_pool2d(batch_norm(x, gamma, beta, state, training, relu, known), size, size, {0, 0});
  const Normalisation norm = normalisation_of(x, gamma, beta, state, training, relu, known);
  const bool records = grad_enabled();
  const BatchNormMaxPool2dResult pooled =
      batch_norm_max_pool2d(x.value(), norm.statistics, norm.epsilon, norm.gamma, norm.beta, relu, size, records);
  update_running(norm, state);
  auto backward = [norm, shape = pool2d_shape("batch_norm_max_pool2d", x.value(), size, size, {0, 0}), x = x.value(),
                   x_at_max = pooled.x_at_max, index = pooled.index, x_grad = x.gradient_only(),
                   gamma_grad = gamma.gradient_only(), beta_grad = beta.gradient_only()](const Tensor& dy) {
    // Wherever there is no maximum, the gradient that the normalisation gets is 0 and adds nothing to its sums.
    const int64_t rows = shape.n * shape.p() * shape.q();
    const BatchSums sums = sums_of(norm, rows, x_at_max, dy, gamma_grad, beta_grad);
    x_grad.add_grad([&](Tensor& dx, bool accumulate) {
      kernels(dy.device())
          .batch_norm_max_pool_backward_input(current_stream(), shape, norm.total_rows, x, dy, index.data<uint8_t>(),
                                              norm.statistics.mean.data<float>(),
                                              norm.statistics.variance.data<float>(), norm.epsilon,
                                              norm.gamma.data<float>(), norm.beta.data<float>(), norm.relu,
                                              sums.dgamma.data<float>(), sums.dbeta.data<float>(), accumulate, dx);
    });
  };
  return Variable::record("batch_norm_max_pool2d", pooled.y, {x, gamma, beta}, std::move(backward));
}

}  // namespace convoy
