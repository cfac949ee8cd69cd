// The learning-rate range test: the rate grows from step to step, and the loss shows which rates are worth training
// with. L. N. Smith, "Cyclical Learning Rates for Training Neural Networks", 2015, section 3.3
// (https://arxiv.org/abs/1506.01186); growing exponentially instead of linearly, so that all magnitudes are tried
// alike.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace convoy {

struct RatePoint {
  double rate = 0, loss = 0;  // of the batch, before the update with that rate
  double average = 0;         // of the losses so far, with weights that fall by 0.9 a step
};

class RateTest {
 public:
  static constexpr double kLeast = 1e-7, kMost = 10;
  static constexpr double kDiverged = 4;  // times the least average

  // Over `steps` steps, at least 2.
  explicit RateTest(int64_t steps) : steps_(steps) {}

  double rate(int64_t step) const;  // from 1 to steps
  void add(double rate, double loss);
  // Whether the last loss is so bad that larger rates need not be tried.
  bool diverged() const;

  const std::vector<RatePoint>& points() const { return points_; }

  // The rate at which the loss falls most steeply over the logarithm of the rate; nothing where it never falls clearly.
  // Slopes and the least loss are taken of the losses on either side of a rate, so that they do not lag behind as the
  // average does.
  std::optional<double> steepest() const;
  // The mean of the losses around points()[i], on which the answers rest.
  double smoothed(size_t i) const;
  double best_rate() const;  // of the least smoothed loss; REQUIRES a point

 private:
  size_t reach() const;                         // of what is looked at on either side: a twentieth of the steps
  double mean(size_t begin, size_t end) const;  // of the losses of these points
  size_t best() const;
  double noise(size_t last) const;  // of a smoothed loss, judged by the points up to this one: its standard error

  int64_t steps_;
  std::vector<RatePoint> points_;
  double average_ = 0, weight_ = 0, least_average_ = 0;
};

}  // namespace convoy
