#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class SoftmaxCrossEntropyGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(SoftmaxCrossEntropyGradient);

TEST_P(SoftmaxCrossEntropyGradient, matches_the_numeric_one) {
  Draw draw(1);
  const int64_t shapes[][2] = {{1, 1}, {1, 2}, {3, 5}, {5, 10}, {7, 17}};
  for (const auto& [rows, classes] : shapes) {
    for (const float smoothing : {0.0f, 0.1f, 1.0f}) {
      SCOPED_TRACE(fmt::format("rows {} classes {} smoothing {}", rows, classes, smoothing));
      const std::vector<int32_t> labels = draw.labels(rows, classes);
      const double share = 1.0 / static_cast<double>(rows), wide_smoothing = static_cast<double>(smoothing);
      const auto forward = [&, rows = rows, classes = classes](const Values& x) {
        return reference::softmax_cross_entropy_forward(rows, classes, x, labels, wide_smoothing);
      };
      check_gradients({.inputs = {{"logits", {rows, classes}, draw.reals(rows * classes, -4, 4)}},
                       .function =
                           [&, rows = rows](const auto& v) {
                             return softmax_cross_entropy(v[0], Tensor::from(labels, {rows}), smoothing);
                           },
                       .reference =
                           [&](const auto& v) {
                             double loss = 0;
                             for (const double sample : forward(v[0]).loss) loss += sample * share;
                             return Values{loss};
                           },
                       // Logits differ by up to 8, and a relative error of the exponential's argument is one
                       // of 8 in the exponential.
                       .terms = static_cast<double>(rows + classes) + 8,
                       .result_magnitude = [](const auto&) { return Values{8 + 8}; },
                       .gradient_magnitude =
                           [&, classes = classes](const auto& v, const Values& dy, size_t) {
                             Values magnitude = forward(v[0]).probability;
                             for (size_t i = 0; i < magnitude.size(); ++i) {
                               const size_t row = i / static_cast<size_t>(classes),
                                            column = i % static_cast<size_t>(classes);
                               magnitude[i] += reference::target(classes, static_cast<int64_t>(column), labels[row],
                                                                 wide_smoothing);
                               magnitude[i] *= std::fabs(dy[0]) * share;
                             }
                             return magnitude;
                           }});
    }
  }
}

TEST(SoftmaxCrossEntropy, large_logits_neither_overflow_nor_vanish) {
  const Variable logits(Tensor::from(std::vector<float>{10000, 0, -10000}, {1, 3}), true);
  const Variable loss = softmax_cross_entropy(logits, Tensor::from(std::vector<int32_t>{2}, {1}));
  EXPECT_EQ(loss.value().item(), 20000);
  loss.backward();
  expect_equal(values_of(logits.grad()), {1, 0, -1});
}

TEST(SoftmaxCrossEntropy, arguments_that_do_not_fit_are_refused) {
  const auto labels = [](std::vector<int32_t> values) {
    return Tensor::from(values, {static_cast<int64_t>(values.size())});
  };
  const Variable logits(Tensor::zeros({2, 3}));
  EXPECT_USAGE_ERROR(softmax_cross_entropy(logits, labels({0, 3})),
                     "softmax_cross_entropy: label 3 of sample 1 is not in [0, 3)");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(logits, labels({-1, 0})),
                     "softmax_cross_entropy: label -1 of sample 0 is not in [0, 3)");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(logits, labels({0, 1, 2})),
                     "softmax_cross_entropy: labels are i32 [3], expected i32 [2]");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(logits, Tensor::zeros({2})),
                     "softmax_cross_entropy: labels are f32 [2], expected i32 [2]");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(Variable(Tensor::zeros({2, 1, 3})), labels({0, 1})),
                     "logits [2,1,3] are not [N, classes]");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(logits, labels({0, 1}), 1.5f),
                     "softmax_cross_entropy: smoothing 1.5, expected 0 to 1");
  EXPECT_USAGE_ERROR(softmax_cross_entropy(Variable(Tensor::zeros({0, 3})), labels({})), "the mean over no samples");
}

}  // namespace
}  // namespace convoy
