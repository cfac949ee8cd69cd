#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class Conv2dGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(Conv2dGradient);

GradientCheck conv2d_check(const Conv2dShape& s, bool with_bias, bool relu, uint32_t seed) {
  Draw draw(seed);
  // Products of multiples of 1/4 are multiples of 1/16; 1/32 keeps every sum off the kink at 0, further than
  // a numeric step reaches.
  const std::vector<float> bias = grid_values(draw, s.k, 0.25f, 0.03125f);
  GradientCheck check{.inputs = {{"x", {s.n, s.h, s.w, s.c}, grid_values(draw, s.n * s.h * s.w * s.c)},
                                 {"weight", {s.k, s.r, s.s, s.c}, grid_values(draw, s.k * s.taps())}},
                      .function =
                          [=](const std::vector<Variable>& v) {
                            return conv2d(v[0], v[1], with_bias ? v[2] : Variable(), {s.stride_h, s.stride_w},
                                          {s.pad_h, s.pad_w}, relu);
                          },
                      .reference =
                          [=](const std::vector<Values>& v) {
                            return reference::conv2d_forward(s, v[0], v[1], with_bias ? v[2] : Values{}, relu);
                          },
                      .terms = static_cast<double>(std::max({s.taps() + 1, s.output_pixels(), s.k * s.r * s.s}))};
  if (with_bias) check.inputs.push_back({"bias", {s.k}, bias});
  return check;
}

const Conv2dShape kShapes[] = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1},
    {.n = 2, .h = 5, .w = 4, .c = 3, .k = 5, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 5, .w = 7, .c = 1, .k = 17, .r = 3, .s = 2},
    {.n = 2, .h = 7, .w = 6, .c = 2, .k = 3, .r = 2, .s = 3, .stride_h = 2, .stride_w = 3, .pad_h = 1, .pad_w = 2},
    {.n = 2, .h = 5, .w = 5, .c = 9, .k = 7, .r = 1, .s = 1, .stride_h = 2, .stride_w = 2},
    {.n = 1, .h = 3, .w = 3, .c = 4, .k = 2, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2},
};

TEST_P(Conv2dGradient, matches_the_numeric_one_with_bias_and_fused_relu) {
  uint32_t seed = 1;
  for (const Conv2dShape& shape : kShapes) {
    SCOPED_TRACE(fmt::format("n {} h {} w {} c {} k {} r {} s {}", shape.n, shape.h, shape.w, shape.c, shape.k, shape.r,
                             shape.s));
    check_gradients(conv2d_check(shape, true, true, ++seed));
    check_gradients(conv2d_check(shape, true, false, ++seed));
  }
}

TEST_P(Conv2dGradient, matches_the_numeric_one_without_bias) {
  for (const Conv2dShape& shape : kShapes) check_gradients(conv2d_check(shape, false, false, 91));
}

TEST(Conv2d, an_empty_batch_gives_an_empty_result_and_zero_parameter_gradients) {
  Variable x(Tensor::empty({0, 4, 4, 2})), weight(Tensor::full({3, 3, 3, 2}, 1), true),
      bias(Tensor::full({3}, 1), true);
  const Variable y = conv2d(x, weight, bias, {1, 1}, {0, 0}, true);
  EXPECT_EQ(y.shape(), Shape({0, 2, 2, 3}));
  sum(y).backward();
  expect_equal(values_of(weight.grad()), Values(54));
  expect_equal(values_of(bias.grad()), Values(3));
}

TEST(Conv2d, arguments_that_do_not_fit_are_refused_with_their_shapes) {
  const auto variable = [](const Shape& shape) { return Variable(Tensor::zeros(shape)); };
  const Variable x = variable({8, 32, 32, 3});
  EXPECT_USAGE_ERROR(conv2d(x, variable({64, 3, 3, 16}), {}, {1, 1}, {0, 0}),
                     "conv2d: input has 3 channels, weight expects 16 (input [8,32,32,3], weight [64,3,3,16])");
  EXPECT_USAGE_ERROR(conv2d(variable({8, 3}), variable({64, 3, 3, 3}), {}, {1, 1}, {0, 0}),
                     "conv2d: input [8,3] is not [N,H,W,C]");
  EXPECT_USAGE_ERROR(conv2d(x, variable({64, 3}), {}, {1, 1}, {0, 0}), "conv2d: weight [64,3] is not [K,R,S,C]");
  EXPECT_USAGE_ERROR(conv2d(x, variable({6, 3, 3, 3}), variable({5}), {1, 1}, {0, 0}),
                     "conv2d: the bias is [5], expected [6]");
  EXPECT_USAGE_ERROR(conv2d(x, variable({6, 3, 3, 3}), {}, {0, 1}, {0, 0}), "conv2d: stride 0x1");
  EXPECT_USAGE_ERROR(conv2d(x, variable({6, 3, 3, 3}), {}, {1, 1}, {-1, 0}), "conv2d: padding -1x0 is negative");
  EXPECT_USAGE_ERROR(conv2d(x, variable({6, 35, 3, 3}), {}, {2, 2}, {1, 1}),
                     "conv2d: a 35x3 filter does not fit the image 32x32 padded by 1x1");
  EXPECT_USAGE_ERROR(
      conv2d(Variable(Tensor::zeros({1, 2, 2, 1}, DType::u8)), variable({6, 1, 1, 1}), {}, {1, 1}, {0, 0}),
      "conv2d: the input is u8, expected f32");
}

}  // namespace
}  // namespace convoy
