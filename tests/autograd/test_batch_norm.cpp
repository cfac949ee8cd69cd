#include "tests/autograd/error_test.h"
#include "tests/gradcheck.h"

namespace convoy {
namespace {

class BatchNormGradient : public AutogradOnEveryIsa {};
INSTANTIATE_FOR_EVERY_ISA(BatchNormGradient);

constexpr float kEpsilon = 1e-5f;

struct Case {
  Shape shape;
  bool training, relu;

  int64_t channels() const { return shape[shape.rank() - 1]; }
  int64_t rows() const { return shape.count() / channels(); }
};

reference::Moments running_moments(const Case& c) {
  reference::Moments running;
  for (int64_t i = 0; i < c.channels(); ++i) {
    running.mean.push_back(0.125 * static_cast<double>(i % 3));
    running.variance.push_back(0.5 + 0.25 * static_cast<double>(i % 5));
  }
  return running;
}

reference::Moments moments(const Case& c, const Values& x) {
  return c.training ? reference::batch_norm_statistics(c.rows(), c.channels(), x) : running_moments(c);
}

BatchNormState running_state(const Case& c) {
  const reference::Moments running = running_moments(c);
  const std::vector<float> mean(running.mean.begin(), running.mean.end()),
      variance(running.variance.begin(), running.variance.end());
  return {.running_mean = Tensor::from(mean, {c.channels()}),
          .running_variance = Tensor::from(variance, {c.channels()}),
          .epsilon = kEpsilon};
}

// |gamma| / deviation * (|dy| + mean |dy| + |xhat| * mean |dy * xhat|), the terms of dx; those of dgamma and
// dbeta.
Values gradient_magnitude(const Case& c, const std::vector<Values>& v, const Values& dy, size_t input) {
  const reference::Moments m = moments(c, v[0]);
  const size_t channels = static_cast<size_t>(c.channels());
  Values xhat(v[0].size()), sum_dy(channels), sum_dy_xhat(channels), magnitude(v[0].size());
  for (size_t i = 0; i < xhat.size(); ++i) {
    // 1 for the rounding of x - mean, whose result may be small.
    xhat[i] = (std::fabs(v[0][i] - m.mean[i % channels]) + 1) / std::sqrt(m.variance[i % channels] + kEpsilon);
    sum_dy[i % channels] += std::fabs(dy[i]);
    sum_dy_xhat[i % channels] += std::fabs(dy[i]) * xhat[i];
  }
  if (input == 1) return sum_dy_xhat;
  if (input == 2) return sum_dy;
  for (size_t i = 0; i < xhat.size(); ++i) {
    const size_t ch = i % channels;
    const double correction = c.training ? (sum_dy[ch] + xhat[i] * sum_dy_xhat[ch]) / static_cast<double>(c.rows()) : 0;
    magnitude[i] = std::fabs(v[1][ch]) / std::sqrt(m.variance[ch] + kEpsilon) * (std::fabs(dy[i]) + correction);
  }
  return magnitude;
}

Values result_magnitude(const Case& c, const std::vector<Values>& v) {
  const reference::Moments m = moments(c, v[0]);
  Values magnitude(v[0].size());
  for (size_t i = 0; i < magnitude.size(); ++i) {
    const size_t ch = i % static_cast<size_t>(c.channels());
    magnitude[i] = (std::fabs(v[0][i] - m.mean[ch]) + 1) / std::sqrt(m.variance[ch] + kEpsilon) * std::fabs(v[1][ch]) +
                   std::fabs(v[2][ch]);
  }
  return magnitude;
}

// Whether no two values of a channel are so close that the numeric derivative would change which is the larger one.
bool far_apart(const Values& z, size_t channels) {
  for (size_t i = 0; i < z.size(); ++i)
    for (size_t j = i % channels; j < i; j += channels)
      if (std::fabs(z[i] - z[j]) < 0.01) return false;
  return true;
}

// Values for which no normalised result is near the kink of a ReLU at 0, which the numeric derivative would
// step over, nor, to be pooled, near another one.
std::vector<GradientInput> draw_inputs(const Case& c, bool pooled = false) {
  for (uint32_t seed = 1;; ++seed) {
    Draw draw(seed);
    const std::vector<float> x = draw.reals(c.shape.count()), gamma = draw.reals(c.channels(), 0.5f, 1.5f),
                             beta = draw.reals(c.channels());
    const Values z = reference::batch_norm_normalize(c.rows(), c.channels(), widen(x), moments(c, widen(x)), kEpsilon,
                                                     widen(gamma), widen(beta));
    const bool clear = std::all_of(z.begin(), z.end(), [](double value) { return std::fabs(value) > 0.01; });
    if ((clear || !c.relu) && (!pooled || far_apart(z, static_cast<size_t>(c.channels()))))
      return {{"x", c.shape, x}, {"gamma", {c.channels()}, gamma}, {"beta", {c.channels()}, beta}};
  }
}

void check(const Case& c) {
  SCOPED_TRACE(fmt::format("{} training {} relu {}", c.shape, c.training, c.relu));
  check_gradients({.inputs = draw_inputs(c),
                   .function =
                       [&](const auto& v) {
                         BatchNormState state = running_state(c);
                         return batch_norm(v[0], v[1], v[2], state, c.training, c.relu);
                       },
                   .reference =
                       [&](const auto& v) {
                         return reference::batch_norm_normalize(c.rows(), c.channels(), v[0], moments(c, v[0]),
                                                                kEpsilon, v[1], v[2], c.relu);
                       },
                   .terms = static_cast<double>(c.rows()) + 8,  // a mean, then its use in a dozen operations
                   .result_magnitude = [&](const auto& v) { return result_magnitude(c, v); },
                   .gradient_magnitude = [&](const auto& v, const Values& dy,
                                             size_t i) { return gradient_magnitude(c, v, dy, i); }});
}

TEST_P(BatchNormGradient, in_training_matches_the_numeric_one) {
  for (const bool relu : {false, true}) {
    check({{3, 1}, true, relu});
    check({{7, 3}, true, relu});
    check({{2, 3, 1, 5}, true, relu});
    check({{2, 1, 2, 17}, true, relu});
  }
}

TEST_P(BatchNormGradient, with_running_statistics_matches_the_numeric_one) {
  for (const bool relu : {false, true}) {
    check({{1, 5}, false, relu});
    check({{7, 3}, false, relu});
    check({{2, 2, 1, 17}, false, relu});
  }
}

// Pooling adds no rounding; the largest magnitude of a window bounds that of its largest result.
void check_pooled(const Case& c, Window size) {
  SCOPED_TRACE(fmt::format("{} training {} relu {} pooled", c.shape, c.training, c.relu));
  const Pool2dShape pool{.n = c.shape[0],
                         .h = c.shape[1],
                         .w = c.shape[2],
                         .c = c.shape[3],
                         .r = size.h,
                         .s = size.w,
                         .stride_h = size.h,
                         .stride_w = size.w};
  const auto normalised = [&](const std::vector<Values>& v, bool relu) {
    return reference::batch_norm_normalize(c.rows(), c.channels(), v[0], moments(c, v[0]), kEpsilon, v[1], v[2], relu);
  };
  const auto pooled = [&](const std::vector<Values>& v) {
    return reference::max_pool_forward(pool, normalised(v, c.relu));
  };
  check_gradients(
      {.inputs = draw_inputs(c, true),
       .function =
           [&](const auto& v) {
             BatchNormState state = running_state(c);
             return batch_norm_max_pool2d(v[0], v[1], v[2], state, c.training, c.relu, size);
           },
       .reference = [&](const auto& v) { return pooled(v).y; },
       .terms = static_cast<double>(c.rows()) + 8,
       .result_magnitude = [&](const auto& v) { return reference::max_pool_forward(pool, result_magnitude(c, v)).y; },
       .gradient_magnitude =
           [&](const auto& v, const Values& dy, size_t i) {
             const Values dz = reference::max_pool_backward(pool, dy, pooled(v).index);
             return gradient_magnitude(c, v, dz, i);
           }});
}

TEST_P(BatchNormGradient, of_pooled_results_matches_the_numeric_one) {
  for (const bool training : {true, false}) {
    for (const bool relu : {false, true}) {
      check_pooled({{2, 2, 4, 3}, training, relu}, {2, 2});
      check_pooled({{1, 5, 3, 2}, training, relu}, {2, 2});
      check_pooled({{2, 3, 3, 1}, training, relu}, {3, 2});
      check_pooled({{1, 2, 2, 17}, training, relu}, {2, 2});
    }
  }
}

TEST_P(BatchNormGradient, running_statistics_follow_the_batches_with_the_unbiased_variance) {
  const Case c{{11, 5}, true, false};
  BatchNormState state = running_state(c);
  state.momentum = 0.3f;
  reference::Moments expected = running_moments(c);
  Draw draw(8);
  const Variable gamma(Tensor::full({5}, 1)), beta(Tensor::zeros({5}));
  for (int step = 0; step < 10; ++step) {
    const std::vector<float> x = draw.reals(55);
    batch_norm(Variable(Tensor::from(x, c.shape)), gamma, beta, state, true);
    expected = reference::batch_norm_update_running(11, static_cast<double>(0.3f),
                                                    reference::batch_norm_statistics(11, 5, widen(x)), expected);
  }
  // Values of at most about 1, a mean of 11, ten updates of four operations each.
  const Values tolerance = roundoff(11 + 40, Values(5, 1.0));
  expect_within(values_of(state.running_mean), expected.mean, tolerance);
  expect_within(values_of(state.running_variance), expected.variance, tolerance);
}

TEST(BatchNorm, evaluation_leaves_the_running_statistics_alone) {
  const Case c{{4, 3}, false, false};
  BatchNormState state = running_state(c);
  batch_norm(Variable(Tensor::full({4, 3}, 7)), Variable(Tensor::full({3}, 1)), Variable(Tensor::zeros({3})), state,
             false);
  expect_equal(values_of(state.running_mean), running_moments(c).mean);
  expect_equal(values_of(state.running_variance), running_moments(c).variance);
}

// Training on the same layer between an evaluation and its backward, as a penalty on a frozen copy does.
TEST(BatchNorm, the_gradient_of_an_evaluation_is_that_of_the_statistics_it_used) {
  const Case c{{4, 3}, false, false};
  const auto gradients = [&](bool move) {
    BatchNormState state = running_state(c);
    Draw draw(9);
    const Variable x(Tensor::from(draw.reals(12), c.shape), true);
    const Variable gamma(Tensor::from(draw.reals(3), {3}), true), beta(Tensor::zeros({3}), true);
    const Variable y = batch_norm(x, gamma, beta, state, false);
    if (move) batch_norm(Variable(Tensor::from(draw.reals(12, 3, 9), c.shape)), gamma, beta, state, true);
    sum(y).backward();
    return std::vector{values_of(x.grad()), values_of(gamma.grad()), values_of(beta.grad())};
  };
  EXPECT_EQ(gradients(true), gradients(false));
}

TEST(BatchNorm, arguments_that_do_not_fit_are_refused_with_their_shapes) {
  BatchNormState state{.running_mean = Tensor::zeros({3}), .running_variance = Tensor::full({3}, 1)};
  const Variable gamma(Tensor::full({3}, 1)), beta(Tensor::zeros({3}));
  const auto variable = [](const Shape& shape) { return Variable(Tensor::zeros(shape)); };
  EXPECT_USAGE_ERROR(batch_norm(variable({1, 1, 1, 3}), gamma, beta, state, true), "batch_norm: one value per channel");
  EXPECT_NO_THROW(batch_norm(variable({1, 1, 1, 3}), gamma, beta, state, false));
  EXPECT_USAGE_ERROR(batch_norm(variable({2, 4, 4, 5}), gamma, beta, state, true),
                     "batch_norm: running statistics are [3] and [3], expected [5] (input [2,4,4,5])");
  EXPECT_USAGE_ERROR(batch_norm(variable({2, 3}), variable({5}), beta, state, false),
                     "batch_norm: gamma is [5], expected [3] (input [2,3])");
  EXPECT_USAGE_ERROR(batch_norm_max_pool2d(variable({1, 2, 2, 3}), variable({5}), beta, state, false, true, {2, 2}),
                     "batch_norm: gamma is [5], expected [3] (input [1,2,2,3])");
  EXPECT_USAGE_ERROR(batch_norm_max_pool2d(variable({1, 2, 2, 3}), gamma, beta, state, false, true, {3, 2}),
                     "max_pool2d: a 3x2 window does not fit the image 2x2 padded by 0x0 (input [1,2,2,3])");
  EXPECT_USAGE_ERROR(batch_norm(variable({5}), gamma, beta, state, true), "batch_norm: input [5] has no channel axis");
  BatchNormState none;
  EXPECT_USAGE_ERROR(batch_norm(variable({2, 3}), gamma, beta, none, false), "batch_norm: running statistics");
  EXPECT_USAGE_ERROR(batch_norm(variable({2, 3}), gamma, beta, none, true), "batch_norm: running statistics");
}

}  // namespace
}  // namespace convoy
