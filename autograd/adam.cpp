// Adam (Kingma, Ba 2015) and AdamW (Loshchilov, Hutter 2019); PyTorch's formulas.
#include <algorithm>
#include <cmath>

#include "autograd/optimizer.h"

namespace convoy {
namespace {

// 1 - beta^t: what the moments lack after t updates, because they started at 0.
float correction(double beta, int32_t updates) { return static_cast<float>(1 - std::pow(beta, updates)); }

class Adam : public Optimizer {
 public:
  Adam(std::vector<Variable> parameters, const AdamOptions& options)
      : Optimizer(std::move(parameters)), options_(options) {
    CHECK(options.beta1 >= 0 && options.beta1 < 1, "adam: beta1 {}, expected 0 <= beta1 < 1", options.beta1);
    CHECK(options.beta2 >= 0 && options.beta2 < 1, "adam: beta2 {}, expected 0 <= beta2 < 1", options.beta2);
    CHECK(options.epsilon >= 0, "adam: epsilon {}, expected at least 0", options.epsilon);
    CHECK(options.weight_decay >= 0, "adam: weight decay {}, expected at least 0", options.weight_decay);
    for (const Variable& parameter : parameters_) {
      first_.push_back(Tensor::zeros(parameter.shape()));
      second_.push_back(Tensor::zeros(parameter.shape()));
    }
    steps_ = Tensor::zeros({static_cast<int64_t>(parameters_.size())}, DType::i32, Device{});
  }

  StepScalars advance(float lr) override {
    int32_t* steps = steps_.data<int32_t>();
    int32_t most = 0;
    for (size_t i = 0; i < parameters_.size(); ++i) most = std::max(most, steps[i] += parameters_[i].has_grad());
    return {.lr = lr, .correction1 = correction(options_.beta1, most), .correction2 = correction(options_.beta2, most)};
  }

  void apply(const StepScalars& scalars) override {
    const int32_t* steps = steps_.data<int32_t>();
    const float* const gradient_scale = this->gradient_scale();
    // The corrections for the moments' start at 0 depend on how often a parameter was updated: usually the
    // same number for all, then this is one pass.
    for (size_t begin = 0, end = 0; begin < parameters_.size(); begin = end) {
      while (end < parameters_.size() && steps[end] == steps[begin]) ++end;
      CHECK(current_stream().scalars == nullptr || end - begin == parameters_.size(),
            "adam: a step can be recorded only when all parameters were updated equally often");
      const AdamStep step{.beta1 = options_.beta1,
                          .beta2 = options_.beta2,
                          .lr = scalars.lr,
                          .epsilon = options_.epsilon,
                          .weight_decay = options_.weight_decay,
                          .decoupled = options_.decoupled,
                          .correction1 = correction(options_.beta1, steps[begin]),
                          .correction2 = correction(options_.beta2, steps[begin]),
                          .gradient_scale = gradient_scale};
      kernels(parameters_[begin].value().device()).adam_step(current_stream(), step, slices(begin, end));
    }
  }

  std::vector<NamedTensor> state() override {
    std::vector<NamedTensor> state{{"steps", steps_}};
    for (size_t i = 0; i < parameters_.size(); ++i) {
      state.push_back({std::to_string(i) + ".first", first_[i]});
      state.push_back({std::to_string(i) + ".second", second_[i]});
    }
    return state;
  }

 private:
  AdamOptions options_;
  Tensor steps_;  // i32 [parameters], in host memory: updates so far
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(std::vector<Variable> parameters, const AdamOptions& options) {
  return std::make_unique<Adam>(std::move(parameters), options);
}

}  // namespace convoy
