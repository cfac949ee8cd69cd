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
  const double smoothed = average_ / weight_;
  least_smoothed_ = points_.empty() ? smoothed : std::min(least_smoothed_, smoothed);
  points_.push_back({rate, loss, smoothed});
}

bool RateTest::diverged() const {
  return !points_.empty() && !(points_.back().smoothed <= kDiverged * least_smoothed_);
}

double RateTest::mean(size_t begin, size_t end) const {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += points_[i].loss;
  return sum / static_cast<double>(end - begin);
}

size_t RateTest::reach() const { return std::max<size_t>(1, static_cast<size_t>(steps_) / 20); }

size_t RateTest::best() const {
  size_t best = 0;
  double least = points_[0].loss;
  for (size_t i = reach(); i + reach() < points_.size(); ++i) {
    const double loss = mean(i - reach(), i + reach() + 1);
    if (loss >= least) continue;
    least = loss;
    best = i;
  }
  return best;
}

double RateTest::best_rate() const { return points_[best()].rate; }

std::optional<double> RateTest::steepest() const {
  const size_t last = best();
  if (last <= 2 * reach()) return {};
  // Less than noise would do.
  if (mean(last - reach(), last + reach() + 1) > 0.98 * mean(0, 2 * reach() + 1)) return {};
  size_t found = reach();
  double steepest = 0;
  for (size_t i = reach(); i <= last; ++i) {
    const double slope = mean(i, i + reach()) - mean(i - reach(), i);
    if (slope >= steepest) continue;
    steepest = slope;
    found = i;
  }
  return points_[found].rate;
}

}  // namespace convoy
