// Adam (Kingma, Ba 2015) and AdamW (Loshchilov, Hutter 2019); PyTorch's formulas.
#include <algorithm>
#include <cmath>

#include "autograd/optimizer.h"
#include "tensor/cpu/gemm_adam_wanted.h"

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
      AdamStep step = nth_step(steps[begin], scalars.lr);
      step.gradient_scale = gradient_scale;
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
  Variable::ProductUpdate product_update(size_t index, float lr) override {
    const Tensor& value = parameters_[index].value();
    const Device device = value.device();
    const int64_t m = value.size(0), n = value.size(1);
    const auto run = [=, this](const Tensor& a, const Tensor& b) {
      const int32_t updates = ++steps_.data<int32_t>()[index];
      kernels(device).gemm_adam_step(current_stream(), m, n, a.size(0), a, b, nth_step(updates, lr), slice_of(index));
    };
    return {.wanted = [=](int64_t terms) { return gemm_adam_wanted(device, m, n, terms); }, .run = run};
  }

  // A parameter's update, the first being number 1.
  AdamStep nth_step(int32_t updates, float lr) const {
    return {.beta1 = options_.beta1,
            .beta2 = options_.beta2,
            .lr = lr,
            .epsilon = options_.epsilon,
            .weight_decay = options_.weight_decay,
            .decoupled = options_.decoupled,
            .correction1 = correction(options_.beta1, updates),
            .correction2 = correction(options_.beta2, updates)};
  }

  AdamOptions options_;
  Tensor steps_;  // i32 [parameters], in host memory: updates so far
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(std::vector<Variable> parameters, const AdamOptions& options) {
  return std::make_unique<Adam>(std::move(parameters), options);
}

}  // namespace convoy
