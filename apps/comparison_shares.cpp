#include "apps/comparison_shares.h"

#include <algorithm>

namespace convoy {
namespace {

// Without what is a part of another part.
double timed(const StepTimes& times) { return times.copy + times.compute + times.communicate + times.update; }

constexpr TimePart kParts[] = {
    {"compute", "#0072b2",
     [](const StepTimes& times, double) { return times.compute - times.exchange - times.reduce; }},
    {"batch norm exchange", "#cc79a7", [](const StepTimes& times, double) { return times.exchange; }},
    {"reduce", "#56b4e9", [](const StepTimes& times, double) { return times.reduce; }},
    {"communicate", "#d55e00", [](const StepTimes& times, double) { return times.communicate; }},
    {"copy", "#e69f00", [](const StepTimes& times, double) { return times.copy; }},
    {"update", "#009e73", [](const StepTimes& times, double) { return times.update; }},
    {"batches, other", "#bbbbbb", [](const StepTimes& times, double all) { return all - timed(times); }},
};

}  // namespace

std::span<const TimePart> time_part_table() { return kParts; }

std::optional<std::vector<double>> time_shares(const ConfigurationSummary& summary) {
  if (!summary.measured() || !summary.times) return {};
  // Parts are means over rounds, the whole is a median.
  const double all = std::max(summary.seconds.median, timed(*summary.times));
  std::vector<double> shares;
  for (const TimePart& part : kParts) shares.push_back(100 * std::max(0.0, part.seconds(*summary.times, all)) / all);
  return shares;
}

}  // namespace convoy
