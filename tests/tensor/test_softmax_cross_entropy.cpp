// Softmax with cross entropy against the naive reference.
#include "tests/tensor/kernel_test.h"

namespace convoy {
namespace {

class SoftmaxCrossEntropy : public EveryBackend {};
INSTANTIATE_FOR_EVERY_BACKEND(SoftmaxCrossEntropy);

int64_t draw_rows(Draw& draw) { return draw.pick({0, 1, 2, 3, 5, 17, 64, 65}); }
int64_t draw_classes(Draw& draw) { return draw.pick({1, 2, 3, 7, 8, 9, 10, 16, 17, 31, 33, 100, 101}); }

TEST_P(SoftmaxCrossEntropy, forward_matches_reference_on_generated_shapes) {
  Draw draw(61);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const int64_t rows = draw_rows(draw), classes = draw_classes(draw);
    const float smoothing = draw.coin() ? 0.0f : 0.2f, range = draw.coin() ? 3.0f : 60.0f;
    SCOPED_TRACE(fmt::format("rows {} classes {} smoothing {} range {}", rows, classes, smoothing, range));
    const std::vector<float> logits = draw.reals(rows * classes, -range, range);
    const std::vector<int32_t> labels = draw.labels(rows, classes);
    Guarded<float> probability(rows * classes), loss(rows);
    kernels().softmax_cross_entropy_forward(stream, rows, classes, in(logits), in(labels), smoothing,
                                            probability.data(), loss.data());
    const reference::CrossEntropy expected =
        reference::softmax_cross_entropy_forward(rows, classes, widen(logits), labels, static_cast<double>(smoothing));
    // The rounding of x - max, u * 2 range at most, is the relative error of its exponential, which adds 2u;
    // then the sum, the reciprocal and the product. Below 2^-126 a probability has no relative precision. The
    // loss is a logarithm plus differences of logits.
    const double relative = 2 * static_cast<double>(range) + 8;
    Values tolerance = roundoff(2 * relative, expected.probability);
    for (double& value : tolerance) value += 0x1p-126;
    expect_within(probability.values(), expected.probability, tolerance);
    expect_within(loss.values(), expected.loss, roundoff(2 * relative, Values(loss.values().size(), 1)));
    EXPECT_TRUE(probability.intact() && loss.intact());
  }
}

TEST_P(SoftmaxCrossEntropy, huge_logits_do_not_overflow) {
  const std::vector<float> logits = {3e38f, -3e38f, 0, 1000, 1000, 0};
  const std::vector<int32_t> labels = {0, 1};
  Guarded<float> probability(6), loss(2);
  kernels().softmax_cross_entropy_forward(stream, 2, 3, in(logits), in(labels), 0, probability.data(), loss.data());
  EXPECT_EQ(probability.values(), (std::vector<float>{1, 0, 0, 0.5f, 0.5f, 0}));
  EXPECT_EQ(loss.values()[0], 0);
  EXPECT_FLOAT_EQ(loss.values()[1], std::log(2.0f));
}

TEST_P(SoftmaxCrossEntropy, a_nan_logit_makes_the_loss_nan_wherever_it_stands) {
  for (size_t position = 0; position < 3; ++position) {
    std::vector<float> logits = {1, 2, 3};
    logits[position] = NAN;
    const std::vector<int32_t> labels = {1};
    Guarded<float> probability(3), loss(1);
    kernels().softmax_cross_entropy_forward(stream, 1, 3, in(logits), in(labels), 0, probability.data(), loss.data());
    EXPECT_TRUE(std::isnan(loss.values()[0])) << position;
  }
}

TEST_P(SoftmaxCrossEntropy, backward_matches_reference) {
  Draw draw(62);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const int64_t rows = draw_rows(draw), classes = draw_classes(draw);
    const float smoothing = draw.coin() ? 0.0f : 0.2f, dloss = draw.real(), scale = 1.0f / static_cast<float>(rows + 1);
    const bool accumulate = draw.coin();
    SCOPED_TRACE(fmt::format("rows {} classes {} smoothing {} accumulate {}", rows, classes, smoothing, accumulate));
    const std::vector<float> probability = draw.reals(rows * classes, 0, 1), start = draw.reals(rows * classes);
    const std::vector<float> dloss_array = {dloss};
    const std::vector<int32_t> labels = draw.labels(rows, classes);
    Guarded<float> dlogits = accumulate ? Guarded<float>(start) : Guarded<float>(rows * classes);
    kernels().softmax_cross_entropy_backward(stream, rows, classes, in(probability), in(labels), smoothing,
                                             in(dloss_array), scale, accumulate, dlogits.data());
    const Values initial = accumulate ? widen(start) : Values{};
    const Values expected = reference::softmax_cross_entropy_backward(
        rows, classes, widen(probability), labels, static_cast<double>(smoothing), static_cast<double>(dloss),
        static_cast<double>(scale), initial);
    // About six roundings of values that are at most 1 times the scale, then the sum.
    const double factor = 8 * std::fabs(static_cast<double>(dloss * scale)) + (accumulate ? 2 : 0);
    expect_within(dlogits.values(), expected, roundoff(factor, Values(probability.size(), 1)));
    EXPECT_TRUE(dlogits.intact());
  }
}

TEST_P(SoftmaxCrossEntropy, gives_the_same_bits_on_every_run) {
  Draw draw(63);
  const int64_t rows = 3001, classes = 11;
  const std::vector<float> logits = draw.reals(rows * classes, -5, 5), dloss = {0.7f};
  const std::vector<int32_t> labels = draw.labels(rows, classes);
  const float *const on_logits = in(logits), *const on_dloss = in(dloss);
  const int32_t* const on_labels = in(labels);
  expect_same_bits_on_every_run(rows * classes + rows, [&](const Stream& on, float* out) {
    kernels().softmax_cross_entropy_forward(on, rows, classes, on_logits, on_labels, 0.1f, out, out + rows * classes);
  });
  expect_same_bits_on_every_run(rows * classes, [&](const Stream& on, float* out) {
    kernels().softmax_cross_entropy_backward(on, rows, classes, on_logits, on_labels, 0.1f, on_dloss, 0.01f, true, out);
  });
}

}  // namespace
}  // namespace convoy
