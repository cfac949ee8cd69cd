#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class ReduceGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(ReduceGradient);

Values total(const Values& x, double factor) {
  double sum = 0;
  for (const double value : x) sum += value;
  return {sum * factor};
}

TEST_P(ReduceGradient, of_sum_and_mean_matches_the_numeric_one) {
  Draw draw(1);
  for (const Shape& shape : {Shape{1}, Shape{3, 7}, Shape{2, 1, 3, 11}}) {
    const double count = static_cast<double>(shape.count());
    check_gradients({.inputs = {{"x", shape, draw.reals(shape.count())}},
                     .function = [](const auto& v) { return sum(v[0]); },
                     .reference = [](const auto& v) { return total(v[0], 1); },
                     .terms = count});
    check_gradients({.inputs = {{"x", shape, draw.reals(shape.count())}},
                     .function = [](const auto& v) { return mean(v[0]); },
                     .reference = [=](const auto& v) { return total(v[0], 1 / count); },
                     .terms = count});
  }
}

TEST(Reduce, the_sum_of_nothing_is_0_and_its_mean_is_refused) {
  const Variable nothing(Tensor::empty({0, 3}), true);
  const Variable zero = sum(nothing);
  EXPECT_EQ(zero.value().item(), 0);
  zero.backward();
  EXPECT_EQ(nothing.grad().shape(), Shape({0, 3}));
  EXPECT_USAGE_ERROR(mean(nothing), "mean: [0,3] has no elements");
}

}  // namespace
}  // namespace convoy
