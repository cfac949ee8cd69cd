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

TEST(Schedule, cosine_is_halfway_down_in_the_middle_and_ends_at_the_final_fraction) {
  const ScheduleOptions options{.lr = 2, .total_steps = 110, .warmup_steps = 10, .final_fraction = 0.1f};
  EXPECT_FLOAT_EQ(rate("cosine", options, 10), 2);
  EXPECT_FLOAT_EQ(rate("cosine", options, 60), (2 + 0.2f) / 2);
  EXPECT_NEAR(rate("cosine", options, 35), 0.2 + 1.8 * 0.5 * (1 + std::sqrt(0.5)), 1e-6);
  EXPECT_FLOAT_EQ(rate("cosine", options, 110), 0.2f);
}

TEST(Schedule, linear_falls_in_a_straight_line_to_the_final_fraction) {
  const ScheduleOptions options{.lr = 2, .total_steps = 110, .warmup_steps = 10, .final_fraction = 0.5f};
  EXPECT_FLOAT_EQ(rate("linear", options, 10), 2);
  EXPECT_FLOAT_EQ(rate("linear", options, 35), 1.75f);
  EXPECT_FLOAT_EQ(rate("linear", options, 110), 1);
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
