// Checks a differentiable function against its double-precision reference: the result, and the gradient of
// every input against derivatives taken numerically *of the reference, in double*, so that they are accurate
// to about 1e-10 and the tolerance is that of the single-precision computation alone.
//
//   check_gradients({.inputs = {{"x", {2, 3}, values}},
//                    .function = [](const auto& v) { return scale(v[0], 3); },
//                    .reference = [](const auto& v) { … },
//                    .terms = 1});
//
// With J the derivatives of the results y with respect to an input x, the gradient is g[i] = sum over j of
// dy[j] * J[j,i]. One element of x changed gives a whole column of J, hence also sum |dy[j] * J[j,i]|, to
// which the rounding error of a sum is proportional (see tests/tensor/kernel_test.h). Functions whose
// backward cancels more than that give the magnitude themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "tests/tensor/kernel_test.h"

namespace convoy {

// Runs every test with each kernel table of this CPU as the table of the process.
class AutogradOnEveryIsa : public EveryIsa {
 protected:
  void SetUp() override {
    previous_ = &convoy::kernels(Device{});
    set_cpu_kernels(*GetParam());
  }
  void TearDown() override { set_cpu_kernels(*previous_); }

 private:
  const Kernels* previous_ = nullptr;
};

struct GradientInput {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

struct GradientCheck {
  std::vector<GradientInput> inputs;
  std::function<Variable(const std::vector<Variable>&)> function;
  std::function<Values(const std::vector<Values>&)> reference;
  double terms = 1;  // the longest sum in forward or backward; a few operations around it are allowed for anyway
  // Sum of |term| behind each result; when null, the reference of the absolute inputs.
  std::function<Values(const std::vector<Values>&)> result_magnitude = nullptr;
  // The same behind each element of the gradient of input `i`; when null, sum |dy[j] * J[j,i]|.
  std::function<Values(const std::vector<Values>&, const Values& dy, size_t i)> gradient_magnitude = nullptr;
};

inline std::vector<float> values_of(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.count()};
}

// Multiples of `step` in [-1, 1]. Small sums of products of such numbers are exact in single precision, and
// with one `offset` added to each sum they stay that far away from the kink of a ReLU.
inline std::vector<float> grid_values(Draw& draw, int64_t count, float step = 0.25f, float offset = 0) {
  const int64_t levels = static_cast<int64_t>(1 / step);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(draw.between(-levels, levels)) * step + offset;
  return values;
}

namespace gradcheck {

constexpr double kStep = 1.0 / 1024;
// Of the numeric derivatives: Richardson's extrapolation leaves a truncation error of about kStep^4 = 1e-12
// times the fifth derivative, and rounding in double of 1e-16 / kStep = 1e-13, times the number of results
// that an element reaches.
constexpr double kNumericError = 1e-9;

// Column i of J for element `i` of inputs[input]: (4 D(h/2) - D(h)) / 3 with D the central difference.
inline Values derivative_column(const GradientCheck& check, std::vector<Values> x, size_t input, size_t i) {
  const double centre = x[input][i];
  const auto difference = [&](double h) {
    x[input][i] = centre + h;
    Values above = check.reference(x);
    x[input][i] = centre - h;
    const Values below = check.reference(x);
    for (size_t j = 0; j < above.size(); ++j) above[j] = (above[j] - below[j]) / (2 * h);
    return above;
  };
  Values coarse = difference(kStep);
  const Values fine = difference(kStep / 2);
  for (size_t j = 0; j < coarse.size(); ++j) coarse[j] = (4 * fine[j] - coarse[j]) / 3;
  return coarse;
}

struct Expected {
  Values gradient, tolerance;
};

inline Expected expected_gradient(const GradientCheck& check, const std::vector<Values>& x, const Values& dy,
                                  size_t input) {
  Expected expected{Values(x[input].size()), {}};
  Values magnitude(x[input].size());
  for (size_t i = 0; i < x[input].size(); ++i) {
    const Values column = derivative_column(check, x, input, i);
    for (size_t j = 0; j < dy.size(); ++j) {
      expected.gradient[i] += dy[j] * column[j];
      magnitude[i] += std::fabs(dy[j] * column[j]);
    }
  }
  if (check.gradient_magnitude) magnitude = check.gradient_magnitude(x, dy, input);
  expected.tolerance = roundoff(check.terms + 4, magnitude);
  for (double& tolerance : expected.tolerance) tolerance += kNumericError;
  return expected;
}

// sum of dy * y, so that the gradient of y is dy exactly.
inline Variable weighted_sum(const Variable& y, const std::vector<float>& dy) {
  return sum(apply(Binary::multiply, y, Variable(Tensor::from(dy, y.shape()))));
}

}  // namespace gradcheck

inline void check_gradients(const GradientCheck& check) {
  const size_t inputs = check.inputs.size();
  std::vector<Values> x;
  std::vector<Variable> leaves;
  for (const GradientInput& input : check.inputs) {
    x.push_back(widen(input.values));
    leaves.emplace_back(Tensor::from(input.values, input.shape), true);
  }

  // The result.
  const Variable y = check.function(leaves);
  std::vector<Values> absolute_x;
  for (const Values& values : x) absolute_x.push_back(absolute(values));
  const Values result_magnitude = check.result_magnitude ? check.result_magnitude(x) : check.reference(absolute_x);
  {
    SCOPED_TRACE("result");
    expect_within(values_of(y.value()), check.reference(x), roundoff(check.terms + 4, result_magnitude));
  }
  if (testing::Test::HasFatalFailure()) return;

  // All gradients at once, twice: they overwrite after clear_grad() and accumulate without.
  Draw draw(static_cast<uint32_t>(y.value().count()) + 17);
  const std::vector<float> dy = draw.reals(y.value().count());
  gradcheck::weighted_sum(y, dy).backward();
  std::vector<std::vector<float>> gradients;
  std::vector<Values> tolerances;
  for (size_t i = 0; i < inputs; ++i) {
    SCOPED_TRACE("gradient of " + check.inputs[i].name);
    const gradcheck::Expected expected = gradcheck::expected_gradient(check, x, widen(dy), i);
    gradients.push_back(values_of(leaves[i].grad()));
    tolerances.push_back(expected.tolerance);
    expect_within(gradients[i], expected.gradient, expected.tolerance);
    if (testing::Test::HasFatalFailure()) return;
  }
  gradcheck::weighted_sum(check.function(leaves), dy).backward();
  for (size_t i = 0; i < inputs; ++i) {
    SCOPED_TRACE("gradient accumulated twice of " + check.inputs[i].name);
    Values doubled = widen(gradients[i]);
    for (double& value : doubled) value *= 2;
    // Accumulating kernels may round differently from an addition afterwards.
    Values tolerance = tolerances[i];
    for (size_t e = 0; e < tolerance.size(); ++e)
      tolerance[e] = 4 * tolerance[e] + 4 * kRoundoff * std::fabs(doubled[e]);
    expect_within(values_of(leaves[i].grad()), doubled, tolerance);
    if (testing::Test::HasFatalFailure()) return;
  }

  for (size_t i = 0; i < inputs; ++i) {
    SCOPED_TRACE("only the gradient of " + check.inputs[i].name);
    // Wanting one gradient alone changes nothing in it.
    std::vector<Variable> alone;
    for (size_t j = 0; j < inputs; ++j) {
      alone.emplace_back(Tensor::from(check.inputs[j].values, check.inputs[j].shape), i == j);
    }
    gradcheck::weighted_sum(check.function(alone), dy).backward();
    expect_equal(values_of(alone[i].grad()), widen(gradients[i]));
    for (size_t j = 0; j < inputs; ++j) EXPECT_EQ(alone[j].has_grad(), i == j);

    // An input that is itself a result and already holds a contribution, all 1: the function adds to it.
    alone[i].clear_grad();
    std::vector<Variable> through = alone;
    through[i] = scale(alone[i], 1);
    const Variable loss = gradcheck::weighted_sum(check.function(through), dy);
    add(loss, sum(through[i])).backward();  // the second sum is recorded last, so its gradient comes first
    Values shifted = widen(gradients[i]);
    Values tolerance = tolerances[i];
    for (size_t e = 0; e < shifted.size(); ++e) {
      shifted[e] += 1;
      tolerance[e] = 2 * tolerance[e] + (check.terms + 2) * kRoundoff * (1 + std::fabs(shifted[e]));
    }
    expect_within(values_of(alone[i].grad()), shifted, tolerance);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace convoy
