#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class ShapeGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(ShapeGradient);

TEST_P(ShapeGradient, of_reshape_and_flatten_matches_the_numeric_one) {
  Draw draw(1);
  const auto same = [](const std::vector<Values>& v) { return v[0]; };
  check_gradients({.inputs = {{"x", {2, 3, 5}, draw.reals(30)}},
                   .function =
                       [](const auto& v) {
                         return reshape(v[0], {6, 5});
                       },
                   .reference = same});
  check_gradients({.inputs = {{"x", {2, 3, 1, 5}, draw.reals(30)}},
                   .function = [](const auto& v) { return flatten(v[0]); },
                   .reference = same});
}

TEST(Shape, flatten_keeps_the_axis_of_samples) {
  EXPECT_EQ(flatten(Variable(Tensor::zeros({2, 3, 4, 5}))).shape(), Shape({2, 60}));
  EXPECT_EQ(flatten(Variable(Tensor::zeros({7}))).shape(), Shape({7, 1}));
  EXPECT_EQ(flatten(Variable(Tensor::zeros({0, 3, 4}))).shape(), Shape({0, 12}));
}

TEST(Shape, reshape_copies_nothing) {
  const Variable x(Tensor::zeros({2, 3}));
  EXPECT_TRUE(reshape(x, {3, 2}).value().shares_storage_with(x.value()));
}

TEST(Shape, another_number_of_elements_is_refused) {
  EXPECT_USAGE_ERROR(reshape(Variable(Tensor::zeros({2, 3})), {4, 2}), "reshape: [2,3] has 6 elements, [4,2] has 8");
}

}  // namespace
}  // namespace convoy
