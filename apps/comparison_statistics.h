// Medians over rounds, speed-up and efficiency against serial, and whether the result is serial's.
//
// T(1) is the median of serial's seconds, T a configuration's with N workers: speed-up T(1) / T, efficiency T(1) / (N
// T).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/comparison_results.h"

namespace convoy {

struct Spread {
  double median = 0, least = 0, most = 0;
};
// Of at least one number; the median of an even count is the mean of the two in the middle.
Spread spread_of(std::vector<double> numbers);

// How far accuracies on `images` images may lie apart, in percentage points, when sums differ in their rounding alone:
// a rounding turns images over that lie on the border between two classes. 0.3, or ten images where these are more.
double allowed_accuracy_difference(int64_t images);

// How the end of a training compares with serial's; the largest difference over all rounds of both.
struct Difference {
  bool same_bits = false;  // the files of weights are equal
  double loss = 0;         // |loss - serial's| / serial's
  double accuracy = 0;     // percentage points

  double allowed_accuracy = 0;  // percentage points: see allowed_accuracy_difference()
  bool accuracy_holds() const { return accuracy <= allowed_accuracy; }
};

// One configuration with one model, over the complete rounds.
struct ConfigurationSummary {
  size_t configuration = 0;     // index into the plan
  bool oversubscribed = false;  // more workers than cores: no scaling result
  int64_t rounds = 0, failed = 0;
  int exit_code = 0;         // of the first failure
  std::string message = {};  // likewise
  // Over the rounds that did not fail; meaningless when measured() is not true.
  Spread seconds{}, samples_per_second{}, accuracy{};
  std::optional<Spread> speedup = {};         // without value when serial has failed
  std::optional<Difference> difference = {};  // likewise
  std::optional<StepTimes> times = {};        // mean over rounds
  bool measured() const { return failed < rounds; }
};

struct ModelSummary {
  size_t model = 0;                                       // index into the plan
  int64_t rounds = 0;                                     // complete ones: every configuration ran, whether well or not
  std::vector<ConfigurationSummary> configurations = {};  // as in the plan; empty without a complete round
};

// One entry for each model of the plan. `results` may end early, in mid-round.
std::vector<ModelSummary> summarise(const ComparisonPlan& plan, std::span<const RunResult> results, int cores);

}  // namespace convoy
