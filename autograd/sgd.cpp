// Stochastic gradient descent with momentum (Polyak 1964), Nesterov's variant and weight decay; PyTorch's
// formulas.
#include "autograd/optimizer.h"

namespace convoy {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(std::vector<Variable> parameters, const SgdOptions& options)
      : Optimizer(std::move(parameters)), options_(options) {
    CHECK(options.momentum >= 0, "sgd: momentum {}, expected at least 0", options.momentum);
    CHECK(options.weight_decay >= 0, "sgd: weight decay {}, expected at least 0", options.weight_decay);
    CHECK(!options.nesterov || options.momentum > 0, "sgd: Nesterov's variant needs a momentum above 0");
    if (options.momentum == 0) return;
    for (const Variable& parameter : parameters_) first_.push_back(Tensor::zeros(parameter.shape()));
  }

  StepScalars advance(float lr) override { return {.lr = lr}; }

  void apply(const StepScalars& scalars) override {
    const SgdStep step{.lr = scalars.lr,
                       .momentum = options_.momentum,
                       .weight_decay = options_.weight_decay,
                       .nesterov = options_.nesterov,
                       .gradient_scale = gradient_scale()};
    if (!parameters_.empty()) {
      kernels(parameters_[0].value().device()).sgd_step(current_stream(), step, slices(0, parameters_.size()));
    }
  }

  std::vector<NamedTensor> state() override {
    std::vector<NamedTensor> state;
    for (size_t i = 0; i < first_.size(); ++i) state.push_back({std::to_string(i) + ".momentum", first_[i]});
    return state;
  }

 private:
  SgdOptions options_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::vector<Variable> parameters, const SgdOptions& options) {
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace convoy
