// linear(): its gradients, what it does for a ReLU before it, what it refuses.
#include "tensor/kernel_observer.h"
#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class LinearGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(LinearGradient);

GradientCheck linear_check(int64_t n, int64_t in, int64_t out, bool with_bias, bool relu) {
  Draw draw(static_cast<uint32_t>(n * 100 + in * 10 + out));
  GradientCheck check{
      .inputs = {{"x", {n, in}, grid_values(draw, n * in)}, {"weight", {out, in}, grid_values(draw, out * in)}},
      .function =
          [=](const std::vector<Variable>& v) { return linear(v[0], v[1], with_bias ? v[2] : Variable(), relu); },
      .reference =
          [=](const std::vector<Values>& v) {
            return reference::gemm({.m = n, .n = out, .k = in, .transpose_b = true}, v[0], v[1], {},
                                   with_bias ? v[2] : Values{}, relu);
          },
      .terms = static_cast<double>(std::max({n, in + 1, out}))};
  // Off the kink of the ReLU, as in test_conv2d.cpp.
  if (with_bias) check.inputs.push_back({"bias", {out}, grid_values(draw, out, 0.25f, 0.03125f)});
  return check;
}

TEST_P(LinearGradient, matches_the_numeric_one) {
  const int64_t shapes[][3] = {{1, 1, 1}, {2, 3, 5}, {7, 17, 11}, {5, 1, 13}, {1, 31, 2}, {13, 9, 1}};
  for (const auto& [n, in, out] : shapes) {
    SCOPED_TRACE(fmt::format("n {} in {} out {}", n, in, out));
    check_gradients(linear_check(n, in, out, true, true));
    check_gradients(linear_check(n, in, out, true, false));
    check_gradients(linear_check(n, in, out, false, false));
  }
}

// Kernels of the backward that these gradients take, in their order, and the gradients.
struct Backward {
  std::string kernels;
  std::vector<std::vector<float>> gradients;
};
Backward backward_of(const std::vector<GradientInput>& inputs,
                     const std::function<Variable(const std::vector<Variable>&)>& function) {
  std::vector<Variable> leaves;
  for (const GradientInput& input : inputs) leaves.emplace_back(Tensor::from(input.values, input.shape), true);
  const Variable loss = function(leaves);
  Backward result;
  {
    const KernelObserver observer([&](const KernelCall& call) { result.kernels += std::string(call.kernel) + " "; });
    loss.backward();
  }
  for (const Variable& leaf : leaves) result.gradients.push_back(values_of(leaf.grad()));
  return result;
}

class LinearAfterRelu : public AutogradOnEveryIsa {
 protected:
  // Image [2,5,4,3], filters [37,2,2,3], a linear layer from their 2 x 4 x 3 x 37 results to 9.
  std::vector<GradientInput> inputs() {
    Draw draw(7);
    const auto input = [&](const char* name, const Shape& shape) {
      return GradientInput{name, shape, draw.reals(shape.count())};
    };
    return {input("x", {2, 5, 4, 3}), input("filters", {37, 2, 2, 3}), input("filters' bias", {37}),
            input("weight", {9, 4 * 3 * 37}), input("bias", {9})};
  }
  static Variable convolved(const std::vector<Variable>& v) { return conv2d(v[0], v[1], v[2], {1, 1}, {0, 0}, true); }
  static Variable linear_of(const Variable& x, const std::vector<Variable>& v) {
    return linear(flatten(x), v[3], v[4]);
  }
};
INSTANTIATE_FOR_EVERY_ISA(LinearAfterRelu);

TEST_P(LinearAfterRelu, is_the_relus_backward_too_with_the_same_bits) {
  const Backward fused = backward_of(inputs(), [](const auto& v) { return sum(linear_of(convolved(v), v)); });
  // A function between them knows nothing of the ReLU.
  const Backward apart = backward_of(inputs(), [](const auto& v) { return sum(linear_of(scale(convolved(v), 1), v)); });
  EXPECT_EQ(fused.gradients, apart.gradients);
  EXPECT_EQ(fused.kernels.find("relu"), std::string::npos) << fused.kernels;
  EXPECT_NE(apart.kernels.find("bias_relu_backward"), std::string::npos) << apart.kernels;
}

TEST_P(LinearAfterRelu, also_after_a_relu_of_its_own) {
  const auto own = [](const auto& v) { return relu(conv2d(v[0], v[1], v[2], {1, 1}, {0, 0})); };
  const Backward fused = backward_of(inputs(), [&](const auto& v) { return sum(linear_of(own(v), v)); });
  const Backward apart = backward_of(inputs(), [](const auto& v) { return sum(linear_of(scale(convolved(v), 1), v)); });
  EXPECT_EQ(fused.gradients, apart.gradients);
  EXPECT_EQ(fused.kernels.find("unary_backward"), std::string::npos) << fused.kernels;
}

// Whoever adds to the gradient before or after: the ReLU's backward runs where one contribution is not gated.
TEST_P(LinearAfterRelu, is_not_where_others_use_its_input_too) {
  for (const bool first : {false, true}) {
    const auto both = [&](const auto& v, const Variable& x) {
      const Variable other = first ? sum(x) : Variable();
      const Variable result = sum(linear_of(x, v));
      return add(result, first ? other : sum(x));
    };
    const Backward mixed = backward_of(inputs(), [&](const auto& v) { return both(v, convolved(v)); });
    const Backward apart = backward_of(inputs(), [&](const auto& v) { return both(v, scale(convolved(v), 1)); });
    EXPECT_EQ(mixed.gradients, apart.gradients) << first;
    EXPECT_NE(mixed.kernels.find("bias_relu_backward"), std::string::npos) << mixed.kernels;
  }
}

// What is no ReLU's result goes through its own backward.
TEST_P(LinearAfterRelu, is_not_after_anything_else) {
  using Function = std::function<Variable(const std::vector<Variable>&)>;
  const auto expect_own_backward = [](const std::vector<GradientInput>& inputs, const Function& before, size_t weight) {
    const auto with = [&](const auto& v, const Variable& x) { return sum(linear(flatten(x), v[weight], Variable())); };
    const Backward direct = backward_of(inputs, [&](const auto& v) { return with(v, before(v)); });
    const Backward apart = backward_of(inputs, [&](const auto& v) { return with(v, scale(before(v), 1)); });
    EXPECT_EQ(direct.gradients, apart.gradients);
  };
  std::vector<GradientInput> image = inputs();
  image.pop_back();  // one bias is not used
  const auto convolution = [](const auto& v) { return conv2d(v[0], v[1], v[2], {1, 1}, {0, 0}); };
  expect_own_backward(image, convolution, 3);
  for (const Unary function : {Unary::gelu, Unary::sigmoid, Unary::tanh})
    expect_own_backward(
        image, [&](const auto& v) { return apply(function, convolution(v)); }, 3);
  Draw draw(8);
  const std::vector<GradientInput> features = {{"x", {3, 5}, draw.reals(15)},
                                               {"first weight", {7, 5}, draw.reals(35)},
                                               {"second weight", {4, 7}, draw.reals(28)}};
  expect_own_backward(
      features, [](const auto& v) { return linear(v[0], v[1], Variable()); }, 2);
}

TEST_P(LinearAfterRelu, is_for_two_layers_that_read_it) {
  const auto two = [](const auto& v, const Variable& x) { return sum(add(linear_of(x, v), linear_of(x, v))); };
  const Backward fused = backward_of(inputs(), [&](const auto& v) { return two(v, convolved(v)); });
  const Backward apart = backward_of(inputs(), [&](const auto& v) { return two(v, scale(convolved(v), 1)); });
  EXPECT_EQ(fused.gradients, apart.gradients);
  EXPECT_EQ(fused.kernels.find("relu"), std::string::npos) << fused.kernels;
}

TEST(Linear, arguments_that_do_not_fit_are_refused_with_their_shapes) {
  const auto variable = [](const Shape& shape) { return Variable(Tensor::zeros(shape)); };
  EXPECT_USAGE_ERROR(linear(variable({4, 7}), variable({5, 8}), {}),
                     "linear: input has 7 features, weight expects 8 (input [4,7], weight [5,8])");
  EXPECT_USAGE_ERROR(linear(variable({4, 2, 2, 2}), variable({5, 8}), {}),
                     "linear: input [4,2,2,2] is not [N,in]; flatten it first");
  EXPECT_USAGE_ERROR(linear(variable({4, 8}), variable({5, 8}), variable({8})),
                     "linear: the bias is [8], expected [5]");
  EXPECT_USAGE_ERROR(linear(Variable(), variable({5, 8}), {}), "value of an undefined variable");
}

}  // namespace
}  // namespace convoy
