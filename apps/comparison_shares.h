// Where the training time of rank 0 went, in parts that add up to all of it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "apps/comparison_statistics.h"

namespace convoy {

struct TimePart {
  const char* name;
  const char* color;
  double (*seconds)(const StepTimes& times, double all);  // `all`: of the training
};
std::span<const TimePart> time_part_table();

// In percent, in the order of the table. Nothing for what was not timed in parts.
std::optional<std::vector<double>> time_shares(const ConfigurationSummary& summary);

}  // namespace convoy
