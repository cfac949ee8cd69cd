// `convoy find-lr`: the range test of learning rates, its suggestion, table and picture.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>
#include <sstream>

#include "apps/rate_test.h"
#include "tests/apps/run_convoy.h"

namespace convoy {
namespace {

// Losses that begin at 2.3, fall around `fall` and grow beyond 1, with some noise.
RateTest with_fall_at(double fall, int64_t steps) {
  RateTest test(steps);
  for (int64_t step = 1; step <= steps && !test.diverged(); ++step) {
    const double rate = test.rate(step);
    const double fallen = 1 / (1 + std::pow(fall / rate, 2)), noise = 0.03 * std::sin(12.9 * static_cast<double>(step));
    test.add(rate, 2.3 - 1.8 * fallen + 5 * rate * rate + noise);
  }
  return test;
}

TEST(rate_test, rates_grow_by_one_factor_from_the_least_to_the_most) {
  const RateTest test(161);
  EXPECT_DOUBLE_EQ(test.rate(1), 1e-7);
  EXPECT_NEAR(test.rate(161), 10, 1e-9);
  for (int64_t step = 1; step < 161; ++step)
    EXPECT_NEAR(test.rate(step + 1) / test.rate(step), std::pow(10, 1.0 / 20), 1e-9);
}

TEST(rate_test, averages_by_the_formula_without_a_bias_towards_zero) {
  RateTest test(20);
  double sum = 0, weights = 0;
  for (int i = 1; i <= 9; ++i) {
    const double loss = 2 + std::sin(i);
    sum = 0.9 * sum + loss;
    weights = 0.9 * weights + 1;
    test.add(test.rate(i), loss);
    EXPECT_NEAR(test.points().back().average, sum / weights, 1e-12);
  }
}

TEST(rate_test, finds_the_steepest_fall_and_ends_when_the_loss_has_grown_fourfold) {
  for (const double fall : {1e-4, 1e-2}) {
    const RateTest test = with_fall_at(fall, 200);
    ASSERT_TRUE(test.steepest().has_value());
    EXPECT_LT(std::fabs(std::log10(*test.steepest() / fall)), 0.25) << *test.steepest();
    EXPECT_GT(test.best_rate(), fall);
    EXPECT_TRUE(test.diverged());
    EXPECT_LT(test.points().back().rate, 10);
    double least = INFINITY;
    for (const RatePoint& point : test.points()) {
      least = std::min(least, point.average);
      EXPECT_EQ(point.average > 4 * least, &point == &test.points().back());
    }
  }
}

TEST(rate_test, a_loss_that_never_falls_suggests_nothing) {
  RateTest flat(100), rising(100), nothing_tried(100);
  for (int64_t step = 1; step <= 100; ++step) {
    flat.add(flat.rate(step), 2.3 + 0.01 * std::sin(12.9 * static_cast<double>(step)));
    rising.add(rising.rate(step), 2.3 + rising.rate(step));
  }
  EXPECT_NEAR(flat.smoothed(50), 2.3, 0.01);  // the largest noise, whose mean is smaller
  EXPECT_FALSE(flat.steepest().has_value());
  EXPECT_FALSE(rising.steepest().has_value());
  EXPECT_FALSE(nothing_tried.diverged());
}

std::vector<std::string> small_test(const std::vector<std::string>& more) {
  std::vector<std::string> arguments{"find-lr",
                                     "--dataset",
                                     "synthetic",
                                     "--limit",
                                     "1000",
                                     "--model",
                                     "conv 4 3x3; relu; maxpool 2; flatten; linear 10"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(find_lr, suggests_a_rate_and_writes_the_curve_and_a_picture) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_test({"--run", "r"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.error;
  std::smatch found;
  ASSERT_TRUE(std::regex_search(outcome.out, found, std::regex("\ntry      --lr ([^\n]+)\n"))) << outcome.out;
  const double rate = std::stod(found[1].str());
  EXPECT_GT(rate, 1e-4);
  EXPECT_LT(rate, 0.5);

  std::istringstream lines(read_text(folder / "r/find-lr.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "step,learning_rate,loss,smoothed_loss");
  int64_t step = 0;
  double least = INFINITY, least_at = 0;
  while (std::getline(lines, line)) {
    double tried = 0, loss = 0, smoothed = 0;
    ASSERT_EQ(std::sscanf(line.c_str(), "%*d,%lf,%lf,%lf", &tried, &loss, &smoothed), 3) << line;
    EXPECT_NEAR(tried, 1e-7 * std::pow(1e8, static_cast<double>(step) / 199), 1e-5 * tried);
    if (smoothed < least) {
      least = smoothed;
      least_at = tried;
    }
    ++step;
  }
  // What is told is what the table and the picture show.
  EXPECT_NE(outcome.out.find(fmt::format("it is least at {:.1e}\n", least_at)), std::string::npos) << outcome.out;
  EXPECT_GT(step, 100);
  EXPECT_LE(step, 200);
  if (outcome.out.find("gnuplot is not installed") == std::string::npos) {
    EXPECT_EQ(read_text(folder / "r/find-lr.png").rfind("\x89PNG", 0), 0u) << outcome.out;
  }
  // The same again has the same bits.
  ASSERT_EQ(run_convoy(folder, small_test({"--run", "again", "--threads", "2"})).exit_code, 0);
  EXPECT_EQ(read_text(folder / "again/find-lr.csv"), read_text(folder / "r/find-lr.csv"));
}

TEST(find_lr, does_without_gnuplot_and_on_a_gpu) {
  const TemporaryFolder folder;
  const Outcome outcome = run_convoy(folder, small_test({"--steps", "50", "--run", "r"}), {{"PATH", "/nowhere"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("no picture: "), std::string::npos) << outcome.out;
  EXPECT_FALSE(read_text(folder / "r/find-lr.csv").empty());
  const Outcome gpu =
      run_convoy(folder, small_test({"--steps", "50", "--batch", "8", "--device", "cuda", "--run", "g"}),
                 {{"PATH", "/nowhere"}}, kConvoyEmulated);
  EXPECT_EQ(gpu.exit_code, 0) << gpu.error;
  EXPECT_FALSE(read_text(folder / "g/find-lr.csv").empty());
}

TEST(find_lr, refuses_what_makes_no_sense) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::vector<std::string>& more, int exit_code) {
    const Outcome outcome = run_convoy(folder, small_test(more));
    EXPECT_EQ(outcome.exit_code, exit_code);
    EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
    return outcome.error;
  };
  EXPECT_EQ(refusal({"--steps", "49"}, 2), "convoy: --steps: 49 are too few to see a curve, the least is 50\n");
  EXPECT_NE(refusal({"--lr", "1"}, 2).find("unknown option '--lr'"), std::string::npos);
  EXPECT_NE(refusal({"--run", "/dev/null"}, 5).find("is not a folder"), std::string::npos);
  EXPECT_TRUE(folder.names().empty());
}

}  // namespace
}  // namespace convoy
