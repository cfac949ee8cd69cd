// Batch norm kernels against the naive reference.
#include "tests/tensor/statistics.h"

namespace convoy {
namespace {

constexpr float kEpsilon = 1e-5f;

// Inputs of all rows for one shape. No pre-activation lies near 0, where rounding could decide whether the
// ReLU passes it.
struct Case {
  int64_t rows, channels;
  std::vector<float> x, dy, mean, variance, gamma, beta;
  reference::Moments moments;

  Case(int64_t rows, int64_t channels, Draw& draw)
      : rows(rows),
        channels(channels),
        x(stored(draw.reals(rows * channels, -3, 5))),
        dy(stored(draw.reals(rows * channels))),
        mean(draw.reals(channels, 0, 2)),
        variance(draw.reals(channels, 0.1f, 4)),
        gamma(draw.reals(channels, 0.5f, 2)),
        beta(draw.reals(channels)),
        moments{widen(mean), widen(variance)} {
    for (int64_t c = 0; c < channels; c += 3) gamma[static_cast<size_t>(c)] *= -1;
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % static_cast<size_t>(channels);
      while (std::fabs((x[i] - mean[c]) / std::sqrt(variance[c] + kEpsilon) * gamma[c] + beta[c]) < 1e-3f)
        x[i] = stored(x[i] + 0x1p-5f);  // a step that a bf16 below 8 can take
    }
  }

  // The largest size that the terms of y = (x - mean) / deviation * gamma + beta reach.
  Values magnitude() const {
    return reference::batch_norm_normalize(rows, channels, distances(), {Values(mean.size()), widen(variance)},
                                           kEpsilon, absolute(widen(gamma)), absolute(widen(beta)));
  }
  Values distances() const {
    Values distance(x.size());
    for (size_t i = 0; i < x.size(); ++i)
      distance[i] = std::fabs(static_cast<double>(x[i]) - static_cast<double>(mean[i % mean.size()]));
    return distance;
  }
};

std::string text(const Case& t) { return fmt::format("rows {} channels {}", t.rows, t.channels); }

int64_t draw_rows(Draw& draw) { return draw.pick({0, 1, 2, 3, 5, 17, 63, 64, 65, 127, 255, 256, 257, 511, 1031}); }
int64_t draw_channels(Draw& draw) {
  return draw.pick({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 128, 129});
}

class BatchNorm : public EveryBackend {
 protected:
  void check_statistics(int64_t rows, int64_t channels, const std::vector<float>& x) {
    SCOPED_TRACE(fmt::format("rows {} channels {}", rows, channels));
    Guarded<float> mean(channels), variance(channels);
    kernels().batch_norm_statistics(stream, rows, channels, in_array(x), mean.data(), variance.data());
    expect_statistics(rows, channels, x, Shift::first_row, mean, variance);
  }
};
INSTANTIATE_FOR_VARIANTS(BatchNorm, Variants::types);

TEST_P(BatchNorm, statistics_match_reference_on_generated_shapes) {
  Draw draw(31);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const int64_t rows = draw_rows(draw), channels = draw_channels(draw);
    check_statistics(rows, channels, stored(draw.reals(rows * channels, -1, 3)));
  }
  check_statistics(70'001, 3, stored(draw.reals(70'001 * 3, -1, 3)));
}

TEST_P(BatchNorm, statistics_keep_a_small_variance_beside_a_huge_mean) {
  Draw draw(32);
  for (const float offset : {1e4f, -1e6f}) {
    std::vector<float> x = draw.reals(5003 * 17);
    for (float& value : x) value = stored(value + offset);
    check_statistics(5003, 17, x);
  }
}

TEST_P(BatchNorm, statistics_of_equal_rows_have_no_variance) {
  const std::vector<float> x(1000 * 5, stored(3.1f));
  Guarded<float> mean(5), variance(5);
  kernels().batch_norm_statistics(stream, 1000, 5, in_array(x), mean.data(), variance.data());
  EXPECT_EQ(mean.values(), std::vector<float>(5, x[0]));
  EXPECT_EQ(variance.values(), std::vector<float>(5, 0.0f));
}

TEST_P(BatchNorm, normalize_matches_reference_also_in_place) {
  Draw draw(33);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const Case t(draw_rows(draw), draw_channels(draw), draw);
    const bool relu = draw.coin();
    SCOPED_TRACE(text(t));
    const Values expected = reference::batch_norm_normalize(t.rows, t.channels, widen(t.x), t.moments, kEpsilon,
                                                            widen(t.gamma), widen(t.beta), relu);
    // Difference, sum with epsilon, root, quotient, product, sum: at most one rounding each.
    const Values tolerance = roundoff(6, t.magnitude());
    GuardedArray y(t.rows * t.channels), in_place(t.x);
    for (GuardedArray* out : {&y, &in_place}) {
      const ConstArray x = out == &y ? in_array(t.x) : in_place.data();
      kernels().batch_norm_normalize(stream, t.rows, t.channels, x, in(t.mean), in(t.variance), kEpsilon, in(t.gamma),
                                     in(t.beta), relu, out->data());
      expect_within(*out, expected, tolerance);
      EXPECT_TRUE(out->intact());
    }
  }
}

TEST_P(BatchNorm, normalize_lets_nan_through_the_relu) {
  const std::vector<float> x = {NAN, -1, 1}, zero(3), one(3, 1.0f);
  GuardedArray y(3);
  kernels().batch_norm_normalize(stream, 1, 3, in_array(x), in(zero), in(one), 0, in(one), in(zero), true, y.data());
  EXPECT_TRUE(std::isnan(y.values()[0]));
  EXPECT_EQ(y.values()[1], 0);
  EXPECT_EQ(y.values()[2], 1);
}

TEST_P(BatchNorm, backward_reduce_matches_reference) {
  Draw draw(34);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const Case t(draw_rows(draw), draw_channels(draw), draw);
    const bool relu = draw.coin();
    SCOPED_TRACE(text(t));
    Guarded<float> dgamma(t.channels), dbeta(t.channels);
    kernels().batch_norm_backward_reduce(stream, t.rows, t.channels, in_array(t.x), in_array(t.dy), in(t.mean),
                                         in(t.variance), kEpsilon, in(t.gamma), in(t.beta), relu, dgamma.data(),
                                         dbeta.data());
    const reference::BatchNormSums expected = reference::batch_norm_backward_reduce(
        t.rows, t.channels, widen(t.x), widen(t.dy), t.moments, kEpsilon, widen(t.gamma), widen(t.beta), relu);
    // Sums of |dz| |xhat| and |dz|: with relu off they bound those with relu on.
    const reference::BatchNormSums magnitude = reference::batch_norm_backward_reduce(
        t.rows, t.channels, t.distances(), absolute(widen(t.dy)), {Values(t.mean.size()), widen(t.variance)}, kEpsilon,
        widen(t.gamma), widen(t.beta));
    expect_within(dgamma.values(), expected.dgamma, roundoff(chain_of_rows(t.rows) + 4, magnitude.dgamma));
    expect_within(dbeta.values(), expected.dbeta, roundoff(chain_of_rows(t.rows) + 1, magnitude.dbeta));
    EXPECT_TRUE(dgamma.intact() && dbeta.intact());
  }
}

TEST_P(BatchNorm, backward_input_matches_reference_for_whole_and_sharded_batches) {
  Draw draw(35);
  for (int i = 0; i < cases(200) && !HasFailure(); ++i) {
    const Case t(draw_rows(draw), draw_channels(draw), draw);
    const bool relu = draw.coin(), accumulate = draw.coin();
    const int64_t total_rows = draw.coin() ? t.rows : 3 * t.rows + 1;
    SCOPED_TRACE(text(t));
    const std::vector<float> dgamma = draw.reals(t.channels, -9, 9), dbeta = draw.reals(t.channels, -9, 9),
                             start = stored(draw.reals(t.rows * t.channels));
    GuardedArray dx = accumulate ? GuardedArray(start) : GuardedArray(t.rows * t.channels);
    kernels().batch_norm_backward_input(stream, t.rows, t.channels, total_rows, in_array(t.x), in_array(t.dy),
                                        in(t.mean), in(t.variance), kEpsilon, in(t.gamma), in(t.beta), relu, in(dgamma),
                                        in(dbeta), accumulate, dx.data());
    const Values initial = accumulate ? widen(start) : Values{};
    const Values expected = reference::batch_norm_backward_input(
        t.rows, t.channels, total_rows, widen(t.x), widen(t.dy), t.moments, kEpsilon, widen(t.gamma), widen(t.beta),
        relu, {widen(dgamma), widen(dbeta)}, initial);
    // The same with every term made positive: -|dgamma| and -|dbeta| turn the differences into sums.
    Values minus_dgamma = absolute(widen(dgamma)), minus_dbeta = absolute(widen(dbeta));
    for (double& value : minus_dgamma) value = -value;
    for (double& value : minus_dbeta) value = -value;
    const Values magnitude = reference::batch_norm_backward_input(
        t.rows, t.channels, total_rows, t.distances(), absolute(widen(t.dy)),
        {Values(t.mean.size()), widen(t.variance)}, kEpsilon, absolute(widen(t.gamma)), widen(t.beta), false,
        {minus_dgamma, minus_dbeta}, absolute(initial));
    // The longest product, (x - mean) * multiplier * dgamma / rows / deviation, has about ten roundings.
    expect_within(dx, expected, roundoff(12, magnitude));
    EXPECT_TRUE(dx.intact());
  }
}

TEST_P(BatchNorm, update_running_matches_reference) {
  Draw draw(36);
  for (const int64_t channels : {0, 1, 17, 64}) {
    for (const int64_t rows : {1, 2, 3, 1000}) {
      const std::vector<float> mean = draw.reals(channels), variance = draw.reals(channels, 0, 3);
      const std::vector<float> start_mean = draw.reals(channels), start_variance = draw.reals(channels, 0, 3);
      Guarded<float> running_mean(start_mean), running_variance(start_variance);
      kernels().batch_norm_update_running(stream, rows, channels, 0.1f, in(mean), in(variance), running_mean.data(),
                                          running_variance.data());
      const double momentum = static_cast<double>(0.1f);
      const auto update = [&](const Values& m, const Values& v, const Values& rm, const Values& rv) {
        return reference::batch_norm_update_running(rows, momentum, {m, v}, {rm, rv});
      };
      const reference::Moments expected =
          update(widen(mean), widen(variance), widen(start_mean), widen(start_variance));
      const reference::Moments magnitude =
          update(absolute(widen(mean)), widen(variance), absolute(widen(start_mean)), widen(start_variance));
      expect_within(running_mean.values(), expected.mean, roundoff(4, magnitude.mean));
      expect_within(running_variance.values(), expected.variance, roundoff(6, magnitude.variance));
      EXPECT_TRUE(running_mean.intact() && running_variance.intact());
    }
  }
}

TEST_P(BatchNorm, gives_the_same_bits_on_every_run) {
  Draw draw(37);
  for (const int64_t channels : {3, 32, 129}) {
    const Case t(3001, channels, draw);
    const int64_t count = t.rows * t.channels;
    const ConstArray x = in_array(t.x), dy = in_array(t.dy);
    const float *const mean = in(t.mean), *const variance = in(t.variance), *const gamma = in(t.gamma),
                       *const beta = in(t.beta);
    expect_same_bits_on_every_run(2 * channels, [&](const Stream& on, float* out) {
      kernels().batch_norm_statistics(on, t.rows, channels, x, out, out + channels);
    });
    expect_same_bits_on_every_run(2 * channels, [&](const Stream& on, float* out) {
      kernels().batch_norm_backward_reduce(on, t.rows, channels, x, dy, mean, variance, kEpsilon, gamma, beta, true,
                                           out, out + channels);
    });
    expect_same_bits_on_every_run(count, [&](const Stream& on, Array y) {
      kernels().batch_norm_normalize(on, t.rows, channels, x, mean, variance, kEpsilon, gamma, beta, true, y);
    });
    expect_same_bits_on_every_run(count, [&](const Stream& on, Array dx) {
      kernels().batch_norm_backward_input(on, t.rows, channels, t.rows, x, dy, mean, variance, kEpsilon, gamma, beta,
                                          true, gamma, beta, true, dx);
    });
  }
}

}  // namespace
}  // namespace convoy
