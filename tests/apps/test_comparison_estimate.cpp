// How long a comparison still takes, judged by made-up runs.
#include "apps/comparison_estimate.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

// Two models, the second with ten times the multiply-adds; serial and openmp-2; two rounds.
ComparisonPlan two_models() {
  ComparisonPlan plan;
  plan.models = {{"a", "a", "synthetic", 10, 100}, {"b", "b", "synthetic", 10, 1000}};
  plan.configurations = {Configuration{.strategy = "serial"}, Configuration{.strategy = "openmp", .threads = 2}};
  plan.repeats = 2;
  return plan;
}

TEST(comparison_estimate, there_is_none_until_every_configuration_has_run) {
  const ComparisonPlan plan = two_models();
  TimeLeft left(plan);
  EXPECT_FALSE(left.from(0).has_value());
  left.add({0, 0, 1}, 4);
  EXPECT_FALSE(left.from(1).has_value());
  left.add({0, 1, 1}, 2);
  EXPECT_TRUE(left.from(2).has_value());
}

TEST(comparison_estimate, a_model_that_has_not_run_is_scaled_first_by_multiply_adds_then_by_what_has_run) {
  const ComparisonPlan plan = two_models();
  TimeLeft left(plan);
  left.add({0, 0, 1}, 4);
  left.add({0, 1, 1}, 2);
  EXPECT_DOUBLE_EQ(*left.from(2), 6 + 2 * 60);
  left.add({0, 0, 2}, 6);  // 5 on average
  EXPECT_DOUBLE_EQ(*left.from(3), 2 + 2 * 70);
  left.add({0, 1, 2}, 2);
  left.add({1, 0, 1}, 20);  // 4 times as long as with the first model
  EXPECT_DOUBLE_EQ(*left.from(5), 8 + 28);
  EXPECT_DOUBLE_EQ(*left.from(8), 0);
}

TEST(comparison_estimate, is_told_roughly) {
  EXPECT_EQ(time_left_text(1), "about 10 s left");
  EXPECT_EQ(time_left_text(44), "about 40 s left");
  EXPECT_EQ(time_left_text(12.4 * 60), "about 12 min left");
  EXPECT_EQ(time_left_text(2.5 * 3600), "about 2.5 h left");
}

}  // namespace
}  // namespace convoy
