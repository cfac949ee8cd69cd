// What the tests of batch norm and of convolution expect of batch statistics.
#pragma once

#include "tests/tensor/kernel_test.h"

namespace convoy {

// The longest chain of additions behind one sum over the rows. CPU: the rows of a block, then the blocks of a piece (at
// most 1/64 of the rows, at least 4 rows a block). GPU: a thread's rows (at most 1/512 of the rows, or 8), then a tree over
// the block; or the 128 rows of a product's tile. The pieces are added in double.
inline double chain_of_rows(int64_t rows) { return static_cast<double>(std::min(rows, 256 + rows / 256)); }

// What sums of rows run over: distances from the first row, which keep a small variance beside a huge mean, or these or the
// values themselves.
enum class Shift { first_row, either };

// Mean and variance [channels] against those of x [rows, channels].
inline void expect_statistics(int64_t rows, int64_t channels, const std::vector<float>& x, Shift shift,
                              const Guarded<float>& mean, const Guarded<float>& variance) {
  const reference::Moments expected = reference::batch_norm_statistics(rows, channels, widen(x));
  // The mean comes of a sum over distances from the shift, the variance of one over squares of differences of them, each
  // off by 3 roundings, and from a mean that is itself off.
  Values mean_tolerance(expected.mean.size()), variance_tolerance(expected.mean.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i % static_cast<size_t>(channels);
    const double value = static_cast<double>(x[i]), share = kRoundoff / static_cast<double>(rows);
    const double distance = std::fabs(value - static_cast<double>(x[c]));
    mean_tolerance[c] += (chain_of_rows(rows) + 4) * share *
                         (shift == Shift::first_row ? distance : std::max(distance, std::fabs(value)));
    variance_tolerance[c] += (chain_of_rows(rows) + 8) * share * distance * distance;
  }
  for (size_t c = 0; c < expected.mean.size(); ++c) {
    if (shift == Shift::either) variance_tolerance[c] += mean_tolerance[c] * mean_tolerance[c];
    mean_tolerance[c] += kRoundoff * std::fabs(expected.mean[c]);
  }
  expect_within(mean.values(), expected.mean, mean_tolerance);
  expect_within(variance.values(), expected.variance, variance_tolerance);
  EXPECT_TRUE(mean.intact() && variance.intact());
}

}  // namespace convoy
