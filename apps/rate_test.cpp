#include "apps/rate_test.h"

#include <algorithm>
#include <cmath>

namespace convoy {
namespace {

constexpr double kKept = 0.9;  // of the average, at each step

}  // namespace

double RateTest::rate(int64_t step) const {
  const double share = static_cast<double>(step - 1) / static_cast<double>(steps_ - 1);
  return kLeast * std::pow(kMost / kLeast, share);
}

void RateTest::add(double rate, double loss) {
  average_ = kKept * average_ + (1 - kKept) * loss;
  weight_ = kKept * weight_ + (1 - kKept);
  const double average = average_ / weight_;
  least_average_ = points_.empty() ? average : std::min(least_average_, average);
  points_.push_back({rate, loss, average});
}

bool RateTest::diverged() const { return !points_.empty() && !(points_.back().average <= kDiverged * least_average_); }

double RateTest::mean(size_t begin, size_t end) const {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += points_[i].loss;
  return sum / static_cast<double>(end - begin);
}

size_t RateTest::reach() const { return std::max<size_t>(1, static_cast<size_t>(steps_) / 20); }

double RateTest::smoothed(size_t i) const {
  return mean(i < reach() ? 0 : i - reach(), std::min(points_.size(), i + reach() + 1));
}

size_t RateTest::best() const {
  size_t best = 0;
  for (size_t i = 1; i < points_.size(); ++i) {
    if (smoothed(i) < smoothed(best)) best = i;
  }
  return best;
}

double RateTest::noise(size_t last) const {
  double squares = 0;
  for (size_t i = 0; i <= last; ++i) squares += std::pow(points_[i].loss - smoothed(i), 2);
  return std::sqrt(squares / static_cast<double>(last + 1) / static_cast<double>(2 * reach() + 1));
}

double RateTest::best_rate() const { return points_[best()].rate; }

std::optional<double> RateTest::steepest() const {
  const size_t last = best();
  if (last <= 2 * reach()) return {};
  // Beyond the least loss they grow by more than noise.
  const double fall = smoothed(reach()) - smoothed(last);
  if (fall < 0.02 * smoothed(reach()) || fall < 4 * noise(last)) return {};
  size_t found = reach();
  double steepest = 0;
  for (size_t i = reach(); i <= last && i + reach() <= points_.size(); ++i) {
    const double slope = mean(i, i + reach()) - mean(i - reach(), i);
    if (slope >= steepest) continue;
    steepest = slope;
    found = i;
  }
  return points_[found].rate;
}

}  // namespace convoy
