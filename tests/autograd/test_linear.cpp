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
