#include "apps/comparison_statistics.h"

#include <algorithm>
#include <cmath>

namespace convoy {
namespace {

using Results = std::vector<const RunResult*>;

// The results of one configuration in the rounds 1 … rounds.
Results of_configuration(std::span<const RunResult> results, size_t model, size_t configuration, int64_t rounds) {
  Results found;
  for (const RunResult& result : results) {
    if (result.run.model == model && result.run.configuration == configuration && result.run.round <= rounds)
      found.push_back(&result);
  }
  return found;
}

Spread spread_over(const Results& results, double RunResult::*number) {
  std::vector<double> numbers;
  for (const RunResult* result : results) numbers.push_back(result->*number);
  return spread_of(std::move(numbers));
}

Difference difference_from(const Results& serial, const Results& results) {
  Difference difference{.same_bits = true};
  for (const RunResult* result : results) {
    difference.allowed_accuracy = allowed_accuracy_difference(result->evaluated_images);
    for (const RunResult* other : serial) {
      difference.same_bits = difference.same_bits && result->weights_sha256 == other->weights_sha256;
      difference.loss = std::max(difference.loss, std::abs(result->loss - other->loss) / std::abs(other->loss));
      difference.accuracy = std::max(difference.accuracy, std::abs(result->accuracy - other->accuracy));
    }
  }
  return difference;
}

std::optional<StepTimes> mean_times(const Results& results) {
  StepTimes sum;
  for (const RunResult* result : results) {
    if (!result->times) return {};
    sum += *result->times;
  }
  const double n = static_cast<double>(results.size());
  return StepTimes{.copy = sum.copy / n,
                   .compute = sum.compute / n,
                   .exchange = sum.exchange / n,
                   .reduce = sum.reduce / n,
                   .communicate = sum.communicate / n,
                   .update = sum.update / n};
}

ConfigurationSummary summarise_configuration(size_t configuration, const Results& all, const Results& good_serial) {
  ConfigurationSummary summary{.configuration = configuration, .rounds = static_cast<int64_t>(all.size())};
  Results good;
  for (const RunResult* result : all) {
    if (result->good()) {
      good.push_back(result);
    } else if (summary.failed++ == 0) {
      summary.exit_code = result->exit_code;
      summary.message = result->message;
    }
  }
  if (good.empty()) return summary;
  summary.seconds = spread_over(good, &RunResult::seconds);
  summary.samples_per_second = spread_over(good, &RunResult::samples_per_second);
  summary.accuracy = spread_over(good, &RunResult::accuracy);
  summary.times = mean_times(good);
  if (good_serial.empty()) return summary;
  const double serial = spread_over(good_serial, &RunResult::seconds).median;
  summary.speedup =
      Spread{serial / summary.seconds.median, serial / summary.seconds.most, serial / summary.seconds.least};
  summary.difference = difference_from(good_serial, good);
  return summary;
}

}  // namespace

double allowed_accuracy_difference(int64_t images) {
  constexpr double kPoints = 0.3, kImages = 10;
  return std::max(kPoints, images > 0 ? 100 * kImages / static_cast<double>(images) : 0);
}

Spread spread_of(std::vector<double> numbers) {
  std::ranges::sort(numbers);
  const size_t n = numbers.size();
  return {.median = (numbers[(n - 1) / 2] + numbers[n / 2]) / 2, .least = numbers.front(), .most = numbers.back()};
}

std::vector<ModelSummary> summarise(const ComparisonPlan& plan, std::span<const RunResult> results, int cores) {
  std::vector<ModelSummary> summaries;
  for (size_t model = 0; model < plan.models.size(); ++model) {
    const auto ran = std::ranges::count_if(results, [&](const RunResult& one) { return one.run.model == model; });
    const int64_t rounds = ran / static_cast<int64_t>(plan.configurations.size());
    summaries.push_back({.model = model, .rounds = rounds});
    if (rounds == 0) continue;
    Results serial = of_configuration(results, model, 0, rounds);
    std::erase_if(serial, [](const RunResult* result) { return !result->good(); });
    for (size_t i = 0; i < plan.configurations.size(); ++i) {
      summaries.back().configurations.push_back(
          summarise_configuration(i, of_configuration(results, model, i, rounds), serial));
      summaries.back().configurations.back().oversubscribed = plan.configurations[i].workers() > cores;
    }
  }
  return summaries;
}

}  // namespace convoy
