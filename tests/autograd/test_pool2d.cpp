// Pooling and its gradients, against the double-precision reference.

#include <numeric>

#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class Pool2dGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(Pool2dGradient);

// Distinct multiples of 1/64 in random order: no step of the numeric derivative changes which one is the
// largest.
std::vector<float> distinct_values(Draw& draw, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), -static_cast<float>(count / 2));
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(values[static_cast<size_t>(i)], values[static_cast<size_t>(draw.between(0, i))]);
  }
  for (float& value : values) value /= 64;
  return values;
}

const Pool2dShape kShapes[] = {
    {.n = 1, .h = 1, .w = 1, .c = 1},
    {.n = 2, .h = 4, .w = 6, .c = 3, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
    {.n = 2, .h = 5, .w = 7, .c = 5, .r = 2, .s = 2, .stride_h = 2, .stride_w = 2},
    {.n = 1, .h = 5, .w = 4, .c = 17, .r = 3, .s = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 6, .w = 5, .c = 2, .r = 3, .s = 2, .stride_h = 1, .stride_w = 3, .pad_w = 1},
};

TEST_P(Pool2dGradient, of_max_pool_matches_the_numeric_one) {
  Draw draw(3);
  for (const Pool2dShape& s : kShapes) {
    SCOPED_TRACE(fmt::format("h {} w {} c {}", s.h, s.w, s.c));
    check_gradients(
        {.inputs = {{"x", {s.n, s.h, s.w, s.c}, distinct_values(draw, s.n * s.h * s.w * s.c)}},
         .function =
             [&](const auto& v) {
               return max_pool2d(v[0], {s.r, s.s}, {s.stride_h, s.stride_w}, {s.pad_h, s.pad_w});
             },
         .reference = [&](const auto& v) { return reference::max_pool_forward(s, v[0]).y; },
         .terms = static_cast<double>(s.r * s.s),
         .result_magnitude = [&](const auto& v) { return absolute(reference::max_pool_forward(s, v[0]).y); }});
  }
}

TEST_P(Pool2dGradient, of_average_pool_matches_the_numeric_one) {
  Draw draw(4);
  for (const Pool2dShape& s : kShapes) {
    SCOPED_TRACE(fmt::format("h {} w {} c {}", s.h, s.w, s.c));
    check_gradients({.inputs = {{"x", {s.n, s.h, s.w, s.c}, draw.reals(s.n * s.h * s.w * s.c)}},
                     .function =
                         [&](const auto& v) {
                           return average_pool2d(v[0], {s.r, s.s}, {s.stride_h, s.stride_w}, {s.pad_h, s.pad_w});
                         },
                     .reference = [&](const auto& v) { return reference::average_pool_forward(s, v[0]); },
                     .terms = static_cast<double>(s.r * s.s)});
  }
}

TEST_P(Pool2dGradient, of_global_average_pool_matches_the_numeric_one) {
  Draw draw(5);
  const Pool2dShape s{.n = 3, .h = 5, .w = 3, .c = 7, .r = 5, .s = 3};
  check_gradients({.inputs = {{"x", {3, 5, 3, 7}, draw.reals(315)}},
                   .function = [](const auto& v) { return global_average_pool2d(v[0]); },
                   .reference = [&](const auto& v) { return reference::average_pool_forward(s, v[0]); },
                   .terms = 15});
}

TEST(Pool2d, global_average_pool_keeps_a_1x1_image) {
  EXPECT_EQ(global_average_pool2d(Variable(Tensor::zeros({2, 4, 5, 3}))).shape(), Shape({2, 1, 1, 3}));
}

TEST(Pool2d, arguments_that_do_not_fit_are_refused_with_their_shapes) {
  const Variable x(Tensor::zeros({2, 8, 8, 3}));
  EXPECT_USAGE_ERROR(max_pool2d(x, {2, 2}, {2, 2}, {2, 0}),
                     "max_pool2d: padding 2x0, expected at most half the window 2x2");
  EXPECT_USAGE_ERROR(max_pool2d(x, {9, 2}, {2, 2}, {0, 0}), "max_pool2d: a 9x2 window does not fit the image 8x8");
  EXPECT_USAGE_ERROR(average_pool2d(x, {2, 2}, {0, 2}, {0, 0}), "average_pool2d: stride 0x2");
  // With half a window of padding on each side, windows fit such images but hold no pixel.
  EXPECT_USAGE_ERROR(max_pool2d(Variable(Tensor::zeros({1, 0, 8, 3})), {2, 2}, {2, 2}, {1, 1}),
                     "max_pool2d: the image 0x8 has no pixels (input [1,0,8,3])");
  EXPECT_USAGE_ERROR(average_pool2d(Variable(Tensor::zeros({1, 8, 0, 3})), {2, 2}, {2, 2}, {1, 1}),
                     "average_pool2d: the image 8x0 has no pixels (input [1,8,0,3])");
  for (const Shape& shape : {Shape{0, 8, 8, 3}, Shape{2, 8, 8, 0}}) {
    EXPECT_EQ(max_pool2d(Variable(Tensor::zeros(shape)), {2, 2}, {2, 2}, {1, 1}).shape(),
              Shape({shape[0], 5, 5, shape[3]}));
  }
  EXPECT_USAGE_ERROR(max_pool2d(Variable(Tensor::zeros({1, 17, 17, 1})), {17, 17}, {1, 1}, {0, 0}),
                     "expected at most 256 pixels");
  EXPECT_USAGE_ERROR(average_pool2d(Variable(Tensor::zeros({2, 8})), {2, 2}, {2, 2}, {0, 0}),
                     "average_pool2d: input [2,8] is not");
  EXPECT_USAGE_ERROR(global_average_pool2d(Variable(Tensor::zeros({2, 8}))),
                     "global_average_pool2d: input [2,8] is not [N,H,W,C]");
}

}  // namespace
}  // namespace convoy
