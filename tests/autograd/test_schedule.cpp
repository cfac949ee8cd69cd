// Learning-rate schedules at their turning points.

#include "autograd/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/autograd/error_test.h"

namespace convoy {
namespace {

float rate(const char* name, const ScheduleOptions& options, int64_t step) {
  return find_schedule(name).rate(options, step);
}

TEST(Schedule, constant_stays_at_the_learning_rate) {
  for (const int64_t step : {0, 1, 99}) EXPECT_FLOAT_EQ(rate("constant", {.lr = 0.5f, .total_steps = 100}, step), 0.5f);
}

TEST(Schedule, warm_up_rises_linearly_to_the_learning_rate_and_no_further) {
  const ScheduleOptions options{.lr = 0.8f, .total_steps = 100, .warmup_steps = 4};
  for (const char* name : {"constant", "cosine", "linear"}) {
    SCOPED_TRACE(name);
    EXPECT_FLOAT_EQ(rate(name, options, 0), 0.2f);
    EXPECT_FLOAT_EQ(rate(name, options, 1), 0.4f);
    EXPECT_FLOAT_EQ(rate(name, options, 3), 0.8f);
    EXPECT_FLOAT_EQ(rate(name, options, 4), 0.8f);
    EXPECT_LE(rate(name, options, 5), 0.8f);
  }
}

TEST(Schedule, step_multiplies_by_the_factor_every_so_many_steps) {
  const ScheduleOptions options{.lr = 1, .total_steps = 100, .step_every = 30, .step_factor = 0.1f};
  EXPECT_FLOAT_EQ(rate("step", options, 29), 1);
  EXPECT_FLOAT_EQ(rate("step", options, 30), 0.1f);
  EXPECT_FLOAT_EQ(rate("step", options, 59), 0.1f);
  EXPECT_FLOAT_EQ(rate("step", options, 60), 0.01f);
  EXPECT_FLOAT_EQ(rate("step", options, 99), 0.001f);
  EXPECT_USAGE_ERROR(rate("step", {.step_every = 0}, 0), "schedule step: the rate changes every 0 steps");
}

TEST(Schedule, cosine_is_halfway_down_in_the_middle_and_ends_at_0) {
  const ScheduleOptions options{.lr = 2, .total_steps = 110, .warmup_steps = 10};
  EXPECT_FLOAT_EQ(rate("cosine", options, 10), 2);
  EXPECT_FLOAT_EQ(rate("cosine", options, 60), 1);
  EXPECT_NEAR(rate("cosine", options, 35), 1 + std::sqrt(0.5), 1e-6);
  EXPECT_EQ(rate("cosine", options, 110), 0);
}

TEST(Schedule, linear_falls_in_a_straight_line_to_0) {
  const ScheduleOptions options{.lr = 2, .total_steps = 110, .warmup_steps = 10};
  EXPECT_FLOAT_EQ(rate("linear", options, 10), 2);
  EXPECT_FLOAT_EQ(rate("linear", options, 35), 1.5f);
  EXPECT_EQ(rate("linear", options, 110), 0);
}

TEST(Schedule, one_cycle_rises_over_30_percent_and_falls_to_almost_nothing) {
  const ScheduleOptions options{.lr = 0.5f, .total_steps = 100};
  // PyTorch's OneCycleLR(max_lr, total_steps=100): the phases end at steps 0.3 * 100 - 1 = 29 and 99.
  EXPECT_FLOAT_EQ(rate("one-cycle", options, 0), 0.02f);
  EXPECT_FLOAT_EQ(rate("one-cycle", options, 29), 0.5f);
  EXPECT_FLOAT_EQ(rate("one-cycle", options, 64), (0.5f + 2e-6f) / 2);
  EXPECT_FLOAT_EQ(rate("one-cycle", options, 99), 2e-6f);
  for (int64_t step = 0; step < 99; ++step) {
    if (step < 29) {
      EXPECT_LT(rate("one-cycle", options, step), rate("one-cycle", options, step + 1));
    } else {
      EXPECT_GT(rate("one-cycle", options, step), rate("one-cycle", options, step + 1));
    }
  }
}

// PyTorch's OneCycleLR(max_lr, total_steps): its _annealing_cos(start, end, pct) in both phases, at the middles and
// also at the quarters, where a straight line would be elsewhere.
TEST(Schedule, one_cycle_follows_the_cosines_of_pytorch_in_both_phases) {
  const double lr = 0.5, initial = lr / 25, least = initial / 1e4;
  const auto annealing_cos = [](double start, double end, double pct) {
    return end + (start - end) / 2 * (std::cos(std::acos(-1.0) * pct) + 1);
  };
  const ScheduleOptions options{.lr = static_cast<float>(lr), .total_steps = 1010};
  const double rise = 0.3 * 1010 - 1, fall = 1009 - rise;  // 302 and 707 steps
  // 1e-7: more than half a unit in the last place of 0.5, less than any step moves.
  for (const int64_t step : {1, 75, 151, 227, 301}) {
    EXPECT_NEAR(rate("one-cycle", options, step), annealing_cos(initial, lr, static_cast<double>(step) / rise), 1e-7);
  }
  for (const int64_t step : {303, 479, 655, 832, 1008}) {
    EXPECT_NEAR(rate("one-cycle", options, step), annealing_cos(lr, least, (static_cast<double>(step) - rise) / fall),
                1e-7);
  }
}

TEST(Schedule, every_schedule_is_positive_and_finite_however_short_the_training) {
  for (const Schedule& schedule : schedules()) {
    for (const int64_t total : {1, 2, 3, 4, 7, 1000}) {
      for (const int64_t warmup : {0, 1, 5}) {
        for (int64_t step = 0; step < total; ++step) {
          const float value =
              schedule.rate({.lr = 0.1f, .total_steps = total, .warmup_steps = warmup, .step_every = 100}, step);
          ASSERT_TRUE(value > 0 && value <= 0.1f * 1.0001f)
              << schedule.name << " step " << step << " of " << total << ": " << value;
        }
      }
    }
  }
}

TEST(Schedule, an_unknown_name_lists_the_known_ones) {
  EXPECT_USAGE_ERROR(find_schedule("cosin"), "unknown schedule 'cosin', did you mean 'cosine'?");
}

}  // namespace
}  // namespace convoy
