#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class ElementwiseGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(ElementwiseGradient);

const Shape kShapes[] = {{1}, {3, 5}, {2, 3, 1, 7}, {67}};

TEST_P(ElementwiseGradient, of_every_unary_function_matches_the_numeric_one) {
#define ROW(name, functor) Unary::name,
  const Unary functions[] = {CONVOY_UNARY_FUNCTIONS(ROW)};
#undef ROW
  Draw draw(6);
  for (const Unary function : functions) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(fmt::format("{} {}", name_of(function), shape));
      // Odd multiples of 1/32 between -3 and 3: both tails, and off the kink of ReLU.
      std::vector<float> x = grid_values(draw, shape.count(), 0.0625f, 0.03125f);
      for (float& value : x) value *= 3;
      // Values and derivatives are at most 3 and about 1; some (GELU's tail, tanh' = 1 - y^2) are small
      // differences of such terms. Eight operations with the exponential's two units in the last place.
      const auto magnitude = [](const Values& values, double scale) {
        Values result = absolute(values);
        for (double& value : result) value = scale * (value + 1);
        return result;
      };
      check_gradients({.inputs = {{"x", shape, x}},
                       .function = [&](const auto& v) { return apply(function, v[0]); },
                       .reference = [&](const auto& v) { return reference::unary_forward(function, v[0]); },
                       .terms = 8,
                       .result_magnitude = [&](const auto& v) { return magnitude(v[0], 1); },
                       .gradient_magnitude =
                           [&](const auto& v, const Values& dy, size_t) {
                             Values terms = magnitude(v[0], 1);
                             for (size_t i = 0; i < terms.size(); ++i) terms[i] *= std::fabs(dy[i]);
                             return terms;
                           }});
    }
  }
}

TEST_P(ElementwiseGradient, of_every_binary_function_matches_the_numeric_one) {
#define ROW(name, functor) Binary::name,
  const Binary functions[] = {CONVOY_BINARY_FUNCTIONS(ROW)};
#undef ROW
  Draw draw(7);
  for (const Binary function : functions) {
    for (const Shape& shape : kShapes) {
      check_gradients({.inputs = {{"a", shape, draw.reals(shape.count())}, {"b", shape, draw.reals(shape.count())}},
                       .function = [&](const auto& v) { return apply(function, v[0], v[1]); },
                       .reference = [&](const auto& v) { return reference::binary_forward(function, v[0], v[1]); }});
    }
  }
}

// Both contributions of one node go to the same gradient; with addition both are dy itself.
TEST_P(ElementwiseGradient, of_a_binary_function_of_one_variable_with_itself_matches_the_numeric_one) {
  Draw draw(8);
  for (const Binary function : {Binary::add, Binary::multiply}) {
    check_gradients({.inputs = {{"x", {5, 3}, draw.reals(15)}},
                     .function = [&](const auto& v) { return apply(function, v[0], v[0]); },
                     .reference = [&](const auto& v) { return reference::binary_forward(function, v[0], v[0]); },
                     .terms = 2});
  }
}

TEST_P(ElementwiseGradient, of_scale_matches_the_numeric_one) {
  Draw draw(9);
  for (const Shape& shape : kShapes) {
    check_gradients({.inputs = {{"x", shape, draw.reals(shape.count())}},
                     .function = [&](const auto& v) { return scale(v[0], -1.75f); },
                     .reference =
                         [&](const auto& v) {
                           Values y = v[0];
                           for (double& value : y) value *= -1.75;
                           return y;
                         },
                     .result_magnitude =
                         [&](const auto& v) {
                           Values y = absolute(v[0]);
                           for (double& value : y) value *= 1.75;
                           return y;
                         }});
  }
}

TEST_P(ElementwiseGradient, of_bias_add_matches_the_numeric_one) {
  Draw draw(10);
  for (const Shape& shape : {Shape{1, 1}, Shape{7, 5}, Shape{2, 3, 2, 17}}) {
    const int64_t columns = shape[shape.rank() - 1];
    check_gradients({.inputs = {{"x", shape, draw.reals(shape.count())}, {"bias", {columns}, draw.reals(columns)}},
                     .function = [](const auto& v) { return bias_add(v[0], v[1]); },
                     .reference = [&](const auto& v) { return reference::bias_forward(columns, v[0], v[1]); },
                     .terms = static_cast<double>(shape.count() / columns)});
  }
}

TEST(Elementwise, arguments_that_do_not_fit_are_refused_with_their_shapes) {
  const auto variable = [](const Shape& shape) { return Variable(Tensor::zeros(shape)); };
  EXPECT_USAGE_ERROR(add(variable({2, 3}), variable({3, 2})), "add: inputs [2,3] and [3,2] differ in shape");
  EXPECT_USAGE_ERROR(bias_add(variable({2, 3}), variable({2})),
                     "bias_add: the bias is [2], expected [3] (input [2,3])");
  EXPECT_USAGE_ERROR(relu(Variable(Tensor::zeros({2}, DType::i32))), "relu: the input is i32, expected f32");
}

TEST(Convert, rounds_the_value_and_hands_the_gradient_back_in_its_own_type) {
  Variable x(Tensor::from(std::vector<float>{1 + 0x1p-9f, -3}, {2}), true);
  const Variable rounded = convert(x, DType::bf16);
  EXPECT_EQ(rounded.value().dtype(), DType::bf16);
  const Variable y = convert(rounded, DType::f32), weight(Tensor::from(std::vector<float>{2, 1 + 0x1p-9f}, {2}));
  EXPECT_EQ(y.value().data<float>()[0], 1);
  sum(apply(Binary::multiply, y, weight)).backward();
  EXPECT_EQ(x.grad().data<float>()[0], 2);
  EXPECT_EQ(x.grad().data<float>()[1], 1) << "the gradient of a bf16 is one";
  EXPECT_EQ(convert(x, DType::f32).value().raw(), x.value().raw()) << "nothing to do";
}

}  // namespace
}  // namespace convoy
